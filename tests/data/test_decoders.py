"""What every viewer shows is what is read, else it is said; whatever a decoder raises leaves its file out."""

import io
import os
import re
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image
from sample_pets import picture
from sample_tiff import tiff_of

from data.decoders import opening
from data.pictures import PictureError, look_at, raw_mask, read_deep, read_picture, read_png, why_no_picture

GENERATOR = np.random.default_rng(1)


def jpeg(pixels: np.ndarray, **settings: object) -> bytes:
    """Return a JPEG's bytes."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", **settings)
    return content.getvalue()


def png(pixels: np.ndarray, kind: int, transparent: bytes) -> bytes:
    """Return a PNG of 16 bits of that colour type with one transparent colour: Pillow writes none."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"tRNS", transparent), chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*chunks, chunk(b"IEND", b"")])


def test_whatever_a_decoder_raises_leaves_the_file_out(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    Image.fromarray(picture(1)).save(path)
    for error in (RuntimeError("no item"), NotImplementedError("flags 0"), AssertionError(), RecursionError("deep")):

        def fail(*_, error=error, **__):
            raise error

        for name in ("open", "Image.convert"):
            with monkeypatch.context() as patch:
                patch.setattr(f"PIL.Image.{name}", fail)
                patch.setattr("data.decoders.decoding.cv2.imdecode", lambda *_: None)
                with pytest.raises(PictureError, match=f"damaged: {error or 'AssertionError'}"):
                    read_picture(path)


@pytest.mark.parametrize(
    ("begins", "reason"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC: convert it to JPEG or PNG first"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC: convert it"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript: convert it"),
        (b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 4, 4, 8, 3), "Photoshop: convert it"),
        (b"%PDF-1.7", "PDF: convert it"),
        (b"nothing", "not a picture, or its header is damaged"),
        (b"DDS |\0\0\0" + bytes(120), "DDS|not a picture|damaged"),
        (b"", "not a picture"),
    ],
)
def test_what_is_no_picture_says_what_to_do(tmp_path, begins, reason):
    path = tmp_path / "picture.jpg"
    path.write_bytes(begins + bytes(200) if begins else b"")
    for read in (look_at, read_picture, raw_mask):
        with pytest.raises(PictureError, match=reason):
            read(path)
    assert re.search(reason, why_no_picture(path))


def test_no_format_starts_another_program_or_unpacks_without_end():
    assert not {"EPS", "FITS", "WMF", "PSD", "HDF5", "GRIB", "BUFR", "MPEG"} & set(opening.FORMATS)
    Image.init()
    assert set(opening.FORMATS) <= set(Image.OPEN)


