"""What archives and servers may do to the disk and the memory is bounded, whatever they declare."""

import gzip
import hashlib
import io
import os
import re
import tarfile
import threading
import time
import tracemalloc
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from data.sources import archives, download
from data.sources.archives import extract

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
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


class Server(ThreadingHTTPServer):
    """Serves CONTENT as badly as it is told to.

    Attributes:
        said: the length that it says; None says none.
        cut: after how many bytes of an answer it hangs up; stall: after how many it falls silent.
        ranges: whether it can go on from the middle.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.said, self.cut, self.stall, self.ranges, self.asked = len(CONTENT), None, None, True, []
        self.content = CONTENT

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/images.tar.gz"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and server.ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        if isinstance(server.said, int):  # of the whole where it is too large, else of each answer
            rest, more = len(server.content) - start, server.said - len(server.content)
            self.send_header("Content-Length", str(rest + more if more > 0 else min(server.said, rest)))
        elif server.said:
            self.send_header("Content-Length", server.said)
        self.end_headers()
        if server.stall is not None:
            self.wfile.write(server.content[start : start + server.stall])
            self.wfile.flush()
            time.sleep(1)
            return
        self.wfile.write(server.content[start:][: server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


@pytest.mark.parametrize("said", [None, 100_000, 400_000, "many", "-5"])
def test_no_length_or_a_false_one_does_no_harm(server, tmp_path, said):
    server.said = said
    path = tmp_path / "images.tar.gz"
    download.download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["images.tar.gz"]


def test_a_cut_without_a_length_is_kept_and_goes_on(server, tmp_path):
    server.said, server.cut = None, 100_000
    path, part = tmp_path / "images.tar.gz", tmp_path / "images.tar.gz.part"
    with pytest.raises(UserError, match=r"ended after 100000 bytes without saying how many.*is kept, call again"):
        download.download(server.url, path, MD5)
    assert part.read_bytes() == CONTENT[:100_000]
    server.cut = None
    download.download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


def test_what_arrived_before_a_stall_is_kept(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_TIMEOUT_SECONDS", 0.2)
    server.stall = 50_000
    path, part = tmp_path / "images.tar.gz", tmp_path / "images.tar.gz.part"
    with pytest.raises(UserError, match=r"timed out.*is kept"):
        download.download(server.url, path, MD5)
    assert part.read_bytes() == CONTENT[:50_000]
    server.stall = None
    download.download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


def test_what_does_not_end_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "MAX_DOWNLOAD_BYTES", 200_000)
    server.said = None
    with pytest.raises(UserError, match="more than 200000 bytes: it is not the official file"):
        download.download(server.url, tmp_path / "images.tar.gz", MD5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ranges", [True, False])
def test_another_file_is_deleted_after_the_server_had_no_more(server, tmp_path, ranges):
    server.content, server.said, server.ranges = CONTENT[::-1], len(CONTENT), ranges
    with pytest.raises(UserError, match="another checksum"):
        download.download(server.url, tmp_path / "images.tar.gz", MD5)
    assert not list(tmp_path.iterdir())


def test_a_pipe_in_the_place_of_a_part_is_named(server, tmp_path):
    os.mkfifo(tmp_path / "images.tar.gz.part")
    with pytest.raises(UserError, match="not a regular file but a pipe"):
        download.download(server.url, tmp_path / "images.tar.gz", MD5)
