"""Arrays and manifests are checked whenever they are opened: cut ones are built again, altered ones named."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.errors import UserError
from data.manifest import SPLITS
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.prepared import arrays
from transfer_learning.train import main as train


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("arrays") / "whole"
    shapes = {"dataset": "shapes", "num_images": 16, "labelled_fraction": 0.5, "size": 40}
    prepare(PrepareConfig(**shapes, output_dir=root, workers=1))
    return root


@pytest.fixture
def data_dir(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def array_of(folder: Path, split: str = "Train", kind: str = "images") -> Path:
    (path,) = folder.rglob(f"{split}-*-{kind}.npy")
    return path


def pixels_of(data_dir: Path, **settings) -> list[np.ndarray]:
    split = open_data(data_dir, **settings).split("Train")
    return [np.array(split.images), np.array(split.labels)]


def test_prepare_makes_the_arrays(whole, monkeypatch):
    monkeypatch.setattr(arrays, "_build", None)
    for split in open_data(whole).splits(*SPLITS):
        assert split.images.shape == (len(split.names), 40, 40, 3)
        assert not split.images.flags.writeable


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def altered(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 255
    path.write_bytes(content)


def of_another_type(path: Path) -> None:
    np.save(path, np.load(path).astype(np.float32))


def of_another_shape(path: Path) -> None:
    np.save(path, np.load(path)[:, :-1])


def by_columns(path: Path) -> None:
    np.save(path, np.asfortranarray(np.load(path)))


def pickled(path: Path) -> None:
    np.save(path, np.array([{}], dtype=object))


def zipped(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, np.load(path) if path.stat().st_size else np.zeros(3))


def huge(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"(", b"(9", 1))


def unparsable(path: Path) -> None:  # a header that Python's own parser gives up
    content = path.read_bytes()
    path.write_bytes(content.replace(b"}", b"(", 1))


DAMAGES = [cut, emptied, altered, of_another_type, of_another_shape, by_columns, pickled, zipped, huge, unparsable]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["images", "labels"])
def test_a_damaged_array_is_built_again_with_a_note(whole, data_dir, capsys, damage, kind):
    path = array_of(data_dir, kind=kind)
    damage(path)
    for found, expected in zip(pixels_of(data_dir), pixels_of(whole), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert capsys.readouterr().out == f"note: {path} was cut or altered: it is built again\n"
    assert path.read_bytes() == array_of(whole, kind=kind).read_bytes()


def test_what_a_killed_builder_left_goes_with_the_next_one(data_dir):
    path = array_of(data_dir)
    cut(path)
    left = [path.with_name(f".{name}.{2**22 + 1}.tmp") for name in (path.name, path.with_suffix(".json").name)]
    for file in left:
        file.write_bytes(b"half")
    (others := path.with_name(f".{path.name}.{os.getppid()}.tmp")).touch()  # of one that is at work
    pixels_of(data_dir)
    assert others.exists()
    assert not any(file.exists() for file in left)


@pytest.mark.parametrize("seal", ["", "[]", "{}", '{"sha256": 3}'])
def test_a_damaged_seal_builds_again_and_a_lacking_one_is_made(data_dir, capsys, seal):
    path = array_of(data_dir)
    path.with_suffix(".json").write_text(seal)
    pixels_of(data_dir)
    assert "built again" in capsys.readouterr().out
    path.with_suffix(".json").unlink()
    pixels_of(data_dir)
    assert not capsys.readouterr().out
    assert json.loads(path.with_suffix(".json").read_text())["bytes"] == path.stat().st_size
    labels = array_of(data_dir, kind="labels")
    labels.with_suffix(".json").unlink()
    content = bytearray(labels.read_bytes())
    content[-1] = 77
    labels.write_bytes(content)
    pixels_of(data_dir)
    assert "built again" in capsys.readouterr().out


def test_another_time_alone_builds_nothing(data_dir, monkeypatch):
    os.utime(array_of(data_dir))
    monkeypatch.setattr(arrays, "_build", None)
    pixels_of(data_dir)


@pytest.fixture
def read_only(data_dir, monkeypatch) -> Path:
    """A folder without arrays in which nothing can be made; root may write everywhere, so that has to be played."""
    shutil.rmtree(data_dir / "arrays")
    real = Path.mkdir

    def mkdir(self, *arguments, **settings):
        if self.is_relative_to(data_dir):
            raise OSError(30, os.strerror(30), str(self))
        real(self, *arguments, **settings)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    return data_dir


def test_arrays_of_read_only_data_go_into_the_cache(read_only, whole, tmp_path, monkeypatch):
    expected = pixels_of(whole)
    for found, wanted in zip(pixels_of(read_only, cache_dir=tmp_path / "given"), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert array_of(tmp_path / "given").is_file()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    pixels_of(read_only)
    assert array_of(tmp_path / "xdg/ae_pretrained").is_file()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    pixels_of(read_only)
    assert array_of(tmp_path / "home/.cache/ae_pretrained").is_file()
    assert not (read_only / "arrays").exists()


def test_where_nothing_can_be_written_the_setting_is_named(read_only, tmp_path, capsys):
    (tmp_path / "file").touch()
    places = ["--data_dir", str(read_only), "--output_dir", str(tmp_path / "run")]
    assert train([*places, "--cache_dir", str(tmp_path / "file/x"), "--device", "cpu", "--width", "2"]) == 2
    error = capsys.readouterr().err
    assert "Read-only file system" in error
    assert "give a folder with --cache_dir" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", ["resized", "resized_label", "original_labels"])
def test_a_picture_altered_after_preparing_is_named_when_arrays_are_built(data_dir, kind):
    name = next((data_dir / "Train/resized_label").iterdir()).name
    path = data_dir / "Train" / kind / name
    pixels = np.array(Image.open(path))
    pixels[7, 9] = 1 - np.minimum(pixels[7, 9], 1)
    Image.fromarray(pixels).save(path)
    pixels_of(data_dir)  # whole arrays are read as they are
    shutil.rmtree(data_dir / "arrays")
    with pytest.raises(UserError, match=rf"{path.stem} of Train or its mask was altered after data\.prepare wrote it"):
        pixels_of(data_dir)


def test_an_altered_truth_is_never_scored(data_dir):
    split = open_data(data_dir).split("Train")
    index = int(split.labelled[0])
    path = data_dir / "Train/original_labels" / f"{split.names[index]}.png"
    truth = np.array(Image.open(path))
    truth[0, 0] ^= 1
    Image.fromarray(truth).save(path)
    with pytest.raises(UserError, match="was altered after"):
        split.truth(index)


def edited(data_dir: Path, change, sealed: bool = False) -> None:
    path = data_dir / "manifest.json"
    content = json.loads(path.read_text())
    if not sealed:  # as data of before
        content.pop("sha256")
        content["format_version"] = 2
    change(content)
    images = content.pop("images", None)
    path.write_text(json.dumps(content if images is None else {**content, "images": images}, indent=2))


def a_record(name: str, value) -> tuple:
    return f"images.0.{name}", lambda content: content["images"][0].update({name: value})


def without(name: str) -> tuple:
    return f"images.0.{name}", lambda content: content["images"][0].pop(name)


EDITS = [
    *(without(name) for name in ("name", "split", "labelled", "classes", "geometry")),
    a_record("name", 3),
    a_record("name", ""),
    a_record("split", "Training"),
    a_record("tags", ["a"]),
    a_record("tags", {"a": 1}),
    a_record("labelled", "yes"),
    a_record("classes", [99]),
    a_record("classes", [-1]),
    a_record("classes", None),
    a_record("geometry", {"mode": "letterbox"}),
    a_record("sha256", "0"),
    a_record("content", 12),
    ("images.0.geometry", lambda content: content["images"][0]["geometry"].update(canvas_height=4)),
    ("images.0.geometry", lambda content: content["images"][0]["geometry"].update(content_width=4000)),
    ("images.0.geometry", lambda content: content["images"][0]["geometry"].update(height="tall")),
    ("digest", lambda content: content["images"][0].pop("sha256")),
    ("counts.Train", lambda content: content["images"][0].update(split="Val")),
    ("counts.Val", lambda content: content["counts"]["Val"].update(images=1000)),
    ("fingerprint", lambda content: content["images"][0]["geometry"].update(mode="stretch")),
    ("fingerprint", lambda content: content["images"][0].update(name="other")),
    ("fingerprint", lambda content: content["images"][0].update(sha256="0" * 64)),
    ("fingerprint", lambda content: content.update(seed=77)),
    ("fingerprint", lambda content: content["class_set"].update(names=["background", "b", "c", "d"])),
    ("fingerprint", lambda content: content.update(fingerprint="0" * 64)),
    ("is damaged", lambda content: content["images"].insert(0, 7)),
    ("is damaged", lambda content: content["images"][0].pop("tags")),
]


@pytest.mark.parametrize(("named", "change"), EDITS)
def test_an_altered_manifest_is_one_line(data_dir, named, change, tmp_path, capsys):
    edited(data_dir, change)
    assert train(["--data_dir", str(data_dir), "--output_dir", str(tmp_path / "run"), "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert named in error
    assert f"delete {data_dir} and run python -m data.prepare --output_dir {data_dir}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(value_range=[0, 4095]),
        lambda content: content["source"].update(ground="light"),
        lambda content: content["images"][-1].update(content="0" * 16),
        lambda content: content.update(sha256=None),
        lambda content: content.update(note="new"),
        lambda content: content.update(format_version=2),
    ],
)
def test_what_the_fingerprint_does_not_cover_is_sealed(data_dir, change):
    edited(data_dir, lambda content: None, sealed=True)  # written otherwise, it says the same
    open_data(data_dir).records("Train")
    edited(data_dir, change, sealed=True)
    with pytest.raises(UserError, match="altered after data.prepare wrote it: its sha256 does not fit"):
        open_data(data_dir).records("Train")


def test_a_seal_that_was_taken_out_is_missed(data_dir):
    edited(data_dir, lambda content: content.pop("sha256"), sealed=True)
    with pytest.raises(UserError, match="the sha256 that it was written with was taken out"):
        open_data(data_dir)


def test_data_of_before_have_no_digests_and_are_read(data_dir):
    edited(data_dir, lambda content: [record.pop(key) for record in content["images"] for key in ("sha256", "content")])
    split = open_data(data_dir).split("Train")
    assert set(split.digests) == {""}
    assert not split.contents.any()
    split.truth(int(split.labelled[0]))
