"""What of the results can be downloaded, and the ZIP that holds it."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from core.files import atomic_path
from data.annotations.formats.table import FORMATS as ANNOTATIONS
from data.annotations.formats.written import Written
from transfer_learning.inference.files import Areas
from transfer_learning.inference.places import result_places
from transfer_learning.inference.tables import write_tables
from transfer_learning.page.found import Answer, Results
from transfer_learning.predict_config import PredictConfig

PACKED = (".png", ".jpg")


class Format(NamedTuple):
    """A form in which results can be downloaded.

    Attributes:
        title: what it is, for the page.
        write: writes what one network found into a folder; tables come last and name what is there.
    """

    title: str
    write: Callable[[Results, Path], None]


def _copies(kind: str) -> Callable[[Results, Path], None]:
    def copy(results: Results, folder: Path) -> None:
        for found in results.found:
            place = folder / result_places(found.result)[kind]
            place.parent.mkdir(parents=True, exist_ok=True)
            copyfile(getattr(found, kind), place)

    return copy


def _tables(results: Results, folder: Path) -> None:
    """Write predictions.json and predictions.csv as `predict` does."""
    records = []
    for found in results.found:
        places = {kind: place for kind, place in result_places(found.result).items() if (folder / place).is_file()}
        records.append({**found.record, **places})
    looker = results.looker
    listed = [{"file": name, "reason": reason} for name, reason in results.unread]
    total = Areas.added(looker.classes, [found.areas for found in results.found])
    config = PredictConfig(**looker.config.inference, model_path=looker.path, output_dir=folder, figures=False)
    ensemble = looker.config.ensemble if looker.segmenter.readout.others else ()
    write_tables(records, listed, [], total, looker.segmenter, replace(config, ensemble=ensemble))


def _annotations(name: str) -> Callable[[Results, Path], None]:
    def write(results: Results, folder: Path) -> None:
        # Paths are as if the pictures lay beside what is unpacked.
        written = (
            Written(found.name, found.result, folder / found.name, found.labels, found.record["confidence"], folder)
            for found in results.found
        )
        ANNOTATIONS[name].write(folder, written, results.looker.classes)

    return write


# Everything that the page offers: a further format is a row here, before the tables.
FORMATS = {
    "masks": Format("masks: indexed PNG, values are the classes", _copies("mask")),
    "overlays": Format("overlays: PNG", _copies("overlay")),
    **{name: Format(f"annotations: {row.title}", _annotations(name)) for name, row in ANNOTATIONS.items()},
    "tables": Format("areas and confidences: CSV, JSON", _tables),
}

# What is chosen until somebody chooses otherwise.
USUAL = ("masks", "overlays", "tables")


def pack(answer: Answer, chosen: Collection[str], path: Path) -> Path:
    """Write a ZIP of what was found, of two networks in a folder each; returns its path.

    Args:
        answer: what was found; of one picture at least.
        chosen: names of `FORMATS`.
        path: of the ZIP; beside it a folder of its name is written to.
    """
    staged = path.with_suffix("")
    for results in answer.results:
        folder = staged / _folder(answer, results) if len(answer.results) > 1 else staged
        folder.mkdir(parents=True, exist_ok=True)
        for name in FORMATS:
            if name in chosen:
                FORMATS[name].write(results, folder)
    with atomic_path(path) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as packed:
        for file in sorted(file for file in staged.rglob("*") if file.is_file()):
            how = ZIP_STORED if file.suffix in PACKED else ZIP_DEFLATED
            packed.write(file, file.relative_to(staged).as_posix(), how)
    return path


def _folder(answer: Answer, results: Results) -> str:
    return f"network_{answer.results.index(results) + 1}"
