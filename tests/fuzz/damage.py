"""How a file is damaged: its bytes, its place, its text, or what it holds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz import archives, arrays, places, raw, tables, texts, trees

# What changes the content of a file that stays well-formed, by its suffix.
CONTENT: dict[str, Callable[[Path, Random], str]] = {
    ".json": trees.damage_json,
    ".yaml": trees.damage_yaml,
    ".csv": tables.damage_csv,
    ".txt": texts.damage_lines,
    ".safetensors": arrays.damage_weights,
    ".ckpt": arrays.damage_state,
    ".npy": arrays.damage_array,
    ".zip": archives.damage_zip,
    ".gz": archives.damage_tar,
    ".png": raw.replace_pixels,
}
TEXTS = (".json", ".yaml", ".csv", ".txt")


@dataclass(frozen=True)
class Damage:
    """What was done to a file.

    Attributes:
        path: the file.
        how: in words.
        forged: the file is well-formed still, another content by hand instead of an accident.
    """

    path: Path
    how: str
    forged: bool = False


def damage(path: Path, random: Random) -> Damage:
    """Damage a file in one way that suits it."""
    ways = ["bytes"] * 4 + ["place"]
    if path.suffix in TEXTS:
        ways += ["text"] * 2
    if path.suffix in CONTENT:
        ways += ["content"] * (5 if path.suffix != ".png" else 1)
    way = random.choice(ways)
    if way == "place":
        return Damage(path, places.damage_place(path, random))
    if way == "content":
        return Damage(path, CONTENT[path.suffix](path, random), forged=True)
    content = path.read_bytes()
    how, changed = (texts.damage_text if way == "text" else raw.damage_bytes)(content, random)
    places.write_anew(path, changed)
    return Damage(path, how)
