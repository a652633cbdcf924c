"""The formats of annotations: a row each, and how a file or a folder is told to be of one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from core.filing.json_file import parse_json
from data.annotations.formats import coco, label_studio, labelme, yolo_seg
from data.annotations.formats.bounded import MOST_BYTES, read_annotation_bytes
from data.annotations.formats.region import Annotations
from data.annotations.formats.written import Written
from data.decoders.opening import PictureError

READ = "COCO or Label Studio (JSON files), labelme or YOLO (folders of a file a picture)"


@dataclass(frozen=True)
class Format:
    """A format of annotations.

    Attributes:
        title: what people call it.
        write: writes labels into a folder.
        places: the files that come of it, relative to that folder; `{result}` stands for each picture's own.
        suffix: of a picture's own file; "" where one file holds all pictures.
        read_file: reads a JSON file that holds all pictures, once parsed.
        read_folder: reads what goes with a folder of a file a picture.
        fits: whether what a JSON file holds is of this format.
    """

    title: str
    write: Callable[[Path, Iterable[Written], ClassSet], None]
    places: tuple[str, ...]
    suffix: str = ""
    read_file: Callable[[Path, Any], Annotations] | None = None
    read_folder: Callable[[Path], Annotations] | None = None
    fits: Callable[[Any], bool] = lambda content: False


FORMATS = {
    "coco": Format(
        "COCO",
        coco.write,
        (coco.FILE,),
        read_file=coco.read,
        fits=lambda content: isinstance(content, dict) and set(coco.NEEDED) <= set(content),
    ),
    "labelme": Format(
        "labelme",
        labelme.write,
        (f"{labelme.FOLDER}/{labelme.LIST}", f"{labelme.FOLDER}/{{result}}.json"),
        ".json",
        read_folder=labelme.read,
    ),
    "label_studio": Format(
        "Label Studio",
        label_studio.write,
        (label_studio.FILE, label_studio.CONFIG),
        read_file=label_studio.read,
        fits=lambda content: isinstance(content, list) and bool(content) and isinstance(content[0], dict),
    ),
    "yolo": Format(
        "YOLO",
        yolo_seg.write,
        (f"{yolo_seg.FOLDER}/{yolo_seg.YAMLS[0]}", f"{yolo_seg.FOLDER}/labels/{{result}}.txt"),
        ".txt",
        read_folder=yolo_seg.read,
    ),
}


def read_file(path: Path) -> Annotations:
    """Read a JSON file that holds the annotations of all pictures.

    Raises:
        UserError: it is of no known format, damaged or too large; the message names what is wrong.
    """
    try:
        content = parse_json(read_annotation_bytes(path, MOST_BYTES), str(path))
    except PictureError as error:
        raise UserError(f"{path}: {error}") from None
    for row in FORMATS.values():
        if row.read_file and row.fits(content):
            return row.read_file(path, content)
    if isinstance(content, dict) and "shapes" in content:
        raise UserError(f"{path} is labelme's JSON of one picture: give the folder of all as --masks")
    raise UserError(f"{path} is no annotation that is read here: {READ}")
