"""The embedded data set: the same bytes every time, masks that fit, species that shape tells and colour does not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data.sources.drawn_pets.drawings as synthetic
from data.sources.drawn_pets.drawing import coverage, disc, outlines, pixel_centres, tube_arrays
from data.sources.drawn_pets.drawings import SyntheticImage, catalogue, draw
from data.trimaps import BACKGROUND, BORDER, OBJECT

SEED, SIZE = 7, 64


@pytest.fixture(scope="module")
def pictures() -> list[SyntheticImage]:
    return [draw(SEED, index, SIZE) for index in range(360)]


@pytest.fixture(scope="module")
def is_cat(pictures) -> np.ndarray:
    return np.array([picture.species == "cat" for picture in pictures])


def nearest_centroid_accuracy(features: np.ndarray, is_cat: np.ndarray) -> float:
    """Mean of both species' accuracy on the second half, with centroids of the first."""
    half = len(features) // 2
    scaled = (features - features[:half].mean(0)) / (features[:half].std(0) + 1e-6)
    cat, dog = scaled[:half][is_cat[:half]].mean(0), scaled[:half][~is_cat[:half]].mean(0)
    says_cat = ((scaled - cat) ** 2).sum(1) < ((scaled - dog) ** 2).sum(1)
    right = (says_cat == is_cat)[half:]
    return (right[is_cat[half:]].mean() + right[~is_cat[half:]].mean()) / 2


def reach(size: int) -> int:
    return max(1, round(size / 64))


def shrink(mask: np.ndarray) -> np.ndarray:
    return cv2.resize(mask.astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_AREA) > 0.5


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), index=st.integers(0, 10**6), size=st.integers(16, 150))
def test_any_size_has_the_same_bytes_twice(seed, index, size):
    first, second = draw(seed, index, size), draw(seed, index, size)
    assert first.image.shape == (size, size, 3)
    assert first.trimap.shape == (size, size)
    assert first.image.dtype == first.trimap.dtype == np.uint8
    assert first.image.tobytes() == second.image.tobytes()
    assert first.trimap.tobytes() == second.trimap.tobytes()
    assert first.species == second.species


def test_pictures_do_not_depend_on_what_was_drawn_before(pictures):
    assert all(np.array_equal(draw(SEED, index, SIZE).image, pictures[index].image) for index in (200, 3, 77))


def test_seeds_and_indices_give_different_pictures(pictures):
    assert len({picture.image.tobytes() for picture in pictures}) == len(pictures)
    for index in range(20):
        other = draw(SEED + 1, index, SIZE)
        assert np.abs(other.image.astype(int) - pictures[index].image).mean() > 10
        assert not np.array_equal(other.trimap, pictures[index].trimap)


def test_trimap_holds_all_three_values_and_enough_animal(pictures):
    for picture in pictures:
        assert set(np.unique(picture.trimap)) == {OBJECT, BACKGROUND, BORDER}
    shares = np.array([(picture.trimap == OBJECT).mean() for picture in pictures])
    assert shares.min() > 0.03
    assert 0.15 < shares.mean() < 0.35


@pytest.mark.parametrize("size", [64, 128])
def test_mask_fits_the_picture(monkeypatch, size):
    """The same scenes with a black and with a white animal differ inside the mask and nowhere else."""
    paint = synthetic.paint_animal
    for index in range(12):
        images = []
        for grey in (0, 255):
            monkeypatch.setattr(
                synthetic,
                "paint_animal",
                lambda *args, grey=grey: (animal := paint(*args))._replace(colours=0 * animal.colours + grey),
            )
            drawn = draw(SEED, index, size)
            images.append(drawn.image.astype(int))
        change = np.abs(images[1] - images[0]).max(axis=-1)
        assert (change[drawn.trimap == OBJECT] > 40).mean() > 0.99
        # Slivers less than half a pixel wide are in the picture but not in the mask.
        assert (change[drawn.trimap == BACKGROUND] > 10).mean() < 0.01


