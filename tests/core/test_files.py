"""Only regular files are opened: a pipe would be waited for for ever."""

import os
import socket
from pathlib import Path

import pytest

from core.files import NotAFileError, atomic_path, file_sha256, open_bytes, open_text, read_bytes, read_text


@pytest.fixture(params=["pipe", "socket", "device", "folder", "link to a pipe"])
def no_file(request, tmp_path, monkeypatch) -> tuple[Path, str]:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    path, kind = Path("thing"), request.param
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo("pipe")
        path.symlink_to("pipe")
        kind = "pipe"
    return path, kind


@pytest.mark.parametrize("read", [open_bytes, open_text, read_bytes, read_text, file_sha256])
def test_nothing_waits_for_what_is_no_file(no_file, read):
    path, kind = no_file
    with pytest.raises(NotAFileError, match=f"{path} is not a regular file but a {kind}: give a file"):
        read(path)


def test_text_and_bytes_are_those_of_the_file(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffäh\r\n".encode())
    assert read_bytes(path) == "\ufeffäh\r\n".encode()
    assert read_text(path, encoding="utf-8-sig") == "äh\n"
    with open_text(path, newline="") as file:
        assert file.read() == "\ufeffäh\r\n"
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 251 + ".png"])
def test_a_name_that_the_disk_takes_can_be_written(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.write_text("whole")
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".tmp"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "whole")]
