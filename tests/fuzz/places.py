"""Damage to the place of a file: something stands there that is no file, or another file."""

import os
import shutil
import socket
from pathlib import Path
from random import Random

MISSING, FOLDER = "missing", "a folder"
# Nothing is there that anybody could mean.
NO_FILE = (MISSING, FOLDER)


def write_anew(path: Path, content: bytes) -> None:
    """Write a file; what was there may be linked to the file that all cases share, and stays as it is."""
    path.unlink()
    path.write_bytes(content)


def damage_place(path: Path, random: Random) -> str:
    """Put something else in a file's place."""
    way = random.choice(list(WAYS))
    others = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    if way == "swapped":
        if not others:
            way = MISSING
        else:
            other = random.choice(others)
            content, mine = other.read_bytes(), path.read_bytes()
            write_anew(other, mine)
            write_anew(path, content)
            return f"swapped with {other.name}"
    path.unlink()
    WAYS[way](path)
    return way


def _folder_of_files(path: Path) -> None:
    path.mkdir()
    (path / path.name).write_bytes(b"")


def _socket(path: Path) -> None:
    # Its address holds 107 bytes at most.
    here = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


WAYS = {
    MISSING: lambda path: None,
    "a FIFO": os.mkfifo,
    FOLDER: Path.mkdir,
    "a folder that holds a file": _folder_of_files,
    "a dangling link": lambda path: path.symlink_to("nowhere"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a socket": _socket,
    "a link to a folder": lambda path: path.symlink_to(path.parent.name and Path("..") / path.parent.name),
    "swapped": None,
}


def copy_linked(source: Path, target: Path) -> Path:
    """Copy a folder quickly: its files are hard links, to be replaced and never written into.

    Locks stay behind: a link to one would be locked together with it.
    """
    locks = shutil.ignore_patterns("*.lock")
    return Path(shutil.copytree(source, target, copy_function=os.link, symlinks=True, ignore=locks, dirs_exist_ok=True))