def test_pipes_links_and_locked_files_are_reasons(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to("/nowhere/gone.png")
    (tmp_path / "circle.png").symlink_to("circle.png")
    reasons = {
        "pipe.png": "not a regular file but a pipe",
        "folder.png": "not a regular file but a folder",
        "gone.png": "a link to /nowhere/gone.png, which is not there",
        "circle.png": "cannot be read: Too many levels of symbolic links",
        "nowhere.png": "cannot be read: No such file or directory",
    }
    for name, reason in reasons.items():
        for read in (look_at, read_picture, raw_mask):
            with pytest.raises(PictureError, match=f"^{reason}$"):
                read(tmp_path / name)


def test_a_file_far_too_large_for_a_picture_is_not_read(tmp_path):
    path = tmp_path / "picture.png"
    path.touch()
    os.truncate(path, opening.MAX_FILE_BYTES + 1)
    with pytest.raises(PictureError, match="larger than"):
        read_picture(path)


@pytest.mark.parametrize("count", [5, 40, 258, 70_000])
@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_a_jpeg_with_stray_bytes_before_its_end_is_kept(tmp_path, count, settings):
    data = jpeg(picture(1, 60, 80), **settings)
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    whole, notes = read_picture(path)
    assert notes == []
    strays = GENERATOR.integers(1, 255, count, dtype=np.uint8).tobytes()
    path.write_bytes(data[:-2] + strays + data[-2:])
    found, notes = read_picture(path)
    np.testing.assert_array_equal(found, whole)
    assert len(notes) == 1
    assert "stray bytes in the JPEG passed over" in notes[0]


def test_a_jpeg_that_lacks_its_end_mark_alone_is_kept(tmp_path):
    path = tmp_path / "picture.jpg"
    data = jpeg(picture(1, 60, 80))
    path.write_bytes(data)
    whole = read_picture(path)[0]
    path.write_bytes(data[:-2])
    found, notes = read_picture(path)
    np.testing.assert_array_equal(found, whole)
    assert notes == ["the JPEG's end mark is missing, its pixels are all there"]
    data = jpeg(picture(1, 60, 80), progressive=True)
    path.write_bytes(data[:-2])
    assert read_picture(path)[1] == notes
    path.write_bytes(data[: data.rindex(b"\xff\xda")])  # without the last scan, which refines the others
    with pytest.raises(PictureError, match="damaged"):
        read_picture(path)


@pytest.mark.parametrize("settings", [{}, {"progressive": True}, {"restart_marker_rows": 1}], ids=str)
def test_strays_do_not_hide_that_pixels_are_missing(tmp_path, settings):
    path = tmp_path / "picture.jpg"
    data = jpeg(picture(1, 200, 300), quality=95, **settings)
    middle = len(data) // 2
    for damaged in (
        data[:middle] + data[-2:],
        data[:middle] + b"\x11" * 300 + data[-2:],
        data[:middle] + data[middle + 1000 : -2] + b"\x11" * 300 + data[-2:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(PictureError, match="damaged"):
            read_picture(path)


@pytest.mark.parametrize(("orientation", "height"), [(1, 3), (3, 3), (6, 3), (8, 3)])
def test_the_header_of_a_turned_tiff_has_its_stored_size(tmp_path, orientation, height):
    stored = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    path = tmp_path / "turned.tif"
    path.write_bytes(tiff_of(stored, 1, t274=(3, [orientation])))
    header = look_at(path)
    assert (header.height, header.width, header.orientation) == (height, 4, orientation)
    turns = {1: 0, 3: 2, 6: 3, 8: 1}
    upright = np.rot90(stored, turns[orientation])
    np.testing.assert_array_equal(read_picture(path, channels=1)[0], upright)
    np.testing.assert_array_equal(raw_mask(path).values, upright)


def test_white_is_zero_in_some_tiffs(tmp_path):
    for kind, most in ((np.uint8, 255), (np.uint16, 65535)):
        stored = np.linspace(0, most, 12).reshape(3, 4).astype(kind)
        path = tmp_path / "white.tif"
        path.write_bytes(tiff_of(stored, 0))
        found, notes = read_picture(path, channels=1)
        assert np.abs(found - (255 - stored / (most / 255))).max() <= 0.51
        assert notes == (["0 is white in it"] if most > 255 else [])
    np.testing.assert_array_equal(read_deep(path), 65535 - stored)


def test_planes_apart_are_not_taken_for_pixels(tmp_path):
    path = tmp_path / "planes.tif"
    for kind in (np.uint8, np.uint16):
        stored = GENERATOR.integers(0, np.iinfo(kind).max, (5, 6, 3), dtype=kind)
        path.write_bytes(tiff_of(stored, 2, planar=2))
        if kind == np.uint8:
            np.testing.assert_array_equal(read_picture(path)[0], stored)
        else:
            with pytest.raises(PictureError, match="16 bits in a plane a colour: save it with the colours"):
                read_picture(path)


@pytest.mark.parametrize("ground", [None, "white"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_fourth_band_is_an_alpha_only_where_the_file_says_so(tmp_path, kind, ground):
    stored = GENERATOR.random((5, 6, 4)).astype(np.float32)
    shallow = np.round(stored * 255).astype(np.uint8)
    if kind != np.float32:
        stored = shallow.astype(kind) * (257 if kind == np.uint16 else 1)
    path = tmp_path / "four.tif"
    path.write_bytes(tiff_of(stored, 2, t338=(3, [0])))
    found, notes = read_picture(path, ground=ground, value_range=(0, 1) if kind == np.float32 else None)
    np.testing.assert_array_equal(found, shallow[..., :3])
    assert notes == ["4 bands, the first three are taken"]
    path.write_bytes(tiff_of(stored, 2, t338=(3, [2])))
    found, notes = read_picture(path, ground=ground, value_range=(0, 1) if kind == np.float32 else None)
    expected = shallow[..., :3].astype(float)
    if ground:
        alpha = shallow[..., 3:] / 255
        expected = expected * alpha + 255 * (1 - alpha)
    assert np.abs(found - expected).max() <= 1
    assert bool(notes) == bool(ground)


@pytest.mark.parametrize("name", ["clear.tif", "clear.avif", "clear.gif", "clear.webp", "clear.png"])
def test_without_a_ground_colours_stay_as_they_are_stored(tmp_path, name):
    pixels = np.dstack([picture(1), np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1))])
    lossless = {"lossless": True} if name.endswith("webp") else {}
    Image.fromarray(pixels).save(tmp_path / name, **lossless)
    with Image.open(tmp_path / name) as opened:
        expected = np.array(opened.convert("RGBA"))[..., :3]
    if name.endswith(("png", "tif")):
        np.testing.assert_array_equal(expected, pixels[..., :3])
    np.testing.assert_array_equal(read_picture(tmp_path / name)[0], expected)


def test_one_colour_may_be_transparent_in_deep_pngs(tmp_path):
    path = tmp_path / "clear.png"
    grey = np.arange(1000, 1012, dtype=np.uint16).reshape(3, 4) * 40
    path.write_bytes(png(grey, 0, struct.pack(">H", grey[0, 0])))
    np.testing.assert_array_equal(read_picture(path, 1, ground="white")[0], np.round(grey / 257).astype(np.uint8))
    colour = np.dstack([grey, grey // 2, grey // 3])
    path.write_bytes(png(colour, 2, struct.pack(">HHH", *colour[0, 0].tolist())))
    found, notes = read_picture(path, ground="white")
    assert found[0, 0].tolist() == [255, 255, 255]
    np.testing.assert_array_equal(found[1:], np.round(colour[1:] / 257).astype(np.uint8))
    assert len(notes) == 1


def test_cmyk_becomes_rgb_and_says_so(tmp_path):
    pixels = picture(1)
    path = tmp_path / "printer.jpg"
    Image.fromarray(pixels).convert("CMYK").save(path, quality=98)
    found, notes = read_picture(path)
    assert np.abs(found.astype(int) - pixels).mean() < 3
    assert notes == ["CMYK, brought to RGB without its colour profile"]
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "printer.tif")
    found, notes = read_picture(tmp_path / "printer.tif")
    assert np.abs(found.astype(int) - pixels).max() <= 1
    assert notes == ["CMYK, brought to RGB without its colour profile"]


def test_a_stack_of_imagej_has_several_pages(tmp_path):
    path = tmp_path / "stack.tif"
    path.write_bytes(tiff_of(np.zeros((4, 5), np.uint8), 1, t270=(2, b"ImageJ=1.53t\nimages=30\nslices=30\n\0")))
    assert look_at(path).pages == 30
    assert read_picture(path)[1] == ["30 pages, the first is taken"]
    with pytest.raises(PictureError, match="30 pages: which is the mask"):
        raw_mask(path)


@pytest.mark.parametrize("tags", [{"t254": (4, [1])}, {"t50706": (1, b"\1\4\0\0")}], ids=["preview", "DNG"])
def test_a_small_copy_is_not_taken_for_the_picture(tmp_path, tags):
    path = tmp_path / "raw.tif"
    path.write_bytes(tiff_of(np.zeros((4, 5, 3), np.uint8), 2, **tags))
    for read in (look_at, read_picture, raw_mask):
        with pytest.raises(PictureError, match="a camera's raw file"):
            read(path)


def test_deep_pictures_that_a_range_leaves_black_say_so(tmp_path):
    path = tmp_path / "dark.png"
    Image.fromarray(np.linspace(0, 200, 48).reshape(6, 8).astype(np.uint16)).save(path)
    found, notes = read_picture(path, 1, value_range=(66, 38293))
    assert found.max() == 1
    (note,) = notes
    assert note.startswith("its values 0 to 200 become 0 to 1 of 255: give --range")
    assert read_picture(path, 1, value_range=(0, 200))[1] == []


def test_a_profile_that_is_not_applied_is_told(tmp_path):
    path = tmp_path / "picture.png"
    for profile, notes in ((b"Display P3", ["its colour profile is not applied"]), (b"x sRGB x", []), (b"", [])):
        Image.fromarray(picture(1)).save(path, icc_profile=profile)
        assert read_picture(path)[1] == notes


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16"])
def test_a_png_with_any_bit_flipped_or_any_byte_missing_is_its_picture_or_refused(tmp_path, mode):
    pixels = GENERATOR.integers(0, 60, (5, 4, 3), np.uint8)
    image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 300) if mode == "I;16" else Image.fromarray(pixels)
    path = tmp_path / "picture.png"
    (image if mode == "I;16" else image.convert(mode)).save(path, pnginfo=None)
    whole, right = path.read_bytes(), [read_picture(path)[0], read_png(path, cv2.IMREAD_UNCHANGED)]
    damaged = [whole[:byte] + bytes([whole[byte] ^ 1 << byte % 8]) + whole[byte + 1 :] for byte in range(len(whole))]
    damaged += [whole[:byte] + whole[byte + 1 :] for byte in range(len(whole))] + [whole[:-20], whole[:-12]]
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        stored = read_png(path, cv2.IMREAD_UNCHANGED)
        assert stored is None or np.array_equal(stored, right[1])
        try:
            assert np.array_equal(read_picture(path)[0], right[0])
        except PictureError:
            refused += 1
    assert refused >= len(damaged) - 10


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate"])
def test_a_tiff_whose_stream_ends_early_is_damaged(tmp_path, compression):
    path = tmp_path / "picture.tif"
    Image.fromarray(GENERATOR.integers(0, 256, (80, 96, 3), np.uint8)).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[2000:2004] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    with pytest.raises(PictureError, match="damaged"):
        read_picture(path)
