"""The forms in which public data sets come, and how tests read them."""

import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sample_layouts import (
    Labels,
    make_ade,
    make_camvid,
    make_camvid_colours,
    make_camvid_fastai,
    make_cityscapes,
    make_drive,
    make_epfl,
    make_isbi,
    make_isic,
    make_msrc,
    make_msrc_exercise,
    make_voc,
    make_voc_aug,
)

from data.prepare_config import PrepareConfig
from data.sources.source import Sample, Source
from data.sources.table import open_source


class Form(NamedTuple):
    """A form of a data set: its name, its variant, its maker, and archive -> folders and files in it."""

    dataset: str
    variant: str | None
    make: Callable[[Path], Labels]
    archives: dict[str, tuple[str, ...]]


FORMS = {
    "voc": Form("voc2012", None, make_voc, {"VOCtrainval_11-May-2012.tar": ("VOCdevkit",)}),
    "voc aug": Form(
        "voc2012",
        "aug",
        make_voc_aug,
        {"VOCtrainval_11-May-2012.tar": ("VOCdevkit",), "SegmentationClassAug.zip": ("SegmentationClassAug",)},
    ),
    "camvid": Form("camvid", "11", make_camvid, {"CamVid.zip": ("CamVid",)}),
    "camvid colours": Form(
        "camvid",
        "32",
        make_camvid_colours,
        {"701_StillsRaw_full.zip": ("701_StillsRaw_full",), "LabeledApproved_full.zip": ("LabeledApproved_full/*",)},
    ),
    "camvid fastai": Form("camvid", "32", make_camvid_fastai, {"camvid.tgz": ("camvid",)}),
    "msrc": Form("msrc_v2", None, make_msrc, {"msrc_objcategimagedatabase_v2.zip": ("msrc_objcategimagedatabase_v2",)}),
    "msrc exercise": Form("msrc_v2", "23", make_msrc_exercise, {"segmentation_data.zip": ("segmentation_data",)}),
    "cityscapes": Form(
        "cityscapes",
        None,
        make_cityscapes,
        {"leftImg8bit_trainvaltest.zip": ("leftImg8bit",), "gtFine_trainvaltest.zip": ("gtFine",)},
    ),
    "ade20k": Form("ade20k", None, make_ade, {"ADEChallengeData2016.zip": ("ADEChallengeData2016",)}),
    "drive": Form("drive", None, make_drive, {"training.zip": ("DRIVE/training",), "test.zip": ("DRIVE/test",)}),
    "isbi": Form("isbi_em", None, make_isbi, {}),
    "epfl": Form("epfl_roads", None, make_epfl, {}),
    "isic": Form(
        "isic2018",
        None,
        make_isic,
        {
            f"ISIC2018_{name}.zip": (f"ISIC2018_{name}",)
            for part in ("Training", "Validation", "Test")
            for name in (f"Task1-2_{part}_Input", f"Task1_{part}_GroundTruth")
        },
    ),
}


def pack(root: Path, target: Path, archives: dict[str, tuple[str, ...]]) -> None:
    """Pack what a maker made as the publishers do; a pattern's files lie at the top, without their folder."""
    target.mkdir()
    for archive, patterns in archives.items():
        files = {}
        for pattern in patterns:
            top = root if "*" not in pattern else (root / pattern).parent
            top = (root / pattern).parent if "/" in pattern else top
            for found in root.glob(pattern):
                below = [found] if found.is_file() else sorted(path for path in found.rglob("*") if path.is_file())
                files |= {path: path.relative_to(top).as_posix() for path in below}
        if archive.endswith(".zip"):
            with zipfile.ZipFile(target / archive, "w") as packed:
                for path, name in files.items():
                    packed.write(path, name)
        else:
            with tarfile.open(target / archive, "w:gz" if archive.endswith("gz") else "w") as tar:
                for path, name in files.items():
                    tar.add(path, name)


def config_of(form: Form, folder: Path, **more) -> PrepareConfig:
    return PrepareConfig(
        dataset=form.dataset, variant=form.variant, archives=folder, raw_dir=folder.parent / "raw", **more
    )


def read(form: Form, folder: Path, **more) -> Source:
    config = config_of(form, folder, **more)
    config.check_source()
    return open_source(config)


def samples(source: Source) -> dict[str, Sample]:
    return {sample.name: sample for sample in source.samples}


def names(source: Source, split: str) -> set[str]:
    return {sample.name for sample in source.samples if sample.split == split}


def remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
