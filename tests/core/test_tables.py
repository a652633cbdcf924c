"""Tables in terminals of any width: every number is whole."""

import re

import pytest

from core.evaluation import print_table
from core.terminal.tables import parts_that_fit

HEADS = ["class", "95 % Hausdorff", "from", "to", "surface distance", "from", "to", "volumes", "missed", "invented"]
ROWS = [
    ["anterior", 26.7812, 21.1234, 31.9876, 4.5678, 3.4567, 5.6789, 30, 0, 2],
    ["a structure of the brain with a long name", None, None, None, 1.25e-5, None, None, 0, 12, 0],
]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_number_is_cut(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(width))
    print_table("Distances", HEADS, ROWS)
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= width
    assert "…" not in said
    numbers = re.findall(r"(?<![\w.])\d+\.\d+(?:e-\d+)?", said)
    assert sorted(numbers) == sorted(["26.7812", "21.1234", "31.9876", "4.5678", "3.4567", "5.6789", "1.25e-05"])
    assert said.count("Distances") == 1
    assert (said.count("anterior") == 1) == (width == 200)


def test_an_interval_stays_beside_its_score():
    assert parts_that_fit(HEADS, [10] * 10, 60) == [[0, 1, 2, 3], [0, 4, 5, 6], [0, 7, 8, 9]]
    assert parts_that_fit(HEADS, [10] * 10, 10) == [[0, place] for place in range(1, 10)]  # as it can
    assert parts_that_fit(["class"], [10], 80) == [[0]]
