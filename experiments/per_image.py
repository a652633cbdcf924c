"""The table of single pictures that an evaluation leaves beside its JSON, of either format."""

import csv
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

import numpy as np

from core.errors import UserError
from core.files import csv_text, open_text
from experiments.runs import Run

KINDS = ("hit", "truth", "said")


def image_counts(run: Run) -> dict[str, np.ndarray]:
    """Return what every picture of a segmentation adds to its scores: name -> [C, 3] pixels hit, true and said.

    The first format had a column a pair of classes; they are added up here.

    Raises:
        UserError: no table, one without these columns, or one that is not of the scores beside it.
    """
    from transfer_learning.scores.confusion import counts_of

    assert run.evaluation
    assert run.class_set
    names, classes = run.class_set.names, len(run.class_set)
    columns = [f"{kind}_{name}" for kind in KINDS for name in names]
    if _has(run, columns[0]):
        flat = image_values(run, columns)
        table = {name: row.reshape(len(KINDS), classes).T for name, row in flat.items()}
    else:
        flat = image_values(run, [f"count_{true}_as_{said}" for true in names for said in names])
        table = {name: counts_of(row.reshape(classes, classes)) for name, row in flat.items()}
    table = {name: counts for name, counts in table.items() if not np.isnan(counts).any()}
    total = sum(table.values(), np.zeros((classes, len(KINDS))))
    if not np.array_equal(total, counts_of(np.array(run.evaluation.confusion_matrix))):
        raise UserError(f"{run.per_image} does not add up to the scores beside it: evaluate {run.name} again")
    return table


def image_values(run: Run, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Return columns of numbers by picture, NaN where a cell is empty.

    Raises:
        UserError: no table, a column is missing, a row is short, a cell is no number, or a column or picture is there
            twice.
    """
    try:
        with _open(run) as file:
            rows = csv.reader(file)
            head = next(rows, [])
            name, *places = (head.index(column) for column in ("name", *columns))
            found = [(_name(row[name]), np.array([float(row[place] or "nan") for place in places])) for row in rows]
    except (IndexError, ValueError):
        raise UserError(
            f"{run.per_image} lacks columns or numbers that the comparison needs: evaluate {run.name} again"
        ) from None
    _require_once(run, [column for column in head if column in ("name", *columns)])
    _require_once(run, [picture for picture, _ in found])
    return dict(found)


def image_tags(run: Run, tag: str) -> dict[str, str]:
    """Return the value of a tag by picture, "" where it is not known.

    Raises:
        UserError: no table, or one without this tag.
    """
    with _open(run) as file:
        head, *rows = [row for row in csv.reader(file) if row]
    try:
        name, place = head.index("name"), head.index(f"tag_{tag}")
        return {_name(row[name]): row[place] for row in rows}
    except (IndexError, ValueError):
        raise UserError(f"{run.per_image} does not say each picture's {tag}: evaluate {run.name} again") from None


def _require_once(run: Run, names: Sequence[str]) -> None:
    (name, count), *_ = Counter(names).most_common(1) or [("", 0)]
    if count > 1:
        raise UserError(f"{run.per_image} holds {name!r} twice: evaluate {run.name} again")


def _name(cell: str) -> str:
    """Return a picture's name without the ' with which a spreadsheet is told that it is no formula."""
    return cell[1:] if csv_text(cell[1:]) == cell else cell


def _has(run: Run, column: str) -> bool:
    with _open(run) as file:
        return column in next(csv.reader(file), [])


def _open(run: Run) -> TextIO:
    if not run.per_image.is_file():
        raise UserError(f"{run.per_image} is missing: evaluate {run.name} again")
    return open_text(run.per_image, errors="surrogateescape", newline="")
