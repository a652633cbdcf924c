"""What folders hold that this project wrote, and what may not be written beside it."""

import os
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import open_bytes
from core.filing.paths import real

PREPARED = "prepared pictures"
PREPARATION = "an unfinished preparation"
PREDICTION = "results of a prediction"
EVALUATION = "results of an evaluation"
RUN = "a training run"
ABLATION = "results of an ablation"
EXPORT = "an exported network"
SUGGESTION = "a suggestion"
# What has no mark of its own: a file, or a folder of such folders.
A_FILE = "a file"
FOLDERS = "folders of runs or results"

# What tells folders that this project wrote: a file in them, what stands at its beginning, and what the folder holds.
_MARKS = (
    ("manifest.json", b'"format_version"', PREPARED),
    ("prepare_report.json", b'"counts"', PREPARED),
    ("settings.json", b'"dataset"', PREPARATION),
    ("predictions.json", b'"num_pictures"', PREDICTION),
    ("predictions.json", b'"num_volumes"', PREDICTION),
    ("evaluation_results.json", b"", EVALUATION),
    ("reconstruction_metrics.json", b"", EVALUATION),
    ("training_config.json", b"", RUN),
    ("plan.json", b'"format": "ablation plan', ABLATION),
    ("suggestion.json", b'"format": "suggestion', SUGGESTION),
)
_LOOKED_AT = 4096
# Beside whose files in the same folder something may not lie, where it is not there already; an evaluation may lie in
# a run folder or beside an ablation's results.
_APART = {
    RUN: (EVALUATION, PREDICTION, ABLATION),
    EVALUATION: (PREDICTION,),
    PREDICTION: (EVALUATION,),
}


def held(folder: Path, names: Container[str] | None = None) -> Iterator[str]:
    """Yield what a folder holds that this project wrote; `names` are those of its files, where they are known."""
    for name, beginning, what in _MARKS:
        there = name in names if names is not None else os.path.isfile(folder / name)  # noqa: PTH113 - never raises
        if there and _begins(folder / name, beginning):
            yield what


def require_places(config: Any) -> None:
    """See that a command writes nowhere where its files would mix with others of this project.

    Prepared data hold nothing else, at any depth, and lie in nothing else that this project wrote.

    Args:
        config: settings, whose attribute `writes` says what the command leaves where: setting -> one of these kinds.

    Raises:
        UserError: names the setting, and what is there; a file that is written would be one that another setting names.
    """
    writes: Mapping[str, str] = getattr(config, "writes", {})
    for name, what in writes.items():
        path = getattr(config, name)
        if path is None:
            continue
        _require_place(path.parent if what == A_FILE else path, f"--{name}", what)
        if what == A_FILE and (found := _read_as(config, path, name)):
            raise UserError(f"{path} is read by this command (--{found}): choose another --{name}")


def _read_as(config: Any, path: Path, name: str) -> str | None:
    """Return the setting that names the very file that would be written, through links too."""
    for other, value in vars(config).items():
        for given in value if isinstance(value, tuple) else (value,):
            if other != name and isinstance(given, str | Path) and _is_same(Path(given), path):
                return other
    return None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except (OSError, ValueError):
        return False


def _require_place(folder: Path, flag: str, what: str) -> None:
    there = {*held(folder)}
    mixing = {*_APART.get(what, ()), *(() if what == PREPARED else (PREPARED, PREPARATION))}
    if what not in there and (found := sorted(there & mixing)):
        raise UserError(f"{folder} holds {found[0]}, which {what} would mix with: choose another {flag}")
    for above in real(folder).parents:
        found = [kind for kind in held(above) if what == PREPARED or kind in (PREPARED, PREPARATION)]
        if found:
            raise UserError(
                f"{folder} lies in {above}, which holds {found[0]}: {what} would mix with that: choose another {flag}"
            )


def _begins(path: Path, beginning: bytes) -> bool:
    if not beginning:
        return True
    try:
        with open_bytes(path) as file:
            return beginning in file.read(_LOOKED_AT)
    except (OSError, UserError):
        return False
