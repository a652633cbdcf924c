"""Phase 2 on volumes: losses, training that goes on after a kill, windows that cover a volume, results."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from sample_series import write_series
from sample_task import save
from sample_volumes import write_volumes

from core.errors import UserError
from core.headers.header import read_header
from data.opened import open_data
from reconstruction.train import main as pretrain
from transfer_learning.evaluate import main as evaluate
from transfer_learning.export import main as export
from transfer_learning.figures.volumes import in_proportion
from transfer_learning.inference.backends import load_network
from transfer_learning.inference.fitting import require_alike
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.volume_inputs import volumes_of
from transfer_learning.inference.volumes import volume_readout
from transfer_learning.losses.expression import parts_of
from transfer_learning.losses.segmentation import SegmentationLoss
from transfer_learning.predict import main as predict
from transfer_learning.task import SegmentationTask
from transfer_learning.train import main as train

ANYWHERE = ("ce", "focal(gamma=1)", "ohem", "label_smoothing", "dice", "tversky", "jaccard", "lovasz")
SPATIAL = ("boundary", "border_weight")
FLAGS = "--width 2 --batch_size 2 --max_steps 4 --val_every 2 --patch 16 --device cpu --amp off --ema 0.5"
MASKED = "--perceptual_weight 0 --pretext mask --mask_patch 4 --sparse"


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    return write_volumes(tmp_path_factory.mktemp("volumes") / "data")


@pytest.fixture(scope="module")
def trained(volumes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "seg"
    assert train([*FLAGS.split(), "--save_every", "1", "--data_dir", str(volumes), "--output_dir", str(folder)]) == 0
    return folder


@pytest.mark.parametrize("term", [*ANYWHERE, *SPATIAL])
def test_terms_say_of_volumes_what_they_say_of_pictures(term):
    numbers = torch.Generator().manual_seed(0)
    shape = (6, 5, 4) if term in ANYWHERE else (1, 9, 8)
    label = torch.randint(0, 3, (2, *shape), generator=numbers)
    label[0, 0, :2] = 255
    logits = torch.randn(2, 3, *shape, generator=numbers)
    loss = SegmentationLoss(parts_of(term), "batch", background=0)
    flat = (2, -1, shape[-1])
    expected = loss(logits.reshape(2, 3, -1, shape[-1]), label.reshape(flat))["loss"]
    leaf = logits.requires_grad_()
    found = loss(leaf, label)["loss"]
    torch.testing.assert_close(found, expected)
    found.backward()
    assert leaf.grad.any()


def test_distances_of_volumes_run_through_all_three_axes():
    from transfer_learning.losses.distances import signed_distances

    label = np.zeros((5, 5, 5), np.uint8)
    label[2, 2, 2] = 1
    distances = signed_distances(label, 2)
    assert distances[1, 2, 2, 2] == 0
    assert distances[1, 0, 2, 2] == 2
    assert distances[1, 0, 0, 0] == pytest.approx(12**0.5)


def test_a_killed_run_ends_with_the_same_bits(volumes, trained, tmp_path, monkeypatch):
    command = [*FLAGS.split(), "--save_every", "1", "--data_dir", str(volumes), "--output_dir", str(tmp_path / "seg")]
    usual = SegmentationTask.training_losses

    def killed(task, step):
        if step == 3:
            raise KeyboardInterrupt
        return usual(task, step)

    with monkeypatch.context() as patched:
        patched.setattr(SegmentationTask, "training_losses", killed)
        assert train(command) != 0
    assert train(command) == 0
    once, again = ((folder / "best_model.safetensors").read_bytes() for folder in (trained, tmp_path / "seg"))
    assert once == again
    assert (trained / "figures" / "epoch_0001.png").exists()


def test_one_window_is_the_network_and_mirrors_are_averaged(volumes, trained):
    pytest.importorskip("monai")
    loaded = load_network(trained / "best_model.safetensors", ReadoutOptions(), "cpu")
    split = open_data(volumes).split("Test")
    volume = np.random.default_rng(0).random((1, 16, 16, 16), np.float32)
    content = torch.ones(1, 1, 16, 16, 16, dtype=torch.bool)

    def alone(volume):
        with torch.inference_mode():
            return loaded.network.scores(torch.from_numpy(volume.copy())[None], content).softmax(1)[0].numpy()

    plain = volume_readout(loaded, split, ReadoutOptions(), 2)
    np.testing.assert_allclose(plain.probabilities(volume), alone(volume), atol=1e-5)
    mirrored = volume_readout(loaded, split, ReadoutOptions(tta="flips"), 2)
    axes = [(), (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3)]
    mean = np.mean([np.flip(alone(np.flip(volume, along)), along) for along in axes], axis=0)
    np.testing.assert_allclose(mirrored.probabilities(volume), mean, atol=1e-5)
    sums = plain.probabilities(np.pad(volume, ((0, 0), (0, 9), (0, 0), (0, 5)))).sum(0)
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    with pytest.raises(UserError, match="--tta flips mirrors volumes"):
        volume_readout(loaded, split, ReadoutOptions(tta=True), 2)


def test_results_are_those_of_pictures_and_distances_are_in_mm(volumes, trained, tmp_path, capsys):
    pytest.importorskip("monai")
    places = ["--data_dir", str(volumes), "--model_path", str(trained / "best_model.safetensors")]
    flags = [*places, "--device", "cpu", "--distances", "--visualize_samples", "1", "--output_dir", str(tmp_path / "e")]
    assert evaluate(flags) == 0
    said = capsys.readouterr().out
    assert "2 volumes with a mask" in said
    assert "With 95 % intervals over volumes" in said
    assert not {"image", "picture", "pixel", "boundary"} & {word.rstrip("s,:") for word in said.lower().split()}
    result = json.loads((tmp_path / "e" / "evaluation_results.json").read_text())
    split = open_data(volumes).split("Test")
    voxels = sum(split.truth(index).size for index in split.labelled)
    assert np.sum(result["confusion_matrix"]) == voxels
    assert result["distances"]["unit"] == "mm"
    assert result["cases"]["num_cases"] == 2
    assert any(figure["file"].startswith("figures/slices_") for figure in result["figures"])


def test_classes_of_volumes_are_not_mapped(volumes, trained, tmp_path, capsys):
    (tmp_path / "map.yaml").write_text("background: background\nfront: front\n")
    places = ["--data_dir", str(volumes), "--model_path", str(trained / "best_model.safetensors")]
    more = ["--class_map", str(tmp_path / "map.yaml"), "--output_dir", str(tmp_path / "out"), "--device", "cpu"]
    assert evaluate([*places, *more]) == 2
    assert "--class_map is of pictures" in capsys.readouterr().err


def test_weights_refuse_volumes_that_were_read_otherwise(trained, tmp_path, capsys):
    pytest.importorskip("monai")
    other = write_volumes(tmp_path / "other", intensity={"kind": "window", "low": 0.0, "high": 100.0})
    weights = ["--model_path", str(trained / "best_model.safetensors"), "--device", "cpu"]
    assert evaluate([*weights, "--data_dir", str(other), "--output_dir", str(tmp_path / "e")]) == 2
    assert "--intensity mr, those of" in (said := capsys.readouterr().err)
    assert "with window:50/100" in said
    path, header = trained / "best_model.safetensors", read_header(trained / "best_model.safetensors")
    require_alike(path, header, path, header)
    elsewhere = replace(header, volumes={**header.volumes, "spacing": [2.0, 1.0, 1.0]})
    with pytest.raises(UserError, match="an ensemble sees the same volumes"):
        require_alike(path, header, path, elsewhere)


def test_no_network_of_volumes_is_exported(trained, tmp_path, capsys):
    weights = str(trained / "best_model.safetensors")
    assert export(["--model_path", weights, "--format", "state_dict", "--output_dir", str(tmp_path / "x")]) == 2
    assert "is of volumes" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("transfer", ["encoder", "all"])
def test_what_phase_1_learned_is_taken_over_strictly(volumes, tmp_path, transfer):
    places = ["--data_dir", str(volumes), "--output_dir"]
    flags = [*FLAGS.split(), *MASKED.split()]
    assert pretrain([*flags, *places, str(tmp_path / "ae")]) == 0
    given = ["--pretrained_encoder", str(tmp_path / "ae" / "best_model.safetensors"), "--transfer", transfer]
    assert train([*FLAGS.split(), *given, "--freeze", "1", *places, str(tmp_path / "seg")]) == 0
    # A patch of another number of stages is another network.
    assert train([*FLAGS.replace("16", "8").split(), *given, *places, str(tmp_path / "other")]) == 2


def test_slices_are_drawn_in_the_proportions_of_the_body():
    cut = np.arange(6).reshape(2, 3)
    assert np.array_equal(in_proportion(cut, (0.7, 0.7)), cut)
    assert np.array_equal(in_proportion(cut, (5.0, 2.0)), cut[[0, 0, 0, 1, 1]])  # 10 mm by 6 in pixels of 2 mm
    assert np.array_equal(in_proportion(cut, (1.0, 2.0)), cut.repeat(2, axis=1))


def predict_into(folder, weights, *inputs):
    flags = ["--model_path", str(weights / "best_model.safetensors"), "--device", "cpu", "--output_dir", str(folder)]
    return predict([*flags, "--input", *map(str, inputs)])


def noise(path, number=0, shape=(16, 18, 14)):
    save(path, np.random.default_rng(number).normal(0, 5, shape).astype(np.float32))


def test_a_prediction_takes_no_input_s_place_and_none_another_s(trained, tmp_path, capsys):
    sitk = pytest.importorskip("SimpleITK")
    noise(tmp_path / "in" / "a.nii.gz")
    before = (tmp_path / "in" / "a.nii.gz").read_bytes()
    assert predict_into(tmp_path / "in", trained, tmp_path / "in" / "a.nii.gz") == 2
    assert "a.nii.gz would be overwritten by a result" in capsys.readouterr().err
    assert (tmp_path / "in" / "a.nii.gz").read_bytes() == before
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / "in" / "a.nii.gz")), str(tmp_path / "in" / "a.mha"))
    noise(tmp_path / "in" / "b.nii")
    (tmp_path / "in" / "notes.txt").write_text("no volume")
    assert predict_into(tmp_path / "out", trained, tmp_path / "in") == 0
    assert "1 files passed over: no volume" in capsys.readouterr().err
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"a.mha.nii.gz", "a.nii.gz.nii.gz", "b.nii.gz", "predictions.json"}


def test_a_folder_of_dicom_is_one_volume_of_a_prediction(trained, tmp_path, capsys):
    for number, case in enumerate(("one", "two")):
        write_series(tmp_path / "in" / case, number)
    (tmp_path / "in" / "two" / "0_0.dcm").write_bytes((tmp_path / "in" / "one" / "0_0.dcm").read_bytes())
    assert predict_into(tmp_path / "out", trained, tmp_path / "in") == 1
    assert "two: a folder of 2 DICOM series" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one.nii.gz", "predictions.json"}
    assert predict_into(tmp_path / "again", trained, tmp_path / "in" / "one") == 0
    once, again = ((tmp_path / folder / "one.nii.gz").read_bytes() for folder in ("out", "again"))
    assert once == again


def test_modalities_of_a_file_each_are_one_volume(tmp_path, capsys):
    data = write_volumes(tmp_path / "data", channels=2, intensity={"kind": "mr"})
    assert train([*FLAGS.split(), "--data_dir", str(data), "--output_dir", str(tmp_path / "seg")]) == 0
    for number in range(2):
        noise(tmp_path / "in" / f"case_000{number}.nii.gz", number)
    noise(tmp_path / "in" / "both_0001.nii.gz", 0, (16, 18, 14, 2))
    noise(tmp_path / "in" / "alone_0000.nii.gz")
    noise(tmp_path / "in" / "series.nii.gz", 0, (16, 18, 14, 5))
    assert predict_into(tmp_path / "out", tmp_path / "seg", tmp_path / "in") == 1
    told = capsys.readouterr().err
    assert "alone_0000.nii.gz: 1 modalities, the weights were trained on 2\n" in told
    assert "series.nii.gz: 5 modalities, the weights were trained on 2: a time series?" in told
    found = json.loads((tmp_path / "out" / "predictions.json").read_text())["pictures"]
    assert [row["mask"] for row in found] == ["both_0001.nii.gz", "case.nii.gz"]
    with pytest.raises(UserError, match="none of 1 files can be read as a volume"):
        volumes_of({"a.png": tmp_path / "a.png"}, 1)
