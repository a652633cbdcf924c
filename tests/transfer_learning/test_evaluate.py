"""The evaluation commands: their JSON, and that their scores are what an independent reckoning gives."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from reference_inference import reference_scores
from safetensors.torch import save_file
from sample_classes import write_manifest
from sklearn.metrics import jaccard_score, roc_auc_score
from torchmetrics.functional.classification import multiclass_jaccard_index
from torchmetrics.functional.image import peak_signal_noise_ratio

from core.classes import ClassSet
from core.evaluation import best_and_worst, print_table
from core.filing.writing import lock
from core.headers.header import HEADER_KEY, header_content
from core.run.console import Console
from core.weights import load_weights, save_weights
from data.opened import open_data
from experiments.tables import main as tables
from reconstruction.evaluate import main as evaluate_autoencoder
from reconstruction.network import Autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.evaluate import main as evaluate_segmentation
from transfer_learning.figures import evaluation as drawing
from transfer_learning.inference.backends import Network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import counts_of, segmentation_scores
from transfer_learning.scores.per_image import OF_CLASSES
from transfer_learning.scores.results import results_of
from transfer_learning.scores.split import scores_of_split
from transfer_learning.scores.surface import class_distances
from transfer_learning.train import main as train_segmentation

CLASSES = ("background", "cat", "dog")
PETS = ClassSet(CLASSES, ignored_is="border")


@pytest.fixture(scope="module")
def results(pets, tmp_path_factory) -> Path:
    """A folder with both trained networks and their evaluations."""
    root = tmp_path_factory.mktemp("results")
    common = ["--data_dir", str(pets), "--device", "cpu"]
    small = [*common, "--width", "2", "--epochs", "1", "--amp", "off"]
    assert train_autoencoder([*small, "--output_dir", str(root / "ae"), "--perceptual_weight", "0"]) == 0
    assert train_segmentation([*small, "--output_dir", str(root / "seg")]) == 0
    for phase, main in (("ae", evaluate_autoencoder), ("seg", evaluate_segmentation)):
        model = str(root / phase / "best_model.safetensors")
        assert main([*common, "--model_path", model, "--output_dir", str(root / "out" / phase)]) == 0
    return root


def trained(results: Path) -> SegmentationUNet:
    tensors, header = load_weights(results / "seg/best_model.safetensors")
    model = SegmentationUNet(**header.architecture).eval()
    model.load_state_dict(tensors)
    return model


def test_segmentation_json(results, pets):
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    split = open_data(pets).split("Test")
    assert content["num_images"] == len(split.labelled)
    for name in CLASSES:
        assert set(content["classes"][name]) == {*OF_CLASSES, "iou", "auc"}
    assert {"pixel_accuracy", "mean_iou", "mean_foreground_dice", "foreground_iou", "confusion_matrix"} <= set(content)
    scored = sum(int((split.truth(index) != 255).sum()) for index in split.labelled)
    assert np.sum(content["confusion_matrix"]) == scored
    provenance = content["provenance"]
    assert {"commit", "checkpoint_sha256", "data_sha256", "resolution", "seed", "versions", "device"} <= set(provenance)
    assert provenance["resolution"] == 40
    for entry in content["figures"]:
        assert (results / "out/seg" / entry["file"]).stat().st_size > 1000
        assert entry["title"]
        assert entry["caption"]
    assert len(content["figures"]) >= 12


def test_intervals_stand_beside_every_score(results):
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    intervals = content["intervals"]
    headlines = ["pixel_accuracy", "mean_iou", "mean_foreground_dice", "foreground_iou", "mean_case_dice"]
    more = ["foreground_iou_border_as_object", "boundary_iou", "boundary_distance_pixels", "expected_calibration_error"]
    for name in headlines + more:
        low, high = intervals[name]
        assert low <= content[name] <= high
    with (results / "out/seg/per_image.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name in CLASSES:
        held = {kind: sum(int(row[f"{kind}_{name}"]) > 0 for row in rows) for kind in ("truth", "said")}
        held |= {"either": sum(int(row[f"truth_{name}"]) + int(row[f"said_{name}"]) > 0 for row in rows)}
        of = {"recall": "truth", "precision": "said", "iou": "either", "dice": "either"}
        for kind, value in content["classes"][name].items():
            alone = kind in of and held[of[kind]] < 2  # of one picture there is no interval
            assert (intervals["classes"][name][kind] is None) == (value is None or alone)


def test_scores_of_medicine_where_they_are_asked_for(results, pets, tmp_path, capsys):
    places = ["--model_path", str(results / "seg/best_model.safetensors"), "--data_dir", str(pets), "--device", "cpu"]
    given = [*places, "--output_dir", str(tmp_path / "out"), "--no_figures"]
    asked = ["--distances", "--v_rand", "cat", "--case_by", "species"]
    assert evaluate_segmentation([*given, *asked]) == 0
    said = capsys.readouterr().out
    assert "Distances of surfaces in pixels" in said
    assert "mean case dice: over 2 species" in said
    content = json.loads((tmp_path / "out/evaluation_results.json").read_text())
    plain = json.loads((results / "out/seg/evaluation_results.json").read_text())
    new = {"distances", "v_rand", "v_rand_at"}
    assert content.keys() - plain.keys() == new
    # OpenCV's distances differ in the last digit from time to time.
    distance = "boundary_distance_pixels"
    assert content[distance] == pytest.approx(plain[distance], rel=1e-6)
    others = {"cases", "mean_case_dice", "intervals", "figures", "strip", "provenance", distance}
    assert [name for name, value in plain.items() if name not in others and content[name] != value] == []
    with (tmp_path / "out/per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    split, model = open_data(pets).split("Test"), trained(results)
    found = reference_scores(model, split, split.labelled)
    for place, index in enumerate(split.labelled):
        truth, prediction = split.truth(index), found[index].argmax(0)
        expected = class_distances(prediction.astype(np.uint8), truth, PETS)[1]
        cells = [rows[place][f"{kind}_pixels_cat"] for kind in ("hausdorff_95", "surface_distance")]
        assert [float(cell or "nan") for cell in cells] == pytest.approx(expected.tolist(), nan_ok=True)
    truths = np.concatenate([split.truth(index).ravel() for index in split.labelled])
    likely = np.concatenate([torch.from_numpy(found[index]).softmax(0)[0].numpy().ravel() for index in split.labelled])
    expected = roc_auc_score(truths[truths < 3] > 0, 1 - likely[truths < 3])
    assert content["foreground"]["auc"] == pytest.approx(expected, abs=content["roc"]["largest_auc_error"] + 1e-4)
    low, high = content["intervals"]["foreground"]["auc"]
    assert low <= content["foreground"]["auc"] <= high
    species = [split.tags["species"][index] for index in split.labelled]
    assert content["cases"]["num_cases"] == len(set(species)) == 2
    assert content["mean_case_dice"] != plain["mean_case_dice"]
    assert evaluate_segmentation([*given, "--case_by", "patient"]) == 2
    assert "there is no such tag" in capsys.readouterr().err


def test_rows_of_images_add_up_to_the_matrix(results, pets):
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    with (results / "out/seg/per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    split = open_data(pets).split("Test")
    assert [row["name"] for row in rows] == [split.names[index] for index in split.labelled]
    matrix = np.array(content["confusion_matrix"])
    for kind, expected in (("hit", matrix.diagonal()), ("truth", matrix.sum(axis=1)), ("said", matrix.sum(axis=0))):
        assert [sum(int(row[f"{kind}_{name}"]) for row in rows) for name in CLASSES] == expected.tolist()
    assert [row["tag_species"] for row in rows] == [split.tags["species"][index] for index in split.labelled]


def test_the_border_counts_as_object_where_it_is_asked_to(results, pets):
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    model = trained(results)
    split = open_data(pets).split("Test")
    found = reference_scores(model, split, split.labelled)
    pairs = [(found[index].argmax(0) > 0, split.truth(index) > 0) for index in split.labelled]
    both, either = (sum(int(how(*pair).sum()) for pair in pairs) for how in (np.logical_and, np.logical_or))
    assert content["foreground_iou_border_as_object"] == pytest.approx(both / either)


def test_without_pictures(results, pets, tmp_path):
    model = str(results / "seg/best_model.safetensors")
    flags = ["--model_path", model, "--data_dir", str(pets), "--output_dir", str(tmp_path), "--visualize_samples", "0"]
    assert evaluate_segmentation(flags) == 0
    files = {entry["file"] for entry in json.loads((tmp_path / "evaluation_results.json").read_text())["figures"]}
    assert "figures/confusion_matrix.png" in files  # of the whole split
    assert "figures/predictions.png" not in files


def test_a_figure_that_cannot_be_drawn_is_a_note(results, pets, tmp_path, monkeypatch, capsys):
    def failing(path, *arguments):
        raise ValueError("no\nink")

    monkeypatch.setattr(drawing, "save_confusion", failing)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/confusion_matrix.png").write_bytes(b"of an earlier call")
    earlier = {"figures": [{"file": "figures/confusion_matrix.png"}]}
    (tmp_path / "evaluation_results.json").write_text(json.dumps(earlier))
    model = str(results / "seg/best_model.safetensors")
    flags = ["--model_path", model, "--data_dir", str(pets), "--output_dir", str(tmp_path), "--visualize_samples", "0"]
    assert evaluate_segmentation(flags) == 0
    said = "note: confusion_matrix.png could not be drawn (ValueError: no ink); the rest goes on"
    assert said in capsys.readouterr().out
    files = {entry["file"] for entry in json.loads((tmp_path / "evaluation_results.json").read_text())["figures"]}
    assert "figures/confusion_matrix.png" not in files
    assert "figures/reliability.png" in files
    assert not (tmp_path / "figures/confusion_matrix.png").exists()


def test_the_strip_holds_picture_truth_and_prediction(results, pets):
    strip = json.loads((results / "out/seg/evaluation_results.json").read_text())["strip"]
    split = open_data(pets).split("Test")
    tiles = cv2.imread(str(results / "out/seg" / strip["file"]))[..., ::-1]
    side = strip["tile"]
    assert tiles.shape == (len(strip["names"]) * side, 3 * side, 3)
    index = split.names.index(strip["names"][0])
    palette = np.array([*PETS.palette, (191, 191, 191)])
    truth, found = (tiles[side // 2, column * side : (column + 1) * side] for column in (1, 2))
    label = split.truth(index)
    classes = {tuple(palette[min(value, 3)]) for value in np.unique(label)}
    assert {tuple(colour) for colour in truth} <= classes | {(255, 255, 255)}
    predicted = np.array([*reference_scores(trained(results), split, split.labelled)[index]])
    shown = {CLASSES[value] for value in np.unique(predicted.argmax(0))}
    assert shown <= {*strip["classes"]}
    assert {tuple(colour) for colour in found} <= {tuple(colour) for colour in PETS.palette} | {(255, 255, 255)}


def test_segmentation_scores_equal_torchmetrics(results, pets):
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    model = trained(results)
    split = open_data(pets).split("Test")
    truths, predictions = [], []
    for index in split.labelled:
        picture = torch.from_numpy(split.images[index].copy()).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            logits = model(picture)[0].numpy()
        predictions.append(split.geometries[index].restore_scores(logits).argmax(0).ravel())
        truths.append(split.truth(index).ravel())
    iou = multiclass_jaccard_index(
        torch.from_numpy(np.concatenate(predictions)),
        torch.from_numpy(np.concatenate(truths)).long(),
        num_classes=3,
        ignore_index=255,
        average="none",
    )
    assert [content["classes"][name]["iou"] for name in CLASSES] == pytest.approx(iou.tolist(), abs=1e-6)
    # Each picture shows a cat or a dog.
    objects = [truth[truth < 3].max() for truth in truths]
    painted = [np.where(said > 0, one, 0) for said, one in zip(predictions, objects, strict=True)]
    judged = np.concatenate(truths) < 3
    outlines = jaccard_score(np.concatenate(truths)[judged], np.concatenate(painted)[judged], average="macro")
    assert content["one_object"]["outline_mean_iou"] == pytest.approx(outlines)
    votes = [np.bincount(said[truth < 3], minlength=3) for said, truth in zip(predictions, truths, strict=True)]
    told = [vote[one] > vote[3 - one] for vote, one in zip(votes, objects, strict=True)]
    assert content["one_object"]["class_accuracy"] == np.mean(told)


def test_reconstruction_scores_equal_torchmetrics(results, pets):
    content = json.loads((results / "out/ae/reconstruction_metrics.json").read_text())
    tensors, header = load_weights(results / "ae/best_model.safetensors")
    model = Autoencoder(**header.architecture).eval()
    model.load_state_dict(tensors)
    pictures = torch.from_numpy(np.array(open_data(pets).split("Test").images)).permute(0, 3, 1, 2) / 255
    with torch.inference_mode():
        restored = model(pictures)
    ratio = peak_signal_noise_ratio(restored, pictures, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert content["psnr"] == pytest.approx(ratio.mean().item(), abs=1e-3)
    assert content["num_samples"] == len(pictures)
    assert 0 < content["mse"] < 1


class Constant(torch.nn.Module):
    """Says one class everywhere."""

    def __init__(self, says: int) -> None:
        super().__init__()
        self.head = torch.nn.Conv2d(1, 3, 1)
        self.says = says

    def forward(self, images, content=None):
        return torch.nn.functional.one_hot(torch.full(images[:, 0].shape, self.says), 3).permute(0, 3, 1, 2).float()


def readout(model, split, batch_size: int) -> Readout:
    return Readout(Network(model), split.size, "letterbox", ReadoutOptions(), batch_size)


def test_a_model_that_never_says_cat_scores_0_for_it(pets):
    split = open_data(pets).split("Train")
    assert {split.tags["species"][index] for index in split.labelled} == {"cat", "dog"}
    found = scores_of_split(readout(Constant(2), split, 8), split)
    scores = segmentation_scores(found.matrix, PETS)
    cat = scores["classes"]["cat"]
    assert cat["iou"] == cat["dice"] == cat["recall"] == 0
    assert cat["precision"] is None
    assert scores["mean_iou"] == pytest.approx(scores["classes"]["dog"]["iou"] / 3)
    assert np.array_equal(found.counts.sum(axis=0), counts_of(found.matrix))


def test_all_background(pets):
    split = open_data(pets).split("Test")
    result = results_of(scores_of_split(readout(Constant(0), split, 8), split))
    assert result["foreground_iou"] == result["foreground_iou_border_as_object"] == result["boundary_iou"] == 0
    diagonals = [np.hypot(*split.truth(index).shape) for index in split.labelled]
    assert result["boundary_distance_pixels"] == pytest.approx(np.mean(diagonals))
    assert result["classes_without_truth"] == []
    assert result["classes"]["background"]["recall"] == 1
    json.dumps(result, allow_nan=False)


class Oracle(Constant):
    """Knows the labels, which it says batch by batch."""

    def __init__(self, labels: np.ndarray) -> None:
        super().__init__(0)
        self.labels, self.done = labels, 0

    def forward(self, images, content=None):
        labels = torch.from_numpy(self.labels[self.done : self.done + len(images)].astype(np.int64))
        self.done += len(images)
        return 20 * torch.nn.functional.one_hot(labels.where(labels < 3, 0), 3).permute(0, 3, 1, 2).float()


def test_a_perfect_prediction(pets):
    split = open_data(pets).split("Test")
    oracle = Oracle(np.array(split.labels))
    result = results_of(scores_of_split(readout(oracle, split, 3), split))
    assert min(result["mean_iou"], result["pixel_accuracy"]) >= 0.95  # but for resizing
    low, high = result["intervals"]["mean_iou"]
    assert 0.9 <= low <= high <= 1
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("main", "model", "message"),
    [
        (
            evaluate_segmentation,
            "ae/best_model.safetensors",
            "comes from reconstruction: this command takes weights of transfer_learning",
        ),
        (
            evaluate_autoencoder,
            "seg/best_model.safetensors",
            "comes from transfer_learning: this command takes weights of reconstruction",
        ),
        (evaluate_autoencoder, "nowhere.safetensors", "no weights at"),
        (evaluate_autoencoder, None, "give the weights of a training run: --model_path"),
    ],
)
def test_wrong_weights_are_refused(results, pets, capsys, main, model, message):
    flags = ["--model_path", str(results / model)] if model else []
    assert main([*flags, "--data_dir", str(pets)]) == 2
    assert message in capsys.readouterr().err


def test_tables_come_from_the_json_alone(results, capsys):
    assert tables(["--results", str(results / "out")]) == 0
    text = (results / "out/tables.md").read_text()
    content = json.loads((results / "out/seg/evaluation_results.json").read_text())
    assert f"{content['mean_iou']:.4f}" in text
    assert "| ae |" in text
    assert text in capsys.readouterr().out


def test_tables_of_an_empty_folder(tmp_path, capsys):
    assert tables(["--results", str(tmp_path)]) == 2
    assert "holds no results" in capsys.readouterr().err


def test_the_other_phases_results_are_not_overwritten(results, pets, capsys):
    flags = ["--data_dir", str(pets), "--model_path", str(results / "seg/best_model.safetensors")]
    assert evaluate_segmentation([*flags, "--output_dir", str(results / "out/ae")]) == 2
    assert "holds the results of reconstruction" in capsys.readouterr().err


@pytest.mark.parametrize("metadata", [None, {HEADER_KEY: "3"}, {HEADER_KEY: "[]"}, {"format": "pt"}])
def test_weights_of_others_are_refused(metadata, pets, tmp_path, capsys):
    save_file({"weight": torch.zeros(2)}, tmp_path / "theirs.safetensors", metadata)
    flags = ["--model_path", str(tmp_path / "theirs.safetensors"), "--data_dir", str(pets)]
    assert evaluate_segmentation([*flags, "--output_dir", str(tmp_path)]) == 2
    assert "was not written by this project" in capsys.readouterr().err


def altered(pets: Path, folder: Path, change) -> Path:
    """Copy prepared data, with another manifest."""
    shutil.copytree(pets, folder, ignore=shutil.ignore_patterns("arrays"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["images"] = [record for record in map(change, manifest["images"]) if record]
    write_manifest(folder, manifest)
    return folder


def test_a_split_without_masks(results, pets, tmp_path, capsys):
    bare = altered(pets, tmp_path / "bare", lambda record: {**record, "labelled": False})
    flags = ["--data_dir", str(bare), "--output_dir", str(tmp_path / "out"), "--device", "cpu"]
    assert evaluate_segmentation([*flags, "--model_path", str(results / "seg/best_model.safetensors")]) == 2
    assert "no picture has a mask, so nothing is scored" in capsys.readouterr().err
    flags += ["--visualize_samples", "0"]
    assert evaluate_autoencoder([*flags, "--model_path", str(results / "ae/best_model.safetensors")]) == 0


def leaves(content):
    found = content.values() if isinstance(content, dict) else content if isinstance(content, list) else None
    return [content] if found is None else [leaf for inner in found for leaf in leaves(inner)]


def test_a_single_image_and_a_class_that_is_not_there(results, pets, tmp_path, capsys):
    records = json.loads((pets / "manifest.json").read_text())["images"]
    one = next(record for record in records if record["split"] == "Test" and record["labelled"])
    single = altered(pets, tmp_path / "one", lambda r: r if r["split"] != "Test" or r["name"] == one["name"] else None)
    flags = ["--data_dir", str(single), "--output_dir", str(tmp_path / "out"), "--device", "cpu"]
    assert evaluate_segmentation([*flags, "--model_path", str(results / "seg/best_model.safetensors")]) == 0
    content = json.loads((tmp_path / "out/evaluation_results.json").read_text())
    assert content["num_images"] == 1
    assert not any(isinstance(leaf, float) for leaf in leaves(content["intervals"]))
    other = "dog" if one["tags"]["species"] == "cat" else "cat"
    assert content["classes_without_truth"] == [other]
    said = capsys.readouterr().out
    assert f"no mask holds {other}" in said
    assert "mean case dice: over 1 picture\n" in said


def old_weights(results: Path, path: Path) -> Path:
    """Write weights as they were before classes came from the data: names alone, one side, no number of channels."""
    tensors, _ = load_weights(results / "seg" / "best_model.safetensors")
    header = header_content(results / "seg" / "best_model.safetensors")
    architecture = {name: value for name, value in header["architecture"].items() if name != "in_channels"}
    old = {name: value for name, value in header.items() if name not in ("class_set", "format_version")}
    save_weights(path, tensors, {**old, "architecture": architecture, "class_names": list(CLASSES), "size": 40})
    return path


def test_weights_of_before_are_scored_alike(results, pets, tmp_path):
    old = old_weights(results, tmp_path / "best_model.safetensors")
    flags = ["--model_path", str(old), "--data_dir", str(pets), "--output_dir", str(tmp_path / "out"), "--no_figures"]
    assert evaluate_segmentation([*flags, "--device", "cpu"]) == 0
    before = json.loads((results / "out/seg/evaluation_results.json").read_text())
    after = json.loads((tmp_path / "out/evaluation_results.json").read_text())
    distances = []
    for content in (before, after):
        content.pop("figures")
        content.pop("strip", None)
        content["provenance"].pop("checkpoint_sha256")
        content["provenance"].pop("pictures_seen")  # which weights of before do not tell
        # The last digits of OpenCV's distances depend on where an array lies in memory.
        of_split, between = (found.pop("boundary_distance_pixels") for found in (content, content["intervals"]))
        distances.append([of_split, *between])
    assert after == before
    assert distances[0] == pytest.approx(distances[1], rel=1e-6)


def test_weights_of_before_segment_alike(results, tmp_path):
    old = old_weights(results, tmp_path / "best_model.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    found = [Segmenter.load(path, device="cpu") for path in (old, results / "seg" / "best_model.safetensors")]
    assert found[0].readout.size == (40, 40)
    assert found[0].classes.names == CLASSES
    for one, other in zip(*(segmenter(picture) for segmenter in found), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_of_before_goes_on(results, pets, tmp_path):
    """A run folder's identity and log columns are those that earlier versions wrote for pets."""
    common = ["--data_dir", str(pets), "--device", "cpu", "--width", "2", "--amp", "off", "--lr", "0.002"]
    flags = [*common, "--max_steps", "4", "--val_every", "2", "--output_dir", str(tmp_path)]
    assert train_segmentation(flags) == 0
    config = json.loads((tmp_path / "training_config.json").read_text())
    assert not {"class_set", "classes", "in_channels"} & {*config["identity"], *config["settings"]}
    state = torch.load(tmp_path / "state.ckpt", weights_only=True)
    columns = ["dice_background", "dice_cat", "dice_dog", "dice_mean_foreground", "mean_iou"]
    assert [name for name in state["rows"][0] if name.startswith(("dice", "mean"))] == columns


