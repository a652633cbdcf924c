from dataclasses import fields
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torchvision.transforms.v2 import functional as reference

from core.errors import UserError
from core.randomness import keys, uniform
from data.augment.batch import Batch, augment, plain
from data.augment.colour import colour_matrix
from data.augment.geometry import draw_affine, warp
from data.augment.settings import LARGEST, AugmentConfig

OFF = dict.fromkeys(LARGEST, 0.0)
GEOMETRY = {"flip": 1.0, "scale": 0.2, "shift": 0.1, "rotation": 15.0, "crop": 0.5}
COLOUR = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}
CORRUPTION = {"blur": 1.0, "noise": 0.05, "cutout": 1.0}
EVERYTHING = AugmentConfig(**{**GEOMETRY, "flip": 0.5}, **COLOUR, **{**CORRUPTION, "blur": 0.5, "cutout": 0.5})
seeds = st.integers(0, 2**32)


def only(**switches: float) -> AugmentConfig:
    return AugmentConfig(**{**OFF, "cutout_size": 0.25, **switches})


@st.composite
def rectangles_of(draw, size: int) -> torch.Tensor:
    top, left = draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))
    return torch.tensor([[top, left, draw(st.integers(top + 1, size)), draw(st.integers(left + 1, size))]])


@cache
def sample(n: int = 4, size: int = 48) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return pictures of smooth noise with letterbox bars on alternate sides, their rectangles and labels."""
    rng = np.random.default_rng(0)
    blurred = ndimage.gaussian_filter(rng.random((n, size, size, 3)), (0, 3, 3, 0))
    images = torch.from_numpy((255 * (blurred - blurred.min()) / np.ptp(blurred)).astype(np.uint8))
    labels = torch.from_numpy(rng.integers(0, 3, (n, size, size), dtype=np.uint8))
    bar = size // 6
    boxes = torch.tensor([[bar, 0, size - bar, size], [0, bar, size, size - bar]]).repeat(n, 1)[:n]
    content = plain(images, boxes, None).content
    return images * content.permute(0, 2, 3, 1), boxes, labels.masked_fill(~content[:, 0], 255)


def same_bits(one: Batch, other: Batch, rows: list[int] | slice = slice(None)) -> bool:
    """Compare the given rows of one batch with another batch, byte by byte."""
    pairs = ((getattr(one, field.name)[rows], getattr(other, field.name)) for field in fields(Batch))
    return all(torch.equal(a.contiguous().view(torch.uint8), b.contiguous().view(torch.uint8)) for a, b in pairs)


@pytest.mark.parametrize("name", OFF)
@pytest.mark.parametrize("value", [-0.1, 200.0, float("nan")])
def test_a_setting_out_of_range_is_named(name, value):
    with pytest.raises(UserError, match=rf"^{name}: .* give 0"):
        AugmentConfig(**{name: value})


def test_plain_masks_the_bars():
    images, boxes, labels = sample()
    batch = plain(torch.full_like(images, 51), boxes, torch.ones_like(labels))
    assert batch.input is batch.clean
    assert batch.content[0, 0].nonzero().aminmax(dim=0)[1].tolist() == [39, 47]  # rows 8 to 39, columns 0 to 47
    assert batch.content.sum((1, 2, 3)).tolist() == [48 * 32] * 4
    assert torch.equal(batch.clean, (0.2 * batch.content).expand(-1, 3, -1, -1))
    assert torch.equal(batch.label, torch.where(batch.content[:, 0], 1, 255))


def test_everything_off_is_plain():
    assert same_bits(augment(*sample(), keys(0, 0, np.arange(4)), only()), plain(*sample()))


@pytest.mark.parametrize(("name", "value"), [*{**GEOMETRY, **COLOUR, **CORRUPTION}.items()])
def test_each_switch_alone_changes_what_it_should(name, value):
    before, after = plain(*sample()), augment(*sample(), keys(0, 0, np.arange(4)), only(**{name: value}))
    assert torch.equal(after.label, before.label) == (name not in GEOMETRY)
    assert name in GEOMETRY or torch.equal(after.content, before.content)
    for i in range(4):
        assert torch.equal(after.clean[i], before.clean[i]) == (name in CORRUPTION)
        assert torch.equal(after.input[i], after.clean[i]) == (name not in CORRUPTION)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_results_hold_their_contract(seed):
    arguments = sample()
    batch = augment(*arguments, keys(seed, 0, np.arange(4)), EVERYTHING)
    for image in (batch.clean, batch.input):
        assert (image.dtype, image.shape) == (torch.float32, (4, 3, 48, 48))
        assert 0 <= image.min() <= image.max() <= 1
        assert not (image * ~batch.content).any()
    assert (batch.label[~batch.content[:, 0]] == 255).all()
    assert (batch.label[batch.content[:, 0]] < 3).all()
    assert augment(*arguments[:2], None, keys(seed, 0, np.arange(4)), EVERYTHING).label is None


def test_an_image_has_the_same_bits_in_every_batch():
    images, boxes, labels = sample(size=189)  # odd, and large enough for torch to share out one picture among threads
    key = keys(0, 0, np.arange(4))
    groups = [0, 1, 2, 3], [0], [2], [3], [1, 1, 0]
    usual_threads = torch.get_num_threads()
    torch.set_num_threads(2)
    batches = [augment(images[rows], boxes[rows], labels[rows], key[rows], EVERYTHING) for rows in groups]
    torch.set_num_threads(usual_threads)
    for rows, batch in zip(groups, batches, strict=True):
        assert same_bits(batches[0], batch, rows)


@settings(max_examples=50, deadline=None)
@given(rectangles_of(15), seeds)
def test_picture_label_and_content_share_one_transform(box, seed):
    # Labels hold their own place, and colours are a ramp of the place, which bilinear interpolation keeps.
    row, column = torch.meshgrid(torch.arange(15), torch.arange(15), indexing="ij")
    labels = (15 * row + column).to(torch.uint8)[None]
    images = torch.stack((16 * column + 8, 16 * row + 8, 0 * row), 2).to(torch.uint8)[None]
    batch = augment(images, box, labels, keys(seed, 0, np.arange(1)), only(**GEOMETRY))
    content = batch.content[0, 0]
    assert torch.equal(content, batch.label[0] != 255)
    from_picture = (batch.clean[0, :2, content] * 255 - 8) / 16
    from_label = torch.stack((batch.label[0] % 15, batch.label[0] // 15))[:, content]
    assert ((from_picture - from_label).abs() <= 0.5 + 1e-4).all()
    upper_left, lower_right = box[0, [1, 0, 3, 2], None].split(2)
    assert ((from_label >= upper_left) & (from_label < lower_right)).all()


@settings(max_examples=50, deadline=None)
@given(rectangles_of(24), seeds)
def test_bars_never_bleed_into_content(box, seed):
    batch = plain(torch.zeros(1, 24, 24, 3, dtype=torch.uint8), box, None)
    images = torch.where(batch.content, 0.5, 1000.0).expand(1, 3, 24, 24)
    affine = draw_affine(box, (24, 24), keys(seed, 0, np.arange(1)), only(**GEOMETRY))
    images, _, content = warp(images, None, box, affine)
    torch.testing.assert_close(images, torch.where(content, 0.5, 0.0).expand_as(images), atol=0.02, rtol=0)


def test_warp_agrees_with_scipy():
    images = sample(4)[0].permute(0, 3, 1, 2) / 255
    box = torch.tensor([[0, 0, 48, 48]]).repeat(4, 1)
    affine = draw_affine(box, (48, 48), keys(0, 0, np.arange(4)), only(**GEOMETRY))
    warped, _, content = warp(images, None, box, affine)
    assert 0.5 < content.float().mean() < 1
    for image, matrix, result, visible in zip(images, affine.numpy(), warped, content, strict=True):
        linear, offset = matrix[::-1, 1::-1], matrix[::-1, 2]  # scipy counts rows first, and from the pixels' centres
        offset = offset + linear @ [0.5, 0.5] - 0.5
        planes = [ndimage.affine_transform(plane, linear, offset, order=1, mode="nearest") for plane in image.numpy()]
        torch.testing.assert_close(result, torch.from_numpy(np.stack(planes)) * visible, atol=1e-4, rtol=0)


@given(rectangles_of(64), seeds)
def test_transforms_stay_within_their_settings(box, seed):
    key = keys(seed, 0, np.arange(1))
    affine = draw_affine(box, (64, 64), key, AugmentConfig(flip=0, scale=0.2, shift=0.1, rotation=15))[0]
    zoom = affine[:, :2].det() ** -0.5
    assert 1 / 1.2 - 1e-6 <= zoom <= 1.2 + 1e-6
    torch.testing.assert_close(zoom**2 * affine[:, :2] @ affine[:, :2].T, torch.eye(2, dtype=torch.float64))
    assert torch.atan2(affine[0, 1], affine[0, 0]).rad2deg().abs() <= 15
    centre = torch.tensor([box[0, 1] + box[0, 3], box[0, 0] + box[0, 2]], dtype=torch.float64) / 2
    shift = torch.linalg.solve(affine[:, :2], centre - affine[:, 2]) - centre
    assert shift.abs().max() <= 0.1 * 64 + 1e-6


@given(rectangles_of(64), seeds, st.floats(0.01, 0.95), st.floats(0, 1))
def test_a_crop_is_a_window_of_the_picture(box, seed, crop, share):
    least = crop * share
    affine = draw_affine(box, (64, 64), keys(seed, 0, np.arange(1)), only(crop=crop, crop_least=least))[0]
    upper_left, lower_right = corners = box[0].double()[[1, 0, 3, 2]].view(2, 2)
    first, last = corners @ affine[:, :2].T + affine[:, 2]
    assert ((first >= upper_left - 1e-6) & (last <= lower_right + 1e-6)).all()
    width, height = (last - first) / (lower_right - upper_left)
    assert 1 - crop - 1e-6 <= width * height <= 1 - least + 1e-6
    assert 3 / 4 - 1e-6 <= width / height <= 4 / 3 + 1e-6


@given(rectangles_of(32))
def test_a_flip_mirrors_the_picture_and_twice_is_the_identity(box):
    images, _, labels = sample(1, 32)
    top, left, bottom, right = box[0].tolist()
    before, key, flip = plain(images, box, labels), keys(0, 0, np.arange(1)), only(flip=1.0)
    once = augment(images, box, labels, key, flip)
    inner = (..., slice(top, bottom), slice(left, right))
    torch.testing.assert_close(once.clean[inner], before.clean[inner].flip(-1), atol=1e-4, rtol=0)
    assert torch.equal(once.label[inner], before.label[inner].flip(-1))
    twice = augment((once.clean * 255).round().byte().permute(0, 2, 3, 1), box, once.label.byte(), key, flip)
    torch.testing.assert_close(twice.clean, before.clean, atol=1e-4, rtol=0)
    assert torch.equal(twice.label, before.label)
    assert torch.equal(twice.content, before.content)


@pytest.mark.parametrize("names", [["brightness"], ["contrast"], ["saturation"], ["brightness", "contrast"]])
def test_colours_agree_with_torchvision(names):
    images, boxes, _ = sample(8)
    images, key = images // 3 + 64, keys(0, 0, np.arange(8))  # far enough from 0 and 1 that torchvision clamps nothing
    batch = augment(images, boxes, None, key, only(**dict.fromkeys(names, 0.3)))
    for i, (top, left, bottom, right) in enumerate(boxes.tolist()):
        inner = (slice(None), slice(top, bottom), slice(left, right))  # bars have no say in the mean of contrast
        expected = images[i].permute(2, 0, 1)[inner] / 255
        for name in names:
            expected = getattr(reference, f"adjust_{name}")(expected, 0.7 + 0.6 * uniform(key, name)[i].item())
        torch.testing.assert_close(batch.clean[i][inner], expected, atol=1e-3, rtol=0)


def test_hue_turns_as_in_torchvision_and_keeps_grey_and_luma():
    luma, one = torch.tensor([0.299, 0.587, 0.114]).double(), torch.ones(1).double()
    for turn in (1 / 3, -1 / 3):
        matrix = colour_matrix(saturation=one, turn=turn * one)[0]
        for colour in 0.5 * torch.eye(3).double() + 0.25:
            assert (matrix @ colour).argmax() == reference.adjust_hue(colour[:, None, None], turn).argmax()
        torch.testing.assert_close(luma @ matrix, luma)
        torch.testing.assert_close(matrix.sum(1), one.expand(3))
        torch.testing.assert_close(matrix @ matrix @ matrix, torch.eye(3).double())


def test_cut_out_blanks_one_square_of_the_input_alone():
    arguments = sample()[0].clamp(min=1), *sample()[1:]
    batch = augment(*arguments, keys(0, 0, np.arange(4)), only(cutout=1.0))
    blank = (batch.input == 0).all(1) & batch.content[:, 0]
    for square in blank:
        rows, columns = square.any(1), square.any(0)
        assert torch.equal(square, rows[:, None] & columns)
        assert 0 < min(rows.sum(), columns.sum()) <= max(rows.sum(), columns.sum()) <= 12  # a quarter of 48
    assert torch.equal(batch.input, batch.clean * ~blank[:, None])
    assert torch.equal(batch.label, plain(*arguments).label)


def test_noise_is_normal_and_of_each_image_s_own_strength():
    images, boxes, _ = sample(32)
    batch = augment(torch.full_like(images, 127), boxes, None, keys(0, 0, np.arange(32)), only(noise=0.1))
    noise = (batch.input - batch.clean)[batch.content.expand(-1, 3, -1, -1)].view(32, -1)
    deviation = noise.std(1)
    assert deviation.min() < 0.02
    assert 0.08 < deviation.max() < 0.102
    standard = noise / deviation[:, None]
    assert standard.mean().abs() < 5 / standard.numel() ** 0.5
    assert (standard.abs() < 1).float().mean() == pytest.approx(0.6827, abs=0.01)  # the normal distribution's share
    assert (torch.corrcoef(noise) - torch.eye(32)).abs().max() < 0.1


def test_blur_smooths_and_takes_nothing_from_the_bars():
    images, boxes, _ = sample(8, 96)
    key, blur = keys(0, 0, np.arange(8)), only(blur=1.0)
    sharp = torch.where(torch.rand(images.shape[:3], generator=torch.Generator().manual_seed(0)) < 0.5, 0, 255)
    batch = augment(sharp[..., None].expand_as(images).byte(), boxes, None, key, blur)
    assert (batch.input.var((1, 2, 3)) < 0.9 * batch.clean.var((1, 2, 3))).all()
    white = augment(torch.full_like(images, 255), boxes, None, key, only(blur=1.0, rotation=15.0))
    torch.testing.assert_close(white.input, white.content.float().expand_as(white.input))
    assert max(white.clean.max(), white.input.max()) <= 1


@pytest.mark.parametrize("switches", [COLOUR, GEOMETRY, CORRUPTION])
def test_a_grey_picture_is_augmented_as_its_coloured_twin(switches):
    """Saturation and hue leave a grey as it is, and luma is the grey itself."""
    images, boxes, labels = sample()
    grey = images[..., :1]
    config = only(**{**switches, "noise": 0.0})  # whose table is read by the number of values
    draw = keys(3, 0, np.arange(len(images)))
    one, three = (
        augment(grey, boxes, labels, draw, config),
        augment(grey.expand(-1, -1, -1, 3), boxes, labels, draw, config),
    )
    for field in ("clean", "input"):
        repeated = getattr(one, field).expand(-1, 3, -1, -1)
        torch.testing.assert_close(repeated, getattr(three, field), atol=2e-6, rtol=0)
    assert torch.equal(one.label, three.label)


@settings(max_examples=30)
@given(st.integers(8, 60), st.integers(8, 60), st.sampled_from([0.0, 0.3, 0.9]), seeds)
def test_a_training_window_lies_in_the_content(tall, wide, crop, seed):
    """A ramp of positions says where every pixel of the result came from."""
    images = torch.zeros(2, 48, 64, 3, dtype=torch.uint8)
    boxes = torch.tensor([[6, 0, 42, 64], [0, 10, 48, 54]])
    row, column = torch.meshgrid(torch.arange(48), torch.arange(64), indexing="ij")
    places = torch.stack((row, column), 0).expand(2, -1, -1, -1)
    config = only(crop=crop, train_crop=f"{tall}x{wide}")
    draw = keys(seed, 0, np.arange(2))
    batch = augment(images, boxes, places[:, 0].to(torch.uint8), draw, config)
    assert batch.clean.shape == (2, 3, tall, wide)
    assert batch.content.all()
    rows = batch.label
    columns = augment(images, boxes, places[:, 1].to(torch.uint8), draw, config).label
    for one, (top, left, bottom, right) in enumerate(boxes.tolist()):
        assert top <= rows[one].min() <= rows[one].max() < bottom
        assert left <= columns[one].min() <= columns[one].max() < right
        seen = (rows[one].max() - rows[one].min() + 1) * (columns[one].max() - columns[one].min() + 1)
        content = (bottom - top) * (right - left)
        if not crop:  # the largest window of that aspect: it touches two opposite sides, to the half pixel of a sample
            half = (bottom - top) / tall / 2 + 1, (right - left) / wide / 2 + 1
            spans = rows[one].max() - rows[one].min() + 1, columns[one].max() - columns[one].min() + 1
            assert spans[0] >= bottom - top - 2 * half[0] or spans[1] >= right - left - 2 * half[1]
        assert seen <= content


def test_windows_of_one_size_hold_as_many_pixels_as_asked():
    boxes = torch.tensor([[0, 0, 64, 96]]).repeat(20, 1)
    config = only(crop=0.75, crop_least=0.75, train_crop="32x48")
    linear = draw_affine(boxes, (64, 96), keys(1, 0, np.arange(20)), config)[:, :, :2]
    torch.testing.assert_close(torch.linalg.det(linear), torch.ones(20, dtype=torch.float64))


def test_a_crop_cannot_leave_more_than_it_must():
    with pytest.raises(UserError, match=r"crop_least 0.5 is more than --crop 0.2"):
        AugmentConfig(crop=0.2, crop_least=0.5)


def test_a_training_window_of_the_whole_picture_is_the_picture():
    images, boxes, labels = sample()
    boxes = torch.tensor([[0, 0, 48, 48]]).repeat(len(images), 1)
    whole = plain(images, boxes, labels)
    seen = augment(images, boxes, labels, keys(0, 0, np.arange(len(images))), only(train_crop=48))
    torch.testing.assert_close(seen.clean, whole.clean, atol=1e-5, rtol=0)
    assert torch.equal(seen.label, whole.label)


@pytest.mark.parametrize(
    ("value", "message"), [("0x8", "1 to 8192"), (10**20, "1 to 8192"), ("wide", "height x width")]
)
def test_a_training_window_that_is_no_size_is_refused(value, message):
    with pytest.raises(UserError, match=message):
        AugmentConfig(train_crop=value)
