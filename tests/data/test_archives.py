import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from data.sources.fetching import archives
from data.sources.fetching.archives import extract

CONTENT = np.random.default_rng(0).bytes(5000)


def pack(path: Path, *members: tuple[tarfile.TarInfo | str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = len(content) or info.size
            tar.addfile(info, io.BytesIO(content))
    return path


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo("images/b.jpg")
    info.type, info.linkname = kind, target
    return info


def test_files_below_the_top_folder_are_unpacked_once(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", ("images/a.jpg", b"one"), ("./images/b.jpg", b"two"), ("other/c.jpg", b"no"))
    folder = extract(archive, tmp_path / "out", "images")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.jpg": b"one", "b.jpg": b"two"}
    archive.unlink()
    assert extract(archive, tmp_path / "out", "images") == folder
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.parametrize(
    "member",
    [
        "/tmp/absolute.jpg",
        "../outside.jpg",
        "images/../../outside.jpg",
        link(tarfile.SYMTYPE, "/etc/passwd"),
        link(tarfile.SYMTYPE, "../../outside"),
        link(tarfile.LNKTYPE, "images/a.jpg"),
        link(tarfile.FIFOTYPE, ""),
    ],
    ids=["absolute", "parent", "hidden parent", "link out", "relative link out", "hard link", "fifo"],
)
def test_what_points_out_of_the_folder_is_refused(tmp_path, member):
    home = tmp_path / "home"
    home.mkdir()
    archive = pack(home / "a.tar.gz", ("images/a.jpg", b"one"), (member, b""))
    with pytest.raises(UserError, match="unsafe"):
        extract(archive, home / "out", "images")
    assert [path.name for path in home.iterdir()] == ["a.tar.gz"]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILE_BYTES", 5), ("MAX_TOTAL_BYTES", 11), ("MAX_MEMBERS", 1)])
def test_what_declares_too_much_is_refused_before_it_is_written(tmp_path, monkeypatch, limit, value):
    archive = pack(tmp_path / "a.tar.gz", ("images/a.jpg", b"123456"), ("images/b.jpg", b"123456"))
    monkeypatch.setattr(archives, limit, value)
    with pytest.raises(UserError, match="declares more"):
        extract(archive, tmp_path / "out", "images")
    assert not (tmp_path / "out").exists()


def test_every_cut_of_an_archive_shows(tmp_path):
    whole = pack(tmp_path / "a.tar.gz", ("images/a.jpg", CONTENT[:3000]), ("images/b.jpg", CONTENT[3000:5000]))
    data = whole.read_bytes()
    for length in [*range(0, len(data), 97), len(data) - 9, len(data) - 1]:
        whole.write_bytes(data[:length])
        with pytest.raises(UserError, match="cut short or damaged"):
            extract(whole, tmp_path / "out", "images")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("content", [b"no archive", gzip.compress(b"no tar" * 200)], ids=["no gzip", "no tar"])
def test_what_is_no_archive_is_named(tmp_path, content):
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.tar\.gz is cut short or damaged"):
        extract(archive, tmp_path / "out", "images")


def test_an_altered_byte_shows(tmp_path):
    archive = pack(tmp_path / "a.tar.gz", ("images/a.jpg", CONTENT[:3000]))
    data = bytearray(archive.read_bytes())
    data[1500] ^= 255
    archive.write_bytes(data)
    with pytest.raises(UserError, match="cut short or damaged"):
        extract(archive, tmp_path / "out", "images")
