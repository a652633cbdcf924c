"""The figures of phase 2: what they say is what they were given, and their text can be read."""

import itertools

import cv2
import numpy as np
import pytest
from figure_checks import assert_readable, texts

import core.figures.picture_grid
from core.figures.picture_grid import Scale, picture_grid
from core.figures.style import CLASS_COLOURS, UNSCORED_COLOUR
from transfer_learning.figures import pictures as visualize
from transfer_learning.figures import scores as score_figures
from transfer_learning.figures.captions import CAPTIONS
from transfer_learning.figures.pictures import (
    OUTCOMES,
    error_classes,
    save_activations,
    save_confidence,
    save_errors,
    save_panels,
)
from transfer_learning.figures.scores import save_breeds, save_confusion, save_distribution, save_reliability
from transfer_learning.scores.confusion import confusion_matrix

CLASSES = ("background", "cat", "dog")
# Square, landscape, portrait, and shapes beyond what a cell takes.
SIZES = ((40, 40), (30, 48), (50, 33), (20, 90), (90, 20))


def scene(size, truth_class, prediction_class, seed=0):
    """A picture with a square animal, framed by a border that is not scored, and a prediction beside it."""
    height, width = size
    picture = np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)
    truth = np.zeros(size, np.uint8)
    truth[3:15, 3:15] = 255
    truth[4:14, 4:14] = truth_class
    prediction = np.zeros(size, np.uint8)
    prediction[6:16, 6:16] = prediction_class
    return picture, truth, prediction


def several(pairs):
    scenes = [scene(size, *pair, seed) for seed, (size, pair) in enumerate(zip(itertools.cycle(SIZES), pairs))]
    names = [f"Abyssinian_{place}\nmean IoU 0.5{place}" for place in range(len(scenes))]
    return names, *map(list, zip(*scenes, strict=True))


def softened(prediction):
    return np.stack([np.where(prediction == value, 0.8, 0.1).astype(np.float32) for value in range(3)])


def draw(folder, names, pictures, truths, predictions):
    """Draw every figure made of pictures; returns their paths."""
    paths = [folder / f"{name}.png" for name in ("panels", "errors", "confidence", "gradcam")]
    save_panels(paths[0], names, pictures, truths, predictions)
    save_errors(paths[1], names, pictures, truths, predictions)
    save_confidence(paths[2], names, pictures, [softened(prediction) for prediction in predictions])
    maps = {
        f"{name}, {where}": [softened(found)[value] if value in found else None for found in predictions]
        for value, name in enumerate(CLASSES[1:], 1)
        for where in ("bottleneck", "decoder")
    }
    save_activations(paths[3], names, pictures, maps)
    return paths


@pytest.fixture
def figures(monkeypatch):
    """The matplotlib figures of the calls that follow, in order, instead of files."""
    kept = []

    def keep(figure, path, legend=None):
        kept.append(figure)
        original(figure, path, legend)

    original = core.figures.picture_grid.save
    for module in (core.figures.picture_grid, score_figures):
        monkeypatch.setattr(module, "save", keep)
    return kept


def test_error_classes_by_hand():
    truth = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2], [255, 255, 255]], np.uint8)
    prediction = np.array([[0, 1, 2]] * 4, np.uint8)
    found = error_classes(truth, prediction)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 2, 2], [3, 1, 4], [3, 4, 1], [5, 5, 5]]
    assert [list(OUTCOMES)[code] for code in found[:, 0]] == ["background, right", "missed", "missed", "not scored"]


def test_error_classes_count_what_the_confusion_matrix_counts():
    generator = np.random.default_rng(0)
    truth = generator.choice(np.array([0, 1, 2, 255], np.uint8), (50, 60))
    prediction = generator.integers(0, 3, truth.shape, np.uint8)
    counts = np.bincount(error_classes(truth, prediction).ravel(), minlength=6)
    matrix = confusion_matrix(prediction, truth, 3).numpy()
    assert counts[0] == matrix[0, 0]
    assert counts[1] == matrix[1, 1] + matrix[2, 2]
    assert counts[2] == matrix[0, 1:].sum()
    assert counts[3] == matrix[1:, 0].sum()
    assert counts[4] == matrix[1, 2] + matrix[2, 1]
    assert counts[5] == (truth == 255).sum()


