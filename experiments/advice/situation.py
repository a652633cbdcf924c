"""What the pictures are: how many, how many with a mask, which classes, how large, what to be warned of."""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.filing.json_file import read_json
from data.preparing.place import REPORT
from data.preparing.settling import ACROSS, LEFT_OUT

if TYPE_CHECKING:
    from data.sources.own.survey import Listing

FEW_MASKS = 16


@dataclass(frozen=True)
class Situation:
    """One's own pictures, as they were listed.

    Args:
        masks, unlabelled: pictures with a mask, and without; of --splits those of train.
        test: pictures with a mask that --splits calls test.
        groups: of --group_by among those with a mask; without it, these.
        classes: what the masks mean.
        labelled_files: the pictures with a mask, by their places below --images; those that --splits does not name are
            without their suffix.
        annotated_in: the format of a labelling tool that the masks are in, as `--write` calls it; None: mask files.
        warnings: a sentence each.
        listing: digest of pictures and masks, by names, sizes and times.
    """

    masks: int
    unlabelled: int
    test: int
    groups: int
    classes: ClassSet
    labelled_files: tuple[str, ...]
    annotated_in: str | None
    warnings: tuple[str, ...]
    listing: str


def look_at(reading: dict[str, Any]) -> Situation:
    """List the pictures and say what they are; what was understood is printed.

    Raises:
        UserError: as `data.sources.folder.understand`; or no picture has a mask.
    """
    from data.prepare_config import PrepareConfig
    from data.sources.folder import understand

    config = PrepareConfig(dataset="folder", val_ratio=0.0, test_ratio=0.0, **reading)
    images = config.require_images()
    understood = understand(config)
    source = understood.source
    for note in source.notes:
        print(note)
    labelled = [sample for sample in source.samples if sample.label is not None]
    train = [sample for sample in source.samples if sample.split == "Train"]
    of_train = [sample for sample in train if sample.label is not None]
    if not of_train:
        where = f" that {config.splits} calls train" if labelled else ""
        raise UserError(
            f"no picture{where} has a mask, and an advice compares by them: draw some, or train phase 1 alone"
        )
    return Situation(
        masks=len(of_train),
        unlabelled=len(train) - len(of_train),
        test=sum(sample.split == "Test" for sample in labelled),
        groups=len({sample.tags.get(str(config.group_by), sample.name) for sample in of_train}),
        classes=source.classes,
        labelled_files=(*(_below(sample.file, str(images)) for sample in labelled), *understood.unnamed),
        annotated_in=_format_of(understood.listing),
        warnings=tuple(_warnings(len(of_train), sum(sample.split == "Val" for sample in labelled), config.group_by)),
        listing=str(source.details["listing"]),
    )


def _format_of(listing: "Listing") -> str | None:
    from data.annotations.formats.table import FORMATS

    title = listing.annotations.title if listing.annotations else None
    return next((name for name, row in FORMATS.items() if row.title == title), None)


def pictures_of(reading: dict[str, Any]) -> dict[str, Path]:
    """Return the files of all pictures, by their places below --images."""
    from data.prepare_config import PrepareConfig
    from data.sources.folder import files

    config = PrepareConfig(dataset="folder", **reading)
    images = str(config.require_images())
    pictures = (paths[0] for _, paths in files(config))
    return {_below(str(path), images): Path(os.path.abspath(path)) for path in sorted(pictures)}  # noqa: PTH100


def longest_side(reading: dict[str, Any], folder: Path, size: int) -> int:
    """Prepare the pictures at a small size; returns the longer side in pixels of a typical one."""
    from data.opened import open_data
    from data.prepare import prepare
    from data.prepare_config import PrepareConfig

    how: dict[str, Any] = {"size": size, "output_dir": folder, "val_ratio": 0.0, "test_ratio": 0.0}
    with redirect_stdout(io.StringIO()):  # which was told, and is again when the folds are prepared
        prepare(PrepareConfig(dataset="folder", **how, **reading))
    geometries = [record.geometry for record in open_data(folder).records("Train")["Train"]]
    return int(np.median([max(geometry.height, geometry.width) for geometry in geometries]))  # type: ignore[union-attr]


def with_copies(situation: Situation, folds: Sequence[Path], whole: Path) -> Situation:
    """Return what the pictures are, with warnings of copies: of one picture in several folds, and of Test.

    Args:
        situation: as they were listed.
        folds: prepared data, a folder a fold: some copies could not be laid into one.
        whole: all of them, prepared: copies of what --splits calls test were left out.
    """
    found = []
    if across := {file for folder in folds for file in _reported(folder, ACROSS)}:
        found.append(
            f"{len(across)} pictures are copies of pictures in other folds, or nearly (first {min(across)}), so scores "
            "flatter: too many are alike to keep them together"
        )
    if left_out := _reported(whole, LEFT_OUT):
        one = len(left_out) == 1
        found.append(
            f"{len(left_out)} {'picture is a copy' if one else 'pictures are copies'} of pictures of test, or nearly "
            f"(first {min(left_out)}), and the final model does not learn from {'it' if one else 'them'}"
        )
    return replace(situation, warnings=(*situation.warnings, *found))


def _reported(folder: Path, action: str) -> set[str]:
    return {entry["file"] for entry in read_json(folder / REPORT)["files"] if entry["action"] == action}


def with_difference(situation: Situation, folder: Path) -> Situation:
    """Return what the pictures are, with a warning where those with a mask are unlike the others.

    Args:
        situation: as they were listed.
        folder: all of them, prepared as Train.
    """
    from data.opened import open_data
    from data.split import Split
    from experiments.advice.representative import FEWEST, difference_of

    if situation.unlabelled and situation.masks < FEWEST:
        few = f"whether the pictures with a mask are like the others is not looked at below {FEWEST} masks"
        return replace(situation, warnings=(*situation.warnings, few))
    train = open_data(folder).split("Train")
    assert isinstance(train, Split), "of pictures"
    found = difference_of(train.images, train.label_rows >= 0, train.names)
    if not found or not found.is_told:
        return situation
    return replace(situation, warnings=(*situation.warnings, found.warning))


def _below(file: str, folder: str) -> str:
    return file.removeprefix(folder).lstrip("/\\")


def _warnings(masks: int, val: int, group_by: str | None) -> list[str]:
    found = []
    if val:
        found.append(
            f"{val} masks of val are not used, since nothing is chosen by them: name them train to learn from them"
        )
    if not group_by:
        found.append(
            "several pictures of one patient or scene flatter the scores, unless --group_by names a tag of them"
        )
    if masks < FEW_MASKS:
        found.append(f"{masks} masks say little: intervals are wide, and the forecast wider")
    return found
