"""What a report says about one run: scores with intervals, classes, tags, where the numbers come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from experiments.evaluations import with_unit
from experiments.page.classes import ClassTables, class_tables, tag_tables
from experiments.page.command_lines import (
    changed,
    defaults,
    evaluation_command,
    setting_names,
    training_command,
    unknown,
)
from experiments.page.latent import latent_table
from experiments.page.pictures import Figure, figures
from experiments.page.tables import MINUS, Cell, PageTable, is_number, label, score, text
from experiments.runs import Run
from experiments.score_tables import OF_FOREGROUND, seen_words

ORIGIN = {
    "commit": "code (commit)",
    "checkpoint_sha256": "weights (SHA-256)",
    "data_sha256": "data (fingerprint)",
    "split": "split",
    "resolution": "resolution",
    "views": "pictures were seen",
    "seed": "seed",
    "epoch": "epoch kept (row of the log)",
    "device": "computed on",
}
LONGEST_LIST = 12
# Scores that volumes have none of, and what has a table of its own.
OF_PICTURES = ("boundary_iou", "boundary_distance_pixels")
SHOWN_WITH_CLASSES = ("distances",)


@dataclass(frozen=True)
class RunPart:
    """A run's section. Tables are None where there is nothing to show."""

    id: str
    run: Run
    facts: str
    seen: str
    scores: PageTable | None
    further: PageTable | None
    latent: PageTable | None
    classes: ClassTables | None
    tags: dict[str, PageTable]
    figures: list[Figure]
    origin: list[tuple[str, str]]
    settings: PageTable
    unknown_settings: list[str]
    training_command: str
    evaluation_command: str

    @property
    def notes(self) -> list[str]:
        """What is missing, in words."""
        notes = [f"{self.run.name}: {figure.problem}" for figure in self.figures if figure.problem]
        if not self.run.file and self.run.is_scored:
            notes.append(f"{self.run.name} was not evaluated yet")
        return notes


def run_part(run: Run, number: int) -> RunPart:
    """Return everything that the report says about one run."""
    return RunPart(
        id=f"run-{number}",
        run=run,
        facts=_facts(run),
        seen=seen_words(run.provenance),
        scores=_scores(run),
        further=_further(run),
        latent=latent_table(run),
        classes=class_tables(run),
        tags=tag_tables(run),
        figures=figures(run),
        origin=_origin(run),
        settings=_settings(run),
        unknown_settings=unknown(run),
        training_command=training_command(run),
        evaluation_command=evaluation_command(run),
    )


def headline(run: Run) -> dict[str, float | None]:
    """Return the scores over all images, the decisive one first: key -> value, None where nothing was scored.

    Without a background there are none of the foreground, of volumes none of outlines in pixels.
    """
    known = run.evaluation.scores if run.evaluation else {}
    without = {*OF_FOREGROUND.values()} if run.class_set and not run.class_set.foreground else set()
    without |= {*OF_PICTURES} if run.is_of_volumes else set()
    return {key: value for key, value in known.items() if key not in without}


def interval_of(run: Run, *keys: str) -> Any:
    """Return the interval of a score, named by its path in the JSON; None where there is none."""
    found: Any = run.evaluation.intervals if run.evaluation else None
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def images(run: Run) -> int:
    """Return how many images were scored."""
    return run.evaluation.num_images if run.evaluation else 0


def _facts(run: Run) -> str:
    if not run.file:
        return ""
    known = run.provenance
    parts = [f"{images(run):,} {run.kind}s of {known.split or 'an unknown split'}".replace(",", "\u202f")]
    parts += [f"at {with_unit(known.resolution)}"] if known.resolution is not None else []
    parts += [f"seed {known.seed}"] if known.seed is not None else []
    parts += [f"weights of epoch {known.epoch}"] if known.epoch is not None else []
    return ", ".join(parts)


def _scores(run: Run) -> PageTable | None:
    rows = [_score_row(run, label(key), value, key) for key, value in headline(run).items()]
    return PageTable(("score", "value", "95 % interval"), rows) if rows else None


def _score_row(run: Run, name: str, value: Any, *path: str) -> list[Cell]:
    cell = score(value, path[-1], interval_of(run, *path))
    return [
        text(name),
        Cell(cell.text, cell.sort, exact=cell.exact),
        Cell(cell.note or "–", 0.0 if cell.note else None),
    ]


def _further(run: Run) -> PageTable | None:
    rows = []
    more = run.evaluation.more if run.evaluation else {}
    for path, value in _leaves({key: value for key, value in more.items() if key not in SHOWN_WITH_CLASSES}):
        name = ": ".join(map(label, path))
        if isinstance(value, str):
            rows.append([text(name), text(value), Cell("–")])
        else:
            rows.append(_score_row(run, name, value, *path))
    return PageTable(("result", "value", "95 % interval"), rows) if rows else None


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(content, list):
        if len(content) <= LONGEST_LIST and all(map(is_number, content)):
            yield path, ", ".join(score(value, path[-1]).text for value in content)
    elif content is None or isinstance(content, str) or is_number(content):
        yield path, content


def _origin(run: Run) -> list[tuple[str, str]]:
    known = run.provenance
    found = [(name, origin_words(run, key)) for key, name in ORIGIN.items() if getattr(known, key) is not None]
    if known.versions:
        found.append(("versions", ", ".join(f"{name} {number}" for name, number in known.versions.items())))
    if run.file and run.description.get("commit"):
        found.insert(0, ("code of the training (commit)", str(run.description["commit"])))
    if run.file:
        found.append(("results", str(run.file)))
    if run.folder:
        found.append(("run folder", str(run.folder)))
    return found


def origin_words(run: Run, key: str) -> str:
    """Return a field of a run's provenance in words."""
    value = getattr(run.provenance, key)
    return with_unit(value) if key == "resolution" and value is not None else plain(value)


def _settings(run: Run) -> PageTable:
    standard, differ = defaults(run.phase), changed(run)
    names = [name for name in setting_names(run.phase) if name in run.training]
    names += [name for name in run.training if name not in names]
    rows = [
        [
            Cell(setting_label(name), name, strong=name in differ),
            Cell(plain(run.training[name]), plain(run.training[name]), strong=name in differ),
            Cell(plain(standard[name]), plain(standard[name])) if name in standard else Cell("", ""),
        ]
        for name in names
    ]
    return PageTable(("setting", "value", "default"), rows, sortable=True)


def setting_label(name: str) -> str:
    """Return what a reader calls a setting; of files what they hold is kept."""
    if name.endswith("_sha256"):
        return f"{name.removesuffix('_sha256')} (SHA-256)"
    return "data (fingerprint)" if name == "data_fingerprint" else name


def plain(value: Any) -> str:
    """Return a setting's value in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return " ".join(map(plain, value))
    return str(value).replace("-", MINUS) if is_number(value) and value < 0 else str(value)
