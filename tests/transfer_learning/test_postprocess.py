"""Post-processing: each step against an independent reference, and that all commands share it."""

import json

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import remove_small_objects

from core.classes import ClassSet
from core.errors import UserError
from data.opened import open_data
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.backends import load_network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.postprocessing import regions
from transfer_learning.inference.postprocessing.crf import dense_crf
from transfer_learning.inference.postprocessing.guided import EPSILON, guided_filter
from transfer_learning.inference.postprocessing.pipeline import Pipeline
from transfer_learning.inference.postprocessing.steps import parse_steps
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.inference.splits import readings_of_split, readout_of_split
from transfer_learning.scores.confusion import array_confusion_matrix, likeliest
from transfer_learning.train import main as train

PETS = ClassSet(("background", "cat", "dog"))
ROADS = ClassSet(("road", "car"), background=None)


def spread_over(labels: np.ndarray, classes: int = 3, sure: float = 0.6) -> np.ndarray:
    """Return probabilities [C, H, W] whose likeliest class is the label."""
    rest = (1 - sure) / (classes - 1)
    return np.where(np.arange(classes)[:, None, None] == labels, sure, rest).astype(np.float32)


def after(
    text: str, labels: np.ndarray, probabilities: np.ndarray | None = None, classes: ClassSet = PETS
) -> np.ndarray:
    probabilities = spread_over(labels, len(classes)) if probabilities is None else probabilities
    return Pipeline(parse_steps(text), classes).read(probabilities, None).labels


def noise(seed: int = 0, sides: tuple[int, int] = (40, 50)) -> np.ndarray:
    smooth = cv2.GaussianBlur(np.random.default_rng(seed).normal(size=sides), (0, 0), 1.5)
    return smooth > 0.08


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("median:5, open:3,close:3, largest, fill, min_area:50, crf, guided", None),
        ("largest[cat]", None),
        ("min_area:7[a,b], min_area[a,b]:7", "min_area:7[a,b], min_area:7[a,b]"),
        ("largest[[bold]],fill[]]", "largest[[bold]], fill[]]"),
    ],
)
def test_steps_are_read_as_written(text, said):
    expected = said or text.replace("open:3,", "open:3, ").replace("crf, guided", "crf:5, guided:8")
    assert ", ".join(map(str, parse_steps(text))) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("larges", "unknown step 'larges'; did you mean largest?"),
        ("median:4", "it takes an odd number from 3 to 99, such as median:5"),
        ("min_area:-3", "min_area:-3: it takes a whole number"),
        ("crf:x", "crf:x: it takes a whole number from 1 to 100"),
        ("largest:3", "largest takes no number"),
        ("crf[cat]", "weighs all classes against each other"),
        ("median:3:5", "'median:3:5' is no step"),
        (",", "',' is no step"),
    ],
)
def test_a_step_that_cannot_be_is_refused(text, said):
    with pytest.raises(UserError, match=said.replace("[", r"\[").replace("(", r"\(")):
        ReadoutOptions(postprocess=text)


def test_a_class_that_there_is_not_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="there is no class 'dgo'; did you mean dog"):
        Pipeline(parse_steps("largest[dgo]"), PETS)
    with pytest.raises(UserError, match=r"name the class that gains them, fill\[road\]"):
        Pipeline(parse_steps("fill"), ROADS)
    Pipeline(parse_steps("fill[road]"), ROADS)


