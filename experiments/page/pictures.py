"""Pictures of a report, as data that lies within the page."""

import base64
import io
import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import reconstruction.figures.captions
import transfer_learning.figures.captions
from core.files import read_bytes
from core.filing.training_log import read_log
from data.decoders.opening import PictureError, decoding
from experiments.evaluations import FigureEntry
from experiments.page.tables import label
from experiments.runs import Run
from transfer_learning.columns import COLUMNS

TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
# With more pixels across than this, a figure takes the whole width of the page.
WIDE = 620
WEBP_QUALITY, WEBP_LARGEST = 85, 16383
CURVES = {
    "reconstruction": reconstruction.figures.captions.CURVES,
    "transfer_learning": transfer_learning.figures.captions.CURVES,
}
CHOSE = "The score by which the kept weights were chosen"


@dataclass(frozen=True)
class Figure:
    """A picture and what a reader needs to know of it; `problem` says why it is not there.

    `key` names the same picture in other runs.
    """

    title: str
    caption: str
    data: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""
    key: str = ""

    @property
    def wide(self) -> bool:
        """Whether it needs the page's whole width."""
        return self.width > WIDE


def figures(run: Run) -> list[Figure]:
    """Return the figures that the run's results list; training curves drawn from its log where they list none."""
    entries = run.evaluation.figures if run.evaluation else []
    found = [_embedded(run, entry) for entry in entries]
    if run.log and not any("curve" in entry.file for entry in entries):
        found += _curves(run, run.log)
    return found


def overlay(runs: Sequence[Run]) -> list[Figure]:
    """Return one figure with a validation score of all runs that have a log; none for fewer than two.

    It is the score that chose the weights; the mean IoU where that was not the same in all.
    """
    column, title, meaning = _validated([run for run in runs if run.log])
    lines = {run.name: rows for run in runs if run.log and (rows := _column(run.log, column))}
    if len(lines) < 2:
        return []
    from matplotlib.figure import Figure as Drawing

    from core.figures.style import LINE_COLOURS, save

    drawing = Drawing(figsize=(9, 3.2), layout="constrained")
    axis = drawing.subplots()
    for (name, rows), colour in zip(lines.items(), itertools.cycle(LINE_COLOURS)):
        drawn = axis.plot([epoch for epoch, _ in rows], [value for _, value in rows], color=colour, marker=".")
        drawn[0].set_label(name if not name.startswith("_") else f" {name}")  # matplotlib hides labels with "_"
    axis.set(title=title, xlabel="epoch (row of the log)")
    axis.locator_params("x", integer=True)
    for entry in axis.legend(fontsize=8).get_texts():
        entry.set_parse_math(False)
    with tempfile.TemporaryDirectory() as folder:
        save(drawing, path := Path(folder) / "overlay.svg")
        caption = f"{meaning}, after each row of the training log."
        return [_figure(path, "Validation during training", caption, "overlay")]


def _validated(runs: Sequence[Run]) -> tuple[str, str, str]:
    """Return the log's column that is drawn, its name, and what it was to the runs."""
    if not runs or runs[0].phase == "reconstruction":
        return "val_loss", "loss on Val", CHOSE
    by = {run.name: run.training.get("select", "mean_iou") for run in runs}
    one = next(iter(by.values())) if len(set(by.values())) == 1 else ""
    if one and one != "last":
        return COLUMNS.get(one, one), f"{label(one)} on Val", CHOSE
    told = "no score chose the weights, the last were kept" if one else f"the weights were chosen by {_by_run(by)}"
    return "mean_iou", "mean IoU on Val", f"Mean IoU ({told})"


def _by_run(by: dict[str, str]) -> str:
    return ", ".join(f"{'nothing' if score == 'last' else label(score)} in {name}" for name, score in by.items())


def _column(log: Path, column: str) -> list[tuple[int, float]]:
    return [(int(row["epoch"]), row[column]) for row in read_log(log) if column in row]


def _curves(run: Run, log: Path) -> list[Figure]:
    from core.figures.style import curves, drawable

    panels = drawable(log, CURVES[run.phase])
    if not panels:
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.png"
        curves(path, log, panels, run.provenance.epoch)
        kept = "; the dotted line marks the epoch whose weights were kept" if run.provenance.epoch is not None else ""
        caption = f"From training_log.csv{kept}."
        return [_figure(path.with_suffix(".svg"), "Training curves", caption, "curves")]


def _embedded(run: Run, entry: FigureEntry) -> Figure:
    assert run.file is not None
    file, title, caption = entry.file, entry.title, entry.caption
    path = within(run.file.parent, file)
    if path is None or path.suffix.lower() not in TYPES:
        return Figure(title, caption, problem=f"{file} is not a PNG or SVG within the results folder", key=file)
    if not path.is_file():
        return Figure(title, caption, problem=f"{file} is missing: evaluate again", key=file)
    try:
        with decoding():
            return _figure(path, title, caption, file)
    except PictureError:
        return Figure(title, caption, problem=f"{file} cannot be read: evaluate again", key=file)


def within(folder: Path, file: str) -> Path | None:
    """Return where a file that a result names lies; None outside the result's folder."""
    # Unlike `Path.resolve`, it leaves links that go round in a circle to whoever opens them.
    root, path = (Path(os.path.realpath(place)) for place in (folder, folder / file))
    return path if path.is_relative_to(root) else None


def _figure(path: Path, title: str, caption: str, key: str) -> Figure:
    content, width, height = _small_png(path) if path.suffix.lower() == ".png" else _svg(path)
    kind = "image/webp" if content.startswith(b"RIFF") else TYPES[path.suffix.lower()]
    return Figure(title, caption, inline(content, kind), width, height, key=key)


def inline(content: bytes, kind: str) -> str:
    """Return a file as an address that holds all of it; `kind` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _small_png(path: Path) -> tuple[bytes, int, int]:
    """Return a PNG, or as WebP where that is much smaller (photographs are), and its width and height.

    Raises whatever Pillow does for a file that is no picture, or is damaged.
    """
    from PIL import Image

    content, webp = read_bytes(path), io.BytesIO()
    with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
        picture.load()  # a picture that was cut shows only here
        if max(picture.size) > WEBP_LARGEST:
            return content, *picture.size
        picture.convert("RGB").save(webp, "webp", quality=WEBP_QUALITY)
        smaller = len(webp.getvalue()) < len(content) / 2
        return webp.getvalue() if smaller else content, *picture.size


def _svg(path: Path) -> tuple[bytes, int, int]:
    """Return an SVG, its width and its height; raises OSError for what is none."""
    from xml.etree import ElementTree

    content = read_bytes(path)
    try:
        root = ElementTree.fromstring(content)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
    except (ElementTree.ParseError, KeyError, ValueError):
        raise OSError(f"{path} is not an SVG") from None
    return content, round(width), round(height)
