import gzip
from pathlib import Path

import numpy as np
import pytest
from sample_task import AFFINE, ball, prepare, save, write_task
from scipy import ndimage
from scipy.special import softmax

from core.errors import UserError
from data.inspect import main as inspect
from data.opened import open_data
from data.prepare import main
from data.volumes.geometry import resample_linearly, resample_probabilities
from data.volumes.restoring import original_label, restore
from experiments.grid.config import AblationConfig
from experiments.grid.planning.prepared import in_shares, read_data
from transfer_learning.config import SegmentationConfig
from transfer_learning.task import chosen_labels

nibabel = pytest.importorskip("nibabel")
sitk = pytest.importorskip("SimpleITK")


@pytest.mark.parametrize("modalities", [1, 2])
def test_a_perfect_prediction_comes_back_to_the_bit(tmp_path, modalities, capsys):
    write_task(tmp_path / "task", modalities=modalities)
    assert prepare(tmp_path) == 0, capsys.readouterr()
    data = open_data(tmp_path / "out")
    manifest = data.manifest
    assert (manifest.dims, manifest.channels, manifest.label_values) == (3, modalities, (0, 1, 4))
    assert manifest.size == (16, 20, 18)
    for split in data.splits("Train", "Val", "Test"):
        for index, name in enumerate(split.names):
            path = tmp_path / f"{name}.nii.gz"
            restore(path, split.label(index), split.geometries[index], manifest.label_values)
            wanted, found = nibabel.load(tmp_path / "task" / "labelsTr" / path.name), nibabel.load(path)
            np.testing.assert_array_equal(np.asarray(found.dataobj), np.asarray(wanted.dataobj))
            np.testing.assert_array_equal(found.affine, wanted.affine)
            assert found.header["qform_code"] == wanted.header["qform_code"]
            assert b"MILLER" not in gzip.decompress(path.read_bytes())
    assert b"MILLER" not in b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())


def test_axes_are_turned_to_ras_and_reversed(tmp_path):
    write_task(tmp_path / "task")
    assert prepare(tmp_path, "--intensity", "window:50/100") == 0
    assert open_data(tmp_path / "out").manifest.spacing == (1.0, 1.0, 1.0)  # to which others come in prediction
    train = open_data(tmp_path / "out").split("Train")
    image = nibabel.as_closest_canonical(nibabel.load(tmp_path / "task" / "imagesTr" / f"{train.names[0]}.nii.gz"))
    wanted = np.clip(np.asarray(image.dataobj) / 100, 0, 1).transpose(2, 1, 0)
    np.testing.assert_allclose(train.volume(0)[0], wanted, atol=1e-5)
    assert train.geometries[0].orientation == "PLS"


def test_at_doubled_spacing_nearly_all_comes_back(tmp_path):
    for number in range(6):
        grid = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(48) - 23.5] * 3, indexing="ij"), -1), axis=-1)
        save(tmp_path / "task" / "labelsTr" / f"case_{number}.nii.gz", (grid < 20).astype(np.uint8))
        save(tmp_path / "task" / "imagesTr" / f"case_{number}.nii.gz", (grid + number).astype(np.float32))
    (tmp_path / "task" / "dataset.json").write_text('{"labels": {"0": "none", "1": "ball"}, "modality": {"0": "CT"}}')
    assert prepare(tmp_path, "--spacing", "2x2x2") == 0
    data = open_data(tmp_path / "out")
    test = data.split("Test")
    assert data.manifest.size == (24, 24, 24)
    assert data.manifest.intensity[0].kind == "ct"
    geometry, truth = test.geometries[0], test.truth(0)
    shares = np.stack([resample_linearly((truth == number)[None], (24, 24, 24))[0] for number in (0, 1)])
    sure = shares**4 / (shares**4).sum(axis=0)
    # Shares say where in a voxel the surface lies, and a network that is too sure still does; the class alone does not.
    for prediction, least in ((shares, 0.995), (sure, 0.985), (test.label(0), 0.97)):
        found = original_label(prediction, geometry)
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) >= least


def test_probabilities_are_resampled_as_logits_are():
    logits = np.random.default_rng(0).normal(0, 1, (3, 4, 5, 3)).astype(np.float32)
    shape = (7, 6, 5)
    wanted = softmax(ndimage.zoom(logits, (1, 7 / 4, 6 / 5, 5 / 3), order=1, mode="nearest", grid_mode=True), axis=0)
    np.testing.assert_allclose(resample_probabilities(softmax(logits, axis=0), shape), wanted, atol=1e-5)
    sure = np.stack([np.ones(logits.shape[1:]), np.zeros(logits.shape[1:])]).astype(np.float32)
    assert resample_probabilities(sure, shape)[0].min() > 0.99
    assert resample_probabilities(sure, sure.shape[1:]) is sure


def test_the_same_again_does_nothing_and_elsewhere_has_the_same_fingerprint(tmp_path, capsys):
    write_task(tmp_path / "task")
    assert prepare(tmp_path) == 0
    before = open_data(tmp_path / "out").fingerprint
    assert prepare(tmp_path) == 0
    assert "nothing to do" in capsys.readouterr().out
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    assert prepare(tmp_path) == 0
    assert open_data(tmp_path / "out").fingerprint == before
    assert prepare(tmp_path, "--spacing", "2x2x2") == 2
    assert "--spacing auto there, 2x2x2 asked" in capsys.readouterr().err