def test_names_are_no_markup_on_a_terminal(capsys):
    print_table("[red]title[/red]", ["[b]class", "IoU"], [["[bold]x[/bold]", 0.5], ["[/]", None]])
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("[red]title[/red]", "[b]class", "[bold]x[/bold]", "[/]"))


def test_best_and_worst_of_many():
    scores = [0.1, None, 0.9, 0.5, None, 0.3]
    assert best_and_worst(scores, 6) == [2, 3, 5, 0, 1, 4]
    assert best_and_worst(scores, 4) == [2, 3, 5, 0]
    assert best_and_worst(scores, 2) == [2, 0]


def test_a_console_shows_what_it_has_room_for(capsys):
    row = {"epoch": 1, "train_loss": 0.5, **{f"dice_[bold]{n}": 0.1 for n in range(5)}, "mean_iou": 0.25}
    with Console(2, 1, 2, 1, 0) as console:
        console.step_done(4, 0.5)
        console.epoch_done(row, best=True)
    shown = capsys.readouterr().out
    assert "train_loss 0.5000  mean_iou 0.2500" in shown
    assert "dice" not in shown


def test_results_of_before_stay_until_the_new_ones_are_whole(results, pets, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    flags = ["--data_dir", str(pets), "--output_dir", str(out), "--device", "cpu", "--visualize_samples", "1"]
    flags += ["--model_path", str(results / "seg/best_model.safetensors")]
    held = lock(out, "--output_dir")
    assert evaluate_segmentation(flags) == 2
    assert "is in use by another call" in capsys.readouterr().err
    held.release()
    assert evaluate_segmentation(flags) == 0
    before = {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()}
    named = [entry["file"] for entry in json.loads((out / "evaluation_results.json").read_text())["figures"]]
    assert named

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("transfer_learning.figures.evaluation.draw", stopped)
        assert evaluate_segmentation([*flags, "--split", "Val"]) == 130
    assert {path: path.read_bytes() for path in out.rglob("*.*") if path.is_file()} == before
    assert evaluate_segmentation([*flags, "--split", "Val", "--no_figures"]) == 0
    assert json.loads((out / "evaluation_results.json").read_text())["provenance"]["split"] == "Val"
    assert not [file for file in named if (out / file).exists()]