@pytest.mark.parametrize("seed", range(3))
def test_masks_change_as_in_scipy_and_scikit_image(seed):
    mask = noise(seed)
    cross = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)).astype(bool)
    # Beyond the picture's edge nothing is known: neither what is there grows in, nor what is not.
    opened = ndimage.binary_dilation(ndimage.binary_erosion(mask, cross, border_value=1), cross)
    closed = ndimage.binary_erosion(ndimage.binary_dilation(mask, cross), cross, border_value=1)
    pieces, count = ndimage.label(mask, np.ones((3, 3)))
    biggest = 1 + np.argmax(ndimage.sum_labels(mask, pieces, range(1, count + 1)))
    for size in (3, 5, 7):
        expected = ndimage.median_filter(mask.astype(np.uint8), size, mode="nearest") > 0
        np.testing.assert_array_equal(regions.median(mask, size), expected)
        np.testing.assert_array_equal(regions.majority(mask.astype(np.uint8), size) > 0, expected)
    np.testing.assert_array_equal(regions.opened(mask, 3), opened)
    np.testing.assert_array_equal(regions.closed(mask, 3), closed)
    np.testing.assert_array_equal(regions.filled(mask), ndimage.binary_fill_holes(mask))
    np.testing.assert_array_equal(regions.largest(mask), pieces == biggest)
    np.testing.assert_array_equal(regions.at_least(mask, 20), remove_small_objects(mask, max_size=19, connectivity=2))


def test_what_a_class_loses_goes_as_a_whole_to_the_likeliest_class_that_touches_it():
    labels = np.zeros((12, 12), np.uint8)
    labels[1:6, 1:11] = 2  # a dog
    labels[3, 4:6] = 1  # with two pixels of cat in it
    labels[9, 9] = 1  # and one elsewhere
    probabilities = spread_over(labels)
    probabilities[:, 3, 4] = (0.32, 0.4, 0.28)  # nearer to the background, which does not touch
    found = after("min_area:3", labels, probabilities)
    assert (found[3, 4:6] == 2).all()
    assert found[9, 9] == 0
    assert (found == 1).sum() == 0


def test_holes_without_a_class_are_of_the_background_alone():
    labels = np.zeros((10, 10), np.uint8)
    labels[1:9, 1:9] = 1
    labels[3, 3] = 0
    labels[6, 6] = 2
    assert after("fill", labels)[3, 3] == 1
    assert after("fill", labels)[6, 6] == 2
    assert after("fill[cat]", labels)[6, 6] == 1


def test_largest_of_one_class_leaves_the_others_alone():
    labels = np.zeros((8, 12), np.uint8)
    labels[1:4, 1:4], labels[6, 1] = 1, 1
    labels[1:4, 6:9], labels[6, 8] = 2, 2
    found = after("largest[cat]", labels)
    assert (found[6, 1], found[6, 8]) == (0, 2)
    assert after("largest", labels)[6, 8] == 0


def test_no_piece_is_left_that_is_too_small():
    labels = np.random.default_rng(0).integers(0, 3, (30, 30)).astype(np.uint8)
    found = after("min_area:9, min_area:9[background]", labels)
    for c in range(1, 3):
        pieces, count = ndimage.label(found == c, np.ones((3, 3)))
        assert all((pieces == piece).sum() >= 9 for piece in range(1, count + 1))


def test_the_confidence_is_that_of_the_class_chosen():
    labels = np.zeros((9, 9), np.uint8)
    labels[4, 4] = 1
    reading = Pipeline(parse_steps("median:3"), PETS).read(spread_over(labels), None)
    assert reading.labels[4, 4] == 0
    assert reading.confidence[4, 4] == pytest.approx(0.2)
    assert reading.confidence[0, 0] == pytest.approx(0.6)


