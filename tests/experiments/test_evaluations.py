"""Results of both formats, read into one object; paired differences whose cost grows with the number of classes."""

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from report_samples import CLASSES, matrices, write_first_format, write_reconstruction, write_segmentation

from core.classes import ClassSet
from core.errors import UserError
from experiments import paired
from experiments.evaluations import Evaluation
from experiments.per_image import image_counts, image_values
from experiments.runs import find_runs

COMMITTED = Path(__file__).parents[2] / "evaluation_results" / "pets128"
MEGABYTE = 2**20


def many(count: int) -> ClassSet:
    return ClassSet(tuple(f"class {number}" for number in range(count)))


def test_both_formats_read_the_same(tmp_path):
    breeds = {"beagle": {"num_images": 3, "species": "dog", "mean_iou_true_classes": 0.5, "iou": {"dog": 0.4}}}
    of_class = {"cat": {"iou": [0.1, 0.2]}}
    write_segmentation(
        tmp_path / "new",
        tags={"breed": breeds},
        intervals={"mean_iou": [0.1, 0.9], "classes": of_class},
        foreground_iou_border_as_object=0.5,
    )
    write_first_format(
        tmp_path / "old",
        per_breed=breeds,
        intervals={"mean_iou": [0.1, 0.9], **of_class},
        foreground_iou_border_as_animal=0.5,
    )
    new, old = find_runs([tmp_path / "new", tmp_path / "old"])
    today = new.evaluation.model_dump()
    assert (
        today["more"].pop("foreground")["iou"] == old.evaluation.scores["foreground_iou"]
    )  # which the first had alone
    assert old.evaluation.model_dump() == today
    assert old.class_set.palette == new.class_set.palette
    assert old.class_set.ignored_is == "border"
    counts = [image_counts(run) for run in (new, old)]
    for number, matrix in enumerate(matrices(1)):
        expected = np.stack([np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)], axis=1)
        assert all(np.array_equal(table[f"pet_{number}"], expected) for table in counts)


def test_a_run_of_the_first_format_is_compared_with_one_of_today(tmp_path):
    for seed, name in ((1, "a"), (2, "b")):
        write_segmentation(tmp_path / "new" / name, seed)
        write_first_format(tmp_path / "old" / name, seed)
    today = paired.differences(*find_runs([tmp_path / "new/a", tmp_path / "new/b"]))[0]
    for first, second in (("old", "new"), ("new", "old"), ("old", "old")):
        found = paired.differences(*find_runs([tmp_path / first / "a", tmp_path / second / "b"]))[0]
        assert (found.value, found.interval) == (today.value, today.interval)


def test_committed_results_of_the_first_format_are_read():
    found = find_runs([COMMITTED / "scratch.json", COMMITTED / "autoencoder.json"])
    content = json.loads((COMMITTED / "scratch.json").read_text())
    known = found[0].evaluation
    assert known.class_set.names == ("background", "cat", "dog")
    assert known.classes["cat"] == content["cat"]
    assert known.class_intervals["dog"]["iou"] == content["intervals"]["dog"]["iou"]
    assert known.scores["foreground_iou_border_as_object"] == content["foreground_iou_border_as_animal"]
    assert known.tags["breed"].keys() == content["per_breed"].keys()
    assert next(iter(known.scores)) == "mean_iou"
    counts = np.sum(list(image_counts(found[0]).values()), axis=0)
    assert counts[:, 0].tolist() == np.diag(content["confusion_matrix"]).tolist()
    assert found[1].evaluation.class_set is None
    assert found[1].evaluation.scores["psnr"] == json.loads((COMMITTED / "autoencoder.json").read_text())["psnr"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, "is of format 3, this version reads 1 and 2"),
        ({"confusion_matrix": [[1, 2], [3, 4]]}, "the confusion matrix is not 3 x 3"),
        ({"class_set": {**CLASSES.content(), "names": ["a", "b", "c"]}}, "scores of background, cat, dog for the"),
        ({"class_set": {"names": ["a"]}}, "class_set: "),
        ({"mean_iou": "good"}, "none of mean_iou, psnr, target_error is a number"),
        ({"intervals": [{"mean_iou": [0, 1]}, 2]}, "is damaged ("),
        ({"format": 1, "intervals": [1]}, "is damaged ("),
        ({"format": 1, "confusion_matrix": 4}, "is damaged ("),
        ({"num_images": -1}, "num_images: Input should be greater than or equal to 0"),
    ],
)
def test_damaged_results_are_refused_by_name(tmp_path, change, message):
    result = {**write_segmentation(tmp_path), **change}
    (tmp_path / "evaluation_results.json").write_text(json.dumps(result))
    with pytest.raises(UserError) as error:
        find_runs([tmp_path])
    assert str(tmp_path / "evaluation_results.json") in str(error.value)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_classes_named_like_scores_stay_apart(tmp_path):
    classes = ClassSet(("mean_iou", "loss", "num_images", "provenance"), background=None)
    result = write_segmentation(tmp_path, classes=classes)
    known = find_runs([tmp_path])[0].evaluation
    assert known.scores["mean_iou"] == result["mean_iou"]
    assert known.classes["mean_iou"]["iou"] == result["classes"]["mean_iou"]["iou"]
    assert known.num_images == 30
    write_reconstruction(tmp_path / "other", [20.0])
    assert find_runs([tmp_path / "other"])[0].evaluation.scores["psnr"] == 20


