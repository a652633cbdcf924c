"""Damage to CSV files that are well-formed still."""

import csv
import io
from pathlib import Path
from random import Random

from fuzz.places import write_anew

CELLS = (
    "",
    " ",
    "nan",
    "inf",
    "-inf",
    "-1",
    "1e999",
    "0",
    "99999999999999999999999",
    "=1+1",
    "@x",
    "\x1b[2J",
    "a,b",
    "a\nb",
    '"',
    "true",
    "é",
    "../x",
    "0x1f",
    "1.5",
    "a" * 200_000,
)


def damage_csv(path: Path, random: Random) -> str:
    """Change cells, rows or columns."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    row, column = random.randrange(len(rows)), random.randrange(len(rows[0]))
    way = random.choice(
        (
            "cell",
            "cell",
            "cell",
            "head",
            "row removed",
            "row twice",
            "column removed",
            "column twice",
            "short",
            "long",
            "no rows",
            "quote",
            "semicolons",
        )
    )
    if way == "cell":
        rows[row][column] = random.choice(CELLS)
        how = f"cell {row + 1}, {column + 1} is {rows[row][column][:40]!r}"
    elif way == "head":
        rows[0][column] = random.choice((*CELLS, rows[0][0]))
        how = f"column {column + 1} is called {rows[0][column][:40]!r}"
    else:
        how = f"{way} ({row + 1}, {column + 1})"
        rows = _changed(rows, way, row, column)
    text = io.StringIO()
    csv.writer(text, delimiter=";" if way == "semicolons" else ",", lineterminator="\n").writerows(rows)
    content = text.getvalue()
    if way == "quote":
        place = random.randrange(len(content))
        content = content[:place] + '"' + content[place:]
    write_anew(path, content.encode())
    return how


def _changed(rows: list[list[str]], way: str, row: int, column: int) -> list[list[str]]:
    if way == "row removed":
        del rows[row]
    elif way == "row twice":
        rows.append(rows[row])
    elif way == "column removed":
        rows = [cells[:column] + cells[column + 1 :] for cells in rows]
    elif way == "column twice":
        rows = [[*cells, cells[min(column, len(cells) - 1)]] for cells in rows if cells]
    elif way == "short":
        rows[row] = rows[row][:column]
    elif way == "long":
        rows[row] = [*rows[row], "1", "2"]
    elif way == "no rows":
        rows = rows[:1]
    return rows