def move(root: Path) -> None:
    affine = AFFINE.copy()
    affine[0, 3] += 3
    save(root / "labelsTr" / "case_1.nii.gz", ball(1), affine)


BAD_MASKS = {
    "shape 20 x 18 x 15, its volume has 20 x 18 x 16": lambda root: save(
        root / "labelsTr" / "case_1.nii.gz", ball(1)[..., 1:]
    ),
    "spacing 1 x 1 x 2 mm, its volume has 1 x 1 x 1": lambda root: save(
        root / "labelsTr" / "case_1.nii.gz", ball(1), AFFINE @ np.diag([1, 1, 2, 1])
    ),
    "up to 3.00 mm away": move,
    "holds [7], allowed are 0, 1, 4": lambda root: save(root / "labelsTr" / "case_1.nii.gz", ball(1) * 0 + 7),
    "values with fractions": lambda root: save(root / "labelsTr" / "case_1.nii.gz", ball(1).astype(np.float32) * 0.5),
}


@pytest.mark.parametrize("message", BAD_MASKS)
def test_a_mask_that_does_not_fit_is_refused_in_one_line_and_leaves_nothing(tmp_path, message, capsys):
    BAD_MASKS[message](write_task(tmp_path / "task"))
    assert prepare(tmp_path) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["task"]


@pytest.mark.parametrize("message", list(BAD_MASKS)[1:3])
def test_trusted_shapes_go_on(tmp_path, message):
    root = write_task(tmp_path / "task", values=(0, 1, 2))
    BAD_MASKS[message](root)
    assert prepare(tmp_path, "--trust_shapes") == 0


def test_label_fractions_take_the_volumes_of_a_patient_together(tmp_path):
    root = write_task(tmp_path / "task", count=12, values=(0, 1, 2))
    rows = [f"case_{number},{'abcdef'[number % 6]}" for number in range(12)]
    (tmp_path / "tags.csv").write_text("\n".join(["file,patient", *rows]))
    own = ["--dataset", "volumes", "--images", str(root / "imagesTr"), "--masks", str(root / "labelsTr")]
    divided = ["--group_by", "patient", "--tag_file", str(tmp_path / "tags.csv"), "--output_dir", str(tmp_path / "own")]
    assert main([*own, *divided]) == 0
    train = open_data(tmp_path / "own").split("Train")
    assert len(set(train.groups)) == 4
    for fraction, patients in ((0.25, 1), (0.5, 2), (1.0, 4)):
        chosen = chosen_labels(train, SegmentationConfig(label_fraction=fraction, seed=3))
        assert len(chosen) == 2 * patients
        assert len({train.tags["patient"][index] for index in chosen}) == patients
    grid = AblationConfig(data_dir=tmp_path / "own", fractions=(2, 1.0))
    assert in_shares(grid).fractions == (0.5, 1.0)
    assert read_data(tmp_path / "own", (0.5, 1.0), (1, 2), ()).num_labels[0.5, 1] == 4


def test_settings_that_cannot_be_are_refused_by_name(tmp_path, capsys):
    write_task(tmp_path / "task")
    for flags, message in (
        (["--spacing", "1x1"], "spacing '1x1': give auto, own, or"),
        (["--intensity", "pet"], "intensity 'pet': give auto, ct, mr, or window:40/400"),
        (["--size", "64"], "volumes keep their shapes"),
    ):
        assert prepare(tmp_path, *flags) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(UserError, match="no prepared data"):
        open_data(tmp_path / "out")


@pytest.mark.parametrize("name", ["p.nii.gz", "p.nrrd", "p.mha", "a/1.dcm", "a/1"])
def test_commands_of_pictures_name_what_takes_volumes(tmp_path, name, capsys):
    path = tmp_path / "scans" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(128) + b"DICM")
    images = ["--images", str(tmp_path / "scans")]
    assert inspect([*images, "--no_preview"]) == 2
    assert main(["--dataset", "folder", *images, "--output_dir", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("ae-pretrained prepare --dataset volumes") == 2


def test_guessed_intensities_say_so(tmp_path, capsys):
    write_task(tmp_path / "task", 6)
    assert prepare(tmp_path) == 0
    assert "intensities: mr\n" in capsys.readouterr().out  # which dataset.json says
    own = [
        "--dataset",
        "volumes",
        "--images",
        str(tmp_path / "task/imagesTr"),
        "--masks",
        str(tmp_path / "task/labelsTr"),
    ]
    assert main([*own, "--output_dir", str(tmp_path / "guessed")]) == 0
    assert "intensities: mr (no word of CT was found: --intensity ct if it is)" in capsys.readouterr().out
    assert main([*own, "--intensity", "mr", "--output_dir", str(tmp_path / "told")]) == 0
    assert "no word of CT" not in capsys.readouterr().out


def test_the_list_of_data_sets_names_its_extra(capsys):
    assert main(["--list_datasets"]) == 0
    assert "(extra [medical])" in capsys.readouterr().out
