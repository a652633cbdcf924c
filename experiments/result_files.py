"""Find the JSON files of evaluations below a folder, whatever else lies there."""

from pathlib import Path

from core import evaluation
from core.errors import UserError
from core.files import NotAFileError
from core.filing import json_file
from core.filing.json_file import NotJSONError
from core.filing.writing import STAGED
from experiments.evaluations import Evaluation, is_evaluation, read_json

RESULT_FILES = {file: phase for phase, file in evaluation.RESULT_FILES.items()}


def files_below(folder: Path, name: str) -> list[Path]:
    """Return the paths below a folder whose names fit a pattern, sorted; nothing hidden or still being written."""
    return [path for path in sorted(folder.rglob(name)) if not any(map(_is_passing, path.relative_to(folder).parts))]


def _is_passing(part: str) -> bool:
    return part.startswith(".") or part.endswith(STAGED)


def evaluations_below(folder: Path, notes: list[str]) -> dict[Path, Evaluation]:
    """Return the evaluations below a folder: by their name or, where that was changed, by their content.

    Args:
        folder: searched at any depth.
        notes: gets a line for each other JSON that cannot be read, which is passed over.

    Raises:
        UserError: as `read_evaluation`, of a file that is named like a result.
    """
    return {path: read_evaluation(path) for path in files_below(folder, "*.json") if _is_result(path, notes)}


def read_evaluation(path: Path) -> Evaluation:
    """Return the evaluation that a JSON holds.

    Raises:
        UserError: it holds none, is damaged, or is of another phase than its name says.
    """
    found = Evaluation.of(read_json(path), path)
    if found.phase != RESULT_FILES.get(path.name, found.phase):
        raise UserError(f"{path} holds results of {found.phase}, which its name does not say: evaluate again")
    return found


def _is_result(path: Path, notes: list[str]) -> bool:
    if path.name in RESULT_FILES:
        return True
    try:
        content = json_file.read_json(path)
    except (NotJSONError, NotAFileError) as error:  # other people's
        notes.append(f"{path} is passed over: {error.reason}")
        return False
    except OSError as error:
        notes.append(f"{path} is passed over: {error.strerror}")
        return False
    return isinstance(content, dict) and is_evaluation(content)
