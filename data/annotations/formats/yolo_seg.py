"""YOLO's text of segments, one file a picture: a line an object, `class x1 y1 x2 y2 ...` as shares of width and height.

Names stand in `data.yaml` or `classes.txt` beside or above the texts; without them a class is called by its number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.classes import ClassSet
from core.errors import UserError
from core.files import atomic_path
from core.filing.paths import real
from core.filing.text_file import read_text
from core.filing.yaml_file import read_yaml
from data.annotations.formats.bounded import read_annotation_bytes
from data.annotations.formats.polygons import filled, outlines, ring_of
from data.annotations.formats.region import Category, Region, Size, shown
from data.annotations.formats.written import Written, looked_for
from data.decoders.opening import PictureError

FOLDER = "yolo"
YAMLS = ("data.yaml", "dataset.yaml", "data.yml")
LISTS = ("classes.txt", "obj.names")
_ABOVE = 3  # folders from the texts upwards that may hold the names
_MOST_CLASSES = 10_000
_OF_A_BOX = 4
_DIGITS = 10  # of a share: a thousandth of a pixel in any picture


@dataclass(frozen=True)
class YoloSeg:
    """A folder of YOLO's texts; an empty one is a labelled picture of background."""

    categories: Sequence[Category] = ()
    files: Sequence[Path] = ()
    notes: Sequence[str] = ()
    pictures: Mapping[str, str] | None = None
    title: str = "YOLO"

    def regions(self, path: Path, key: str, size: Size) -> Iterator[Region]:
        """Yield the objects of a picture. Raises as `Annotations.regions`."""
        try:
            lines = read_annotation_bytes(path).decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise PictureError("no text in UTF-8") from None
        height, width = size
        for place, line in enumerate(lines, 1):
            where = f"line {place}"
            if not (words := line.split()):
                continue
            if len(words) - 1 == _OF_A_BOX:
                raise PictureError(f"{where} is a box, which is no mask: export segments")
            category = self._category(words[0], where)
            ring = ring_of([_share(word, where) for word in words[1:]], size, where, (width, height))
            yield Region(category, filled([ring], size, where))

    def _category(self, word: str, where: str) -> str:
        known = {category.number: category.name for category in self.categories}
        if not (word.isascii() and word.isdigit()) or len(word) > len(str(_MOST_CLASSES)):
            raise PictureError(f"{where}: {shown(word)} is no number of a class")
        if known and int(word) not in known:
            raise PictureError(f"{where}: class {word} is none of the {len(known)} in {self.files[0]}")
        return known.get(int(word), f"class_{int(word)}")


def read(folder: Path) -> YoloSeg:
    """Read the names of the classes, where they lie in the folder or up to two above.

    Raises:
        UserError: they are no such names.
    """
    for above in (real(folder), *real(folder).parents)[:_ABOVE]:
        for path in (above / name for name in (*YAMLS, *LISTS)):
            if path.is_file() and (names := _names(path)) is not None:
                return YoloSeg([Category(name, number) for number, name in sorted(names.items())], [path])
    note = "no data.yaml or classes.txt names YOLO's classes: they are called by their numbers (--classes names them)"
    return YoloSeg(notes=[note])


def _names(path: Path) -> dict[int, str] | None:
    """Return number -> name; None of a YAML that names none."""
    if path.name in YAMLS:
        content = read_yaml(path)
        names = content.get("names") if isinstance(content, dict) else None
        if names is None:
            return None
    else:
        try:
            names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
        except UnicodeDecodeError:
            raise UserError(f"{path} is no text in UTF-8: save the list of names again as that") from None
    found: dict[Any, Any] = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(found, dict) or not all(
        type(number) is int and 0 <= number < _MOST_CLASSES and isinstance(name, str) for number, name in found.items()
    ):
        raise UserError(f"{path}: its names are no list of texts, nor numbers with texts")
    if len(set(found.values())) < len(found):
        raise UserError(f"{path}: two of its names are the same: give each class its own")
    return found


def _share(word: str, where: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise PictureError(f"{where}: {shown(word)} is no number") from None


def write(folder: Path, pictures: Iterable[Written], classes: ClassSet) -> None:
    """Write labels as `yolo/labels/`, a text a picture, and `yolo/data.yaml` with the names: an object a piece."""
    names = looked_for(classes)
    for picture in pictures:
        label = picture.label()
        height, width = label.shape
        lines = []
        for number, c in enumerate(names):
            for ring in outlines(label == c):
                shares = (ring / (width, height)).ravel().tolist()
                lines.append(" ".join([str(number), *(f"{share:.{_DIGITS}g}" for share in shares)]) + "\n")
        with atomic_path(folder / FOLDER / "labels" / f"{picture.result}.txt") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    content = {"names": {number: classes.names[c] for number, c in enumerate(names)}}
    with atomic_path(folder / FOLDER / YAMLS[0]) as temporary:
        temporary.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
