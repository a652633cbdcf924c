"""EPFL road segmentation: roads in aerial pictures. `training/images`, `training/groundtruth`.

Of the course on machine learning at EPFL; its test part has no public labels, so that Test is drawn from training by
the seed, unless lists in the folder say otherwise. Masks are grey with soft edges: road from 128 on.
"""

from pathlib import Path

import numpy as np

from core.classes import ClassSet
from data.prepare_config import PrepareConfig
from data.sources.fetching.official import Official
from data.sources.layout.codes import read_grey
from data.sources.layout.listed import files_by_name, listed_source
from data.sources.layout.lists import divide, folder_lists
from data.sources.source import Source, hash_splits

CLASSES = ClassSet(("background", "road"))
ARCHIVES = ("training.zip",)
THRESHOLD = 127


def read(config: PrepareConfig) -> Source:
    """List the pictures.

    Raises:
        UserError: a folder is missing, or a list is malformed.
    """
    official = Official(config, ARCHIVES)
    folder = official.require("training/images") / "training"
    images, masks = (files_by_name([folder / name]) for name in ("images", "groundtruth"))
    own = hash_splits(list(images), config.val_ratio, config.test_ratio, config.seed)
    splits, notes, drawn = divide(config, own, folder_lists((official.folder, folder.parent), images), masks)
    return listed_source(
        folder.parent,
        splits,
        images,
        {name: (path,) for name, path in masks.items()},
        read_label,
        CLASSES,
        drawn=drawn,
        details=official.details,
        notes=notes,
    )


def read_label(path: Path) -> np.ndarray:
    """Read the roads as a label [H, W] uint8; raises PictureError for a file that cannot be read."""
    return (read_grey(path) > THRESHOLD).astype(np.uint8)
