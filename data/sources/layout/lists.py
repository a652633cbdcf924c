"""Lists in the folder of a public data set that say which split a picture is in; they win over the data set's own
division: train.txt, val.txt and test.txt, or a split.json.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from core.errors import UserError
from core.files import file_sha256
from data.prepare_config import PrepareConfig
from data.sources.layout.listed import SPLIT_LISTS, bare_name, read_splits, with_val
from data.sources.own.dividing.splits import json_lines, refuse_missing, require_both, val_as_test

JSON_LIST = "split.json"


class FolderLists(NamedTuple):
    """What the lists of a folder say: name -> split, {} without any; and what is to be said about them."""

    splits: dict[str, str]
    notes: list[str]


def divide(
    config: PrepareConfig,
    own: Mapping[str, str],
    lists: FolderLists,
    masks: Iterable[str],
    groups: Mapping[str, str] | None = None,
    strata: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], list[str], tuple[str, ...]]:
    """Return name -> split as the lists of the folder say, without any as the data set's own division does.

    Where that has no Val, it is drawn from Train. Pictures that no list names are left out, unless they have no mask
    and are of the own Train: they serve phase 1.

    Args:
        own: name -> split.
        masks: the names that have one.
        groups: name -> group, which lies in one split whole when Val is drawn.
        strata: name -> stratum, over which Val is drawn evenly.

    Returns:
        the splits, what is to be said about them, and which of them were drawn here.
    """
    published = lists.splits or own
    splits = with_val(published, config.val_ratio, config.seed, groups, strata)
    labelled = set(masks)
    rest = [name for name, split in own.items() if split == "Train" and name not in splits and name not in labelled]
    notes = [f"{len(rest)} pictures without a mask are in no list: they are Train"] if rest else []
    drawn = ("Train", "Val") if "Val" not in published.values() else ()
    return splits | dict.fromkeys(rest, "Train"), [*lists.notes, *notes], drawn


def folder_lists(
    folders: Iterable[Path], names: Mapping[str, Path] | Mapping[str, str], published: Path | None = None
) -> FolderLists:
    """Read the lists of the first of the folders that holds some.

    Args:
        names: the pictures, each by its name; to its file, whose name is as good, or to another name for it.
        published: the folder whose lists are the publisher's: these may name pictures that are not at hand.

    Raises:
        UserError: a list is malformed, names a picture twice or one that is not there, or Train or both others are
            empty.
    """
    for folder in folders:
        if files := _lists_of(folder):
            if files[-1].name == JSON_LIST and len(files) > 1:
                raise UserError(f"{folder} holds {JSON_LIST} and {files[0].name}: leave one that says the splits")
            where = files[0] if len(files) == 1 else folder
            splits = _known(_read(files), names, where, lenient=folder == published)
            require_both(splits, where)
            splits, notes = val_as_test(splits, where)
            told = f"the splits are those of {', '.join(file.name for file in files)} in {folder}"
            return FolderLists(splits, [told, *notes])
    return FolderLists({}, [])


def list_digests(folder: Path | None) -> dict[str, str]:
    """Return the SHA-256 of each list that lies in a folder: by it a preparation notices that one came or changed."""
    files = _lists_of(folder) if folder else []
    return {file.name: file_sha256(file) for file in files}


def _lists_of(folder: Path) -> list[Path]:
    return [folder / name for name in (*SPLIT_LISTS, JSON_LIST) if (folder / name).is_file()]


def _read(files: list[Path]) -> dict[str, str]:
    if files[0].name != JSON_LIST:
        return read_splits(files[0].parent)
    splits: dict[str, str] = {}
    for written, split in json_lines(files[0]):
        _add(splits, bare_name(written), split, files[0])
    return splits


def _known(
    listed: Mapping[str, str], names: Mapping[str, Path] | Mapping[str, str], where: Path, lenient: bool
) -> dict[str, str]:
    """Return the splits by the pictures' own names."""
    known = {bare_name(str(file)): name for name, file in names.items()} | {name: name for name in names}
    missing = [name for name in listed if name not in known]
    if not lenient:
        refuse_missing(where, missing)
    splits: dict[str, str] = {}
    for name, split in listed.items():
        _add(splits, known.get(name, name), split, where)
    return splits


def _add(splits: dict[str, str], name: str, split: str, where: Path) -> None:
    if name in splits:
        raise UserError(f"{where} names {name} twice ({splits[name]} and {split}): every picture has one split")
    splits[name] = split
