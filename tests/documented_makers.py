"""The drawn things themselves that documented_stand_ins.py lays: each maker writes one to the path that it is given."""

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import yaml
from documented_commands import ROOT, blocks_of
from own_pictures import indices, write_masks, write_pictures
from PIL import Image
from sample_classes import write_data
from sample_layouts import save, save_picture
from sample_pets import make_pets
from sample_sources import FORMS
from sample_weights import write_weights

from core.classes import ClassSet
from data.prepare import main as prepare
from reconstruction.train import main as pretrain
from transfer_learning.train import main as train

SIDE = 64  # a scale of 0.75 leaves more than the 33 px that networks need
NAMES = [f"photo_{number}" for number in range(30)]
STEPS = ["--max_steps", "2", "--val_every", "1"]
TRAINING = ["--width", "2", "--batch_size", "4", *STEPS, "--device", "cpu", "--amp", "off"]
PICTURES = (".png", ".jpg", ".bmp", ".tif")
YOLO_VALUES = (0, 2, 10, 47)
# Laid over every file of settings, wherever in it such a setting stands.
SMALL = {
    **{
        "width": 2,
        "batch_size": 4,
        "size": SIDE,
        "val_every": 1,
        "warmup_steps": 0,
        "num_images": 40,
        "train_crop": 40,
    },
    **{"mask_patch": 8, "amp": "off", "seeds": [1], "fractions": [0.1, 1.0], "learning_rates": [0.002]},
    **{"jobs": 1, "budgets": [], "val_labels": 2},
}


class Made(Protocol):
    """What other makers made, now or before."""

    def path_of(self, maker: "Maker", /) -> Path: ...


# Writes a stand-in to a path; what it is made of may be stand-ins too.
Maker = Callable[[Made, Path], object]


def shrunk(content: object) -> object:
    """Return what a file of settings holds, small; twice the steps stay more, a frozen encoder is let go in time."""
    if not isinstance(content, dict):
        return content
    small = {name: SMALL.get(name, shrunk(value)) for name, value in content.items() if name != "epochs"}
    # Without a number of steps phase 1 of a grid goes by epochs, of which there are many by default.
    if "epochs" in content.get("pretraining_common", {}):
        small["pretraining_common"]["epochs"] = 1
    steps = content.get("max_steps")
    released = {"freeze": 1} if isinstance(content.get("freeze"), int) else {}
    return small | released | ({"max_steps": max(2, steps.bit_length() - 8)} if steps else {})


def photos(_: Made, target: Path) -> None:
    write_pictures(target, NAMES)


def photo(_: Made, target: Path) -> None:
    write_pictures(target.with_name("one"), ["photo"])
    shutil.copyfile(target.with_name("one") / "photo.jpg", target)


def masks(_: Made, target: Path) -> None:
    """Write those of most photographs."""
    write_masks(target, {name: indices(number, 3) for number, name in enumerate(NAMES[:24])})


def scans(stand_ins: Made, target: Path) -> None:
    shutil.copytree(stand_ins.path_of(task) / "imagesTr", target)


def masks_of_scans(stand_ins: Made, target: Path) -> None:
    shutil.copytree(stand_ins.path_of(task) / "labelsTr", target)


def patients(_: Made, target: Path) -> None:
    target.write_text("file,patient\n" + "".join(f"case_{number},{number // 2}\n" for number in range(8)))


