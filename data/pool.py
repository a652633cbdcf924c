"""Which pictures of Train are learned from without their masks: the settings that name a pool are read here.

A pool is `all`; `unlabelled`, those without a mask; `breed=beagle,Bengal`, those whose tag has one of these values;
`breed!=beagle,Bengal`, those whose tag has none of them; `breed=labelled` and `breed!=labelled`, where the values are
all that pictures with a mask have (unless a value is called so); `unlabelled+breed=beagle`, what is in both.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from core.errors import UserError
from core.filing.words import nearest

if TYPE_CHECKING:
    from data.prepared.described import Described

ALL, UNLABELLED, LABELLED = "all", "unlabelled", "labelled"
WRITTEN = "write all, unlabelled, TAG=value,value or TAG!=value,value, the last two also behind unlabelled+"
SHOWN = 10


def require_pool(text: str) -> None:
    """Raise UserError where a text is not written as a pool; whether data have it, `pool` says."""
    _parts(text)


def pool(split: "Described", text: str) -> np.ndarray:
    """Return the indices [P] int64, rising, of the pictures of a split that a pool holds, one at least.

    Raises:
        UserError: a text that is no pool, a tag or a value that the split does not have, a picture whose tag is not
            known, or no picture is left.
    """
    unlabelled, rest = _parts(text)
    held = np.ones(len(split.names), bool)
    if unlabelled:
        held &= split.label_rows < 0
        if not held.any():
            raise UserError(f"{split.data_dir}: every picture of {split.name} has a mask: leave {UNLABELLED} out")
    if rest:
        held &= _of_tag(split, rest, text)
    if not held.any():
        raise UserError(f"{split.data_dir}: no picture of {split.name} is in {text!r}: ask for others")
    return np.flatnonzero(held)


def _parts(text: str) -> tuple[bool, str]:
    """Return whether pictures with a mask are left out, and what is said of a tag ("": nothing)."""
    whole = text.strip()
    if whole in (ALL, UNLABELLED):
        return whole == UNLABELLED, ""
    rest = whole.removeprefix(f"{UNLABELLED}+").removesuffix(f"+{UNLABELLED}")
    sign = rest.find("=", 1)  # behind the first character of a tag, whatever that is
    if sign < 1 or rest[:sign] == "!" or not _values(rest[sign + 1 :]):
        hint = nearest(whole, (ALL, UNLABELLED)) or f": {WRITTEN}"
        raise UserError(f"{text!r} names no pictures{hint}")
    return rest != whole, rest


def _of_tag(split: "Described", rest: str, text: str) -> np.ndarray:
    """Return which pictures [N] bool have a tag with one of the values, or with none of them."""
    tag, negated, listed = _tag_of(split, rest, text)
    values = split.tags[tag]
    if missing := [name for name, value in zip(split.names, values, strict=True) if value is None]:
        raise UserError(
            f"{split.data_dir}: {text!r} needs the {tag} of every picture of {split.name}; {len(missing)} have none "
            f"(first {missing[0]}): ask for others, or prepare the data with it"
        )
    found = np.array(values)
    there = np.unique(found).tolist()
    if listed == [LABELLED] and LABELLED not in there:
        listed = np.unique(found[split.label_rows >= 0]).tolist()
        if not listed:
            raise UserError(f"{split.data_dir}: {text!r}, but no picture of {split.name} has a mask: name values")
    if unknown := [value for value in listed if value not in there]:
        hint = nearest(unknown[0], there) or f": there are {_shown(there)}"
        raise UserError(f"{split.data_dir}: no picture of {split.name} has the {tag} {unknown[0]!r}{hint}")
    return np.isin(found, listed) != negated


def _tag_of(split: "Described", rest: str, text: str) -> tuple[str, bool, list[str]]:
    """Return the tag, whether its values are left out, and these; a tag's name may hold the signs."""
    for tag in sorted(split.tags, key=len, reverse=True):
        for sign in ("!=", "="):
            if rest.startswith(tag + sign):
                return tag, sign == "!=", _values(rest[len(tag + sign) :])
    tag = rest[: rest.index("=", 1)].removesuffix("!")
    there = f"there are {_shown(list(split.tags))}" if split.tags else "they have none"
    raise UserError(f"{split.data_dir}: {text!r}, but its pictures have no tag {tag!r}: {there}")


def _values(text: str) -> list[str]:
    return [value.strip() for value in text.split(",") if value.strip()]


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
