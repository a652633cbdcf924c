"""What is damaged, whole: tiny pictures, prepared data, weights, a run half-way, results. Made once by the commands."""

import contextlib
import csv
import json
import os
import shutil
import tarfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import yaml
from PIL import Image
from sample_annotations import written
from sample_volumes import write_volumes

from core.classes import ClassSet
from data.annotations.formats.table import FORMATS

SIDE = 40
NAMES = [f"{animal}_{number}" for animal in ("cat", "dog") for number in range(7)]
SUFFIXES = (".jpg", ".png", ".bmp", ".tif", ".gif", ".webp", ".jpg")
MASK_SUFFIXES = (".png", ".png", ".tif", ".bmp")
CLASSES = ("background", "box", "ring")
SMALL = ["--width", "2", "--batch_size", "4", "--device", "cpu", "--amp", "off"]
STEPS = ["--max_steps", "4", "--val_every", "2"]
TRAINING = {
    "phase_1": ["reconstruction.train", *SMALL, *STEPS, "--perceptual_weight", "0"],
    "phase_2": ["transfer_learning.train", *SMALL, *STEPS, "--optimizer", "adamw", "--save_every", "1"],
}

OF_VOLUMES = ["transfer_learning.train", *SMALL, "--max_steps", "1", "--val_every", "1", "--patch", "8"]


def make(folder: Path, quick: bool = False) -> None:
    """Make everything, in this process; quickly: without figures, and results of phase 2 alone."""
    folder.mkdir(parents=True)
    write_own(folder / "own")
    own = ["--dataset", "folder", "--images", folder / "own/images", "--masks", folder / "own/masks"]
    run("data.prepare", *own, "--classes", *CLASSES, "--size", SIDE, "--workers", 1, "--output_dir", folder / "data")
    data = ["--data_dir", folder / "data"]
    for name, (module, *flags) in TRAINING.items():
        run(module, *flags, *data, "--output_dir", folder / name)
        if name == "phase_2" or not quick:
            drawn = ["--no_figures"] if quick else ["--visualize_samples", 1]
            places = [
                "--model_path",
                folder / name / "best_model.safetensors",
                "--output_dir",
                folder / "results" / name,
            ]
            run(module.replace("train", "evaluate"), *places, *data, *drawn, "--device", "cpu")
    write_volumes(folder / "volumes", shape=(10, 12, 9))
    module, *flags = OF_VOLUMES
    run(module, *flags, "--data_dir", folder / "volumes", "--output_dir", folder / "phase_2_of_volumes")
    _stop_half_way(folder / "half_way", data)
    write_grid(folder)
    write_archives(folder / "archives")
    write_ablation(folder / "ablation")


def run(module: str, *arguments: object) -> None:
    """Call a command that must succeed."""
    assert import_module(module).main([str(argument) for argument in arguments]) == 0, (module, arguments)


def write_own(folder: Path) -> None:
    """Write pictures of every format at the prepared size, masks, lists of them, and what the classes mean."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    labels: dict[str, np.ndarray] = {}
    for number, name in enumerate(NAMES):
        generator = np.random.default_rng(number)
        coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        picture = coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        picture.save(folder / "images" / f"{name}{SUFFIXES[number % len(SUFFIXES)]}", **_lossless(number))
        labels[f"{name}{SUFFIXES[number % len(SUFFIXES)]}"] = mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[4 + number : 14 + number, 3:13] = 1
        mask[abs(np.hypot(rows - 20, columns - 20 - number % 5) - 6) < 2] = 2
        Image.fromarray(mask).save(folder / "masks" / f"{name}{MASK_SUFFIXES[number % len(MASK_SUFFIXES)]}")
    for which in FORMATS:
        written(folder / "annotations", labels, ClassSet(CLASSES), which)
    (folder / "classes.yaml").write_text(yaml.safe_dump({name: value for value, name in enumerate(CLASSES)}))
    write_lists(folder / "lists")


def _lossless(number: int) -> dict[str, object]:
    return {"lossless": True} if SUFFIXES[number % len(SUFFIXES)] == ".webp" else {}


def write_lists(folder: Path) -> None:
    """Write who belongs to which split in every form, and tags."""
    folder.mkdir()
    splits = {"train": NAMES[:8], "val": NAMES[8:11], "test": NAMES[11:]}
    (folder / "split.json").write_text(json.dumps(splits))
    with (folder / "splits.csv").open("w", newline="") as file:
        rows = [[name, split] for split, names in splits.items() for name in names]
        csv.writer(file).writerows([["file", "split"], *rows])
    (folder / "texts").mkdir()
    for split, names in splits.items():
        (folder / "texts" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
    with (folder / "tags.csv").open("w", newline="") as file:
        rows = [[name, name[:3], str(number // 2)] for number, name in enumerate(NAMES)]
        csv.writer(file).writerows([["file", "species", "patient"], *rows])


def write_archives(folder: Path) -> None:
    """Pack Pets as .tar.gz, ISIC as .zip, and lay Pets out unpacked."""
    from sample_pets import make_pets
    from sample_sources import FORMS, pack

    pets = make_pets(folder / "unpacked")
    (folder / "pets").mkdir()
    for part in ("images", "annotations"):
        with tarfile.open(folder / "pets" / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(pets / part, part)
    form = FORMS["isic"]
    form.make(folder / "layout")
    pack(folder / "layout", folder / "isic", form.archives)


def write_ablation(folder: Path) -> None:
    """Write the results of a finished grid in both formats."""
    from ablation_samples import CLASSES as ABLATION_CLASSES
    from ablation_samples import whole_grid

    whole_grid(folder / "format_1", images=6)
    whole_grid(folder / "format_2", images=6, classes=ABLATION_CLASSES)


def write_grid(folder: Path) -> None:
    """Time the runs of a grid, and train them: a cache with speeds, and run folders of which no result is kept yet."""
    settings = grid_flags(folder, folder / "grid.yaml")
    for name, more in (("timed", ["--list", "--measure"]), ("trained", [])):
        places = ["--output_dir", folder / name, "--results_dir", folder / "kept"]
        with patch.dict(os.environ, {"XDG_CACHE_HOME": str(folder / name / "cache")}):
            run("fuzz.grid_here", *settings, *places, *more)
    shutil.rmtree(folder / "trained/cache", ignore_errors=True)  # so short a run leaves no speed
    shutil.rmtree(folder / "kept")


def grid_flags(corpus: Path, config: Path) -> list[object]:
    """Write the file of a grid, and return the flags that name it, its data and an arm behind a pretraining."""
    from ablation_grid import one_variant

    config.write_text(yaml.safe_dump({"ablation": one_variant(steps=4)}))
    return ["--config", config, "--data_dir", corpus / "data", "--variants", "denoise_all"]


def _stop_half_way(folder: Path, data: Sequence[object]) -> None:
    """Train phase 2 and stop before its end, both states written."""
    from core.run import loop

    saved, save = [], loop.save_state

    def save_twice(*arguments: object) -> None:
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    loop.save_state = save_twice
    try:
        module, *flags = half_way()
        assert import_module(module).main([str(word) for word in (*flags, *data, "--output_dir", folder)]) == 130
    finally:
        loop.save_state = save


def half_way() -> list[str]:
    """Return the command of the run that was stopped."""
    return ["transfer_learning.train", *SMALL, "--max_steps", "6", "--val_every", "2", "--optimizer", "adamw"]


def main(argv: Sequence[str]) -> int:
    """Make the corpus in the folder that is named, anew."""
    folder = Path(argv[0])
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.chdir(folder.parent):
        make(folder)
    return 0
