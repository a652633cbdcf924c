"""One's own pictures: a folder of images and, for some, all or none of them, a mask.

A mask is a PNG of one 8-bit channel, values 0 background, 1 cat, 2 dog, 255 ignored, under the same relative name
(`images/a/tom.jpg`, `masks/a/tom.png`). Splits come from the names alone, so a mask that is added later moves nothing.
"""

import os
from functools import partial
from hashlib import sha256
from pathlib import Path

from core.errors import UserError
from data.manifest import LABEL_VALUES
from data.pictures import read_mask, read_picture, why_no_picture
from data.samples import Sample, Source, file_stamp, hash_splits


def read_folder(images: Path, masks: Path | None, val_ratio: float, test_ratio: float, seed: int) -> Source:
    """List one's own pictures, recursively; they are read later. Files and folders that start with a dot are skipped.

    `test_ratio` is a share of all pictures, `val_ratio` a share of those that remain.

    Raises:
        UserError: a folder is missing or empty, two pictures share a name, or no mask fits any picture.
    """
    for folder in (images, masks):
        if folder is not None and not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    if masks is not None and masks.resolve() == images.resolve():
        raise UserError(f"{images} holds both images and masks: give each a folder of its own")
    pictures, passed_over = _pictures(images, masks)
    if not pictures:
        raise UserError(f"{images} holds no picture")
    mask_files = {}
    for path in walk(masks, None) if masks else ():
        name = _stem(path, masks)
        if path.suffix.lower() == ".png" and name in pictures:
            mask_files[name] = path
        else:
            passed_over.append((str(path), "not a PNG with the relative name of a picture"))
    if masks and not mask_files:
        raise UserError(f"no mask in {masks} fits a picture: images/a/tom.jpg needs masks/a/tom.png")
    samples = [
        _sample(name, split, pictures[name], mask_files.get(name))
        for name, split in hash_splits(sorted(pictures), val_ratio, test_ratio, seed).items()
    ]
    return Source(samples, LABEL_VALUES, sorted(passed_over), {"listing": _listing(samples)})


def _pictures(images: Path, masks: Path | None) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    pictures: dict[str, Path] = {}
    passed_over = []
    for path in walk(images, masks):
        name = _stem(path, images)
        # Bytes that are no UTF-8 come as lone surrogates, on which OpenCV crashes.
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            printable = os.fsencode(path).decode(errors="replace")
            passed_over.append((printable, "its name is not valid UTF-8: rename it"))
        elif reason := why_no_picture(path):
            passed_over.append((str(path), reason))
        elif name in pictures:
            raise UserError(f"{pictures[name]} and {path.name} would get the same name: rename one")
        else:
            pictures[name] = path
    return pictures, passed_over


def _sample(name: str, split: str, image: Path, mask: Path | None) -> Sample:
    return Sample(
        name=name,
        split=split,
        species=None,  # the mask tells it, where there is one
        breed=None,
        file=str(image),
        image=partial(read_picture, image),
        mask_file=str(mask or ""),
        mask=partial(read_mask, mask) if mask else None,
        stamp=file_stamp(image, mask) if mask else file_stamp(image),
    )


def walk(root: Path, excluded: Path | None) -> list[Path]:
    """Return all files below a folder, sorted folder by folder; names with a dot first and `excluded` are skipped.

    Raises:
        OSError: a folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    files = []
    for folder, folders, names in os.walk(root, onerror=fail):
        kept = (Path(folder, name) for name in sorted(folders) if not name.startswith("."))
        folders[:] = [path.name for path in kept if excluded is None or path.resolve() != excluded.resolve()]
        files += [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
    return files


def _stem(path: Path, root: Path) -> str:
    return path.relative_to(root).with_suffix("").as_posix()


def _listing(samples: list[Sample]) -> str:
    # Names and sizes, so that a later call notices pictures that came, went or changed.
    lines = sorted(f"{sample.name}\t{sample.stamp[::2]}" for sample in samples)
    return sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
