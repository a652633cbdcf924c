import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_pets import picture, trimap

from data.decoders import decoding, opening
from data.pictures import PictureError, look_at, read_mask, read_picture
from data.sources.own.value_range import find_range


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM"])
def test_a_cut_picture_is_never_half_a_picture(tmp_path, suffix):
    path = tmp_path / "picture"
    Image.fromarray(picture(1)).save(path, suffix)
    whole, data = read_picture(path)[0], path.read_bytes()
    for length in range(0, len(data), max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        try:
            read = read_picture(path)[0]
        except PictureError:
            continue
        np.testing.assert_array_equal(read, whole)


def test_a_jpeg_with_missing_data_inside_is_damaged(tmp_path):
    path = tmp_path / "picture.jpg"
    Image.fromarray(picture(1, 200, 300)).save(path, quality=95)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 + 1000 :])
    with pytest.raises(PictureError, match="damaged: Corrupt JPEG data"):
        read_picture(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_pictures_are_turned_upright(tmp_path, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "picture"
    Image.fromarray(picture(2)).save(path, suffix, exif=exif)
    read, _ = read_picture(path)
    expected = np.array(ImageOps.exif_transpose(Image.open(path)))
    assert read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= 2


def test_a_decompression_bomb_is_not_opened(tmp_path, monkeypatch):
    path = tmp_path / "bomb.png"
    Image.new("L", (300, 300)).save(path)
    monkeypatch.setattr(opening, "MAX_PIXELS", 89_999)
    monkeypatch.setattr(decoding.cv2, "imdecode", lambda *_: pytest.fail("it was opened"))
    for read in (read_picture, read_mask):
        with pytest.raises(PictureError, match="300 x 300 is more than 89999 pixels"):
            read(path)


def test_a_16_bit_picture_keeps_its_brightness(tmp_path):
    values = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    Image.fromarray(values).save(tmp_path / "deep.png")
    read, _ = read_picture(tmp_path / "deep.png")
    assert np.abs(read[..., 0] - values / 257.0).max() <= 1


def test_palette_masks_are_read_by_index(tmp_path):
    mask = Image.fromarray(trimap())
    mask.putpalette([value for value in range(256) for _ in range(3)][::-1])
    mask.save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), trimap())


def test_grey_pictures_stay_grey_and_colours_become_it(tmp_path):
    grey, colour = picture(1)[..., 0], picture(1)
    for pixels, mode in ((grey, "L"), (colour, "RGB")):
        Image.fromarray(pixels).save(tmp_path / "picture.png")
        assert look_at(tmp_path / "picture.png").channels == (1 if mode == "L" else 3)
        one, three = (read_picture(tmp_path / "picture.png", channels)[0] for channels in (1, 3))
        assert (one.shape, three.shape) == ((40, 60), (40, 60, 3))
        expected = np.array(Image.fromarray(pixels).convert("L")).astype(int)
        assert np.abs(one - expected).max() <= 1
    Image.fromarray(grey).save(tmp_path / "picture.jpg")
    one, three = (read_picture(tmp_path / "picture.jpg", channels)[0] for channels in (1, 3))
    np.testing.assert_array_equal(np.dstack([one] * 3), three)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 3)])
def test_deep_pictures_are_scaled_by_one_range(tmp_path, kind, shape):
    values = np.linspace(100, 3000, int(np.prod(shape))).reshape(shape).astype(kind)
    if kind == np.int32 and len(shape) == 3:
        return  # OpenCV writes no such file
    cv2.imwrite(str(tmp_path / "deep.tif"), values[..., ::-1] if len(shape) == 3 else values)
    read, _ = read_picture(tmp_path / "deep.tif", 1 if len(shape) == 2 else 3, value_range=(600, 2600))
    expected = np.clip((values.astype(float) - 600) / 2000 * 255, 0, 255)
    assert np.abs(read - expected).max() <= 0.5 + 1e-3
    assert look_at(tmp_path / "deep.tif").bits == 8 * np.dtype(kind).itemsize


