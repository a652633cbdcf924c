import gzip
import hashlib
import io
import re
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from data.sources import archives
from data.sources.archives import extract
from data.sources.download import download

CONTENT = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `supports_range` and `cut_after` say how badly."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.supports_range, self.cut_after, self.ranges = True, None, []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/images.tar.gz"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.ranges.append(asked)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.supports_range else 0
        if self.path != "/images.tar.gz" or start >= len(CONTENT):
            self.send_error(416 if start else 404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.cut_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()


def test_a_download_arrives_whole_and_is_not_fetched_twice(server, tmp_path):
    path = tmp_path / "raw" / "images.tar.gz"
    download(server.url, path, MD5)
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [file.name for file in path.parent.iterdir()] == ["images.tar.gz"]


def test_a_cut_download_goes_on_where_it_stopped(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    server.cut_after = 100_000
    with pytest.raises(UserError, match=r"after 100000 of 300000 bytes.*is kept"):
        download(server.url, path, MD5)
    assert not path.exists()
    server.cut_after = None
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]


def test_a_server_without_ranges_starts_over(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(b"x" * 1000)
    server.supports_range = False
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"x" * 1000, b"x" * 400_000], ids=["altered", "too long"])
def test_a_wrong_checksum_is_refused_and_the_next_call_starts_over(server, tmp_path, part):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(part)
    with pytest.raises(UserError, match="another checksum"):
        download(server.url, path, MD5)
    assert not list(tmp_path.iterdir())
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


def test_a_part_that_is_whole_needs_no_more_bytes(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    (tmp_path / "images.tar.gz.part").write_bytes(CONTENT)
    download(server.url, path, MD5)
    assert path.read_bytes() == CONTENT


def test_another_file_of_that_name_is_kept_and_refused(server, tmp_path):
    path = tmp_path / "images.tar.gz"
    path.write_bytes(b"mine")
    with pytest.raises(UserError, match="not the official file"):
        download(server.url, path, MD5)
    assert path.read_bytes() == b"mine"


def test_a_missing_address_and_a_missing_server_are_named(server, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.* 404"):
        download(server.url.replace("images.tar.gz", "nowhere"), tmp_path / "a", MD5)
    with pytest.raises(UserError, match=r"127\.0\.0\.1:1/a could not be fetched"):
        download("http://127.0.0.1:1/a", tmp_path / "a", MD5)


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
