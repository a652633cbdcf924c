"""The figures of phase 2: what they say is what they were given, and their text can be read."""

import itertools

import cv2
import numpy as np
import pytest
from figure_checks import assert_readable, kept_figures, texts
from sample_classes import HOSTILE, classes_of

import core.figures.picture_grid
from core.classes import IGNORED, ClassSet
from core.figures.picture_grid import Scale, picture_grid
from core.figures.style import LINE_COLOURS, class_colours, curves, drawable
from transfer_learning.figures import captions
from transfer_learning.figures import confusion as confusion_figures
from transfer_learning.figures import pictures as visualize
from transfer_learning.figures import scores as score_figures
from transfer_learning.figures.captions import CAPTIONS, CURVES, errors_caption, panels_caption, tag_caption
from transfer_learning.figures.confusion import save_confusion
from transfer_learning.figures.pictures import (
    OUTCOMES,
    PLAIN_OUTCOMES,
    class_legend,
    error_classes,
    save_activations,
    save_confidence,
    save_errors,
    save_panels,
)
from transfer_learning.figures.scores import save_distribution, save_reliability, save_tag
from transfer_learning.scores.confusion import confusion_matrix
from transfer_learning.scores.per_image import TRUE_CLASSES

CLASSES = ("background", "cat", "dog")
PETS = ClassSet(CLASSES, ignored_is="border")
COLOURS = class_colours(PETS)
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
    save_panels(paths[0], names, pictures, truths, predictions, PETS)
    save_errors(paths[1], names, pictures, truths, predictions, PETS)
    planes = [softened(prediction) for prediction in predictions]
    save_confidence(paths[2], names, pictures, {f"P({name})": [p[c] for p in planes] for c, name in enumerate(CLASSES)})
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
    return kept_figures(monkeypatch, core.figures.picture_grid, score_figures, confusion_figures)


def test_error_classes_by_hand():
    truth = np.array([[0, 0, 0], [1, 1, 1], [2, 2, 2], [255, 255, 255]], np.uint8)
    prediction = np.array([[0, 1, 2]] * 4, np.uint8)
    found = error_classes(truth, prediction, 0)
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 2, 2], [3, 1, 4], [3, 4, 1], [5, 5, 5]]
    assert [list(OUTCOMES)[code] for code in found[:, 0]] == ["background, right", "missed", "missed", "not scored"]


def test_error_classes_count_what_the_confusion_matrix_counts():
    generator = np.random.default_rng(0)
    truth = generator.choice(np.array([0, 1, 2, 255], np.uint8), (50, 60))
    prediction = generator.integers(0, 3, truth.shape, np.uint8)
    counts = np.bincount(error_classes(truth, prediction, 0).ravel(), minlength=6)
    matrix = confusion_matrix(prediction, truth, 3).numpy()
    assert counts[0] == matrix[0, 0]
    assert counts[1] == matrix[1, 1] + matrix[2, 2]
    assert counts[2] == matrix[0, 1:].sum()
    assert counts[3] == matrix[1:, 0].sum()
    assert counts[4] == matrix[1, 2] + matrix[2, 1]
    assert counts[5] == (truth == 255).sum()


def test_the_issue_s_colours():
    red, green, blue = (np.array(OUTCOMES[name]) for name in ("false alarm", "right class", "missed"))
    assert [red.argmax(), green.argmax(), blue.argmax()] == [0, 1, 2]
    yellow, grey = OUTCOMES["wrong class"], OUTCOMES["not scored"]
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
        tmp_path / "errors.png", names, pictures, truths, [np.where(truth == 255, 0, truth) for truth in truths], PETS
    )
    shown = np.concatenate([image.get_array().reshape(-1, 3) for image in figures[0].axes[0].images[2:]])
    expected = [OUTCOMES[name] for name in ("background, right", "right class", "not scored")]
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
    paths = [folder / f"{name}.png" for name in ("confusion", "distribution", "reliability", "tags_breed")]
    save_confusion(paths[0], np.array([[90, 5, 5], [1, 30, 9], [0, 0, 0]]), CLASSES)
    save_distribution(paths[1], np.array([[90, 5, 5], [1, 30, 9], [0, 0, 0]]), PETS)
    save_reliability(paths[2], {"count": [0, 4], "confidence": [None, 0.9], "accuracy": [None, 0.75], "ece": 0.15})
    save_tag(paths[3], "breed", {"beagle": {"num_images": 3, "mean_iou_true_classes": 0.5}}, PETS)
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
    save_panels(tmp_path / "panels.png", names, pictures, truths, predictions, PETS)
    drawn = figures[0].axes[0].images
    assert len(drawn) == 20
    for image in drawn:
        left, right, bottom, top = image.get_extent()
        height, width = image.get_array().shape[:2]
        assert (top - bottom) / (right - left) == pytest.approx(height / width)


