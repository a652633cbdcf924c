"""The strip of a page: a few pictures, their truth, and what each run predicted for them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.files import open_bytes
from experiments.evaluations import Strip as Tiles
from experiments.evaluations import same_classes
from experiments.page.classes import class_cell
from experiments.page.pictures import inline
from experiments.page.tables import Cell
from experiments.runs import Run

if TYPE_CHECKING:
    from PIL import Image

# Runs beside picture and truth: with more, tiles are too small to see.
MOST_RUNS, MOST_NAMED = 4, 12
MOST_COLOURS = 256


@dataclass(frozen=True)
class Strip:
    """Rows of tiles.

    Args:
        heads: "picture", "truth", then the runs.
        rows: the name of a picture, and its tiles as data of the page.
        tile: side of a tile in pixels.
        classes: what the colours of the masks mean.
        caption: which pictures these are, and what is grey.
    """

    heads: list[str]
    rows: list[tuple[str, list[str]]]
    tile: int
    classes: list[Cell]
    caption: str


def strip(runs: Sequence[Run]) -> Strip | None:
    """Return the tiles that runs left of the same pictures; None where none did."""
    known = [run for run in runs if run.evaluation and run.evaluation.strip]
    if not known:
        return None
    first = known[0]
    alike = [run for run in known if _fits(first, run)][:MOST_RUNS]
    columns: list[list[str]] = []
    shown = []
    for run in alike:
        if tiles := _tiles(run):
            columns += [*tiles[:2], tiles[2]] if not columns else [tiles[2]]
            shown.append(run)
    if not shown:
        return None
    names = _of(first).names
    rows = [(name, [column[row] for column in columns]) for row, name in enumerate(names)]
    heads = ["picture", "truth", *(run.name for run in shown)]
    return Strip(heads, rows, _of(first).tile, _legend(shown), _caption(shown, len(runs)))


def _of(run: Run) -> Tiles:
    assert run.evaluation
    assert run.evaluation.strip
    return run.evaluation.strip


def _fits(first: Run, other: Run) -> bool:
    same = (_of(first).names, _of(first).tile) == (_of(other).names, _of(other).tile)
    origins = [(run.provenance.data_sha256, run.provenance.split) for run in (first, other)]
    return same and origins[0] == origins[1] and same_classes(first.class_set, other.class_set)


def _tiles(run: Run) -> list[list[str]] | None:
    """Return the three columns of a run's tiles as data; None where its file is not what the result says."""
    from PIL import Image

    content = _of(run)
    assert run.file is not None
    root = run.file.parent.resolve()
    path = (root / content.file).resolve()
    if path.suffix.lower() != ".png" or not path.is_relative_to(root) or not path.is_file():
        return None
    side, rows = content.tile, len(content.names)
    try:
        with open_bytes(path) as file, Image.open(file, formats=["PNG"]) as whole:
            if not rows or whole.size != (3 * side, rows * side):
                return None
            whole.load()
            boxes = [[(x * side, y * side, (x + 1) * side, (y + 1) * side) for y in range(rows)] for x in range(3)]
            return [[_inline(whole.crop(box)) for box in column] for column in boxes]
    except OSError:
        return None


def _inline(tile: "Image.Image") -> str:
    file, plain = io.BytesIO(), tile.convert("RGB")
    # Masks have few colours, which must stay what they are.
    plain.save(file, "webp", quality=90, lossless=plain.getcolors(MOST_COLOURS) is not None)
    return inline(file.getvalue(), "image/webp")


def _legend(runs: Sequence[Run]) -> list[Cell]:
    classes = runs[0].class_set
    assert classes
    held = {name for run in runs for name in _of(run).classes}
    return [class_cell(classes, name) for name in classes.names if name in held][:MOST_NAMED]


def _caption(runs: Sequence[Run], count: int) -> str:
    told = [f"{len(_of(runs[0]).names)} pictures, spread evenly over {runs[0].provenance.split or 'the split'}."]
    held = {name for run in runs for name in _of(run).classes}
    if len(held) > MOST_NAMED:
        told.append(f"{len(held) - MOST_NAMED} more classes are to be seen.")
    if any(_of(run).unscored for run in runs):
        told.append("Grey: what is not scored.")
    if len(runs) < count:
        told.append(f"{len(runs)} of {count} runs: the others are too many, or drew none of these pictures.")
    return " ".join(told)
