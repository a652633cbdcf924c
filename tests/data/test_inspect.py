import os
import subprocess
import sys
from dataclasses import fields

import cv2
import numpy as np
import pytest
from own_pictures import COLOURS, indices, source_of, write_masks, write_pictures
from PIL import Image

from data.inspect import InspectConfig, main
from data.prepare import main as prepare
from data.prepare_config import PrepareConfig
from data.preview import SHOWN, overlay
from data.sources.own.config import ReadingConfig

NAMES = [f"photo {number:02}" for number in range(20)]


@pytest.fixture
def images(tmp_path):
    return write_pictures(tmp_path / "images", NAMES)


def said(capsys, *arguments: object, code: int = 0) -> str:
    assert main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    return captured.err if code else captured.out


@pytest.mark.parametrize("kind", ["trimaps", "palette", "many"])
def test_values_that_begin_at_1_are_told(images, tmp_path, capsys, kind):
    def save(mask, path):
        image = Image.fromarray(mask)
        if kind == "palette":
            image.putpalette(COLOURS.ravel().tolist())
        image.save(path)

    count = 6 if kind == "many" else 3
    masks = write_masks(tmp_path / "masks", {name: indices(n, count) + 1 for n, name in enumerate(NAMES)}, save)
    out = said(capsys, "--images", images, "--masks", masks, "--no_preview")
    (line,) = [line for line in out.splitlines() if "no mask holds 0, the values begin at 1" in line]
    assert ("Oxford-IIIT Pet" in line) == (kind != "many")
    given = ["--dataset", "folder", "--images", str(images), "--masks", str(masks), "--size", "40"]
    assert prepare([*given, "--output_dir", str(tmp_path / "out")]) == 0
    assert line.strip() in capsys.readouterr().out
    # What the line says can be said, and then it is not told.
    (tmp_path / "classes.yaml").write_text("animal: 1\nbackground: 2\nignore: [3, 4, 5, 6]\n")
    for classes in ([tmp_path / "classes.yaml"], "abcdef"[:count]):
        told = said(capsys, "--images", images, "--masks", masks, "--no_preview", "--classes", *classes)
        assert "begin at 1" not in told
    masks = write_masks(tmp_path / "from_0", {name: indices(n, count) for n, name in enumerate(NAMES)}, save)
    assert "begin at 1" not in said(capsys, "--images", images, "--masks", masks, "--no_preview")
    assert "begin at 1" not in said(capsys, "--images", images, "--masks", masks, "--no_preview", "--ignore_value", 0)


