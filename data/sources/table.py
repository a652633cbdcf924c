"""The data sets that `data.prepare` knows: a row each; what reads one is imported when it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data.prepare_config import PrepareConfig
    from data.sources.source import Source


@dataclass(frozen=True)
class DataSet:
    """A data set by its name.

    Attributes:
        module: holds `read(config) -> Source`.
        title: what it is, in a few words.
        classes: how many, in words.
        settings: the fields of `PrepareConfig` that say where it comes from and how it is read; of those that not
            every data set has (`SOURCE_SETTINGS`), any other is refused.
        splits: whose they are, in words.
        licence, citation, address: the publisher's.
        variants: values of --variant, the first the default.
    """

    module: str
    title: str
    classes: str
    settings: tuple[str, ...]
    splits: str
    licence: str
    citation: str = ""
    address: str = ""
    variants: tuple[str, ...] = ()


DATA_SETS = {
    "oxford_pets": DataSet(
        "data.sources.oxford_pets",
        "Oxford-IIIT Pet: cats and dogs",
        "3 (background, cat, dog)",
        ("archives", "download", "val_ratio"),
        "official test; Val from trainval, by breed",
        "CC BY-SA 4.0",
        "Parkhi, Vedaldi, Zisserman, Jawahar: Cats and Dogs. CVPR 2012",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
    ),
    "drawn_pets": DataSet(
        "data.sources.drawn_pets.source",
        "drawn cats and dogs on clutter, no download",
        "3 (background, cat, dog)",
        ("num_images", "labelled_fraction", "val_ratio", "test_ratio"),
        "by the seed",
        "drawn here",
    ),
    "folder": DataSet(
        "data.sources.folder",
        "your own pictures, with masks for some, all or none",
        "what the masks hold, or --classes",
        (
            *("images", "masks", "classes", "mask_pattern", "ignore_value", "splits", "folds", "fold", "group_by"),
            *("tag_file", "channels", "range", "ground", "val_ratio", "test_ratio"),
        ),
        "by the seed, or --splits",
        "yours",
    ),
}
# Names of before.
ALIASES = {"synthetic": "drawn_pets"}


def open_source(config: "PrepareConfig") -> "Source":
    """List what is to be prepared; archives are fetched and unpacked first where needed.

    Raises:
        UserError: the source is missing, damaged or empty.
    """
    return import_module(DATA_SETS[config.dataset].module).read(config)


def listing_of(config: "PrepareConfig") -> str:
    """Return what the manifest calls `listing` as it is now: a data set that has one can tell it without reading files.

    Raises:
        UserError: as `open_source`.
    """
    return import_module(DATA_SETS[config.dataset].module).listing(config)
