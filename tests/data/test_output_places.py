"""Where output may lie is tried before anything long begins; links and volumes are filled."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import UserError
from core.filing.writing import files_named, lock, publish, replacing, require_writable, sole_writer
from data.prepare import main, prepare
from data.prepare_config import PrepareConfig
from data.preparing import place
from data.sources.own.walking import walk


def config_of(output: Path) -> PrepareConfig:
    return PrepareConfig(dataset="shapes", num_images=8, size=40, workers=1, output_dir=output)


@pytest.fixture
def sources(monkeypatch) -> list[PrepareConfig]:
    """Every opening of a source: the first thing that may take long."""
    from data import prepare as command

    opened, real = [], command.open_source
    monkeypatch.setattr(command, "open_source", lambda config: opened.append(config) or real(config))
    return opened


def test_a_link_is_followed(tmp_path):
    (tmp_path / "disk").mkdir()
    for name, target in {"linked": "disk", "dangling": "not yet", "chained": "linked2"}.items():
        (tmp_path / name).symlink_to(tmp_path / target)
    (tmp_path / "linked2").symlink_to(tmp_path / "deep")
    for name in ("linked", "dangling", "chained"):
        prepare(config_of(tmp_path / name))
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / name / "manifest.json").is_file()
        prepare(config_of(tmp_path / name))
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("killed", [False, True])
def test_a_volume_is_filled_from_inside(tmp_path, monkeypatch, killed):
    volume = tmp_path / "volume"
    (volume / "lost+found").mkdir(parents=True)
    monkeypatch.setattr(place.os.path, "ismount", lambda path: Path(path) == volume)
    if killed:
        moved, real = [], os.replace

        def replace(source, target):
            if Path(source).parent.name == ".partial" and Path(target).parent == volume:
                moved.append(source)
                if len(moved) == 3:
                    raise KeyboardInterrupt
            real(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(place.os, "replace", replace)
            with pytest.raises(KeyboardInterrupt):
                prepare(config_of(volume))
        assert not (volume / "manifest.json").exists()
        assert list(walk(tmp_path)) == []
    prepare(config_of(volume))
    prepare(config_of(volume))
    plain = config_of(tmp_path / "plain")
    prepare(plain)
    found, expected = (
        {path.relative_to(root).as_posix() for path in root.rglob("*")} for root in (volume, plain.output_dir)
    )
    assert found == expected | {"lost+found"}
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("below", ["file", "file/deep", "circle"])
def test_what_is_no_folder_is_refused_before_anything_is_read(tmp_path, sources, below, capsys):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    flags = ["--dataset", "shapes", "--num_images", "8", "--size", "40"]
    assert main([*flags, "--output_dir", str(tmp_path / below)]) == 2
    error = capsys.readouterr().err
    assert "--output_dir" in error
    assert error.count("\n") == 1
    assert not sources
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_system_without_locks_is_named_with_the_remedy(tmp_path, monkeypatch, sources, capsys):
    def flock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    flags = ["--dataset", "shapes", "--num_images", "8", "--size", "40"]
    assert main([*flags, "--output_dir", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert "out.partial/.lock could not be locked (No locks available)" in error
    assert "choose --output_dir on another disk" in error
    assert not sources


def test_one_writer_and_what_a_killed_one_left(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "data" / "arrays").mkdir(parents=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = [
        tmp_path / f".a.json.{ended.pid}.tmp",
        tmp_path / "figures" / f".b.png.{os.getpid()}.tmp",
        tmp_path / "figures" / f".b.png.{10**19}.tmp",
    ]
    kept = [
        *(tmp_path / ".mine.tmp", tmp_path / "results" / f".c.json.{ended.pid}.tmp", tmp_path / "results" / ".lock"),
        *(tmp_path / f".a.json.{os.getppid()}.tmp", tmp_path / "figures" / ".b.png.1.tmp"),
        *(tmp_path / "data" / "manifest.json", tmp_path / "data" / "arrays" / f".d.npy.{ended.pid}.tmp"),
    ]
    for path in (*left, *kept):
        path.touch()
    (tmp_path / ".partial" / "masks").mkdir(parents=True)
    with sole_writer(tmp_path):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in kept)
        assert not (tmp_path / ".partial").exists()
        with pytest.raises(UserError, match="is in use by another call: wait for it or choose another --output_dir"):
            lock(tmp_path, "--output_dir")
    assert not (tmp_path / ".lock").exists()
    left[0].touch()
    with sole_writer(tmp_path, file="a.json"):
        assert not left[0].exists()
        assert all(path.exists() for path in kept)
    with sole_writer(tmp_path):
        pass


def test_results_replace_those_of_before_when_whole_and_json_last(tmp_path, monkeypatch):
    (tmp_path / "table.csv").write_text("old")
    with pytest.raises(FileNotFoundError), replacing(tmp_path) as staged:
        ((staged / "table.csv").write_text("new"), (staged / "none").unlink())
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "old"
    order, real = [], os.replace
    monkeypatch.setattr(os, "replace", lambda source, target: (order.append(Path(target).name), real(source, target)))
    with replacing(tmp_path) as staged:
        for name in ("a.json", "table.csv", "figures/z.png"):
            (staged / name).parent.mkdir(exist_ok=True)
            (staged / name).write_text("new")
    assert order == [".unfinished.json", "z.png", "table.csv", "a.json"]
    assert (tmp_path / "figures/z.png").read_text() == (tmp_path / "table.csv").read_text() == "new"
    publish(tmp_path / "figures", tmp_path / "elsewhere")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["z.png"]


@pytest.mark.parametrize("moved", [1, 2, 3])
def test_results_that_a_kill_left_in_part_are_known_and_replaced(tmp_path, monkeypatch, moved):
    """From before the first file is in place the folder is one of ours, and the next call knows which files are."""

    def results(*names):
        with replacing(tmp_path / "out", files_named(tmp_path / "out/predictions.json")) as staged:
            for name in names:
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                (staged / name).write_text(name)

    def replace(source, target):
        if len(targets) == moved:
            raise KeyboardInterrupt
        targets.append(target)
        real(source, target)

    (tmp_path / "out").mkdir()
    targets, real = [], os.replace
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            results("masks/a.png", "masks/b.png", "predictions.json")
    assert len(list(tmp_path.glob("out/masks/*"))) == moved - 1
    assert list(walk(tmp_path)) == []
    results("masks/c.png", "predictions.json")
    found = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"c.png", "predictions.json"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    def refused(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "touch", refused)
    with pytest.raises(UserError, match=r"nothing can be written to .*out \(Read-only file system\): choose another"):
        require_writable(tmp_path / "out", "--output_dir")
