"""What a report says about several runs of one phase: side by side, what differs, and paired differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from experiments.page.classes import compared_classes, compared_tags
from experiments.page.content import headline, images, interval_of, origin_words, plain, setting_label
from experiments.page.pictures import Figure, overlay
from experiments.page.tables import Cell, PageTable, count, label, score, text
from experiments.page.verdicts import verdict
from experiments.paired import Difference, all_differences
from experiments.runs import Run
from experiments.table_formats import MOST_CLASS_COLUMNS

# Not settings, but what else may make runs differ.
CIRCUMSTANCES = {
    "split": "split scored",
    "resolution": "resolution",
    "views": "pictures were seen",
    "data_sha256": "data scored (fingerprint)",
    "commit": "code (commit)",
    "device": "computed on",
}
SHORT = 12
# Runs that stand side by side in columns; of more each has a row, and the scores that lead.
FEW_RUNS, LEADING = 5, 5


@dataclass(frozen=True)
class Comparison:
    """The comparison of the evaluated runs of a phase. Tables are None where there is nothing to show.

    `all_scores` is None where `scores` holds them all.
    """

    scores: PageTable
    all_scores: PageTable | None
    verdicts: list[str]
    paired: PageTable | None
    problems: list[str]
    settings_note: str
    settings: PageTable | None
    classes: PageTable | None
    tags: dict[str, PageTable]
    figures: list[Figure]


def comparison(runs: Sequence[Run]) -> Comparison | None:
    """Compare the runs that were evaluated; None for fewer than two."""
    evaluated = [run for run in runs if run.file]
    if len(evaluated) < 2:
        return None
    found = all_differences(evaluated)
    few = len(evaluated) <= FEW_RUNS
    differ = {name: values for name in _names(evaluated) if _vary(values := _values(evaluated, name))}
    return Comparison(
        scores=_few_runs(evaluated) if few else _many_runs(evaluated, LEADING),
        all_scores=None if few else _many_runs(evaluated),
        verdicts=[_verdict(entry, evaluated) for entry in found if not entry.problem],
        paired=_paired([entry for entry in found if not entry.problem], evaluated[0].kind),
        problems=[f"{entry.second} and {entry.first}: {entry.problem}." for entry in found if entry.problem],
        settings_note=_settings_note(differ),
        settings=_settings(evaluated, differ),
        classes=compared_classes(evaluated) if len(_class_names(evaluated)) > MOST_CLASS_COLUMNS else None,
        tags=compared_tags(evaluated),
        figures=overlay(evaluated),
    )


def _few_runs(runs: Sequence[Run]) -> PageTable:
    """Return a row a score and a column a run, which fits the width of a page."""
    rows = [[text(f"{runs[0].kind}s"), *(count(images(run)) for run in runs)]]
    rows += [[head, *(cell(run) for run in runs)] for head, cell in _scores(runs)]
    return PageTable(("score", *(run.name for run in runs)), rows)


def _many_runs(runs: Sequence[Run], most: int | None = None) -> PageTable:
    """Return a row a run and a column a score, the first `most` of them or all."""
    scores = _scores(runs)[:most]
    rows = [[text(run.name), count(images(run)), *(cell(run) for _, cell in scores)] for run in runs]
    return PageTable(("run", f"{runs[0].kind}s", *(head.text for head, _ in scores)), rows, sortable=True)


def _scores(runs: Sequence[Run]) -> list[tuple[Cell, Callable[[Run], Cell]]]:
    """Return the name of each score, and what makes a run's cell of it."""
    keys = list(dict.fromkeys(key for run in runs for key in headline(run)))
    names = _class_names(runs)
    found = [(text(label(key)), partial(_headline_cell, key=key)) for key in keys]
    of_classes = [(text(f"IoU {name}"), partial(_class_cell, name=name)) for name in names]
    # The mean stands before the classes that it is the mean of.
    return [*found[:1], *(of_classes if len(names) <= MOST_CLASS_COLUMNS else []), *found[1:]]


def _class_names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs if run.class_set for name in run.class_set.names))


def _headline_cell(run: Run, key: str) -> Cell:
    return score(headline(run).get(key), key, interval_of(run, key))


def _class_cell(run: Run, name: str) -> Cell:
    known = run.evaluation
    if known is None or name not in known.classes:
        return score(None)
    return score(known.classes[name].get("iou"), "iou", (known.class_intervals.get(name) or {}).get("iou"))


def _paired(found: Sequence[Difference], kind: str) -> PageTable | None:
    if not found:
        return None
    place = {name: _scale([entry for entry in found if entry.score == name]) for name in {e.score for e in found}}
    rows = []
    for entry in found:
        assert entry.value is not None, "those without a value have a problem instead"
        cell = score(entry.value, entry.score, entry.interval, signed=True)
        low, high = entry.interval or (entry.value, entry.value)
        drawn = [place[entry.score](value) for value in (low, entry.value, high, 0.0)]
        rows.append(
            [
                text(f"{entry.second} against {entry.first}"),
                text(label(entry.score)),
                Cell(cell.text, cell.sort, exact=cell.exact),
                Cell(cell.note, low),
                Cell("", low, whisker=(drawn[0], drawn[1], drawn[2], drawn[3])),
                count(entry.images),
            ]
        )
    heads = ("runs", "score", "difference", "95 % interval", "drawn, with 0", f"{kind}s")
    return PageTable(heads, rows)


def _verdict(entry: Difference, runs: Sequence[Run]) -> str:
    first, second = (next(run for run in runs if run.name == name) for name in (entry.first, entry.second))
    differ = [name for name in _names([first, second]) if _vary(_values([first, second], name))]
    return verdict(entry, first, second, differ)


def _scale(found: Sequence[Difference]) -> Callable[[float], float]:
    # To 0 to 100 along the axis that the rows of a score share, 0 always on it.
    ends = [0.0, *(end for entry in found for end in entry.interval or [entry.value or 0.0])]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0
    return lambda value: 4 + 92 * (value - low) / width


def _names(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.training))


def _values(runs: Sequence[Run], name: str) -> list[Any]:
    return [run.training.get(name, "unknown") for run in runs]


def _vary(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values)


def _settings_note(differ: dict[str, list[Any]]) -> str:
    names = [setting_label(name) for name in differ if name != "seed"]
    seeds = " The seeds differ." if "seed" in differ else ""
    if not names:
        return f"All settings that were kept are the same.{seeds}"
    if len(names) == 1:
        return f"One setting differs: {names[0]}.{seeds}"
    return f"{len(names)} settings differ, so a difference in scores cannot be put down to one of them.{seeds}"


def _settings(runs: Sequence[Run], differ: dict[str, list[Any]]) -> PageTable | None:
    rows = [[text(setting_label(name)), *map(_value, values)] for name, values in differ.items()]
    for key, name in CIRCUMSTANCES.items():
        values = [origin_words(run, key) for run in runs]
        if _vary(values):
            rows.append([text(name), *map(_value, values)])
    return PageTable(("setting", *(run.name for run in runs)), rows) if rows else None


def _value(value: Any) -> Cell:
    words = plain(value)
    digits = words.removesuffix("+changes")
    if len(digits) >= 40 and set(digits) <= set("0123456789abcdef"):
        return Cell(f"{digits[:SHORT]}…{words[len(digits) :]}", words, exact=words)
    return Cell(words, words)
