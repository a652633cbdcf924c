"""Which split each of one's own pictures belongs to, as the settings say."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from core.errors import UserError
from data.manifest import SPLITS
from data.sources.layout.division import divide_folds, divide_groups
from data.sources.own.config import ReadingConfig
from data.sources.own.dividing.splits import empty_lists, read_splits, val_as_test
from data.sources.source import hash_splits, held_out

Tags = Mapping[str, Mapping[str, str]]


class Pictures(Protocol):
    """What is asked of the pictures, or volumes, that are divided."""

    def names(self, labelled: bool | None = None) -> Iterator[str]:
        """Yield the names; of those with a mask, or without."""

    def find(self, written: str) -> str | None:
        """Return the picture of a name in a file, None if there is none."""


class Division(NamedTuple):
    """How pictures are divided.

    Attributes:
        splits: picture -> Train, Val or Test.
        drawn: the splits that were drawn here, not given.
        notes: what a person should know, a sentence each.
        left_out: picture -> why it belongs nowhere: it has a mask and --splits does not name it.
        held_back: picture -> why it is in no fold; of those that are learned from it is no other, so what decides how
            pictures are read and what masks mean looks at it too, in every fold.
    """

    splits: dict[str, str]
    drawn: tuple[str, ...]
    notes: list[str]
    left_out: dict[str, str]
    held_back: dict[str, str]


def divide(pictures: Pictures, tags: Tags, config: ReadingConfig) -> Division:
    """Divide pictures as --splits, --folds, --group_by, --stratify_by and the ratios say.

    Raises:
        UserError: settings that contradict each other, a tag that no picture has, groups that lie in two splits or
            leave one empty.
    """
    groups, notes = _groups(pictures, tags, config.group_by)
    strata = _values(pictures, tags, "stratify_by", config.stratify_by) if config.stratify_by else None
    if config.splits:
        official = _official(pictures, groups, config, notes)
        return _train_in_folds(official, pictures, groups, config) if config.folds else official
    if config.folds:
        return _in_folds(pictures, groups, config, notes)
    if config.group_by:
        splits = divide_groups(groups, config.val_ratio, config.test_ratio, config.seed)
    elif strata:
        splits = _divide_evenly(strata, config)
    else:
        splits = hash_splits(list(pictures.names()), config.val_ratio, config.test_ratio, config.seed)
    return Division(splits, SPLITS, notes, {}, {})


def _in_folds(pictures: Pictures, groups: Mapping[str, str], config: ReadingConfig, notes: list[str]) -> Division:
    splits = into_folds(pictures, config, groups)
    labelled = [name for name in pictures.names(labelled=True) if name in splits]
    count = sum(splits[name] == "Test" for name in labelled)
    notes = [*notes, f"fold {config.fold} of {config.folds}: {count} of {len(labelled)} labelled pictures are Test"]
    return Division(splits, SPLITS, notes, {}, {})


def _train_in_folds(
    official: Division, pictures: Pictures, groups: Mapping[str, str], config: ReadingConfig
) -> Division:
    """Divide what --splits calls Train into folds; its Val and Test are in none, for one score at the end."""
    train = {name: groups[name] for name, split in official.splits.items() if split == "Train"}
    held = {name: f"{split} of {config.splits}" for name, split in official.splits.items() if split != "Train"}
    counts = Counter(split for split in official.splits.values() if split != "Train")
    said = " and ".join(f"{counts[split]} of {split}" for split in SPLITS if counts[split])
    notes = [*official.notes, f"{said} in {config.splits} are in no fold"]
    divided = _in_folds(pictures, train, config, notes)
    return divided._replace(left_out=official.left_out, held_back=held)


def into_folds(pictures: Pictures, config: ReadingConfig, groups: Mapping[str, str]) -> dict[str, str]:
    """Divide by --folds, groups (picture -> group) whole. Raises as `divide_folds`."""
    labelled = [name for name in pictures.names(labelled=True) if name in groups]
    return divide_folds(groups, labelled, config.folds, config.fold, config.val_ratio, config.seed)


def _groups(pictures: Pictures, tags: Tags, tag: str | None) -> tuple[dict[str, str], list[str]]:
    """Return each picture's group: its value of the tag, or itself where it has none."""
    names = list(pictures.names())
    if tag is None:
        return {name: name for name in names}, []
    values = _values(pictures, tags, "group_by", tag)
    without = sum(value is None for value in values.values())
    notes = [f"{without} pictures have no {tag}: each is a group of its own"] if without else []
    # A value must not be taken for a picture's name.
    return {name: f"={value}" if value is not None else name for name, value in values.items()}, notes


