"""Find the runs that a report is about: results of the evaluation commands and the run folders that they come from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from core.filing.paths import readable, real
from core.train_config import BEFORE_CHOICE, NOT_COMPARED
from experiments.evaluations import Evaluation, FigureEntry, Provenance, Strip, is_of_volumes, read_json
from experiments.result_files import RESULT_FILES, evaluations_below, files_below, read_evaluation

DESCRIPTION, LOG = "training_config.json", "training_log.csv"
# Folders that say nothing about the run that lies in them.
GENERIC = ("results", "evaluation_results", "reconstruction_metrics")


@dataclass
class Run:
    """A training run, its evaluation, or both.

    Args:
        phase: "reconstruction" or "transfer_learning".
        file: the evaluation's JSON; None if the run was not evaluated yet.
        evaluation: its content; None likewise.
        folder: the run folder; None if it is not known.
        description: content of its training_config.json.
        name: what the report calls it, unique there.
    """

    phase: str
    file: Path | None = None
    evaluation: Evaluation | None = None
    folder: Path | None = None
    description: dict[str, Any] = field(default_factory=dict)
    name: str = ""

    @property
    def provenance(self) -> Provenance:
        """Where the scores come from; without an evaluation, what the run folder knows."""
        if self.evaluation:
            return self.evaluation.provenance
        return Provenance(**{key: self.description[key] for key in ("commit", "versions") if key in self.description})

    @property
    def training(self) -> dict[str, Any]:
        """The settings that made the run what it is."""
        return self.provenance.training or self.description.get("identity") or {}

    @property
    def class_set(self) -> ClassSet | None:
        """The classes that it tells apart; None in phase 1 and before the evaluation."""
        return self.evaluation.class_set if self.evaluation else None

    @property
    def is_of_volumes(self) -> bool:
        """Whether it learned from volumes, which are always read in patches."""
        return bool(self.training.get("patch")) or is_of_volumes(self.provenance.resolution or 0)

    @property
    def kind(self) -> str:
        """What it scored: "image", or "volume"."""
        return "volume" if self.is_of_volumes else "image"

    @property
    def is_scored(self) -> bool:
        """Whether there is a command that evaluates it: there is none for an autoencoder of volumes."""
        return self.phase == "transfer_learning" or not self.is_of_volumes

    @property
    def log(self) -> Path | None:
        """The training log, where there is one."""
        log = self.folder / LOG if self.folder else None
        return log if log and log.is_file() else None

    @property
    def per_image(self) -> Path:
        """The table of scores per image, beside the JSON; one that was renamed has `<its name>_per_image.csv`."""
        assert self.file is not None
        renamed = self.file.name not in RESULT_FILES
        return self.file.with_name(f"{self.file.stem}_per_image.csv" if renamed else "per_image.csv")

    def files(self) -> list[Path]:
        """Return all files that a page reads of it, those that are not there too."""
        found = [self.folder / name for name in (DESCRIPTION, LOG)] if self.folder else []
        if self.file and self.evaluation:
            strip = [self.evaluation.strip] if self.evaluation.strip else []
            entries: list[FigureEntry | Strip] = [*self.evaluation.figures, *strip]
            found += [self.file, self.per_image, *(self.file.parent / entry.file for entry in entries)]
        return found


def find_runs(places: Sequence[Path], notes: list[str] | None = None) -> list[Run]:
    """Return all runs in or below the given folders, in their order, each once.

    Args:
        places: results folders, run folders, anything above them, or an evaluation's JSON of any name. Results and a
            run folder become one run if the settings that the results were trained with are those of the folder.
        notes: gets a line for each JSON below them that is passed over, as of `evaluations_below`.

    Raises:
        UserError: nothing there, nothing in it, or a JSON that is not one of ours.
    """
    found = []
    for place in places:
        here = [*_folders_below(place), *_results_below(place, [] if notes is None else notes)]
        if not here:
            raise UserError(
                f"{place} holds neither results nor a run: name the --output_dir of an evaluation or training command"
            )
        found += here
    runs = _united(found)
    _name(runs)
    return runs


def _results_below(place: Path, notes: list[str]) -> list[Run]:
    found = {place: read_evaluation(place)} if place.is_file() else evaluations_below(place, notes)
    return [_of_result(path, evaluation) for path, evaluation in found.items()]


def _of_result(path: Path, evaluation: Evaluation) -> Run:
    run = Run(evaluation.phase, path, evaluation)
    for folder in (path.parent, path.parent.parent if path.parent != Path() else Path("..")):
        if (folder / DESCRIPTION).is_file() and _same(run, above := read_folder(folder)):
            run.folder, run.description = above.folder, above.description
            break
    return run


def _folders_below(place: Path) -> list[Run]:
    if not place.exists():
        raise UserError(f"{place} does not exist: name the --output_dir of an evaluation or training command")
    return [read_folder(path.parent) for path in files_below(place, DESCRIPTION)] if place.is_dir() else []


def read_folder(folder: Path) -> Run:
    """Return the run in a run folder. Raises UserError where its `training_config.json` is none of ours."""
    description = read_json(folder / DESCRIPTION)
    if not isinstance(description.get("identity"), dict):
        raise UserError(f"{folder / DESCRIPTION} is not one of ours")
    phase = "transfer_learning" if "dice_weight" in description["identity"] else "reconstruction"
    return Run(phase, folder=folder, description=description)


def _same(first: Run, second: Run) -> bool:
    return first.phase == second.phase and _whole(first) == _whole(second)


def _whole(run: Run) -> dict[str, Any]:
    """Return the settings of a run with those that its version did not have yet, as these were before.

    A run folder gets them when its command is called again; the weights, and results of them, do not.
    """
    from experiments.page.command_lines import defaults  # which reads runs

    known = {name: value for name, value in defaults(run.phase).items() if name not in NOT_COMPARED}
    return {**known, **BEFORE_CHOICE, **run.training}


def _united(found: Sequence[Run]) -> list[Run]:
    runs: list[Run] = []
    for new in found:
        twins = [run for run in runs if _same(run, new) and _may_share(run.folder, new.folder)]
        if new.file and any(run.file and real(run.file) == real(new.file) for run in runs):
            continue
        for twin in twins:
            twin.folder, twin.description = twin.folder or new.folder, twin.description or new.description
            new.folder, new.description = new.folder or twin.folder, new.description or twin.description
        waiting = [twin for twin in twins if not twin.file]
        if new.file and waiting:
            waiting[0].file, waiting[0].evaluation = new.file, new.evaluation
        elif new.file or not twins:
            runs.append(new)
    return runs


def _may_share(first: Path | None, second: Path | None) -> bool:
    return first is None or second is None or real(first) == real(second)


def _name(runs: Sequence[Run]) -> None:
    # The last part of the path, and as many before it as tell the runs apart; then the split, then a number.
    places = [_parts(run) for run in runs]
    taken: set[str] = set()
    for run, parts in zip(runs, places, strict=True):
        others = [other for other in places if other != parts]
        length = 1
        while length < len(parts) and any(other[-length:] == parts[-length:] for other in others):
            length += 1
        short = "/".join(parts[-length:])
        alternatives = [short, f"{short}, {run.provenance.split}"]
        alternatives += [f"{short} ({number})" for number in range(2, len(runs) + 2)]
        run.name = next(name for name in alternatives if name not in taken)
        taken.add(run.name)


def _parts(run: Run) -> list[str]:
    place = run.folder or run.file
    assert place is not None
    if run.folder is None:
        place = place.parent if place.name in RESULT_FILES else place.with_suffix("")
    parts = tuple(map(readable, real(place).parts[1:]))
    return [part for part in parts if part not in GENERIC] or [*parts, "run"][:1]
