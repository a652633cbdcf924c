"""Pictures and masks that belong together by their names, and the lists that say which split a name is in."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.files import read_text
from data.manifest import SPLITS
from data.pictures import read_picture
from data.sources.layout.division import held_out_groups
from data.sources.source import Sample, Source, file_stamp, held_out

Masks = Mapping[str, Sequence[Path]]
SPLIT_LISTS = {"train.txt": "Train", "val.txt": "Val", "test.txt": "Test"}


def files_by_name(folders: Iterable[Path], ending: str = "") -> dict[str, Path]:
    """Return the files of folders by their names without suffix and without `ending`, which others lack and are left.

    Hidden files do not count, nor do folders that are not there.

    Raises:
        UserError: two files have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(path for folder in folders if folder.is_dir() for path in folder.iterdir()):
        if path.name.startswith(".") or not path.stem.endswith(ending) or path.is_dir():
            continue
        name = path.stem.removesuffix(ending)
        if name in found:
            raise UserError(f"{found[name]} and {path} are two files for one name: move one away")
        found[name] = path
    return found


PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".webp", ".mat")
VOLUMES = (".nii.gz", ".nii")


def read_names(path: Path) -> list[str]:
    """Read the names of a list: a line's first word, without folders and suffix.

    Raises:
        UserError: the list is missing, empty or no text, or names a picture twice.
    """
    try:
        lines = read_text(path, encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: it lists the names of a split's pictures") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text: it needs a picture's name a line") from None
    names = [bare_name(line.split()[0]) for line in lines if line.strip()]
    if not names:
        raise UserError(f"{path} names no pictures: it needs a name a line")
    if len(names) > len(set(names)):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise UserError(f"{path} lists {twice} twice: leave one")
    return names


def bare_name(entry: str) -> str:
    """Return a name without its folders and a picture's or a volume's suffix; a dot may be part of the name."""
    name = Path(entry).name
    suffix = next((suffix for suffix in (*PICTURES, *VOLUMES) if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


def read_splits(folder: Path) -> dict[str, str]:
    """Return name -> split from those of train.txt, val.txt and test.txt that the folder holds; {} without any.

    Raises:
        UserError: as `read_names`, or a name stands in two of them.
    """
    splits: dict[str, str] = {}
    origins: dict[str, str] = {}
    for file, split in SPLIT_LISTS.items():
        for name in read_names(folder / file) if (folder / file).is_file() else []:
            if name in splits:
                raise UserError(f"{folder}: {name} stands in {origins[name]} and in {file}: leave it in one list")
            splits[name], origins[name] = split, file
    return splits


def with_val(
    splits: Mapping[str, str],
    ratio: float,
    seed: int,
    groups: Mapping[str, str] | None = None,
    strata: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the splits with a share of Train made Val, drawn by the seed: by whole groups, or evenly over strata.

    What is Val already stays alone: then nothing is drawn.
    """
    if "Val" in splits.values():
        return dict(splits)
    train = [name for name, split in splits.items() if split == "Train"]
    if groups is None:
        val = held_out({name: strata[name] if strata else None for name in train}, ratio, seed)
    else:
        val = held_out_groups({name: groups[name] for name in train}, ratio, seed)
    return {name: "Val" if name in val else split for name, split in splits.items()}


def listed_source(
    root: Path,
    splits: Mapping[str, str],
    images: Mapping[str, Path],
    masks: Masks,
    decode: Callable[..., np.ndarray],
    classes: ClassSet,
    tags: Mapping[str, Mapping[str, str]] | None = None,
    passed_over: Iterable[tuple[Path, str]] = (),
    notes: Sequence[str] = (),
    **more: Any,
) -> Source:
    """Make the source of pictures and masks that belong together by name; without a mask a picture is unlabelled.

    Args:
        root: what names of files are told relative to.
        splits: name -> split: the names that count.
        images: name -> picture.
        masks: name -> the files that `decode` makes a label of.
        decode: takes those files.
        classes: what the labels mean.
        tags: name -> tags.
        passed_over: further files that belong to no sample, with the reason.
        notes: what is to be said; that a split is empty is added.
        more: of the `Source`.

    Raises:
        UserError: none of the names has a picture.
    """
    if not splits:
        raise UserError(f"{root} holds no pictures of this data set: give the folder of its official layout")
    samples = []
    unused = [(_shown(path, root), reason) for path, reason in passed_over]
    for name, split in sorted(splits.items()):
        if name in images:
            files = tuple(masks.get(name, ()))
            samples.append(_sample(root, name, split, images[name], files, decode, (tags or {}).get(name, {})))
        else:
            unused.append((name, "listed, but there is no such picture"))
    if not samples:
        raise UserError(f"{root} holds none of the {len(splits)} listed pictures, {sorted(splits)[0]} the first")
    unused += [(_shown(path, root), "in no list") for name, path in images.items() if name not in splits]
    strays = [files[0] for name, files in masks.items() if name not in images]
    unused += [(_shown(path, root), "a mask without its picture") for path in strays]
    empty = [split for split in SPLITS if split not in {sample.split for sample in samples}]
    said = [*notes, *(f"no picture of {split} is here" for split in empty)]
    return Source(samples, classes, passed_over=sorted(unused), notes=said, **more)


def _sample(
    root: Path,
    name: str,
    split: str,
    image: Path,
    masks: tuple[Path, ...],
    decode: Callable[..., np.ndarray],
    tags: Mapping[str, str],
) -> Sample:
    return Sample(
        name=name,
        split=split,
        file=_shown(image, root),
        image=partial(read_picture, image),
        label_file=_shown(masks[0], root) if masks else "",
        label=partial(decode, *masks) if masks else None,
        tags=tags,
        stamp=file_stamp(image, *masks),
        files=(image, *masks),
    )


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
