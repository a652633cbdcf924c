"""labelme's JSON, one beside or for each picture: shapes that lie over each other in their order.

Pixels are claimed as labelme's own `shape_to_mask` claims them: a polygon's outline through pixels belongs to it.
Written are polygons, which a person can correct; `mask` shapes could only be moved. labelme has no holes: what lies in
one is written later and so lies above, background too, under labelme's own name for it.
"""

import base64
import binascii
import io
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from core.classes import ClassSet
from core.errors import UserError
from core.files import atomic_path, write_json
from core.filing.paths import real
from core.filing.text_file import read_text
from data.annotations.formats.bounded import read_annotation_json
from data.annotations.formats.polygons import require_inside
from data.annotations.formats.region import Category, Region, Size, number, require_size, shown
from data.annotations.formats.written import Written
from data.decoders.opening import PictureError, decoding

FOLDER = "labelme"
LIST = "labels.txt"  # as `labelme --labels` takes it
BACKGROUND, IGNORE = "_background_", "__ignore__"
_VERSION = "5.5.0"  # whose fields are written
_VERTICES = 3


@dataclass(frozen=True)
class Labelme:
    """A folder of labelme's files; one without shapes is a labelled picture of background."""

    categories: Sequence[Category] = ()
    files: Sequence[Path] = ()
    notes: Sequence[str] = ()
    pictures: Mapping[str, str] | None = None
    title: str = "labelme"

    def regions(self, path: Path, key: str, size: Size) -> Iterator[Region]:
        """Yield the shapes of a picture. Raises as `Annotations.regions`."""
        content = read_annotation_json(path)
        shapes = content.get("shapes") if isinstance(content, dict) else None
        if not isinstance(shapes, list):
            raise PictureError("it holds no list of shapes, as labelme's has")
        stated = [content.get("imageHeight"), content.get("imageWidth")]
        if stated != [None, None]:
            require_size(stated, size, "it is")
        for place, shape in enumerate(shapes, 1):
            where = f"shape {place}"
            label = shape.get("label") if isinstance(shape, dict) else None
            if not isinstance(label, str) or not label.strip():
                raise PictureError(f"{where} has no label")
            yield Region(label, _mask(shape, size, f"{where} ({shown(label)})"), label == IGNORE)