def picture_of(sides: tuple[int, int], channels: int = 3, seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    picture = cv2.resize(coarse, sides[::-1], interpolation=cv2.INTER_CUBIC)
    return picture.reshape(*sides, channels)[..., 0] if channels == 1 else picture


def every_pair(probabilities: np.ndarray, picture: np.ndarray, iterations: int) -> np.ndarray:
    """The mean field over all pairs of pixels, as in the paper, with the kernels written out."""
    classes, height, width = probabilities.shape
    place = np.stack(np.mgrid[:height, :width], -1).reshape(-1, 2).astype(float)
    colour = picture.reshape(height * width, -1).astype(float)
    near = ((place[:, None] - place) ** 2).sum(-1)
    alike = ((colour[:, None] - colour) ** 2).sum(-1)
    kernel = 0
    for weight, values in ((3, near / (2 * 3**2)), (10, near / (2 * 80**2) + alike / (2 * 13**2))):
        values = np.exp(-values)
        root = np.sqrt(values.sum(1))
        kernel = kernel + weight * values / root / root[:, None]
    unaries = np.log(probabilities.reshape(classes, -1))
    found = probabilities.reshape(classes, -1)
    for _ in range(iterations):
        powers = np.exp(unaries + found @ kernel)
        found = powers / powers.sum(0)
    return found.reshape(classes, height, width)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("iterations", [1, 5])
def test_the_crf_agrees_with_all_pairs_of_pixels(channels, iterations):
    sides = (24, 30)
    picture = picture_of(sides, channels)
    drawn = np.random.default_rng(1).dirichlet([1.0] * 3, sides).transpose(2, 0, 1)
    probabilities = np.clip(drawn, 0.01, 1).astype(np.float32)
    probabilities /= probabilities.sum(0)
    expected = every_pair(probabilities, picture, iterations)
    found = dense_crf(probabilities, picture, iterations)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)
    agrees = (found.argmax(0) == expected.argmax(0)).mean()
    assert agrees > 0.96
    assert agrees > (probabilities.argmax(0) == expected.argmax(0)).mean() + 0.1
    assert np.abs(found - expected).mean() < 0.03


def test_the_crf_follows_an_edge_of_the_picture_and_keeps_classes_that_nobody_sees():
    picture = np.full((60, 60, 3), 40, np.uint8)
    picture[:, 30:] = 200
    blurred = np.clip((np.arange(60) - 20) / 20, 0.05, 0.93).astype(np.float32)  # the edge is 10 px off, and soft
    cat = np.broadcast_to(blurred, (60, 60))
    probabilities = np.stack([0.995 - cat, cat, np.full_like(cat, 0.005)])
    found = dense_crf(probabilities, picture, 10)
    assert (found.argmax(0) == (np.arange(60) >= 30)).mean() > 0.99
    np.testing.assert_array_equal(found[2], probabilities[2])
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_large_pictures_are_seen_smaller_by_the_crf(monkeypatch):
    picture, labels = picture_of((60, 80)), np.zeros((60, 80), np.uint8)
    labels[:, 40:] = 1
    monkeypatch.setattr("transfer_learning.inference.postprocessing.crf.MOST_PIXELS", 1200)
    found = dense_crf(spread_over(labels), picture, 2)
    assert found.shape == (3, 60, 80)
    np.testing.assert_allclose(found.sum(0), 1, atol=1e-5)


def test_the_guided_filter_is_the_linear_fit_of_every_window():
    sides, radius = (12, 15), 2
    picture = picture_of(sides)
    probabilities = np.random.default_rng(2).dirichlet([3.0] * 3, sides).transpose(2, 0, 1).astype(np.float32)
    guide = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) / 255.0
    fits = np.zeros((3, 2, *sides))
    windows = [
        [np.s_[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1] for x in range(sides[1])]
        for y in range(sides[0])
    ]
    for y, x in np.ndindex(*sides):
        seen = guide[windows[y][x]]
        for c in range(3):
            plane = probabilities[c][windows[y][x]].astype(float)
            slope = ((seen * plane).mean() - seen.mean() * plane.mean()) / (seen.var() + EPSILON)
            fits[c, :, y, x] = slope, plane.mean() - slope * seen.mean()
    expected = np.zeros((3, *sides))
    for y, x in np.ndindex(*sides):
        for c in range(3):
            expected[c, y, x] = fits[c, 0][windows[y][x]].mean() * guide[y, x] + fits[c, 1][windows[y][x]].mean()
    expected = np.clip(expected, 1e-7, 1)
    np.testing.assert_allclose(guided_filter(probabilities, picture, radius), expected / expected.sum(0), atol=1e-5)


def test_a_step_on_probabilities_goes_on_from_the_classes_before_it():
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 1
    labels[0, 0] = 2
    reading = Pipeline(parse_steps("min_area:5, guided:1"), PETS).read(
        spread_over(labels, sure=0.9), picture_of((20, 20))
    )
    assert reading.labels[0, 0] == 0
    np.testing.assert_allclose(reading.probabilities.sum(0), 1, atol=1e-5)