def test_every_map_is_drawn_on_one_scale(figures, tmp_path):
    names, pictures, _, predictions = several([(1, 1), (2, 2)])
    faint = {f"P({name})": [0.01 * softened(found)[c] for found in predictions] for c, name in enumerate(CLASSES)}
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
    save_distribution(tmp_path / "distribution.png", np.array([[60, 10, 10], [10, 10, 0], [0, 0, 0]]), PETS)
    assert texts(figures[0]) == ["80.0 %", "20.0 %", "0.0 %", "70.0 %", "20.0 %", "10.0 %"]
    bars = figures[0].axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([0.8, 0.2, 0, 0.7, 0.2, 0.1])
    assert [bar.get_facecolor()[:3] for bar in bars] == [*COLOURS, *COLOURS]
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


def test_values_of_a_tag_are_sorted_and_coloured(figures, tmp_path):
    values = {
        "beagle": {"num_images": 4, "mean_iou_true_classes": 0.5},
        "Bengal": {"num_images": 12, "mean_iou_true_classes": 0.75},
        "american_pit_bull_terrier": {"num_images": 1, "mean_iou_true_classes": None},
        "cat": {"num_images": 2, "mean_iou_true_classes": 0.0},
    }
    save_tag(tmp_path / "tag.png", "kind", values, PETS)
    (axis,) = figures[0].axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels == ["Bengal (n = 12)", "beagle (n = 4)", "cat (n = 2)", "american pit bull terrier (n = 1)"]
    assert axis.get_ylim()[0] > axis.get_ylim()[1], "the first is on top"
    assert texts(figures[0]) == ["0.750", "0.500", "0.000", "-"]
    assert axis.patches[2].get_facecolor()[:3] == COLOURS[1]  # called like a class
    assert axis.patches[0].get_facecolor()[:3] not in COLOURS
    assert_readable(figures[0])


def test_nothing_scored_can_be_drawn(figures, tmp_path):
    nothing = np.zeros((3, 3), int)
    save_confusion(tmp_path / "confusion.png", nothing, CLASSES)
    save_distribution(tmp_path / "distribution.png", nothing, PETS)
    empty = {"count": [0, 0], "confidence": [None, None], "accuracy": [None, None], "ece": None}
    save_reliability(tmp_path / "reliability.png", empty)
    save_tag(tmp_path / "tag.png", "breed", {"Bengal": {"num_images": 1, "mean_iou_true_classes": None}}, PETS)
    assert texts(figures[0])[9:] == ["-"] * 9
    assert texts(figures[1]) == ["-"] * 6
    assert figures[2].axes[0].get_title() == "Reliability: no scored pixels"
    for figure in figures:
        assert_readable(figure)


@pytest.mark.parametrize(("count", "drawn"), [(37, 37), (42, 42), (200, 42)])
def test_many_values_of_a_tag_can_be_read(count, drawn, figures, tmp_path):
    values = {
        f"american_pit_bull_terrier_{place}": {"num_images": 99, "mean_iou_true_classes": place / count}
        for place in range(count)
    }
    save_tag(tmp_path / "tag.png", "breed", values, PETS)
    (axis,) = figures[0].axes
    assert len(axis.patches) == drawn
    assert (f"best and the worst 21 of {count}" in axis.get_title()) == (count > drawn)
    assert_readable(figures[0])


def many(count, **more):
    return classes_of(count, **more), np.random.default_rng(0).integers(0, 900, (count, count))


@pytest.mark.parametrize(
    "count", [2, 11, 26, 150, *(pytest.param(count, marks=pytest.mark.all) for count in (3, 5, 6, 25, 254))]
)
def test_figures_of_any_number_of_classes_can_be_read(count, figures, tmp_path):
    class_set, matrix = many(count)
    matrix[1] = 0
    save_confusion(tmp_path / "confusion.png", matrix, class_set.names)
    save_distribution(tmp_path / "distribution.png", matrix, class_set)
    for figure in figures:
        assert_readable(figure)
        assert max(figure.get_size_inches()) < 14


def test_the_pairs_most_confused_are_named(figures, tmp_path):
    class_set, _ = many(40)
    matrix = 100 * np.eye(40, dtype=int)
    matrix[12, 30], matrix[5, 2] = 300, 100
    save_confusion(tmp_path / "confusion.png", matrix, class_set.names)
    named = texts(figures[0])
    assert named == ["class 3 → class 21", "75.0 % of it, 300 pixels", "[bold] → =1+1", "50.0 % of it, 100 pixels"]