@pytest.mark.parametrize("size", [64, 128, 256])
def test_border_is_a_band_of_one_width(size):
    for index in range(6):
        trimap = draw(SEED, index, size).trimap
        outside = cv2.distanceTransform((trimap != BACKGROUND).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        assert outside[trimap == OBJECT].min() > 2 * reach(size)
        # Where two outlines meet, the band is a little deeper.
        assert (outside[trimap == BORDER] > 2 * reach(size) + 1).mean() < 0.05


def test_sizes_show_the_same_scene(pictures):
    whole, inner = [], []
    for index in range(16):
        small, large = pictures[index], draw(SEED, index, 256)
        assert small.species == large.species
        whole.append(iou(small.trimap != BACKGROUND, shrink(large.trimap != BACKGROUND)))
        inner.append(iou(small.trimap == OBJECT, shrink(large.trimap == OBJECT)))
        shrunk = cv2.resize(large.image, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shrunk.ravel(), small.image.ravel())[0, 1] > 0.9
    assert min(whole) > 0.88
    assert np.mean(whole) > 0.95
    assert np.mean(inner) > 0.92


def test_colour_alone_does_not_tell_the_species(pictures, is_cat):
    of_picture = np.array([picture.image.mean(axis=(0, 1)) for picture in pictures])
    of_animal = np.array([picture.image[picture.trimap == OBJECT].mean(axis=0) for picture in pictures])
    assert nearest_centroid_accuracy(of_picture, is_cat) < 0.65
    assert nearest_centroid_accuracy(of_animal, is_cat) < 0.65


def test_shape_alone_tells_the_species(pictures, is_cat):
    """A linear rule on the outline, far from the best, is right more often than any rule on colour."""
    features = np.array([outline(picture.trimap) for picture in pictures])
    half = len(features) // 2
    target, weight = np.where(is_cat, 1.0, -1.0), np.where(is_cat, 0.1, 0.2)
    kernel = features @ features.T
    coefficients = np.linalg.solve(kernel[:half, :half] + np.diag(100 * weight[:half]), target[:half])
    right = (kernel[half:, :half] @ coefficients > 0) == is_cat[half:]
    assert (right[is_cat[half:]].mean() + right[~is_cat[half:]].mean()) / 2 > 0.65


def outline(trimap: np.ndarray) -> np.ndarray:
    """The animal's bounding box at 32 pixels a side, and a constant  # [1025]."""
    mask = (trimap == OBJECT).astype(np.float32)
    (top, bottom), (left, right) = (np.flatnonzero(mask.any(axis=axis))[[0, -1]] for axis in (1, 0))
    cropped = cv2.resize(mask[top : bottom + 1, left : right + 1], (32, 32), interpolation=cv2.INTER_AREA)
    return np.append(cropped.ravel(), 1.0)


def test_coverage_is_where_the_shape_is():
    joints, radii, _ = tube_arrays([disc(0.4 + 0.6j, 0.3, 0)])
    covered = coverage(outlines(joints, radii), SIZE) / 255
    assert covered.sum() == pytest.approx(np.pi * (0.3 * SIZE) ** 2, rel=0.03)
    centres = pixel_centres(SIZE)
    middle = (covered * (centres + 1j * centres[:, None])).sum() / covered.sum()
    assert abs(middle - (0.4 + 0.6j)) * SIZE < 0.06


def test_occlusion_occurs_and_is_background(monkeypatch, pictures):
    monkeypatch.setattr(synthetic, "occluders", lambda *args: None)
    hidden = []
    for index in range(120):
        whole = draw(SEED, index, SIZE).trimap != BACKGROUND
        seen = pictures[index].trimap != BACKGROUND
        assert not (seen & ~cv2.dilate(whole.astype(np.uint8), np.ones((3, 3))).astype(bool)).any()
        hidden.append((whole & ~seen).sum() / whole.sum())
    occluded = np.array(hidden) > 0.01
    assert 0.3 < occluded.mean() < 0.7
    assert 0.03 < np.array(hidden)[occluded].mean() < 0.4


def test_catalogue_names_what_draw_draws(pictures):
    records = catalogue(len(pictures), SEED, labelled_fraction=0.1)
    assert [record.species for record in records] == [picture.species for picture in pictures]
    assert [record.index for record in records] == list(range(len(pictures)))
    assert records[12].name == "synthetic_00012"
    assert sum(record.species == "cat" for record in records) == len(pictures) // 3


@given(st.integers(0, 150), st.integers(0, 150), st.integers(0, 10**6), st.floats(0, 1))
def test_longer_catalogue_begins_with_the_shorter(one, other, seed, fraction):
    short, long = sorted((one, other))
    assert catalogue(long, seed, fraction)[:short] == catalogue(short, seed, fraction)


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_labels_are_nested_and_even(seed, one, other):
    few, many = (
        {(record.index, record.species) for record in catalogue(300, seed, fraction) if record.labelled}
        for fraction in sorted((one, other))
    )
    assert few <= many
    for species, count in (("cat", 100), ("dog", 200)):
        labelled = sum(kind == species for _, kind in few)
        assert abs(labelled - min(one, other) * count) <= 6


def test_cats_come_in_no_fixed_order():
    orders = {tuple(record.species for record in catalogue(30, seed, 0.1)) for seed in range(20)}
    assert len(orders) == 20


@pytest.mark.parametrize(("seed", "index", "size"), [(-1, 0, 64), (0, -1, 64), (0, 0, 15), (0, 0, -64)])
def test_impossible_pictures_are_refused(seed, index, size):
    with pytest.raises(ValueError, match="at least 16"):
        draw(seed, index, size)


@pytest.mark.parametrize(
    ("count", "fraction", "message"), [(-1, 0.1, "negative"), (3, 1.5, "outside"), (3, -0.1, "0.1")]
)
def test_impossible_catalogues_are_refused(count, fraction, message):
    with pytest.raises(ValueError, match=message):
        catalogue(count, 0, fraction)
