"""Damage to archives whose container is whole: members that should not be."""

import io
import tarfile
import zipfile
from pathlib import Path
from random import Random

from fuzz.places import write_anew

NAMES = (
    "../outside.txt",
    "/tmp/outside-of-the-archive.txt",
    "a/../../outside.txt",
    "..\\outside.txt",
    "x" * 300,
    "a/" * 400 + "x",
    "\x1b[2J.txt",
    "con.txt",
    "e\u0301.txt",
    "é.txt",
    " ",
    ".",
    "..",
)


def damage_zip(path: Path, random: Random) -> str:
    """Remove, rename, double or damage a member, or add one that should not be."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    how, members = _damage_members(members, random)
    saved = io.BytesIO()
    with zipfile.ZipFile(saved, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            if random.random() < 0.02:
                info.external_attr = 0o120777 << 16  # a link, to what the content says
            archive.writestr(info, content)
    write_anew(path, saved.getvalue())
    return how


def damage_tar(path: Path, random: Random) -> str:
    """Do to a .tar.gz what `damage_zip` does, and links and devices besides."""
    with tarfile.open(path) as archive:
        members = [(info.name, archive.extractfile(info).read()) for info in archive if info.isfile()]
    special = random.choice(
        (None, None, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE)
    )
    how, members = ("", members) if special else _damage_members(members, random)
    chosen = random.randrange(len(members)) if members else 0
    if special:
        how = f"member {members[chosen][0]} is of type {special!r}"
    saved = io.BytesIO()
    with tarfile.open(
        fileobj=saved, mode="w:gz", format=random.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    ) as archive:
        for place, (name, content) in enumerate(members):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if special and place == chosen:
                info.type, info.size, info.linkname = (
                    special,
                    0,
                    random.choice(("/etc/passwd", "../../x", name, "nowhere")),
                )
            archive.addfile(info, io.BytesIO(content[: info.size]))
    write_anew(path, saved.getvalue())
    return how


Members = list[tuple[str, bytes]]


def _damage_members(members: Members, random: Random) -> tuple[str, Members]:
    way = random.choice(
        (
            "removed",
            "renamed",
            "twice",
            "cut",
            "empty",
            "added",
            "added",
            "bomb",
            "all gone",
            "folder before",
            "swapped",
        )
    )
    place = random.randrange(len(members))
    name, content = members[place]
    rest = members[:place] + members[place + 1 :]
    if way == "removed":
        return f"{name} removed", rest
    if way == "renamed":
        new = random.choice((*NAMES, name.upper(), f"other/{name}"))
        return f"{name} renamed to {new[:60]!r}", [*rest, (new, content)]
    if way == "twice":
        return f"{name} twice, empty at last", [*members, (name, b"")]
    if way in ("cut", "empty"):
        return f"{name} {way}", [*rest, (name, content[: len(content) // 2 if way == "cut" else 0])]
    if way == "added":
        new = random.choice(NAMES)
        return f"{new[:60]!r} added", [*members, (new, b"added")]
    if way == "bomb":
        return f"{name} has 300 MB of zeros", [*rest, (name, bytes(300_000_000))]
    if way == "all gone":
        return "no members", []
    if way == "swapped":
        other = random.randrange(len(members))
        return f"{name} holds what {members[other][0]} did", [*rest, (name, members[other][1])]
    return "everything in a folder", [(f"top/{old}", what) for old, what in members]