def test_many_classes_are_sorted_and_folded(figures, tmp_path):
    class_set, _ = many(150)
    matrix = np.diag(np.arange(150))
    save_distribution(tmp_path / "distribution.png", matrix, class_set)
    (axis,) = figures[0].axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert len(labels) == 25
    assert labels[0] == class_set.names[149]
    assert labels[-1] == "the other 126 classes"
    assert sum(bar.get_width() for bar in axis.patches[:25]) == pytest.approx(1)


def test_errors_without_a_background_are_right_or_wrong(figures, tmp_path):
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    assert error_classes(truth, np.array([[0, 1, 1, 0]], np.uint8), None).tolist() == [[0, 1, 0, 2]]
    scenery = ClassSet(CLASSES, background=None)
    names, pictures, truths, predictions = several([(1, 2), (2, 2)])
    save_errors(tmp_path / "errors.png", names, pictures, truths, predictions, scenery)
    assert [text.get_text() for text in figures[0].legends[0].get_texts()] == list(PLAIN_OUTCOMES)


def test_another_background_than_the_first_class():
    truth, prediction = np.array([[0, 2, 1, 2]], np.uint8), np.array([[0, 2, 2, 1]], np.uint8)
    assert error_classes(truth, prediction, 2).tolist() == [[1, 0, 3, 2]]


def test_a_legend_names_what_is_to_be_seen():
    few, _ = many(3)
    assert list(class_legend([np.zeros((2, 2), np.uint8)], few)) == [*few.names, "not scored"]
    some, _ = many(150)
    label = np.array([[7, 120, 120], [255, 7, 120]], np.uint8)
    legend = class_legend([label], some)
    assert list(legend) == [some.names[120], some.names[7], "not scored"]
    assert legend[some.names[7]] == class_colours(some)[7]
    every = class_legend([np.arange(150, dtype=np.uint8)], some)
    assert list(every)[-2:] == ["and 126 classes more", "not scored"]
    assert len(every) == 26
    odd = ClassSet(("not scored", "x" * 60 + "a", "x" * 60 + "b"))
    assert len(class_legend([], odd)) == 4


def test_dangerous_names_are_drawn_as_they_are(figures, tmp_path):
    class_set, matrix = many(9)
    save_distribution(tmp_path / "distribution.png", matrix, class_set)
    names, pictures, truths, predictions = several([(6, 7)])
    save_panels(tmp_path / "panels.png", names, pictures, truths, predictions, class_set)
    shown = [text.get_text().strip() for text in figures[1].legends[0].get_texts()]
    assert {class_set.names[6], class_set.names[7]} <= {*shown}
    save_tag(tmp_path / "tag.png", "$a^$", {name: {"num_images": 9, TRUE_CLASSES: 0.5} for name in HOSTILE}, class_set)
    for figure in figures:
        assert_readable(figure)


def test_curves_of_classes_are_drawn_where_lines_can_tell_them_apart(tmp_path):
    log = tmp_path / "training_log.csv"
    for count, drawn in ((3, 3), (8, 0)):
        names = [f"dice_{name}" for name in classes_of(count).names]
        head = ",".join(["epoch", "mean_iou", *(f'"{name}"' for name in names)])
        log.write_text(f"{head}\n1{',0.5' * (count + 1)}\n")
        panels = drawable(log, CURVES)
        assert panels == {"Val scores": ["mean_iou", *names[:drawn]]}
        assert len(panels["Val scores"]) <= len(LINE_COLOURS)
        curves(tmp_path / "curves.png", log, panels)


def test_captions_have_a_title_and_a_text():
    made = [errors_caption(captions.OUTCOMES), panels_caption("best", True), tag_caption("camera", True)]
    for title, caption in (*CAPTIONS.values(), *made):
        assert title
        assert len(title) < 60
        assert caption.endswith(".")
        assert not {"animal", "cat", "dog", "breed"} & {*caption.replace(".", " ").split()}


def test_captions_name_the_colours_that_are_there():
    plain, with_background = ClassSet(("a", "b"), background=None), ClassSet(("ground", "a", "b"))
    truth = np.array([[0, 1], [1, 0]], np.uint8)
    shown = visualize.outcomes_in([truth], [truth], with_background)
    assert errors_caption(shown)[1] == "Green: a class found as such. Nearly white: background found as such."
    shown = visualize.outcomes_in([truth, truth], [truth, 1 - truth], plain)
    assert errors_caption(shown)[1] == "Green: the right class. Red: a wrong one."
    truth[0, 0] = IGNORED
    assert "Grey" in errors_caption(visualize.outcomes_in([truth], [truth], plain))[1]
    assert "Grey" not in panels_caption("best", False)[1]
    assert "Grey" in panels_caption("best", True)[1]
    assert "Pale" not in tag_caption("camera", False)[1]
    # Every outcome that can be drawn has its words.
    assert {*captions.OUTCOMES} == {*visualize.OUTCOMES, *visualize.PLAIN_OUTCOMES}
