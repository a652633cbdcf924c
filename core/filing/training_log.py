"""The log of a training, as whoever draws or adds up its rows reads it."""

import csv
import math
from pathlib import Path

from core.errors import UserError
from core.files import open_text


def read_log(path: Path) -> list[dict[str, float]]:
    """Return the rows of a training_log.csv: column -> number, without the cells that are empty.

    Raises:
        UserError: as `core.files.require_regular`; it is no text or no table, a cell holds no number, or a row has no
            epoch.
    """
    try:
        with open_text(path, newline="") as file:
            head, *rows = [row for row in csv.reader(file) if row]
        return [_numbers(dict(zip(head, row, strict=True))) for row in rows]
    except UserError:
        raise
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError among them
        raise UserError(
            f"{path} is damaged ({error}): remove it, or delete {path.parent} and train that run again"
        ) from None


def _numbers(row: dict[str, str]) -> dict[str, float]:
    values = {name: float(cell) for name, cell in row.items() if cell}
    if "epoch" not in values or not all(map(math.isfinite, values.values())):
        raise ValueError("a row without its epoch, or with what is not finite")
    return values
