"""Whether weights and data, and the weights of an ensemble, belong together."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.evaluation import MANY_CLASSES

if TYPE_CHECKING:
    from core.headers.header import Header
    from data.loading import AnySplit
    from transfer_learning.scores.class_map import ClassMap


def classes_of(header: "Header", split: "AnySplit", model_path: Path, class_map: Path | None) -> "ClassMap | None":
    """Return how the classes of weights and data meet; None where they are the same. Says what is ignored.

    Raises:
        UserError: they are others and there is no map, the map does not fit, or pictures have other channels.
    """
    from transfer_learning.scores.class_map import read_class_map

    theirs, ours = header.classes.names, split.class_set.names
    if class_map is None and (problem := difference(str(model_path), theirs, f"{split.data_dir} holds", ours)):
        raise UserError(
            f"{problem}: evaluate on data of the same classes in the same order, or say with --class_map FILE which "
            "mean the same"
        )
    if header.preprocess != split.manifest.preprocess:
        raise UserError(
            f"{model_path} was trained on pictures prepared with {_preprocess(header.preprocess)}, those of "
            f"{split.data_dir} with {_preprocess(split.manifest.preprocess)}: prepare them as those of the training"
        )
    if header.network.dims == split.manifest.dims == 3:
        _require_intensity(header, split, model_path)
    channels = header.network.in_channels
    if channels != split.channels:
        raise UserError(
            f"{model_path} was trained on pictures of {channels} channels, those of {split.data_dir} have "
            f"{split.channels}: prepare them with --channels {channels}"
        )
    if class_map is None:
        return None
    by = read_class_map(class_map, split.class_set, header.classes)
    for side, what in (("data", "of the data are not scored"), ("weights", "of the weights are never chosen")):
        if by.ignored[side]:
            print(f"note: classes {what}: {listed(by.ignored[side])}")
    return by


def _require_intensity(header: "Header", split: "AnySplit", model_path: Path) -> None:
    """Raise UserError where weights of volumes read voxels in another way than these were prepared."""
    from transfer_learning.inference.volume_files import plan_of

    (_, trained), prepared = plan_of(header, model_path), split.manifest.intensity
    theirs, ours = (", ".join(channel.in_words for channel in channels) for channels in (trained, prepared))
    if theirs != ours:
        raise UserError(
            f"{model_path} was trained on volumes prepared with --intensity {theirs}, those of {split.data_dir} with "
            f"{ours}: prepare them as those of the training"
        )
    if trained != prepared:
        print(f"note: the intensities of CT in {split.data_dir} were learned from other volumes than the weights'")


def require_alike(first: Path, ours: "Header", other: Path, theirs: "Header") -> None:
    """Raise UserError unless two networks tell the same classes apart, in pictures that are read in the same way."""
    if problem := difference(str(other), theirs.classes.names, f"{first} knows", ours.classes.names):
        raise UserError(f"{problem}: an ensemble has one set of classes, in one order")
    if ours.preprocess != theirs.preprocess:
        raise UserError(
            f"{other} was trained on pictures prepared with {_preprocess(theirs.preprocess)}, {first} with "
            f"{_preprocess(ours.preprocess)}: an ensemble sees the same pictures"
        )
    if ours.network.dims == theirs.network.dims == 3 and ours.volumes != theirs.volumes:
        raise UserError(
            f"{other} was trained on volumes prepared otherwise than those of {first} (spacing, intensities, or "
            "masks' values): an ensemble sees the same volumes"
        )
    if ours.network.in_channels != theirs.network.in_channels:
        raise UserError(
            f"{other} sees pictures of {theirs.network.in_channels} channels, {first} of {ours.network.in_channels}: "
            "an ensemble sees the same pictures"
        )
    if (ours.value_range, ours.ground) != (theirs.value_range, theirs.ground):
        raise UserError(
            f"{other} was trained on pictures whose values were read from {theirs.value_range} on {theirs.ground} "
            f"ground, {first} from {ours.value_range} on {ours.ground}: an ensemble sees the same pictures"
        )


def _preprocess(steps: str | None) -> str:
    return f"--preprocess '{steps}'" if steps else "no --preprocess"


def difference(who: str, theirs: Sequence[str], whose: str, ours: Sequence[str]) -> str | None:
    """Return how two lists of classes differ, None where they are the same in the same order."""
    if tuple(theirs) == tuple(ours):
        return None
    place = next((place for place, pair in enumerate(zip(theirs, ours, strict=False)) if len({*pair}) == 2), None)
    first = "" if place is None else f"; class {place} is {theirs[place]!r} there and {ours[place]!r} here"
    return f"{who} tells {listed(theirs)} apart, {whose} {listed(ours)}{first}"


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence, of many the first and how many follow."""
    more = f" and {len(names) - MANY_CLASSES} more" if len(names) > MANY_CLASSES else ""
    return ", ".join(names[:MANY_CLASSES]) + more