def yolo(_: Made, target: Path) -> None:
    write_pictures(target / "images", NAMES)
    (target / "labels").mkdir()
    for number, name in enumerate(NAMES):
        lines = []
        for place, value in enumerate(YOLO_VALUES):
            left, top = 0.02 + 0.24 * place, 0.1 + 0.01 * number
            corners = [(left, top), (left + 0.2, top), (left + 0.2, top + 0.5), (left, top + 0.5)]
            lines.append(" ".join(map(str, (value, *(round(side, 4) for corner in corners for side in corner)))))
        (target / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def yolo_classes(_: Made, target: Path) -> None:
    target.write_text(blocks_of(ROOT / "docs/own_pictures.md", "yaml")[0])


def pets(_: Made, target: Path) -> None:
    made = make_pets(target.with_name("pets_unpacked"))
    target.mkdir()
    for part in ("images", "annotations"):
        with tarfile.open(target / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(made / part, part)


def form(name: str, masks: str = "", values: tuple[object, ...] = ()) -> Callable[[Made, Path], None]:
    """Return a maker of a public data set's layout: pictures that differ, and masks of so many values."""

    def make(_: Made, target: Path) -> None:
        FORMS[name].make(target)
        for number, path in enumerate(sorted(target.rglob("*.*"))):
            if masks and path.match(masks):
                label = np.array(values, np.uint8)[indices(number, len(values))]
                save(path, label[:36:3, :48:3], palette=name == "voc")
            elif path.suffix in PICTURES and "Truth" not in str(path) and Image.open(path).mode == "RGB":
                save_picture(path, number)

    make.__name__ = f"form_{name}"
    return make


def task(_: Made, target: Path) -> None:
    from sample_task import write_task

    write_task(target)


def data(_: Made, target: Path) -> None:
    flags = f"--dataset synthetic --num_images 60 --labelled_fraction 0.4 --size {SIDE} --workers 1"
    assert prepare([*flags.split(), "--output_dir", str(target)]) == 0


def own_data(stand_ins: Made, target: Path) -> None:
    own = ["--images", str(stand_ins.path_of(photos)), "--masks", str(stand_ins.path_of(masks)), "--size", str(SIDE)]
    assert prepare(["--dataset", "folder", *own, "--workers", "1", "--output_dir", str(target)]) == 0


def pets_data(stand_ins: Made, target: Path) -> None:
    flags = ["--archives", str(stand_ins.path_of(pets)), "--size", str(SIDE), "--workers", "1"]
    assert prepare([*flags, "--output_dir", str(target)]) == 0


def volumes(stand_ins: Made, target: Path) -> None:
    flags = ["--dataset", "msd", "--archives", str(stand_ins.path_of(task))]
    assert prepare([*flags, "--output_dir", str(target)]) == 0


MEMBRANE = ClassSet(("background", "membrane"))


def membranes(_: Made, target: Path) -> None:
    write_data(target, MEMBRANE)


def run_of_membranes(_: Made, target: Path) -> None:
    target.mkdir()
    write_weights(target / "best_model.safetensors", 0, SIDE, MEMBRANE)


def autoencoder(stand_ins: Made, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(pets_data)), "--perceptual_weight", "0"]
    assert pretrain([*TRAINING, *data, "--output_dir", str(target)]) == 0


def run(stand_ins: Made, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(pets_data))]
    assert train([*TRAINING, *data, "--output_dir", str(target)]) == 0


def own_run(stand_ins: Made, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(own_data))]
    assert train([*TRAINING, *data, "--output_dir", str(target)]) == 0


def mobilenet(_: Made, target: Path) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("mobilenetv2_100").state_dict(), target)


def deeplab(_: Made, target: Path) -> None:
    from data.sources.voc2012 import CLASSES

    write_weights(target, 0, SIDE, CLASSES)


def class_map(_: Made, target: Path) -> None:
    (content,) = [block for block in blocks_of(ROOT / "docs/evaluate.md", "yaml") if "pets_on_voc.yaml" in block]
    target.write_text(content)


def label_curve(_: Made, target: Path) -> None:
    (content,) = blocks_of(ROOT / "docs/few_labels.md", "yaml")
    target.write_text(yaml.safe_dump(shrunk(yaml.safe_load(content)), sort_keys=False))


def recipe(_: Made, target: Path) -> None:
    content = yaml.safe_load(blocks_of(ROOT / "docs/recipes.md", "yaml")[0])
    content["data"]["num_images"] = 40
    content["transfer_learning"] |= {"width": 2, "max_steps": 2, "val_every": 1}
    target.write_text(yaml.safe_dump(content))


def results(name: str) -> Callable[[Made, Path], None]:
    def make(_: Made, target: Path) -> None:
        shutil.copytree(ROOT / "evaluation_results" / name, target)

    make.__name__ = f"results_{name}"
    return make
