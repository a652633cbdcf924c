"""Several networks that read the same pictures: which they are, and whether their results can meet."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from core.headers.header import Header
from transfer_learning.inference.backends import Loaded, load_network
from transfer_learning.inference.options import ReadoutOptions


def members_of(model_path: Path | None, options: ReadoutOptions) -> tuple[Path, ...]:
    """Return the weights that are to read, those of --model_path first.

    Raises:
        UserError: none are given, or some of them twice.
    """
    members = (*(() if model_path is None else (model_path,)), *options.ensemble)
    if not members:
        raise UserError("give the weights of a training run: --model_path runs/.../best_model.safetensors")
    if twice := next((path for path in members if members.count(path) > 1), None):
        raise UserError(f"{twice} is in the ensemble twice: every network has one vote")
    return members


def load_members(members: Sequence[Path], options: ReadoutOptions, device: str) -> list[Loaded]:
    """Load the networks of an ensemble, or the only one.

    Raises:
        UserError: as `load_network`; or they tell other classes apart, or see other pictures.
    """
    loaded = [load_network(path, options, device) for path in members]
    for path, one in zip(members[1:], loaded[1:], strict=True):
        require_alike(members[0], loaded[0].header, path, one.header)
    return loaded


def require_alike(first: Path, ours: Header, other: Path, theirs: Header) -> None:
    """Raise UserError unless two networks tell the same classes apart, in pictures that are read in the same way."""
    if problem := other_classes(str(other), theirs.classes.names, str(first), ours.classes.names):
        raise UserError(f"{problem}: an ensemble has one set of classes, in one order")
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


def other_classes(who: str, theirs: Sequence[str], whose: str, ours: Sequence[str]) -> str | None:
    """Return how two lists of classes differ, None where they are the same in the same order."""
    if tuple(theirs) == tuple(ours):
        return None
    place = next((place for place, pair in enumerate(zip(theirs, ours, strict=False)) if len({*pair}) == 2), None)
    first = "" if place is None else f"; class {place} is {theirs[place]!r} there and {ours[place]!r} here"
    return f"{who} tells {listed(theirs)} apart, {whose} {listed(ours)}{first}"


def listed(names: Sequence[str], most: int = 25) -> str:
    """Return names for a sentence, of many the first and how many follow."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
