"""The drawn cats and dogs as a data set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.errors import UserError
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.drawn_pets.drawings import MIN_SIZE, Record, draw, records
from data.sources.oxford_pets import CLASSES
from data.sources.source import Sample, Source, hash_places
from data.trimaps import trimap_to_label


def read(config: PrepareConfig) -> Source:
    """List the drawings; they are made when they are asked for.

    Raises:
        UserError: the size is not a square, or too small to draw an animal.
    """
    height, width = config.sides
    if height != width:
        raise UserError(f"size {config.size}: drawn pets are squares: give --size {height} or --size {width}")
    if height < MIN_SIZE:
        raise UserError(f"size {height} is too small to draw an animal: give --size {MIN_SIZE} or more")
    names = (drawing.name for drawing in records(config.num_images, config.seed, config.labelled_fraction))
    places = hash_places(names, config.val_ratio, config.test_ratio, config.seed)
    return Source(_Drawings(config, places), CLASSES, stratum="species")


@dataclass(frozen=True)
class _Drawings:
    config: PrepareConfig
    places: np.ndarray  # [N] uint8, of the splits in SPLITS

    def __len__(self) -> int:
        return self.config.num_images

    def __iter__(self) -> Iterator[Sample]:
        drawings = records(self.config.num_images, self.config.seed, self.config.labelled_fraction)
        for drawing, place in zip(drawings, self.places, strict=True):
            yield _sample(self.config.seed, self.config.sides[0], drawing, SPLITS[place])


def _sample(seed: int, size: int, drawing: Record, split: str) -> Sample:
    def image() -> tuple[np.ndarray, list[str]]:
        return draw(seed, drawing.index, size).image, []

    def label() -> np.ndarray:
        return trimap_to_label(draw(seed, drawing.index, size).trimap, CLASSES.names.index(drawing.species))

    return Sample(
        name=drawing.name,
        split=split,
        file=drawing.name,
        image=image,
        label_file=drawing.name,
        label=label if drawing.labelled else None,
        tags={"species": drawing.species},
        stamp=(seed, drawing.index),
    )