@pytest.fixture(scope="module")
def weights(pets, tmp_path_factory):
    run = tmp_path_factory.mktemp("postprocess") / "run"
    flags = ["--width", "2", "--epochs", "1", "--amp", "off", "--device", "cpu"]
    assert train([*flags, "--data_dir", str(pets), "--output_dir", str(run)]) == 0
    return run / "best_model.safetensors"


def test_evaluation_and_prediction_read_alike(weights, pets, tmp_path):
    text = "crf:2, median:3, largest[cat], min_area:20"
    common = ["--model_path", str(weights), "--data_dir", str(pets), "--device", "cpu", "--no_figures"]
    assert evaluate([*common, "--output_dir", str(tmp_path), "--postprocess", text]) == 0
    result = json.loads((tmp_path / "evaluation_results.json").read_text())
    assert result["settings"]["postprocess"] == text.split(", ")
    assert result["provenance"]["views"] == f"whole, then {text}"
    options = ReadoutOptions(postprocess=text)
    split = open_data(pets).split("Test")
    readout = readout_of_split(load_network(weights, options, "cpu"), split, options, 3)
    plain = Pipeline(options.steps, split.class_set)
    matrix = np.zeros((3, 3), np.int64)
    segmenter = Segmenter.load(weights, device="cpu", postprocess=text)
    changed = 0
    for index, seen in zip(split.labelled, readings_of_split(readout, split, split.labelled), strict=True):
        matrix += array_confusion_matrix(seen.labels, split.truth(index), 3)
        geometry = split.geometries[index]
        top, left, bottom, right = geometry.rectangle
        content = np.ascontiguousarray(split.images[index][top:bottom, left:right])
        (raw,) = segmenter.see([content])
        if content.shape[:2] == (geometry.height, geometry.width):
            np.testing.assert_array_equal(segmenter(content)[0], seen.labels)
        read = plain.read(raw.probabilities(), content)
        np.testing.assert_array_equal(read.labels, segmenter(content)[0])
        changed += int((read.labels != likeliest(raw.probabilities())[0]).sum())
    assert changed
    np.testing.assert_array_equal(result["confusion_matrix"], matrix)


@pytest.mark.parametrize(
    ("tta", "scales", "mirrors"),
    [
        (True, (0.75, 1.0, 1.25), True),
        (False, (1.0,), False),
        ("flips,0.75,1,1.25", (0.75, 1.0, 1.25), True),
        ("flips", (1.0,), True),
        ("0.5, 1", (0.5, 1.0), False),
    ],
)
def test_views_by_one_flag(tta, scales, mirrors):
    options = ReadoutOptions(tta=tta)
    assert (options.scales, options.mirrors) == (scales, mirrors)
    if tta == "flips,0.75,1,1.25":
        assert options.views == ReadoutOptions(tta=True).views
        assert options.views_in_words == ReadoutOptions(tta=True).views_in_words


@pytest.mark.parametrize(
    ("tta", "said"),
    [("flip,1", "did you mean flips"), ("", "names no view"), ("9", "a scale of 9 is out"), ("nan", "a scale of nan")],
)
def test_views_that_there_are_not(tta, said):
    with pytest.raises(UserError, match=said):
        ReadoutOptions(tta=tta)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tta", ","], "error: tta ',' names no view: flips,0.75,1,1.25 mirrors and sees three sizes\n"),
        (["--tta", "flips,1,1.0"], "error: tta flips,1,1.0: 1 stands there twice: every view has one vote\n"),
    ],
)
def test_a_refusal_is_told_as_it_was_written(flags, said, capsys):
    assert evaluate(["--model_path", "a.safetensors", *flags]) == 2
    assert capsys.readouterr().err == said


def test_a_view_of_less_than_a_network_takes_is_refused():
    def readout(**options):
        return Readout(None, (64, 96), "letterbox", ReadoutOptions(**options), 1)

    with pytest.raises(UserError, match=r"a scale of 0.5 leaves 32x48 px of 64x96, .*: give scales from 0.52 on"):
        readout(tta="flips,0.5,1")
    assert readout(tta="0.52").views
    assert readout(tta="0.5", tile=True).views
