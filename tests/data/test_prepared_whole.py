"""What a later command would refuse is never called prepared: it is made again where that can be, or refused."""

import json
import shutil
from pathlib import Path

import pytest
from own_pictures import indices, write_masks, write_pictures

from core.errors import UserError
from data.manifest import image_path, label_path, truth_path
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.preparing.differences import differences

NAMES = [f"p{number}" for number in range(8)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> PrepareConfig:
    root = tmp_path_factory.mktemp("own")
    images = write_pictures(root / "images", NAMES, ".bmp")
    masks = write_masks(root / "masks", {name: indices(seed, 3) for seed, name in enumerate(NAMES)})
    config = PrepareConfig(dataset="folder", images=images, masks=masks, output_dir=root / "out", size=40, workers=1)
    prepare(config)
    return config


@pytest.fixture
def again(prepared, tmp_path):
    """The folder of what was prepared, to be spoilt: it is whole again behind the test."""
    whole = tmp_path / "whole"
    shutil.copytree(prepared.output_dir, whole)
    yield prepared.output_dir
    shutil.rmtree(prepared.output_dir)
    shutil.copytree(whole, prepared.output_dir)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_size(path: Path) -> None:
    write_masks(path.parent, {path.stem: indices(1)[:20, :20]})


@pytest.mark.parametrize("spoil", [Path.unlink, cut, emptied, as_folder, of_another_size])
@pytest.mark.parametrize("place", [image_path, label_path, truth_path])
def test_a_picture_or_mask_that_went_or_is_cut(prepared, again, place, spoil):
    victim = place(again, "Test", open_data(again).split("Test").names[0])
    spoil(victim)
    with pytest.raises(UserError) as error:
        prepare(prepared)
    told = str(error.value)
    assert told.startswith(f"{victim} is missing or damaged: delete {again} and run python -m data.prepare")
    assert "\n" not in told


def test_a_png_written_otherwise_is_whole(prepared, again, capsys):
    victim = image_path(again, "Test", open_data(again).split("Test").names[0])
    victim.write_bytes(victim.read_bytes() + b"behind its end")
    prepare(prepared)
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize("content", [None, "", "{}", '{"Train": [], "Val": [], "Test": []}', "[" * 3000])
def test_the_list_of_splits_is_written_again(prepared, again, content, capsys):
    path = again / "splits.json"
    whole = path.read_text()
    path.unlink()
    if content is not None:
        path.write_text(content)
    prepare(prepared)
    told = capsys.readouterr().out
    assert f"note: {path} was missing or altered: it is written again" in told
    assert "already prepared" in told
    assert path.read_text() == whole
    prepare(prepared)
    assert "note" not in capsys.readouterr().out


def test_a_report_that_went_is_told(prepared, again, capsys):
    (again / "prepare_report.json").unlink()
    prepare(prepared)
    assert "prepare_report.json is missing or damaged: no command reads it" in capsys.readouterr().out


def test_arrays_are_built_again(prepared, again, capsys):
    one, other, *_ = sorted((again / "arrays").glob("*.npy"))
    before = one.read_bytes(), other.read_bytes()
    one.unlink()
    cut(other)
    prepare(prepared)
    told = capsys.readouterr().out
    assert f"note: {one} was missing: it is built again" in told
    assert f"note: {other} was cut or altered: it is built again" in told
    assert (one.read_bytes(), other.read_bytes()) == before
    prepare(prepared)
    assert "note" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "alter",
    [
        lambda content: content["images"].pop(),
        lambda content: content["images"][0]["tags"].update(patient="7"),
        lambda content: content.update(value_range=[0, 4095]),
        lambda content: content["source"].update(note="none"),
        lambda content: content.pop("listing"),
    ],
)
def test_an_altered_manifest(prepared, again, alter):
    path = again / "manifest.json"
    content = json.loads(path.read_text())
    alter(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"manifest\.json is damaged.*: delete .* and run python -m data\.prepare"):
        prepare(prepared)


def test_a_cut_manifest(prepared, again):
    cut(again / "manifest.json")
    with pytest.raises(UserError, match=r"manifest\.json is damaged: delete"):
        prepare(prepared)


def settings(**more) -> dict:
    return PrepareConfig(dataset="folder", images=Path("/pictures"), **more).settings()


def test_only_settings_that_differ_are_named():
    assert differences(settings(), settings()) == ""
    found = differences(
        settings(size="96x128", test_ratio=0.3, ignore_value=(0, 7)), settings(size=64, classes=("road", "car"))
    )
    assert found.split("; ") == [
        "--classes not given there, road car asked",
        "--ignore_value 0 7 there, not given asked",
        "--size 96x128 there, 64 asked",
        "--test_ratio 0.3 there, 0.2 asked",
    ]
    many = differences(settings(), settings(classes=tuple(f"c{number}" for number in range(150))))
    assert many == "--classes not given there, c0 c1 c2 c3 c4 c5 c6 c7 ... asked"
    other = PrepareConfig(dataset="drawn_pets").settings()
    assert differences(other, settings(size=64)) == "--dataset drawn_pets there, folder asked"