def test_the_issue_s_colours():
    red, green, blue = (np.array(OUTCOMES[name]) for name in ("false alarm", "animal, right", "missed"))
    assert [red.argmax(), green.argmax(), blue.argmax()] == [0, 1, 2]
    yellow, grey = OUTCOMES["wrong animal"], OUTCOMES["not scored"]
    assert min(yellow[:2]) > 0.85 > 2 * yellow[2]
    assert len({*grey}) == 1
    assert min(OUTCOMES["background, right"]) > 0.95


CASES = {
    "one picture": [(1, 1)],
    "a class missing": [(1, 1), (1, 1)],
    "all background": [(1, 0), (2, 0)],
    "no animal": [(0, 0), (0, 2)],
    "shapes": [(1, 1), (1, 2), (2, 2), (2, 1), (1, 0)],
    "a dozen": [(1, 1), (2, 2), (1, 2)] * 4,
    "eleven": [(1, 1)] * 11,
}


@pytest.mark.parametrize("case", CASES)
def test_pictures_of_any_shape_can_be_read(case, figures, tmp_path):
    draw(tmp_path, *several(CASES[case]))
    assert len(figures) == 4
    for figure in figures:
        assert_readable(figure)
        assert figure.get_figwidth() <= 9.01


def test_perfect_predictions(figures, tmp_path):
    names, pictures, truths, _ = several([(1, 1), (2, 2)])
    save_errors(
        tmp_path / "errors.png", names, pictures, truths, [np.where(truth == 255, 0, truth) for truth in truths]
    )
    shown = np.concatenate([image.get_array().reshape(-1, 3) for image in figures[0].axes[0].images[2:]])
    expected = [OUTCOMES[name] for name in ("background, right", "animal, right", "not scored")]
    assert {tuple(colour) for colour in np.unique(shown, axis=0)} == {tuple(np.float32(colour)) for colour in expected}


def test_equal_calls_give_equal_files(tmp_path):
    given = several([(1, 1), (1, 2)])
    first, second = draw(tmp_path / "first", *given), draw(tmp_path / "second", *given)
    for folder, paths in ((tmp_path / "first", first), (tmp_path / "second", second)):
        paths += draw_scores(folder)
    assert len(first) == 8
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name
        assert cv2.imread(str(one)) is not None


def draw_scores(folder):
    paths = [folder / f"{name}.png" for name in ("confusion", "distribution", "reliability", "breeds")]
    save_confusion(paths[0], np.array([[90, 5, 5], [1, 30, 9], [0, 0, 0]]), CLASSES)
    save_distribution(paths[1], np.array([[90, 5, 5], [1, 30, 9], [0, 0, 0]]), CLASSES)
    save_reliability(paths[2], {"count": [0, 4], "confidence": [None, 0.9], "accuracy": [None, 0.75], "ece": 0.15})
    save_breeds(paths[3], {"beagle": {"num_images": 3, "mean_iou_true_classes": 0.5, "species": "dog"}})
    return paths


