"""Where the results of a prediction lie, and that they take the place of earlier results alone."""

from collections.abc import Iterable
from pathlib import Path

from core.errors import UserError
from core.filing.kinds import PREDICTION, held
from core.filing.paths import real
from core.filing.writing import files_named

TABLES = ("predictions.json", "predictions.csv")
KINDS = ("mask", "overlay", "figure")


def result_places(result: str) -> dict[str, str]:
    """Return where the files of a picture lie below the output folder, by kind."""
    return {kind: f"{kind}s/{result}.png" for kind in KINDS}


def results_of_before(output_dir: Path, inputs: Iterable[Path]) -> list[str]:
    """Return what an earlier prediction left in the folder; these results replace it."""
    kept = {real(path) for path in inputs}
    return [file for file in files_named(output_dir / TABLES[0]) if real(output_dir / file) not in kept]


def require_free(output_dir: Path, places: Iterable[str], inputs: Iterable[Path], earlier: Iterable[str]) -> None:
    """See that results overwrite neither an input nor any other file but earlier results.

    Args:
        output_dir: where results go.
        places: of the results, relative to it.
        inputs: the files to segment; links count as what they lead to.
        earlier: as of `results_of_before`.

    Raises:
        UserError: names the file that would be lost.
    """
    tables = TABLES if PREDICTION in held(output_dir) else ()
    ours = {output_dir / file for file in (*earlier, *tables)}
    written = [output_dir / place for place in (*places, *TABLES)]
    behind = {real(path) for path in written}
    for path in inputs:
        if real(path) in behind:
            raise UserError(f"{path} would be overwritten by a result: choose another --output_dir")
    for path in written:
        if path.exists() and path not in ours:
            raise UserError(f"{path} is there, and no result of an earlier prediction: choose another --output_dir")
