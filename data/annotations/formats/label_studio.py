"""Label Studio's JSON: tasks, each a picture with its annotations, or with predictions that a person corrects.

A brush region shows only if its task's config has the tags and labels that it names, if it says the picture's size, and
if its bytes are those of an RGBA picture whose alpha is opaque: `write` makes them so, and writes that config.
"""

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np

from core.classes import RGB, ClassSet
from core.errors import UserError
from core.files import atomic_path, write_json
from core.filing.text_file import read_text
from data.annotations.formats.polygons import filled, ring_of
from data.annotations.formats.region import Category, Region, Size, require_size, shown
from data.annotations.formats.rle import brush_of, mask_of_brush
from data.annotations.formats.written import Written, looked_for
from data.decoders.opening import PictureError

FILE, CONFIG = "label_studio.json", "label_studio.xml"
_FROM, _TO, _VALUE = "label", "image", "image"  # names in the config that is written
_LOCAL = "/data/local-files/?d="
_PERCENT = 100
_KINDS = {"brushlabels": "rle", "polygonlabels": "points"}  # of regions that are masks, and what each must hold


@dataclass(frozen=True)
class LabelStudio:
    """An export of Label Studio (JSON); a task without an annotation is a picture without a label.

    The labelling config beside it, of the same name, lists the classes in their order; without it they are sorted.
    """

    categories: Sequence[Category]
    pictures: Mapping[str, str]
    results: Mapping[str, Sequence[Any]]
    notes: Sequence[str] = ()
    files: Sequence[Path] = ()
    title: str = "Label Studio"

    def regions(self, path: Path, key: str, size: Size) -> Iterator[Region]:
        """Yield the regions of a picture. Raises as `Annotations.regions`."""
        for place, result in enumerate(self.results[key], 1):
            where = f"region {place} of task {key} ({shown(self.pictures[key])})"
            if not isinstance(result, dict):
                raise PictureError(f"{where} is no object")
            kind = result.get("type")
            if kind not in _KINDS:
                if isinstance(kind, str) and (kind.endswith("labels") or kind in ("brush", "polygon", "rectangle")):
                    raise PictureError(f"{where}: {shown(kind)} are no masks: brush or polygon labels are")
                continue  # a choice, a rating, a text
            yield Region(_label_of(result, where), _mask(result, size, where))


def read(path: Path, content: list[Any]) -> LabelStudio:
    """Read what a JSON file holds.

    Raises:
        UserError: it is none of Label Studio's tasks; a task has no picture, or several annotations.
    """
    if any(isinstance(task, dict) and "data" not in task for task in content):
        raise UserError(f"{path} has tasks without `data`: export from Label Studio as JSON, not as JSON-MIN")
    tasks = {str(task.get("id", place)): task for place, task in enumerate(content, 1) if isinstance(task, dict)}
    if len(tasks) < len(content):
        raise UserError(f"{path}: two tasks share an id, or one is no object: export it from Label Studio as JSON")
    pictures = {key: _picture(path, key, task) for key, task in tasks.items()}
    results = {key: result for key, task in tasks.items() if (result := _annotated(path, key, task)) is not None}
    notes = []
    if not results:
        results = {key: result for key, task in tasks.items() if (result := _predicted(task)) is not None}
        notes += [f"no task of {path.name} is annotated yet: its predictions are read"] if results else []
    elif left := len(tasks) - len(results):
        notes.append(f"{left} tasks of {path.name} are not annotated yet: their pictures are unlabelled")
    if not results:
        raise UserError(f"{path}: none of its {len(tasks)} tasks has an annotation or a prediction")
    config = path.with_suffix(".xml")
    files = [config] if config.is_file() else []
    categories = _labels(config) if files else []
    return LabelStudio(categories, {key: pictures[key] for key in results}, results, notes, files)


def _labels(path: Path) -> list[Category]:
    """Return the labels of brushes and polygons in a labelling config, in its order.

    Raises:
        UserError: it is none.
    """
    try:
        text = read_text(path)
        if "<!" in text.replace("<!--", ""):  # entities that unfold without end
            raise ValueError("it declares a document type")
        tags = [tag for tag in ElementTree.fromstring(text).iter() if tag.tag in ("BrushLabels", "PolygonLabels")]
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(f"{path} is no labelling config of Label Studio ({error}): correct or remove it") from None
    names = [label.get("value") or label.get("alias") or "" for tag in tags for label in tag.iter("Label")]
    return [Category(name) for name in dict.fromkeys(names) if name]


