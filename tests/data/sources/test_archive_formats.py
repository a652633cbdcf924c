"""Plain tar and zip, beside the .tar.gz of test_archives.py."""

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from data.sources.fetching import archives
from data.sources.fetching.archives import extract

CONTENT = np.random.default_rng(0).bytes(300_000)


def pack_plain(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"images/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def pack_zip(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("images/", b"")
        for name, content in files.items():
            packed.writestr(f"images/{name}", content)
    return path


@pytest.mark.parametrize("pack", [pack_plain, pack_zip])
def test_tar_and_zip_are_told_by_their_content(tmp_path, pack):
    archive = pack(tmp_path / "archive.dat", a=CONTENT, b=b"")
    folder = extract(archive, tmp_path / "out")
    assert folder == tmp_path / "out"
    assert (folder / "images" / "a").read_bytes() == CONTENT
    assert (folder / "images" / "b").read_bytes() == b""
    assert list(extract(archive, tmp_path / "none", "other").parent.iterdir()) == []


@pytest.mark.parametrize("pack", [pack_plain, pack_zip])
def test_a_cut_tar_or_zip_shows(tmp_path, pack):
    whole = pack(tmp_path / "a.zip", a=CONTENT[:3000], b=CONTENT[3000:5000])
    data = whole.read_bytes()
    # What follows the last file of a tar are zeros alone, of which two blocks are enough.
    end = data.rstrip(b"\0").__len__() + 512 if pack is pack_plain else len(data)
    for length in [*range(0, end, 97), end - 9, end - 1]:
        whole.write_bytes(data[:length])
        with pytest.raises(UserError, match="cut short or damaged"):
            extract(whole, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_altered_or_encrypted_zip_shows(tmp_path):
    archive = pack_zip(tmp_path / "a.zip", a=CONTENT[:3000])
    data = bytearray(archive.read_bytes())
    data[1500] ^= 255
    archive.write_bytes(data)
    with pytest.raises(UserError, match="cut short or damaged"):
        extract(archive, tmp_path / "out")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("a", b"1")
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(UserError, match="encrypted"):
        extract(archive, tmp_path / "out")


@pytest.mark.parametrize("name", ["/tmp/absolute", "../outside", "images/../../outside", "link"])
def test_a_zip_does_not_point_out_of_its_folder(tmp_path, name):
    info = zipfile.ZipInfo(name)
    if name == "link":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("images/a", b"one")
        packed.writestr(info, b"/etc/passwd")
    with pytest.raises(UserError, match="unsafe"):
        extract(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_zip_that_declares_too_much_is_refused(tmp_path, monkeypatch):
    archive = pack_zip(tmp_path / "a.zip", a=b"0" * 1000, b=b"1" * 1000)
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1999)
    with pytest.raises(UserError, match="declares more"):
        extract(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
