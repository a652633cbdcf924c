"""From settings to samples: the archives of Oxford-IIIT Pet, the synthetic drawings, or a folder of one's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from core.errors import UserError
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.archives import PETS_MD5, PETS_URL, download, extract, file_md5
from data.sources.folder import read_folder
from data.sources.oxford_pets import TRIMAP_VALUES, read_pets
from data.sources.source import Sample, Source, hash_places


def open_source(config: PrepareConfig) -> Source:
    """List what is to be prepared; archives are fetched and unpacked first where needed.

    Raises:
        UserError: the source is missing, damaged or empty.
    """
    if config.dataset == "folder":
        return read_folder(config.images, config.masks, config.val_ratio, config.test_ratio, config.seed)
    if config.dataset == "synthetic":
        return _synthetic(config)
    return _pets(config)


def _pets(config: PrepareConfig) -> Source:
    folder = config.raw_dir if config.download else config.archives
    if not config.download and not folder.is_dir():
        raise UserError(f"{folder} is not a folder: --archives needs one with {' and '.join(PETS_MD5)}")
    archives = {name: folder / name for name in PETS_MD5}
    if not config.download and not all(path.is_file() for path in archives.values()):
        return _unpacked_pets(config, folder)
    config.raw_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(config.raw_dir / ".lock"):
        if config.download:
            for name, path in archives.items():
                download(PETS_URL + name, path, PETS_MD5[name])
        checksums = {name: file_md5(path) for name, path in archives.items()}
        images, annotations = (_unpack(archives[name], config.raw_dir, checksums[name]) for name in PETS_MD5)
    source = read_pets(images, annotations, config.val_ratio, config.seed)
    source.details["archives"] = {
        name: {"md5": md5, "official": md5 == PETS_MD5[name]} for name, md5 in checksums.items()
    }
    return source


def _unpack(archive: Path, raw_dir: Path, md5: str) -> Path:
    # The checksum in the folder's name keeps an older unpacking of another archive from being taken for this one.
    top = archive.name.removesuffix(".tar.gz")
    return extract(archive, raw_dir / f"{top}-{md5[:12]}", top)


def _unpacked_pets(config: PrepareConfig, folder: Path) -> Source:
    if missing := [name for name in ("images", "annotations") if not (folder / name).is_dir()]:
        raise UserError(
            f"{folder} lacks {' and '.join(f'{name}.tar.gz' for name in missing)}: it needs both archives, "
            f"or images/ and annotations/ unpacked"
        )
    return read_pets(folder / "images", folder / "annotations", config.val_ratio, config.seed)


def _synthetic(config: PrepareConfig) -> Source:
    from data.sources.drawn_pets.drawings import records

    names = (drawing.name for drawing in records(config.num_images, config.seed, config.labelled_fraction))
    return Source(
        _Drawings(config, hash_places(names, config.val_ratio, config.test_ratio, config.seed)), TRIMAP_VALUES
    )


@dataclass(frozen=True)
class _Drawings:
    config: PrepareConfig
    places: np.ndarray  # [N] uint8, of the splits in SPLITS

    def __len__(self) -> int:
        return self.config.num_images

    def __iter__(self) -> Iterator[Sample]:
        from data.sources.drawn_pets.drawings import records

        drawings = records(self.config.num_images, self.config.seed, self.config.labelled_fraction)
        for drawing, place in zip(drawings, self.places, strict=True):
            yield _drawing(self.config, drawing, SPLITS[place])


def _drawing(config: PrepareConfig, drawing: Any, split: str) -> Sample:
    from data.sources.drawn_pets.drawings import draw

    index = drawing.index

    def image() -> tuple[np.ndarray, list[str]]:
        return draw(config.seed, index, config.size).image, []

    def mask() -> np.ndarray:
        return draw(config.seed, index, config.size).trimap

    return Sample(
        name=drawing.name,
        split=split,
        species=drawing.species,
        breed=None,
        file=drawing.name,
        image=image,
        mask_file=drawing.name,
        mask=mask if drawing.labelled else None,
        stamp=(config.seed, index),
    )