def read(folder: Path) -> Labelme:
    """Read the list of labels of a folder, if there is one.

    Raises:
        UserError: it is no text.
    """
    path = folder / LIST
    if not path.is_file():
        return Labelme()
    try:
        names = [line.strip() for line in read_text(path).splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save the list of labels again as that") from None
    return Labelme([Category(name) for name in dict.fromkeys(names) if name != IGNORE], [path])


def _mask(shape: dict[str, Any], size: Size, where: str) -> np.ndarray:
    kind, points = shape.get("shape_type") or "polygon", shape.get("points")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise PictureError(f"{where} has no points (x, y)")
    found = np.array([[number(value, where) for value in point] for point in points]).reshape(-1, 2)
    if kind not in ("polygon", "rectangle", "circle", "mask"):
        raise PictureError(f"{where}: a {shown(kind)} claims no pixels: draw a polygon")
    if len(found) < _VERTICES if kind == "polygon" else len(found) != 2:
        needed = f"{_VERTICES} or more" if kind == "polygon" else "2"
        raise PictureError(f"{where}: a {kind} of {len(found)} points: it needs {needed}")
    if kind != "circle":
        require_inside(found, size, where)
    return _stored(shape, found, size, where) if kind == "mask" else _drawn(kind, found, size, where)


def _drawn(kind: str, points: np.ndarray, size: Size, where: str) -> np.ndarray:
    canvas = Image.new("L", size[::-1])
    draw = ImageDraw.Draw(canvas)
    if kind == "polygon":
        draw.polygon([(x, y) for x, y in points.tolist()], outline=1, fill=1)
    elif kind == "rectangle":
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        draw.rectangle((left, top, right, bottom), outline=1, fill=1)
    else:
        (x, y), on_it = points.tolist()
        if (radius := math.dist((x, y), on_it)) > 2 * sum(size):
            raise PictureError(f"{where}: a circle of radius {radius:g}, larger than the picture")
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
    return np.asarray(canvas, bool)


def _stored(shape: dict[str, Any], points: np.ndarray, size: Size, where: str) -> np.ndarray:
    """Return a mask that is stored as a PNG in base64, from its first point to its second, both included."""
    try:
        data = base64.b64decode(shape.get("mask") or "", validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise PictureError(f"{where}: its mask is no base64") from None
    (left, top), (right, bottom) = np.trunc(points).astype(int).tolist()
    with decoding(f"{where}: its mask is no PNG"), Image.open(io.BytesIO(data), formats=["PNG"]) as opened:
        if opened.size != (right - left + 1, bottom - top + 1):
            raise PictureError(
                f"{where}: its mask has {opened.width} x {opened.height} pixels, its points say otherwise"
            )
        stored = np.asarray(opened.convert("L"), bool)
    mask = np.zeros(size, bool)
    if min(left, top) < 0 or right >= size[1] or bottom >= size[0]:
        raise PictureError(f"{where}: its mask lies outside of the picture")
    mask[top : bottom + 1, left : right + 1] = stored
    return mask


class _Piece(NamedTuple):
    label: int
    points: np.ndarray  # [vertices, 2], x and y of pixels
    top: int
    left: int
    inside: np.ndarray  # [h, w] bool: it and its holes
    own: tuple[int, int]  # row and column of one of its pixels


def write(folder: Path, pictures: Iterable[Written], classes: ClassSet) -> None:
    """Write labels as `labelme/`, a JSON a picture, and the list of labels that goes with them."""
    names = [BACKGROUND if c == classes.background else name for c, name in enumerate(classes.names)]
    for picture in pictures:
        label = picture.label()
        path = folder / FOLDER / f"{picture.result}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(
            path,
            {
                "version": _VERSION,
                "flags": {},
                "shapes": [_shape(names[piece.label], piece.points) for piece in _pieces(label, classes.background)],
                "imagePath": _path_from(picture.folder / FOLDER / f"{picture.result}.json", picture),
                "imageData": None,
                "imageHeight": label.shape[0],
                "imageWidth": label.shape[1],
            },
        )
    with atomic_path(folder / FOLDER / LIST) as temporary:
        temporary.write_text("".join(f"{name}\n" for name in (IGNORE, *names)), encoding="utf-8")


def _path_from(path: Path, picture: Written) -> str:
    """Return where the picture lies, seen from its JSON."""
    file = real(picture.file.parent) / picture.file.name
    return Path(os.path.relpath(file, real(path.parent))).as_posix()


def _shape(label: str, points: np.ndarray) -> dict[str, Any]:
    more: dict[str, Any] = {"group_id": None, "description": "", "shape_type": "polygon", "flags": {}, "mask": None}
    return {"label": label, "points": points.astype(float).tolist(), **more}


def _pieces(label: np.ndarray, background: int | None) -> list[_Piece]:
    """Return the pieces of all classes, the largest first: what lies in another's hole is smaller than that and it.

    Background is among them only where something else would claim it.
    """
    pieces = sorted(_found(label), key=lambda piece: -int(piece.inside.sum()))
    claimed = np.zeros(label.shape, bool)
    for piece in pieces:
        if piece.label != background:
            height, width = piece.inside.shape
            claimed[piece.top : piece.top + height, piece.left : piece.left + width] |= piece.inside
    return [piece for piece in pieces if piece.label != background or claimed[piece.own]]


def _found(label: np.ndarray) -> Iterator[_Piece]:
    """Yield the pieces of a label [H, W], connected by sides: those of two classes never cross each other's outline."""
    for c in np.unique(label).tolist():
        count, numbers, stats, _ = cv2.connectedComponentsWithStats((label == c).astype(np.uint8), connectivity=4)
        for piece in range(1, count):
            left, top, width, height, _ = stats[piece].tolist()
            own = (numbers[top : top + height, left : left + width] == piece).astype(np.uint8)
            (outline,), _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
            inside = cv2.drawContours(np.zeros_like(own), [outline], -1, 1, cv2.FILLED).astype(bool)
            points = outline[:, 0]
            # A point or a line is a polygon whose vertices repeat.
            points = np.concatenate([points, np.repeat(points[-1:], max(0, _VERTICES - len(points)), axis=0)])
            row, column = np.argwhere(own)[0].tolist()
            yield _Piece(c, points + np.array([left, top]), top, left, inside, (top + row, left + column))
