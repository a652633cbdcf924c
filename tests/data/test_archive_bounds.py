"""What archives may do to the disk and the memory is bounded, whatever they declare."""

import gzip
import io
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from data.sources.fetching import archives
from data.sources.fetching.archives import extract

CONTENT = np.random.default_rng(0).bytes(300_000)
ZEROS = bytes(1 << 20)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Return the block that announces a member of a tar."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def packed(path: Path, head: bytes, mebibytes: int) -> Path:
    """Write a compressed tar of a header and so many MiB of zeros."""
    with gzip.open(path, "wb", 1) as file:
        file.write(head)
        for _ in range(mebibytes):
            file.write(ZEROS)
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_headers_that_swell_are_refused_before_they_are_in_memory(tmp_path, kind):
    archive = packed(tmp_path / "a.tar.gz", header("x", 16 << 20, kind), 16)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"a\.tar\.gz holds more than its members declare"):
        extract(archive, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_zeros_behind_the_end_are_not_read_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_TRAILING_BYTES", 2 << 20)
    member = header("a.jpg", 3) + b"one".ljust(512, b"\0")
    with pytest.raises(UserError, match="holds more than its members declare"):
        extract(packed(tmp_path / "a.tar.gz", member, 8), tmp_path / "out")
    assert (extract(packed(tmp_path / "b.tar.gz", member, 1), tmp_path / "out") / "a.jpg").read_bytes() == b"one"


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_what_unpacks_to_many_times_its_size_is_refused(tmp_path, monkeypatch, kind):
    archive = tmp_path / f"a.{kind}"
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 4 << 20)
    members = {f"{number}.jpg": ZEROS for number in range(6)}
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in members.items():
                target.writestr(name, content)
    else:
        with tarfile.open(archive, "w:gz") as tar:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    with pytest.raises(UserError, match=r"declares more than it may hold \(at 4\.jpg\)"):
        extract(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_sparse_member_is_no_plain_file(tmp_path):
    block = bytearray(header("a.jpg", 512, tarfile.GNUTYPE_SPARSE))
    block[386:410] = b"%011o\0%011o\0" % (1 << 20, 512)
    block[483:495] = b"%011o\0" % ((1 << 20) + 512)
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 256 + sum(block[156:]))
    (tmp_path / "a.tar").write_bytes(bytes(block) + b"x" * 512 + bytes(1024))
    with pytest.raises(UserError, match=r"a\.tar is unsafe: 'a\.jpg' points out of its folder or is no plain file"):
        extract(tmp_path / "a.tar", tmp_path / "out")


def test_a_zip_of_far_too_many_members_is_not_listed(tmp_path, monkeypatch):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for number in range(50):
            target.writestr(f"{number}.jpg", b"x")
    monkeypatch.setattr(archives, "MAX_LIST_BYTES", 1000)
    monkeypatch.setattr(archives.zipfile, "ZipFile", lambda *_: pytest.fail("it was listed"))
    with pytest.raises(UserError, match="lists more members than it may hold"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("names", [("a", "a/b"), ("x" * 300,), ("b/c", "b")], ids=["below a file", "long", "a folder"])
def test_members_that_cannot_lie_there_name_the_archive(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as target:
        for name in names:
            target.writestr(name, b"x")
    with pytest.raises(UserError, match=r"a\.zip is cut short or damaged"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_altered_bytes_of_a_zip_are_no_surprise(tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("images/a.txt", b"one " * 100)
        target.writestr("images/b.txt", CONTENT[:200])
    whole = archive.read_bytes()
    for place in range(0, len(whole), 7):
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            extract(archive, tmp_path / f"out{place}")
        except UserError:
            continue