def test_it_says_what_it_understood_and_writes_nothing_but_the_preview(images, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    masks = write_masks(tmp_path / "masks", {name: indices(seed, 3) for seed, name in enumerate(NAMES[:15])})
    (images / "notes.txt").write_text("no picture")
    before = sorted(tmp_path.rglob("*"))
    out = said(capsys, "--images", images, "--masks", masks, "--no_preview")
    assert sorted(tmp_path.rglob("*")) == before
    for words in (
        "pictures: 20",
        "height x width: 40 x 60 (20)",
        "orientation: landscape (20)",
        "colour (20); bits: 8 (20)",
        "masks: of 15 pictures",
        "found by their names, as {name}",
        "background, class_1, class_2",
        "  class_2: 2",
        "Train 13 (",
        "1 files passed over: not a picture, or its header is damaged (first",
    ):
        assert words in out, words
    share = np.mean([indices(seed, 3) == 2 for seed in range(15)])
    assert f"{share:.3%} of the pixels" in out
    said(capsys, "--images", images, "--masks", masks)
    assert set(tmp_path.rglob("*")) - set(before) == {tmp_path / "inspect.png"}
    with Image.open(tmp_path / "inspect.png") as preview:
        assert preview.width > 1000


def test_it_refuses_with_the_words_of_the_preparation(images, tmp_path, capsys):
    masks = write_masks(tmp_path / "masks", {f"{name}_gt": indices(seed, 3) for seed, name in enumerate(NAMES)})
    binary = write_masks(tmp_path / "binary", {name: np.zeros((40, 60), np.uint8) for name in NAMES})
    Image.fromarray(indices(1, 2)).save(binary / f"{_of_split(images, 'Test')}.png")
    preview = tmp_path.parent / f"{tmp_path.name}.png"
    for flags in (
        ["--masks", masks],
        ["--masks", tmp_path],
        ["--masks", binary],
        ["--channels", "4"],
        ["--folds", "3"],
    ):
        flags = ["--images", images, *flags]
        refused = said(capsys, *flags, "--preview", preview, code=2)
        assert prepare(["--dataset", "folder", "--output_dir", str(tmp_path / "out"), *map(str, flags)]) == 2
        assert capsys.readouterr().err == refused
        assert refused.count("\n") == 1
    assert not (tmp_path / "out").exists()
    assert not preview.exists()
    assert "give --images DIR" in said(capsys, code=2)


def test_where_the_preview_goes_is_tried_before_anything_is_read(tmp_path, capsys, images, monkeypatch):
    monkeypatch.setattr("data.sources.folder.understand", lambda *_: pytest.fail("it looked"))
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    below, folder = tmp_path / "file" / "x.png", tmp_path / "folder.png"
    message = f"{tmp_path / 'file'} is, or lies below, what is no folder: choose another --preview"
    assert message in said(capsys, "--images", images, "--preview", below, code=2)
    message = f"{folder} is a folder: choose another --preview"
    assert message in said(capsys, "--images", images, "--preview", folder, code=2)


def test_the_preview_never_lies_among_pictures_or_masks(images, tmp_path, capsys, monkeypatch):
    masks = write_masks(tmp_path / "masks", {name: indices(seed, 3) for seed, name in enumerate(NAMES)})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(images)
    flags = ["--images", ".", "--masks", masks]
    for more in ([], ["--preview", masks / f"{NAMES[0]}.png"], ["--preview", images / "deep" / "p.png"]):
        assert "give --preview a path elsewhere" in said(capsys, *flags, *more, code=2)
    assert "pictures: 20" in said(capsys, *flags, "--no_preview")
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_preview_replaces_nothing_that_a_link_leads_to(images, tmp_path, capsys):
    (tmp_path / "links").mkdir()
    for name in NAMES:
        (tmp_path / "links" / f"{name}.png").symlink_to(next(images.rglob(f"{name}.*")))
    elsewhere = tmp_path / "store.png"
    elsewhere.write_bytes(next(images.rglob(f"{NAMES[0]}.*")).read_bytes())
    (tmp_path / "links" / "more.png").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    assert "would replace what" in said(capsys, "--images", tmp_path / "links", "--preview", elsewhere, code=2)
    assert elsewhere.read_bytes() == before


def test_what_was_seen_is_told_before_what_is_wrong(images, tmp_path, capsys):
    def refused(*flags: object) -> str:
        assert main(["--images", str(images), "--no_preview", *map(str, flags)]) == 2
        captured = capsys.readouterr()
        assert captured.err.count("\n") == 1
        return captured.out

    masks = {name: indices(seed, 4) for seed, name in enumerate(NAMES)}
    grey = write_masks(tmp_path / "masks", masks)
    share = np.mean([masks[name] == 3 for name in NAMES])
    out = refused("--masks", grey, "--classes", "a", "b", "c", "d", "e", "f")
    for words in (
        "pictures: 20",
        "masks: of 20 pictures",
        "found by their names, as {name}",
        f"3  {share:8.3%} of the pixels, in 20 m",
    ):
        assert words in out, words
    assert "understood" not in out
    coloured = write_masks(tmp_path / "colours", masks, lambda mask, path: Image.fromarray(COLOURS[mask]).save(path))
    assert f"(220, 20, 60)  {share:8.3%} of the pixels" in refused("--masks", coloured, "--classes", "a", "b", "c", "d")
    Image.fromarray(masks[NAMES[0]][:, :50]).save(grey / f"{NAMES[0]}.png")
    assert "in 19 masks" in refused("--masks", grey)
    assert "pictures: 20" in refused("--masks", tmp_path / "masks", "--mask_pattern", "{name}_gt.png")


def _of_split(images, split: str) -> str:
    return next(sample.name for sample in source_of(images).samples if sample.split == split)


def test_it_says_what_is_odd_of_deep_grey_and_transparent_pictures(tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(6):
        cv2.imwrite(str(images / f"{number}.tif"), np.random.default_rng(number).integers(0, 4000, (40, 60), np.uint16))
    out = said(capsys, "--images", images, "--no_preview", "--range", "100", "3500")
    assert "grey (6); bits: 16 (6)" in out
    assert "6 pictures are deeper than 8 bits: 100 becomes 0 and 3500 255 (--range)" in out
    assert "read in grey; 0 have a mask: they serve phase 1 alone" in out
    Image.fromarray(np.dstack([indices(1)] * 4)).save(images / "cut.png")
    out = said(capsys, "--images", images, "--no_preview")
    assert "0.1 and 99.9 percentile" in out
    assert "6 grey pictures among 1 in colour: all are read in colour" in out
    assert f"1 pictures can be transparent (first {images / 'cut.png'})" in out


def test_a_mixed_set_is_prepared_in_colour_by_one_range(tmp_path):
    images = write_pictures(tmp_path / "images", ["a", "b"])
    deep = np.linspace(0, 5000, 40 * 60).reshape(40, 60).astype(np.uint16)
    cv2.imwrite(str(images / "deep.png"), deep)
    source = source_of(images)
    low, high = source.details["value_range"]
    assert source.channels == 3
    np.testing.assert_array_equal((low, high), np.percentile(deep, [0.1, 99.9], method="inverted_cdf"))
    read, _ = next(sample for sample in source.samples if sample.name == "deep").image()
    expected = np.clip((deep.astype(float) - low) / (high - low) * 255, 0, 255)
    assert np.abs(read - expected[..., None]).max() <= 0.51
    one = source_of(images, channels=1)
    assert {sample.image()[0].shape for sample in one.samples} == {(40, 60)}


def test_overlays_colour_classes_and_leave_the_background(images, tmp_path):
    def coloured(mask, path) -> None:
        image = Image.fromarray(mask)
        image.putpalette(COLOURS.ravel().tolist())
        image.save(path)

    source = source_of(images, write_masks(tmp_path / "masks", {name: indices(3) for name in NAMES}, coloured))
    image = np.full((40, 60, 3), 0.5)
    laid = overlay(image, indices(3), source.classes)
    np.testing.assert_array_equal(laid[indices(3) == 0], 0.5)
    blue = laid[indices(3) == 2]
    assert len(blue)
    assert (blue[:, 2] > 0.5).all()
    assert (blue[:, :2] < 0.3).all()
    assert SHOWN == 12


def test_both_commands_read_by_the_same_settings(images, tmp_path, monkeypatch, capsys):
    names = {field.name for field in fields(ReadingConfig)}
    assert names <= {field.name for field in fields(PrepareConfig)}
    assert {field.name for field in fields(InspectConfig)} == names | {"preview"}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("inspect:\n  preview: null\n  channels: 1\n")
    assert "read in grey" in said(capsys, "--images", images, "--config", tmp_path / "mine.yaml")
    assert not list(tmp_path.glob("*.png"))
    said(capsys, "--images", images, "--config", tmp_path / "mine.yaml", "--preview", "other.png")
    assert (tmp_path / "other.png").exists()


def test_help_needs_neither_torch_nor_matplotlib():
    slow = "[m for m in ('torch', 'matplotlib') if m in sys.modules]"
    code = f"import sys; from data.inspect import main; main(['--help']); print({slow})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=True)
    assert done.stdout.strip().endswith("[]")
    assert "--mask_pattern" in done.stdout