def _picture(path: Path, key: str, task: dict[str, Any]) -> str:
    """Return a picture's name as it was before it got an address."""
    data = task["data"]
    texts = [value for value in data.values() if isinstance(value, str)] if isinstance(data, dict) else []
    named = data.get(_VALUE) if isinstance(data, dict) else None
    address = named if isinstance(named, str) else texts[0] if len(texts) == 1 else None
    if not address:
        raise UserError(f"{path}: task {shown(key)} names no picture: `data` needs `image`")
    try:
        parts = urlsplit(address)
        local = parse_qs(parts.query).get("d", [""])[0]
    except ValueError:
        return address
    return local or (parts.path if parts.scheme in ("http", "https", "s3", "gs", "") and parts.path else address)


def _annotated(path: Path, key: str, task: dict[str, Any]) -> Sequence[Any] | None:
    found = [entry for entry in _objects(task.get("annotations")) if not entry.get("was_cancelled")]
    truth = [entry for entry in found if entry.get("ground_truth") is True]
    chosen = truth if len(truth) == 1 else found
    if len(chosen) > 1:
        raise UserError(
            f"{path}: task {shown(key)} has {len(found)} annotations: keep one, or mark one as ground truth"
        )
    return _result(chosen[0]) if chosen else None


def _predicted(task: dict[str, Any]) -> Sequence[Any] | None:
    found = _objects(task.get("predictions"))
    return _result(found[-1]) if found else None


def _objects(entries: Any) -> list[dict[str, Any]]:
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _result(entry: dict[str, Any]) -> Sequence[Any]:
    result = entry.get("result")
    return result if isinstance(result, list) else [result]


def _label_of(result: dict[str, Any], where: str) -> str:
    value = result.get("value")
    labels = value.get(result["type"]) if isinstance(value, dict) else None
    if not isinstance(labels, list) or len(labels) != 1 or not isinstance(labels[0], str):
        raise PictureError(f"{where} needs one label, it has {shown(labels)}")
    return labels[0]


def _mask(result: dict[str, Any], size: Size, where: str) -> np.ndarray:
    require_size([result.get("original_height"), result.get("original_width")], size, where)
    if result.get("image_rotation"):
        raise PictureError(f"{where} lies on a picture that was turned in Label Studio: turn it back there")
    content = result["value"].get(_KINDS[result["type"]])
    if not isinstance(content, list):
        raise PictureError(f"{where} holds no {_KINDS[result['type']]}")
    if result["type"] == "brushlabels":
        return mask_of_brush(content, size, where)
    flat = [value for point in content for value in (point if isinstance(point, list) else [point])]
    height, width = size
    return filled([ring_of(flat, size, where, (width / _PERCENT, height / _PERCENT))], size, where)


def write(folder: Path, pictures: Iterable[Written], classes: ClassSet) -> None:
    """Write labels as predictions of tasks, `label_studio.json`, and `label_studio.xml`, the config to go with them."""
    names = looked_for(classes)
    tasks = (_task(number, picture, classes, names) for number, picture in enumerate(pictures, 1))
    # A list is written whole: its tasks are few, against the pictures' own pixels.
    write_json(folder / FILE, list(tasks))
    with atomic_path(folder / CONFIG) as temporary:
        temporary.write_text(config_of(classes, names), encoding="utf-8")


def config_of(classes: ClassSet, names: Sequence[int]) -> str:
    """Return the labelling config that brush regions of these classes need."""
    labels = "".join(
        f"    <Label value={quoteattr(classes.names[c])} background={quoteattr(_hex(classes.palette[c]))}/>\n"
        for c in names
    )
    return (
        f'<View>\n  <Image name="{_TO}" value="${_VALUE}" zoom="true" zoomControl="true"/>\n'
        f'  <BrushLabels name="{_FROM}" toName="{_TO}">\n{labels}  </BrushLabels>\n</View>\n'
    )


def _hex(colour: RGB) -> str:
    return f"#{bytes(colour).hex()}"


def _task(number: int, picture: Written, classes: ClassSet, names: Sequence[int]) -> dict[str, Any]:
    label = picture.label()
    regions = [_region(label == c, classes.names[c], f"{number}-{c}") for c in names if (label == c).any()]
    prediction = {"model_version": "ae-pretrained", "score": picture.score, "result": regions}
    return {"id": number, "data": {_VALUE: _address(picture)}, "predictions": [prediction]}


def _region(mask: np.ndarray, name: str, identity: str) -> dict[str, Any]:
    height, width = mask.shape
    return {
        "id": identity,
        "type": "brushlabels",
        "from_name": _FROM,
        "to_name": _TO,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {"format": "rle", "rle": brush_of(mask), "brushlabels": [name]},
    }


def _address(picture: Written) -> str:
    """Return a picture's address for local storage whose document root is the folder above the pictures' own."""
    parts = picture.file.parts[: -len(picture.name.split("/"))][-1:]
    root = parts[0] if parts and parts[0] != picture.file.anchor else ""
    return _LOCAL + quote(posixpath.join(root, picture.name))
