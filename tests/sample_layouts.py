"""Tiny made-up data sets in the official layouts, for the tests of their sources.

Each maker returns what labels must come out, name -> [H, W] uint8, worked out by hand and not by the code under test.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from sample_pets import picture

HEIGHT, WIDTH = 12, 16
Labels = dict[str, np.ndarray | None]


def halves(left: int, right: int) -> np.ndarray:
    mask = np.full((HEIGHT, WIDTH), left, np.uint8)
    mask[:, WIDTH // 2 :] = right
    return mask


def coloured(left: tuple[int, int, int], right: tuple[int, int, int]) -> np.ndarray:
    return np.array([left, right], np.uint8)[halves(0, 1)]


def save(path: Path, pixels: np.ndarray, palette: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if palette:
        image.putpalette([value for number in range(256) for value in (number, 255 - number, number // 2)])
    image.save(path)


def save_picture(path: Path, seed: int = 0) -> None:
    save(path, picture(seed, HEIGHT, WIDTH))


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def make_voc(root: Path) -> Labels:
    base = root / "VOCdevkit" / "VOC2012"
    train, val, other = ([f"2007_00000{number}" for number in numbers] for numbers in ((1, 2, 3, 4, 5), (6, 7), (8, 9)))
    for name in train + val + other:
        save_picture(base / "JPEGImages" / f"{name}.jpg")
    for name in train + val:
        save(base / "SegmentationClass" / f"{name}.png", halves(15, 255), palette=True)
    for name, names in (("train", train), ("val", val), ("trainval", train + val)):
        write(base / "ImageSets" / "Segmentation" / f"{name}.txt", *names)
    return dict.fromkeys(train + val, halves(15, 255)) | dict.fromkeys(other)


def make_voc_aug(root: Path) -> Labels:
    labels = make_voc(root)
    # An augmented mask of a picture of val, and one of train that has an official mask: neither counts.
    for name in ("2007_000001", "2007_000006", "2007_000008"):
        save(root / "SegmentationClassAug" / f"{name}.png", halves(20, 0))
    return labels | {"2007_000008": halves(20, 0)}


def make_camvid(root: Path, suffix: str = ".png") -> Labels:
    parts = {"train": ["0001TP_1", "0006R0_2", "0016E5_3"], "val": ["0016E5_4"], "test": ["Seq05VD_5", "Seq05VD_6"]}
    for part, names in parts.items():
        for name in names:
            save_picture(root / "CamVid" / part / f"{name}{suffix}")
            save(root / "CamVid" / f"{part}annot" / f"{name}.png", halves(10, 11))
        lines = [f"/SegNet/CamVid/{part}/{name}.png /SegNet/CamVid/{part}annot/{name}.png" for name in names]
        write(root / "CamVid" / f"{part}.txt", *lines)
    return {name: halves(10, 255) for names in parts.values() for name in names}


SEQUENCES = ("0001TP_1", "0001TP_2", "0006R0_3", "0006R0_4", "0016E5_5", "0016E5_6", "Seq05VD_7")


def make_camvid_colours(root: Path) -> Labels:
    for name in SEQUENCES:
        save_picture(root / "701_StillsRaw_full" / f"{name}.png")
        save(root / "LabeledApproved_full" / f"{name}_L.png", coloured((64, 192, 0), (0, 0, 0)))
    return dict.fromkeys(SEQUENCES, halves(30, 255))  # Wall is the last of the 31, Void ignored


def make_camvid_fastai(root: Path) -> Labels:
    for name in SEQUENCES:
        save_picture(root / "camvid" / "images" / f"{name}.png")
        save(root / "camvid" / "labels" / f"{name}_P.png", halves(1, 0))
    write(root / "camvid" / "codes.txt", "Void", "Animal")  # whose order decides
    write(root / "camvid" / "valid.txt", "Seq05VD_7.png")
    return dict.fromkeys(SEQUENCES, halves(0, 255))


def make_msrc(root: Path) -> Labels:
    base = root / "msrc_objcategimagedatabase_v2"
    for name in ("1_4_s", "1_2_s", "1_1_s", "20_19_s"):
        save_picture(base / "Images" / f"{name}.bmp")
        save(base / "GroundTruth" / f"{name}_GT.bmp", coloured((192, 64, 0), (0, 0, 0)))
    write(base / "Images" / "Thumbs.db", "no picture")
    return dict.fromkeys(("1_4_s", "1_2_s", "1_1_s", "20_19_s"), halves(22, 255))


def make_msrc_exercise(root: Path) -> Labels:
    base = root / "segmentation_data"
    splits = {"1_4_s": "train", "1_1_s": "train", "1_3_s": "val", "1_2_s": "test"}
    for name in splits:
        save_picture(base / "images" / f"{name}.bmp")
        save(base / "targets" / f"{name}_GT.bmp", halves(23, 5), palette=True)
    for part in ("train", "val", "test"):
        write(base / f"{part}.txt", *(f"{name}.bmp" for name in splits if splits[name] == part))
    return dict.fromkeys(splits, halves(22, 4))


def make_cityscapes(root: Path) -> Labels:
    labels: Labels = {}
    for part, cities in (("train", ("aachen", "bonn", "ulm")), ("val", ("munster",)), ("test", ("berlin",))):
        for city in cities:
            for number in (1, 2):
                name = f"{city}_00000{number}_000019"
                save_picture(root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png")
                for kind, mask in (("labelIds", halves(33, 6)), ("instanceIds", halves(1, 2)), ("color", halves(3, 4))):
                    save(root / "gtFine" / part / city / f"{name}_gtFine_{kind}.png", mask)
                if part != "test":
                    labels[name] = halves(18, 255)
    return labels


def make_ade(root: Path) -> Labels:
    base = root / "ADEChallengeData2016"
    labels: Labels = {}
    for part, short, count in (("training", "train", 5), ("validation", "val", 2)):
        for number in range(1, count + 1):
            name = f"ADE_{short}_0000000{number}"
            save_picture(base / "images" / part / f"{name}.jpg")
            save(base / "annotations" / part / f"{name}.png", halves(150, 0))
            labels[name] = halves(149, 255)
    write(base / "sceneCategories.txt", "ADE_train_00000001 airport_terminal")
    return labels


def make_drive(root: Path) -> Labels:
    labels: Labels = {}
    for part, numbers in (("training", range(21, 26)), ("test", range(1, 4))):
        for number in numbers:
            base, name = root / "DRIVE" / part, f"{number:02d}_{part}"
            save_picture(base / "images" / f"{name}.tif")
            save(base / "1st_manual" / f"{number:02d}_manual1.gif", halves(253, 3))
            view = np.full((HEIGHT, WIDTH), 255, np.uint8)
            view[0] = 0
            save(base / "mask" / f"{name}_mask.gif", view)
            labels[name] = halves(1, 0)
            labels[name][0] = 255
    return labels


def make_isbi(root: Path, pages: int = 10, numbers: Iterable[int] = ()) -> Labels:
    root.mkdir(parents=True, exist_ok=True)
    volume = [np.full((HEIGHT, WIDTH), 10 + page, np.uint8) for page in range(pages)]
    save_pages(root / "train-volume.tif", volume)
    save_pages(root / "train-labels.tif", [halves(0, 255)] * pages)
    write(root / "slices.txt", *map(str, numbers or range(pages)))
    return {f"slice_{number:02d}": halves(1, 0) for number in numbers or range(pages)}


def save_pages(path: Path, pages: list[np.ndarray]) -> None:
    first, *rest = map(Image.fromarray, pages)
    first.save(path, save_all=True, append_images=rest)


def make_epfl(root: Path) -> Labels:
    labels: Labels = {}
    for number in range(1, 5):
        name = f"satImage_00{number}"
        save_picture(root / "training" / "images" / f"{name}.png")
        save(root / "training" / "groundtruth" / f"{name}.png", halves(128, 127))
        labels[name] = halves(1, 0)
    write(root / "train.txt", "satImage_001\nsatImage_002\nsatImage_003\n")
    write(root / "test.txt", "satImage_004\n")
    return labels


def make_isic(root: Path) -> Labels:
    labels: Labels = {}
    for part, numbers in (("Training", range(1, 6)), ("Validation", (6,)), ("Test", (7, 8))):
        for number in numbers:
            name = f"ISIC_000000{number}"
            save_picture(root / f"ISIC2018_Task1-2_{part}_Input" / f"{name}.jpg")
            save(root / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png", halves(255, 0))
            labels[name] = halves(1, 0)
        write(root / f"ISIC2018_Task1-2_{part}_Input" / "LICENSE.txt", "CC0")
    return labels
