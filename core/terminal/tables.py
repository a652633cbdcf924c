"""How a table fits into a terminal: no number is cut, what is too wide comes below under the same names."""

from collections.abc import Sequence

from rich.cells import cell_len

BORDERS = 3  # of a column: two spaces and a line
SHORTEST_NAME = 8  # of the first column, which is broken where a third of the terminal is not enough
WITH_THE_ONE_BEFORE = ("from", "to")  # the ends of an interval stay beside its score


def least_widths(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Return how wide each column must be: its longest number and its head's longest word, names a third of all."""
    widths = []
    for place, head in enumerate(columns):
        longest = max((cell_len(row[place]) for row in rows), default=0)
        needed = max(longest, *(cell_len(word) for word in head.split()), 1)
        widths.append(needed if place else min(needed, max(SHORTEST_NAME, width // 3)))
    return widths


def parts_that_fit(columns: Sequence[str], widths: Sequence[int], width: int) -> list[list[int]]:
    """Return the places of columns, in parts that fit into a width where that can be, each behind the first column."""

    def fits(places: Sequence[int]) -> bool:
        return 1 + sum(BORDERS + widths[place] for place in places) <= width

    groups: list[list[int]] = []
    for place, head in enumerate(columns[1:], start=1):
        joined = groups and head.split(" ")[0] in WITH_THE_ONE_BEFORE
        if joined and fits([0, *groups[-1], place]):
            groups[-1].append(place)
        else:
            groups.append([place])
    parts: list[list[int]] = [[0]]
    for group in groups:
        if len(parts[-1]) > 1 and not fits([*parts[-1], *group]):
            parts.append([0])
        parts[-1] += group
    return parts


def spread_widths(widths: Sequence[int], wanted: Sequence[int], width: int) -> list[int]:
    """Return the widths of the columns of one part with what the terminal has left, the first column's first."""
    left = max(0, width - 1 - sum(BORDERS + least for least in widths))
    found = []
    for least, most in zip(widths, wanted, strict=True):
        more = min(left, max(0, most - least))
        left -= more
        found.append(least + more)
    return found


def whole_widths(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide each column is where nothing of it is broken."""
    return [max(1, *map(cell_len, (head, *(row[place] for row in rows)))) for place, head in enumerate(columns)]
