"""How a page begins: what was compared on which data."""

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.evaluations import with_unit
from experiments.page.content import images
from experiments.page.tables import count
from experiments.page.verdicts import trained
from experiments.runs import Run
from experiments.table_formats import class_list, listed

SHORT = 12  # characters of a fingerprint
PHASES = {"transfer_learning": "Segmentation", "reconstruction": "Reconstruction"}


@dataclass(frozen=True)
class Opening:
    """The title of a page, and below it terms with what they are here."""

    title: str
    facts: list[tuple[str, str]]


def opening(runs: Sequence[Run]) -> Opening:
    """Say what was compared on which data; runs of one phase at least, in the order of the page."""
    phase = next(phase for phase in PHASES if any(run.phase == phase for run in runs))
    main = [run for run in runs if run.phase == phase]
    facts = [(title, listed(run.name for run in runs if run.phase == key)) for key, title in PHASES.items()]
    facts = [(f"{title} by", names) for title, names in facts if any(PHASES[run.phase] == title for run in runs)]
    facts += _data([run for run in runs if run.file])
    classes = listed(class_list(run.class_set.names) for run in main if run.class_set)
    facts += [("Classes", classes)] if any(run.class_set for run in main) else []
    lengths = {run.name: trained(run) for run in runs}
    alike = len(lengths) > 1 and len(set(lengths.values())) == 1
    each = [f"{name} {words}" for name, words in lengths.items() if words]
    facts += [("Trained for", f"{lengths[main[0].name]} each" if alike and each else ", ".join(each))]
    return Opening(_title(PHASES[phase], main), [(term, words) for term, words in facts if words])


def _title(subject: str, runs: Sequence[Run]) -> str:
    scored = [run for run in runs if run.file]
    if not scored:
        return f"{subject}: {_runs(len(runs))}, not evaluated{' yet' if any(run.is_scored for run in runs) else ''}"
    places = dict.fromkeys(_place(run) for run in scored)
    what = f"{_runs(len(scored))} compared" if len(scored) > 1 else "one run scored"
    return f"{subject}: {what} on {next(iter(places)) if len(places) == 1 else 'different data'}"


def _runs(number: int) -> str:
    return "one run" if number == 1 else f"{number} runs"


def _place(run: Run) -> str:
    known = run.provenance
    words = f"{count(images(run)).text} {run.kind}s of {known.split or 'an unknown split'}"
    return f"{words}, {known.data_set}" if known.data_set else words


def _data(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return what the runs were scored on; where that is not the same for all, which of them on what."""
    kinds: dict[str, list[str]] = {}
    for run in runs:
        known = run.provenance
        words = _place(run)
        words += f" at {with_unit(known.resolution)}" if known.resolution is not None else ""
        words += f", fingerprint {known.data_sha256[:SHORT]}" if known.data_sha256 else ""
        kinds.setdefault(words, []).append(run.name)
    if len(kinds) == 1:
        return [("Data", words) for words in kinds]
    return [("Data", f"{words}: {', '.join(names)}") for words, names in kinds.items()]
