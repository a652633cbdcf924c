"""Damage to texts: encodings, ends of lines, lines."""

from pathlib import Path
from random import Random

from fuzz.places import write_anew

CONTROLS = b"\x00", b"\x1b[31m", b"\x07", b"\r", b"\x7f", b"\xc2\x9b", "\u202e".encode()


def damage_text(content: bytes, random: Random) -> tuple[str, bytes]:
    """Return what was done, and the damaged text."""
    way = random.choice(("BOM", "CRLF", "CR", "UTF-16", "Latin-1", "control", "control", "blank", "long"))
    place = random.randrange(len(content) + 1)
    before, behind = content[:place], content[place:]
    if way == "BOM":
        return "a byte order mark before it", b"\xef\xbb\xbf" + content
    if way in ("CRLF", "CR"):
        return f"lines end in {way}", content.replace(b"\n", b"\r\n" if way == "CRLF" else b"\r")
    if way == "UTF-16":
        return "in UTF-16", content.decode("utf-8", "replace").encode("utf-16")
    if way == "Latin-1":
        return f"a byte that is not UTF-8 at {place}", before + b"\xe9" + behind
    if way == "control":
        sign = random.choice(CONTROLS)
        return f"{sign!r} at {place}", before + sign + behind
    if way == "blank":
        return "blanks and empty lines alone", b" \n\t\n\n"
    return f"100,000 letters at {place}", before + b"a" * 100_000 + behind


LINES = (
    "",
    " ",
    "#",
    "../../etc/passwd",
    "/etc/passwd",
    "a" * 5000,
    "a\tb\tc",
    "é",
    "e\u0301",
    "\x1b]0;x\x07",
    "-",
    "x y z",
    "0 0 0 0",
)


def damage_lines(path: Path, random: Random) -> str:
    """Remove, double, swap or replace lines of a text, or words in them."""
    lines = path.read_text(encoding="utf-8").split("\n")
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    way = random.choice(("removed", "twice", "swapped", "replaced", "word", "all twice"))
    if way == "removed":
        del lines[place]
    elif way == "twice":
        lines.insert(other, lines[place])
    elif way == "swapped":
        lines[place], lines[other] = lines[other], lines[place]
    elif way == "replaced":
        lines[place] = random.choice(LINES)
    elif way == "all twice":
        lines *= 2
    elif words := lines[place].split(" "):
        words[random.randrange(len(words))] = random.choice((*LINES, "-1", "nan", "3", "99999999999999999999"))
        lines[place] = " ".join(words)
    write_anew(path, "\n".join(lines).encode())
    return f"line {place + 1} {way}: {lines[place][:60]!r}" if place < len(lines) else f"line {place + 1} {way}"