def test_names_of_pictures_that_a_spreadsheet_would_compute_are_the_same_in_both_formats(tmp_path):
    for folder, write, name in (("new", write_segmentation, "'=1+1"), ("old", write_first_format, "=1+1")):
        write(tmp_path / folder)
        table = tmp_path / folder / "per_image.csv"
        table.write_text(table.read_text().replace("pet_3,", f"{name},"))
    new, old = (image_counts(run) for run in find_runs([tmp_path / "new", tmp_path / "old"]))
    assert "=1+1" in new
    assert new.keys() == old.keys()


@pytest.mark.parametrize(
    ("change", "twice"),
    [
        (lambda rows: [*rows, rows[-1]], "pet_2"),
        (lambda rows: [f"{row},{row.split(',')[1]}" for row in rows], "psnr"),
    ],
)
def test_a_picture_or_a_column_that_stands_twice_is_told(tmp_path, change, twice):
    write_reconstruction(tmp_path, [20.0, 21.0, 22.0])
    (run,) = find_runs([tmp_path])
    assert [*image_values(run, ["psnr"])] == ["pet_0", "pet_1", "pet_2"]
    run.per_image.write_text("\n".join(change(run.per_image.read_text().splitlines())))
    with pytest.raises(UserError, match=rf"per_image\.csv holds '{twice}' twice: evaluate"):
        image_values(run, ["psnr"])


def test_other_classes_are_not_compared(tmp_path):
    write_segmentation(tmp_path / "a", classes=many(3))
    write_segmentation(tmp_path / "b", classes=ClassSet(many(3).names, background=None))
    (found,) = paired.differences(*find_runs([tmp_path / "a", tmp_path / "b"]))
    assert found.problem == "they tell other classes apart"


def test_a_paired_difference_of_150_classes_takes_little_memory_and_time(tmp_path):
    """Sums of C x C counts took 840 MiB a run here; of 3 C they are 2,000 x 2 x 450 numbers of eight bytes."""
    generator, images, classes = np.random.default_rng(0), 500, 150
    names = many(classes).names
    truth = generator.integers(0, 99, (images, classes))
    for run in ("a", "b"):
        hit = generator.binomial(truth, 0.6)
        wrong = np.roll(truth - hit, 1, axis=1)
        matrix = np.diag(hit.sum(axis=0)) + np.roll(np.diag((truth - hit).sum(axis=0)), 1, axis=1)
        result = {**write_segmentation(tmp_path / run, classes=many(classes)), "confusion_matrix": matrix.tolist()}
        (tmp_path / run / "evaluation_results.json").write_text(json.dumps(result))
        heads = ["name", *(f"{kind}_{name}" for kind in ("hit", "truth", "said") for name in names)]
        rows = [[f"p{n}", *hit[n], *truth[n], *(hit + wrong)[n]] for n in range(images)]
        text = "\n".join(",".join(map(str, row)) for row in [heads, *rows])
        (tmp_path / run / "per_image.csv").write_text(text + "\n")
    runs = find_runs([tmp_path / "a", tmp_path / "b"])
    started = time.process_time()
    tracemalloc.start()
    (found,) = paired.differences(*runs)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not found.problem
    assert found.images == images
    assert peak < 120 * MEGABYTE
    assert time.process_time() - started < 20


@pytest.mark.parametrize("classes", [2, 11])
def test_the_difference_is_that_of_whole_matrices(tmp_path, classes):
    """Against intersection over union of each class, from whole matrices."""
    for seed, name in ((1, "a"), (2, "b")):
        write_segmentation(tmp_path / name, seed, classes=many(classes))
    found = paired.differences(*find_runs([tmp_path / "a", tmp_path / "b"]))[0]

    def mean_iou(seed: int) -> float:
        matrix = matrices(seed, classes=classes).sum(axis=0)
        unions = [matrix[c].sum() + matrix[:, c].sum() - matrix[c, c] for c in range(classes)]
        return sum(matrix[c, c] / union for c, union in enumerate(unions)) / classes

    assert found.value == pytest.approx(mean_iou(2) - mean_iou(1))
    assert found.interval[0] < found.value < found.interval[1]


def test_an_evaluation_says_what_it_holds():
    content = {
        "format": 2,
        "phase": "reconstruction",
        "target_error": 0.5,
        "target": "hog",
        "notes": [],
        "x": {"y": 1.0},
    }
    known = Evaluation.of(content, Path("x.json"))
    assert known.target == "hog"
    assert known.scores == {"target_error": 0.5}
    assert known.more == {"target": "hog", "x": {"y": 1.0}}