def _values(pictures: Pictures, tags: Tags, setting: str, tag: str) -> dict[str, str | None]:
    """Return each picture's value of the tag that a setting names, None where it has none."""
    values = {name: tags.get(name, {}).get(tag) for name in pictures.names()}
    if all(value is None for value in values.values()):
        known = sorted({known for picture in tags.values() for known in picture})
        raise UserError(f"--{setting} {tag}: no picture has that tag; {_known(known)}")
    return values


def _divide_evenly(strata: Mapping[str, str | None], config: ReadingConfig) -> dict[str, str]:
    """Hold out Test, then Val of the rest, each evenly over the values of a tag."""
    test = held_out(strata, config.test_ratio, config.seed)
    rest = {name: stratum for name, stratum in strata.items() if name not in test}
    val = held_out(rest, config.val_ratio, config.seed)
    return {name: "Test" if name in test else "Val" if name in val else "Train" for name in strata}


def _known(tags: list[str]) -> str:
    return f"they have {', '.join(tags)}" if tags else "give --tag_file, or lay them in folders"


def _official(pictures: Pictures, groups: Mapping[str, str], config: ReadingConfig, notes: list[str]) -> Division:
    assert config.splits is not None, "asked for where it is given"
    splits = read_splits(config.splits, list(pictures.names()), pictures.find)
    notes = [*notes, *(f"{path} names no picture" for path in empty_lists(config.splits))]
    drawn: tuple[str, ...] = ()
    unnamed = [name for name in groups if name not in splits]
    labelled = set(pictures.names(labelled=True))
    left_out = {name: f"not in {config.splits}" for name in unnamed if name in labelled}
    if unlabelled := [name for name in unnamed if name not in labelled]:
        notes.append(f"{len(unlabelled)} pictures without a mask are not in {config.splits}: they are Train")
        splits |= dict.fromkeys(unlabelled, "Train")
    if left_out:
        notes.append(f"{len(left_out)} pictures with a mask are not in {config.splits}: they are left out")
    _require_whole_groups(splits, groups)
    splits, without_test = val_as_test(splits, config.splits, config.val_ratio > 0)
    notes += without_test
    if "Val" not in set(splits.values()) and config.val_ratio > 0 and not config.folds:
        train = {name: groups[name] for name, split in splits.items() if split == "Train"}
        _require_two(train, config)
        splits |= divide_groups(train, config.val_ratio, 0.0, config.seed)
        drawn = ("Train", "Val")
        if not without_test:
            notes.append(f"{config.splits} names no val: Val is drawn from train")
    return Division(splits, drawn, notes, left_out, {})


def _require_two(train: Mapping[str, str], config: ReadingConfig) -> None:
    """See that Val can be drawn from train (picture -> group)."""
    if len(set(train.values())) < 2:
        held = f"one {config.group_by}" if config.group_by else "one picture"
        raise UserError(
            f"{config.splits} leaves Val to be drawn from train, which has {held} alone: name pictures of val there, "
            "or give --val_ratio 0"
        )


def _require_whole_groups(splits: Mapping[str, str], groups: Mapping[str, str]) -> None:
    where: dict[str, str] = {}
    for name, split in splits.items():
        if where.setdefault(groups[name], split) != split:
            group = groups[name].removeprefix("=")
            raise UserError(f"group {group} lies in {where[groups[name]]} and {split}: --splits contradicts --group_by")