def test_fractions_need_a_range(tmp_path):
    cv2.imwrite(str(tmp_path / "deep.tif"), np.random.default_rng(1).random((8, 9)).astype(np.float32))
    with pytest.raises(PictureError, match="say with --range"):
        read_picture(tmp_path / "deep.tif")


def test_a_sets_range_is_that_of_its_percentiles(tmp_path):
    generator = np.random.default_rng(2)
    arrays = [generator.normal(1000 * (1 + place), 100, (50, 60)) for place in range(3)]
    for kind, step in ((np.uint16, 1e-9), (np.float32, 0.04)):
        for place, array in enumerate(arrays):
            cv2.imwrite(str(tmp_path / f"{place}.tif"), array.astype(kind))
        paths = [tmp_path / f"{place}.tif" for place in range(3)]
        found = find_range(lambda paths=paths: paths, map)
        expected = np.percentile(np.concatenate(arrays).astype(kind), [0.1, 99.9], method="inverted_cdf")
        np.testing.assert_allclose(found, expected, rtol=0, atol=step)
    cv2.imwrite(str(tmp_path / "flat.tif"), np.full((5, 5), 7, np.uint16))
    assert find_range(lambda: [tmp_path / "flat.tif"], map) == (7, 8)


@pytest.mark.parametrize(("ground", "behind"), [("white", 255), ("black", 0)])
def test_transparent_pictures_lie_on_a_ground(tmp_path, ground, behind):
    pixels = np.dstack([picture(1), np.zeros((40, 60), np.uint8)])
    pixels[:20, :, 3] = 255
    pixels[20, :, 3] = 51
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    read, notes = read_picture(tmp_path / "picture.png", ground=ground)
    np.testing.assert_array_equal(read[:20], pixels[:20, :, :3])
    assert np.abs(read[20] - (pixels[20, :, :3] * 0.2 + behind * 0.8)).max() <= 1
    assert (read[21:] == behind).all()
    assert notes == [f"transparent in 50.0% of its pixels: laid on {ground}"]
    np.testing.assert_array_equal(read_picture(tmp_path / "picture.png")[0], pixels[..., :3])


def test_several_pages_and_bands_say_what_was_taken(tmp_path):
    pages = [Image.fromarray(picture(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    read, notes = read_picture(tmp_path / "pages.tif")
    np.testing.assert_array_equal(read, picture(0))
    assert notes == ["3 pages, the first is taken"]
    with pytest.raises(PictureError, match="3 pages: which is the mask"):
        read_mask(tmp_path / "pages.tif")
    five = np.random.default_rng(1).integers(0, 256, (8, 9, 5), dtype=np.uint8)
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "bands.tif", five, photometric="rgb")
    read, notes = read_picture(tmp_path / "bands.tif")
    np.testing.assert_array_equal(read, five[..., :3])
    assert notes == ["5 bands, the first three are taken"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "I;16"])
def test_a_tiff_is_turned_once(tmp_path, orientation, mode):
    """What every viewer shows: Pillow's own transposition of the same picture without the tag."""
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    pixels = {
        "RGB": np.dstack([stored, stored // 2, 255 - stored]),
        "L": stored,
        "I;16": stored.astype(np.uint16) * 257,
    }
    picture = Image.fromarray(pixels[mode])
    picture.save(tmp_path / "turned.tif", tiffinfo={274: orientation})
    wanted = np.array(Image.fromarray(stored))
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # the numbers of Image.Transpose
    if orientation > 1:
        wanted = np.array(Image.fromarray(stored).transpose(Image.Transpose(turns[orientation])))
    found, notes = read_picture(tmp_path / "turned.tif", channels=3)
    np.testing.assert_array_equal(found[..., 0], wanted)
    assert bool(notes) == (orientation > 1)
