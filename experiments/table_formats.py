"""One table, as Markdown and as LaTeX, and how its cells say numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.terminal.screen import visible

UNKNOWN = "–"
MINUS = "−"
# A column of text whose longest cell has more characters is wrapped in LaTeX, at this share of the line.
LONG, WRAPPED = 32, 0.3
# What LaTeX reads as a command, and signs that its text fonts lack.
ESCAPES = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
    "−": "$-$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "|": r"\textbar{}",
    "[": "{[}",  # these two behind the end of a row belong to it
    "*": "{*}",
    '"': "{''}",
}
# What Markdown takes for markup in a name; `*` stays, which tables use themselves.
MARKS = {"|": r"\|", "<": "&lt;", "[": r"\[", "`": r"\`"}
# With more classes no column a class.
MOST_CLASS_COLUMNS = 12


@dataclass(frozen=True)
class Table:
    """A table of text.

    Args:
        title: its heading, and its caption.
        columns: heads; those of `text_columns` stand left, the others are numbers and stand right.
        rows: cells, as many a row as there are columns.
        notes: sentences that a reader needs beside it.
        bold: rows that stand out.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text_columns: Sequence[str]
    notes: Sequence[str] = ()
    bold: frozenset[int] = frozenset()


def markdown(table: Table) -> str:
    """Return a table in Markdown, under a heading of the second level, its notes below."""
    return f"## {_marked(table.title)}\n\n{markdown_untitled(table)}"


def markdown_untitled(table: Table) -> str:
    """Return a table in Markdown, its notes below."""
    notes = "\n".join(f"- {_marked(note)}" for note in table.notes)
    return f"{markdown_rows(table)}\n\n{notes}" if notes else markdown_rows(table)


def markdown_rows(table: Table) -> str:
    """Return the heads and rows of a table in Markdown."""
    rules = ["---" if column in table.text_columns else "---:" for column in table.columns]
    lines = [_row(table.columns), "|" + "|".join(rules) + "|"]
    for number, cells in enumerate(table.rows):
        lines.append(_row([f"**{cell}**" if cell else "" for cell in cells] if number in table.bold else cells))
    return "\n".join(lines)


def latex(table: Table, label: str) -> str:
    """Return a table in LaTeX, in need of the package booktabs and of nothing else; its notes below it.

    Args:
        table: the table.
        label: for `\\ref`, behind "tab:".
    """
    kinds = "".join(_kind(table, column) for column in range(len(table.columns)))
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escaped(table.title)}}}",
        rf"\label{{tab:{label}}}",
        r"\scriptsize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{@{{}}{kinds}@{{}}}}",
        r"\toprule",
        " & ".join(map(escaped, table.columns)) + r" \\",
        r"\midrule",
    ]
    for number, cells in enumerate(table.rows):
        texts = [rf"\textbf{{{escaped(cell)}}}" if number in table.bold and cell else escaped(cell) for cell in cells]
        lines.append(" & ".join(texts) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\parbox{{\linewidth}}{{{escaped(note)}}}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}"])


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it reads."""
    return "".join(ESCAPES.get(character, character) for character in _on_one_line(text))


def _kind(table: Table, column: int) -> str:
    if table.columns[column] not in table.text_columns:
        return "r"
    longest = max((len(cells[column]) for cells in table.rows), default=0)
    return rf"p{{{WRAPPED}\linewidth}}" if longest > LONG else "l"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(map(_marked, cells)) + " |"


def _marked(text: str) -> str:
    """Return text that Markdown shows as it reads: names can be neither markup, links nor code."""
    return "".join(MARKS.get(character, character) for character in _on_one_line(text))


def _on_one_line(text: str) -> str:
    """Return text without breaks, which would end a row, and with control characters spelt out."""
    return visible(text.replace("\n", " ").replace("\t", " "))


def number(value: float | None) -> str:
    """Return a score with three places."""
    return UNKNOWN if value is None else f"{value:.3f}"


def signed(value: float | None) -> str:
    """Return a difference with its sign and three places."""
    return UNKNOWN if value is None else f"{value:+.3f}".replace("-", MINUS)


def share(fraction: float) -> str:
    """Return a fraction in per cent, to three digits."""
    return f"{100 * fraction:.3g} %"


def class_list(names: Sequence[str]) -> str:
    """Return how many classes there are and what they are called, the first alone where they are many."""
    told = ", ".join(names[:MOST_CLASS_COLUMNS])
    return f"{len(names)} classes: {told}{', …' if len(names) > MOST_CLASS_COLUMNS else ''}"


def between(values: Sequence[int]) -> str:
    """Return whole numbers as one, or as the range that they span."""
    if not values:
        return UNKNOWN
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def listed(values: Iterable[str]) -> str:
    """Return the different values in their first order."""
    return ", ".join(dict.fromkeys(values)) or UNKNOWN
