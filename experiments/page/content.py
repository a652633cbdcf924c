"""What a report says about one run: scores with intervals, classes, breeds, where the numbers come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
from experiments.page.tables import MINUS, Cell, Table, count, is_number, label, score, text
from experiments.runs import DECISIVE, Run

COUNTS = ("num_images", "num_samples")
# Shown in a place of their own, or not scores.
ELSEWHERE = ("provenance", "intervals", "per_breed", "figures", "confusion_matrix", "calibration", "latent_space")
ORIGIN = {
    "commit": "code (commit)",
    "checkpoint_sha256": "weights (SHA-256)",
    "data_sha256": "data (fingerprint)",
    "split": "split",
    "resolution": "resolution (px)",
    "seed": "seed",
    "epoch": "epoch kept (row of the log)",
    "device": "computed on",
}
LONGEST_LIST = 12


@dataclass(frozen=True)
class RunPart:
    """A run's section. Tables are None where there is nothing to show."""

    id: str
    run: Run
    facts: str
    scores: Table | None
    further: Table | None
    latent: Table | None
    classes: Table | None
    confusion: Table | None
    breeds: Table | None
    figures: list[Figure]
    origin: list[tuple[str, str]]
    settings: Table
    unknown_settings: list[str]
    training_command: str
    evaluation_command: str

    @property
    def notes(self) -> list[str]:
        """What is missing, in words."""
        notes = [f"{self.run.name}: {figure.problem}" for figure in self.figures if figure.problem]
        if not self.run.file:
            notes.append(f"{self.run.name} was not evaluated yet")
        return notes


def run_part(run: Run, number: int) -> RunPart:
    """Return everything that the report says about one run."""
    return RunPart(
        id=f"run-{number}",
        run=run,
        facts=_facts(run),
        scores=_scores(run),
        further=_further(run),
        latent=latent_table(run),
        classes=_classes(run),
        confusion=_confusion(run),
        breeds=_breeds(run),
        figures=figures(run),
        origin=_origin(run),
        settings=_settings(run),
        unknown_settings=unknown(run),
        training_command=training_command(run),
        evaluation_command=evaluation_command(run),
    )


def headline(run: Run) -> dict[str, Any]:
    """Return the scores over all images, the decisive one first: key -> value, None where nothing was scored."""
    known = [
        key
        for key, value in run.result.items()
        if key not in (*COUNTS, *ELSEWHERE) and (value is None or is_number(value))
    ]
    return {key: run.result[key] for key in sorted(known, key=lambda key: key not in DECISIVE)}


def interval_of(run: Run, *keys: str) -> Any:
    """Return the interval of a score, named by its path in the JSON; None where there is none."""
    found: Any = run.result.get("intervals")
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def images(run: Run) -> int:
    """Return how many images were scored."""
    return next((run.result[key] for key in COUNTS if key in run.result), 0)


def _facts(run: Run) -> str:
    if not run.file:
        return ""
    known = run.provenance
    parts = [f"{images(run):,} images of {known.get('split', 'an unknown split')}".replace(",", "\u202f")]
    parts += [f"at {known['resolution']} px"] if "resolution" in known else []
    parts += [f"seed {known['seed']}"] if "seed" in known else []
    parts += [f"weights of epoch {known['epoch']}"] if "epoch" in known else []
    return ", ".join(parts)


def _scores(run: Run) -> Table | None:
    rows = [_score_row(run, label(key), value, key) for key, value in headline(run).items()]
    return Table(("score", "value", "95 % interval"), rows) if rows else None


def _score_row(run: Run, name: str, value: Any, *path: str) -> list[Cell]:
    cell = score(value, path[-1], interval_of(run, *path))
    return [
        text(name),
        Cell(cell.text, cell.sort, exact=cell.exact),
        Cell(cell.note or "–", 0.0 if cell.note else None),
    ]


def _further(run: Run) -> Table | None:
    known = {*ELSEWHERE, *COUNTS, *run.class_names, *headline(run)}
    rows = []
    rest = {key: value for key, value in run.result.items() if key not in known and value not in (None, [], {})}
    for path, value in _leaves(rest):
        name = ": ".join(map(label, path))
        if isinstance(value, str):
            rows.append([text(name), text(value), Cell("–")])
        else:
            rows.append(_score_row(run, name, value, *path))
    return Table(("result", "value", "95 % interval"), rows) if rows else None


def _leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _leaves(value, (*path, str(key)))
    elif isinstance(content, list):
        if len(content) <= LONGEST_LIST and all(map(is_number, content)):
            yield path, ", ".join(score(value, path[-1]).text for value in content)
    elif content is None or isinstance(content, str) or is_number(content):
        yield path, content


def _classes(run: Run) -> Table | None:
    if not run.class_names:
        return None
    columns = list(dict.fromkeys(key for name in run.class_names for key in run.result[name]))
    rows = [
        [
            Cell(name, swatch=number),
            *(score(run.result[name].get(key), key, interval_of(run, name, key)) for key in columns),
        ]
        for number, name in enumerate(run.class_names)
    ]
    return Table(("class", *map(label, columns)), rows)


def _confusion(run: Run) -> Table | None:
    names = run.class_names
    if not names:
        return None
    rows = []
    for number, (name, counts) in enumerate(zip(names, run.result["confusion_matrix"], strict=True)):
        whole = sum(counts)
        shares = [f"{100 * pixels / whole:.1f} %" if whole else "–" for pixels in counts]
        cells = [
            Cell(share, pixels, note=count(pixels).text, strong=said == number)
            for said, (share, pixels) in enumerate(zip(shares, counts, strict=True))
        ]
        rows.append([Cell(name, swatch=number), *cells])
    caption = "Share of the true class's pixels; below, pixels."
    return Table(("truth", *(f"predicted {name}" for name in names)), rows, caption)


def _breeds(run: Run) -> Table | None:
    by_breed = run.result.get("per_breed")
    if not isinstance(by_breed, dict) or not by_breed:
        return None
    rows = []
    for breed, scores in by_breed.items():
        iou = scores.get("iou") or {}
        cells = [score(iou.get(name), "iou") for name in run.class_names]
        rows.append(
            [text(breed), count(scores.get("num_images", 0)), score(scores.get("mean_iou_true_classes")), *cells]
        )
    heads = ("breed", "images", "mean IoU of its classes", *(f"IoU {name}" for name in run.class_names))
    return Table(heads, rows, "A breed with few images says little.", sortable=True)


def _origin(run: Run) -> list[tuple[str, str]]:
    found = [(name, str(run.provenance[key])) for key, name in ORIGIN.items() if run.provenance.get(key) is not None]
    versions = run.provenance.get("versions") or {}
    if versions:
        found.append(("versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
    if run.file and run.description.get("commit"):
        found.insert(0, ("code of the training (commit)", str(run.description["commit"])))
    if run.file:
        found.append(("results", str(run.file)))
    if run.folder:
        found.append(("run folder", str(run.folder)))
    return found


def _settings(run: Run) -> Table:
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
    return Table(("setting", "value", "default"), rows, sortable=True)


def setting_label(name: str) -> str:
    """Return what a reader calls a setting; two are kept as what their files hold."""
    kept = {"pretrained_encoder_sha256": "pretrained_encoder (SHA-256)", "data_fingerprint": "data (fingerprint)"}
    return kept.get(name, name)


def plain(value: Any) -> str:
    """Return a setting's value in words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(plain, value))
    return str(value).replace("-", MINUS) if is_number(value) and value < 0 else str(value)