@pytest.mark.parametrize(
    ("rows", "columns", "blocks"), [(1, 4, 1), (6, 4, 1), (12, 4, 2), (12, 5, 1), (12, 2, 3), (1, 2, 1), (30, 9, 1)]
)
def test_rows_stand_side_by_side_where_there_is_room(rows, columns, blocks, figures, tmp_path):
    names = [f"row {row}" for row in range(rows)]
    headings = {f"column {column}": [np.zeros((8, 8, 3))] * rows for column in range(columns)}
    picture_grid(tmp_path / "grid.png", "Grid", names, headings)
    found = {text.get_text(): text.get_position() for text in figures[0].axes[0].texts}
    assert texts(figures[0]).count("column 0") == blocks
    assert len({found[name][0] for name in names}) == blocks
    assert len({found[name][1] for name in names}) == -(-rows // blocks)


def test_pictures_keep_their_shape(figures, tmp_path):
    names, pictures, truths, predictions = several(CASES["shapes"])
    save_panels(tmp_path / "panels.png", names, pictures, truths, predictions)
    drawn = figures[0].axes[0].images
    assert len(drawn) == 20
    for image in drawn:
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape[:2]
        assert (top - bottom) / (right - left) == pytest.approx(height / width)


def test_every_map_is_drawn_on_one_scale(figures, tmp_path):
    names, pictures, _, predictions = several([(1, 1), (2, 2)])
    faint = [0.01 * softened(prediction) for prediction in predictions]
    save_confidence(tmp_path / "confidence.png", names, pictures, faint)
    maps = [image for image in figures[0].axes[0].images if image.get_array().ndim == 2]
    assert len(maps) == 6
    assert {image.get_clim() for image in maps} == {(0.0, 1.0)}
    assert figures[0].axes[1].get_ylim() == (0, 1)


def test_an_absent_class_is_an_empty_cell(figures, tmp_path):
    names, pictures, _, _ = several([(1, 1), (2, 2)])
    heat = np.linspace(0, 1, 30 * 48, dtype=np.float32).reshape(30, 48)
    save_activations(tmp_path / "gradcam.png", names, pictures, {"cat, bottleneck": [None, heat]})
    images = figures[0].axes[0].images
    assert len(images) == 3
    assert texts(figures[0]).count("not present") == 1
    warm = images[2].get_array()
    grey = pictures[1] @ np.array([0.299, 0.587, 0.114])
    np.testing.assert_allclose(warm[0, 0], 0.4 * grey[0, 0] + 0.6 * np.array([0.001462, 0.000466, 0.013866]), atol=1e-6)


def test_names_too_long_for_their_row_keep_both_ends(figures, tmp_path):
    name = f"{'holiday_in_the_mountains_' * 8}7\nmean IoU 0.43 $ %"
    picture_grid(tmp_path / "long.png", "Long", [name], {"picture": [np.zeros((8, 8, 3))]})
    (label,) = [text for text in texts(figures[0]) if "holiday" in text]
    assert label.startswith("holiday_")
    assert "…" in label
    assert label.endswith("0.43 $ %")
    assert_readable(figures[0])


def test_maps_need_a_scale(tmp_path):
    with pytest.raises(AssertionError, match="scale"):
        picture_grid(tmp_path / "map.png", "Map", ["one"], {"map": [np.zeros((8, 8))]})
    picture_grid(tmp_path / "map.png", "Map", ["one"], {"map": [np.zeros((8, 8))]}, scale=Scale("nothing"))


def test_confusion_says_its_numbers(figures, tmp_path):
    matrix = np.array([[3_600_000, 300_000, 100_000], [250, 999_960, 0], [0, 0, 0]])
    save_confusion(tmp_path / "confusion.png", matrix, CLASSES)
    counts, shares = ([text.get_text() for text in axis.texts] for axis in figures[0].axes)
    assert counts == ["3.6 M", "300.0 k", "100.0 k", "250", "1.0 M", "0", "0", "0", "0"]
    assert shares == ["90.0 %", "7.5 %", "2.5 %", "< 0.1 %", "100.0 %", "0.0 %", "-", "-", "-"]
    for axis in figures[0].axes:
        assert axis.get_ylabel() == "true class"
        assert axis.get_xlabel() == "predicted class"
    assert_readable(figures[0])


def test_distribution_says_its_numbers(figures, tmp_path):
    save_distribution(tmp_path / "distribution.png", np.array([[60, 10, 10], [10, 10, 0], [0, 0, 0]]), CLASSES)
    assert texts(figures[0]) == ["80.0 %", "20.0 %", "0.0 %", "70.0 %", "20.0 %", "10.0 %"]
    bars = figures[0].axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([0.8, 0.2, 0, 0.7, 0.2, 0.1])
    assert [bar.get_facecolor()[:3] for bar in bars] == [*CLASS_COLOURS, *CLASS_COLOURS]
    assert_readable(figures[0])


def test_reliability_shows_accuracy_and_gap(figures, tmp_path):
    bins = {
        "count": np.array([0, 10, 30, 60]),
        "confidence": np.array([np.nan, 0.4, 0.7, 0.9]),
        "accuracy": np.array([np.nan, 0.5, 0.6, 0.9]),
        "ece": 0.04,
    }
    save_reliability(tmp_path / "reliability.png", bins)
    upper, lower = figures[0].axes
    accuracy, gap, counts = (
        [bar.get_height() for bar in container] for container in (*upper.containers, *lower.containers)
    )
    assert accuracy == pytest.approx([np.nan, 0.5, 0.6, 0.9], nan_ok=True)
    assert gap == pytest.approx([np.nan, -0.1, 0.1, 0], nan_ok=True)
    assert counts == pytest.approx([0, 0.1, 0.3, 0.6])
    assert "ECE 0.0400" in upper.get_title()
    assert_readable(figures[0])


def test_breeds_are_sorted_and_coloured(figures, tmp_path):
    per_breed = {
        "beagle": {"num_images": 4, "mean_iou_true_classes": 0.5, "species": "dog"},
        "Bengal": {"num_images": 12, "mean_iou_true_classes": 0.75, "species": "cat"},
        "american_pit_bull_terrier": {"num_images": 1, "mean_iou_true_classes": None, "species": "dog"},
        "unknown": {"num_images": 2, "mean_iou_true_classes": 0.0, "species": None},
    }
    save_breeds(tmp_path / "breeds.png", per_breed)
    (axis,) = figures[0].axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["Bengal (n = 12)", "beagle (n = 4)", "unknown (n = 2)", "american pit bull terrier (n = 1)"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1], "the first is on top"
    assert texts(figures[0]) == ["0.750", "0.500", "0.000", "-"]
    colours = [bar.get_facecolor()[:3] for bar in axis.patches]
    assert colours == [CLASS_COLOURS[1], CLASS_COLOURS[2], UNSCORED_COLOUR, CLASS_COLOURS[2]]
    assert_readable(figures[0])


def test_nothing_scored_can_be_drawn(figures, tmp_path):
    nothing = np.zeros((3, 3), int)
    save_confusion(tmp_path / "confusion.png", nothing, CLASSES)
    save_distribution(tmp_path / "distribution.png", nothing, CLASSES)
    empty = {"count": [0, 0], "confidence": [None, None], "accuracy": [None, None], "ece": None}
    save_reliability(tmp_path / "reliability.png", empty)
    save_breeds(tmp_path / "breeds.png", {"Bengal": {"num_images": 1, "mean_iou_true_classes": None}})
    assert texts(figures[0])[9:] == ["-"] * 9
    assert texts(figures[1]) == ["-"] * 6
    assert figures[2].axes[0].get_title() == "Reliability: no scored pixels"
    for figure in figures:
        assert_readable(figure)


def test_37_breeds_can_be_read(figures, tmp_path):
    per_breed = {
        f"american_pit_bull_terrier_{place}": {"num_images": 99, "mean_iou_true_classes": place / 37}
        for place in range(37)
    }
    save_breeds(tmp_path / "breeds.png", per_breed)
    assert_readable(figures[0])


def test_captions_have_a_title_and_a_text():
    assert all(title and len(title) < 60 and caption.endswith(".") for title, caption in CAPTIONS.values())
    assert visualize.CLASS_NAMES == CLASSES
