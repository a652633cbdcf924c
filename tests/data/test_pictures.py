import numpy as np
import pytest
from PIL import Image, ImageOps
from sample_pets import picture, trimap

from data import picture_header, pictures
from data.pictures import PictureError, read_mask, read_picture


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
    monkeypatch.setattr(picture_header, "MAX_PIXELS", 89_999)
    monkeypatch.setattr(pictures.cv2, "imdecode", lambda *_: pytest.fail("it was opened"))
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
