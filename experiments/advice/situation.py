"""What the pictures are: how many, how many with a mask, which classes, how large, what to be warned of."""

import io
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from experiments.advice.places import Places

FEW_MASKS = 16


@dataclass(frozen=True)
class Situation:
    """One's own pictures, as they were prepared at a small size.

    Args:
        masks, unlabelled: pictures with a mask, and without.
        groups: of --group_by among those with a mask; without it, these.
        classes: what the masks mean.
        longest_side: of a typical picture, in pixels.
        labelled_files: the pictures with a mask, by their places below --images.
        warnings: a sentence each.
    """

    masks: int
    unlabelled: int
    groups: int
    classes: ClassSet
    longest_side: int
    labelled_files: tuple[str, ...]
    warnings: tuple[str, ...]


def look_at(reading: dict[str, Any], places: Places, size: int) -> Situation:
    """Prepare the pictures at a small size and say what they are; what was understood is printed.

    Raises:
        UserError: as `data.prepare`; or no picture has a mask.
    """
    import numpy as np

    from data.opened import open_data
    from data.prepare import prepare
    from data.prepare_config import PrepareConfig
    from data.sources.folder import understand

    config = PrepareConfig(
        dataset="folder", size=size, output_dir=places.look, val_ratio=0.0, test_ratio=0.0, **reading
    )
    source = understand(config).source
    for note in source.notes:
        print(note)
    files = {sample.name: sample.file for sample in source.samples}
    with redirect_stdout(io.StringIO()):  # the notes are told, and the pictures are prepared again for the folds
        prepare(config)
    data = open_data(places.look)
    records = data.records("Train")["Train"]
    labelled = [record for record in records if record.labelled]
    if not labelled:
        raise UserError("no picture has a mask, and an advice compares by them: draw some, or train phase 1 alone")
    groups = {record.tags.get(str(config.group_by), record.name) for record in labelled}
    sides = [max(record.geometry.height, record.geometry.width) for record in records]  # type: ignore[union-attr]
    images = config.require_images()
    return Situation(
        masks=len(labelled),
        unlabelled=len(records) - len(labelled),
        groups=len(groups),
        classes=data.class_set,
        longest_side=int(np.median(sides)),
        labelled_files=tuple(_below(files[record.name], str(images)) for record in labelled),
        warnings=tuple(_warnings(len(labelled), config.group_by)),
    )


def _below(file: str, folder: str) -> str:
    return file.removeprefix(folder).lstrip("/\\")


def _warnings(masks: int, group_by: str | None) -> list[str]:
    found = []
    if not group_by:
        found.append(
            "several pictures of one patient or scene flatter the scores, unless --group_by names a tag of them"
        )
    if masks < FEW_MASKS:
        found.append(f"{masks} masks say little: intervals are wide, and the forecast wider")
    return found
