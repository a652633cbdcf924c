"""What goes wrong for users, made to go wrong: a row for most lines of docs/troubleshooting.md."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from own_pictures import indices, write_masks, write_pictures
from PIL import Image

from core.filing.writing import lock

NAMES = [f"tom_{number:02}" for number in range(16)]
PREPARE = "prepare --dataset folder --images photos --masks masks --size 40 --output_dir data/mine"
STEPS = "--width 1 --batch_size 4 --max_steps 2 --val_every 1 --device cpu"
TRAIN = f"train --data_dir data/mine --output_dir runs/mine {STEPS}"
OTHER = f"train --data_dir data/mine --output_dir runs/other {STEPS}"
PRETRAIN = f"pretrain --output_dir runs/encoder {STEPS} --perceptual_weight 0"
CARRIED = f"{OTHER} --pretrained_encoder runs/encoder/best_model.safetensors"
WEIGHTS = Path("runs/mine/best_model.safetensors")
PREDICT = f"predict --model_path {WEIGHTS} --input photos"
EVALUATE = f"evaluate --model_path {WEIGHTS} --data_dir data/two --output_dir out --device cpu"
TWO = PREPARE.replace("data/mine", "data/two")

GRID = "ablate --config grid.yaml"
TAUGHT = {"unlabelled": "consistency", "control": True}

Step = str | Callable[[], object]


def start() -> None:
    """Write photos/ and masks/ of three classes, which fit each other."""
    write_pictures(Path("photos"), NAMES)
    write_masks(Path("masks"), {name: indices(seed, 3) for seed, name in enumerate(NAMES)})


def renamed() -> None:
    for name in NAMES:
        Path(f"masks/{name}.png").rename(f"masks/{name}_gt_v2.png")


def lossy() -> None:
    Path("masks/tom_00.png").unlink()
    Image.fromarray(indices(0, 3)).save("masks/tom_00.jpg")


def photographs() -> None:
    """Write masks of 2,400 colours."""
    rows, columns = np.indices((40, 60), np.uint8)
    colours = np.stack([rows, columns, rows], axis=2)
    shutil.rmtree("masks")
    write_masks(Path("masks"), dict.fromkeys(NAMES, colours))


def beside() -> None:
    """Move masks beside their pictures, under names that only look like theirs."""
    for name in NAMES:
        Path(f"masks/{name}.png").rename(f"photos/m_{name}_label.png")


def odd_values() -> None:
    values = np.array([0, 50, 100, 255], np.uint8)
    write_masks(Path("masks"), {name: values[indices(seed, 4)] for seed, name in enumerate(NAMES)})


def five_classes() -> None:
    write_masks(Path("masks"), {name: indices(seed, 5) for seed, name in enumerate(NAMES)})


def black() -> None:
    write_masks(Path("masks"), {name: indices(seed, 1) for seed, name in enumerate(NAMES)})


def all_but(left: int) -> None:
    for name in NAMES[left:]:
        Path(f"masks/{name}.png").unlink()


def grey() -> None:
    for path in Path("photos").glob("*.jpg"):
        Image.open(path).convert("L").save(path)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def altered() -> None:
    path = Path("data/mine/manifest.json")
    path.write_text(path.read_text().replace("tom_00", "tim_00"))


def a_grid(variants: dict[str, dict], **settings: object) -> Callable[[], object]:
    """Return what writes grid.yaml, of scratch and these variants."""
    common = {"width": 1, "batch_size": 4, "max_steps": 2, "val_every": 1, "amp": "off"}
    content = {"variants": {"scratch": {}, **variants}, "common": common, "learning_rates": [0.01], "fractions": [1.0]}
    content = {"ablation": {"data_dir": "data/mine", "tuned_at": [1.0], **content, **settings}}
    return lambda: Path("grid.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


# A part of the line on the page, whether the data are prepared and trained on already, and what is done. The last
# command prints the line. Without `ready` the folder holds photos/ and masks/ alone.
TROUBLES: list[tuple[str, bool, list[Step]]] = [
    ("unknown command", False, ["trian"]),
    ("unknown flag", True, [f"{OTHER} --batchsize 8"]),
    ("pets.yaml does not exist", False, [f"{TRAIN} --config pets.yaml"]),
    ("unknown section", False, [lambda: Path("my.yaml").write_text("train: {lr: 1}"), f"{TRAIN} --config my.yaml"]),
    (
        "unknown setting",
        False,
        [lambda: Path("my.yaml").write_text("transfer_learning: {learning_rate: 1}"), f"{TRAIN} --config my.yaml"],
    ),
    (
        "not valid YAML",
        False,
        [lambda: Path("my.yaml").write_text("transfer_learning:\n\tlr: 0.1"), f"{TRAIN} --config my.yaml"],
    ),
    ("without effect", True, [f"{OTHER} --threshold 0.8"]),
    ("fotos is not a folder", False, [PREPARE.replace("photos", "fotos")]),
    ("no mask in masks fits", False, [renamed, PREPARE]),
    ("fit no picture by", False, [lambda: Path("masks/tom_00.png").rename("masks/tim.png"), PREPARE]),
    ("are called like masks", False, [beside, PREPARE.replace(" --masks masks", "")]),
    ("blurs a mask's values", False, [lossy, PREPARE]),
    ("its image has 60 x 40", False, [lambda: Image.new("L", (60, 20)).save("masks/tom_00.png"), PREPARE]),
    ("colours besides black and white", False, [photographs, PREPARE]),
    ("255 beside values", False, [odd_values, PREPARE]),
    ("nothing could be told apart", False, [black, PREPARE]),
    ("no mask holds", False, [f"{PREPARE} --classes road car sky tree"]),
    (
        "no annotation that is read",
        False,
        [lambda: Path("masks.json").write_text("{}"), PREPARE.replace("masks masks", "masks masks.json")],
    ),
    ("see data/mine/prepare_report.json", False, [lambda: cut(Path("photos/tom_03.jpg")), PREPARE]),
    (
        "pictures that are not there",
        False,
        [
            lambda: Path("splits.json").write_text('{"train": ["tom_00"], "test": ["tim_01"]}'),
            f"{PREPARE} --splits splits.json",
        ],
    ),
    ("no picture has that tag", False, [f"{PREPARE} --group_by patient"]),
    ("--size 40 there, 48 asked", False, [PREPARE, PREPARE.replace("--size 40", "--size 48")]),
    ("before files in photos", False, [PREPARE, lambda: write_pictures(Path("photos"), ["new"]), PREPARE]),
    ("needs its archives", False, ["prepare --dataset camvid --output_dir data/camvid"]),
    (
        "lacks train and trainannot",
        False,
        [lambda: Path("CamVid").mkdir(), "prepare --dataset camvid --archives CamVid"],
    ),
    ("the folder that data.prepare wrote", False, [TRAIN.replace("data/mine", "photos")]),
    ("its sha256 does not fit", True, [altered, OTHER]),
    ("no picture has a mask, so phase 2", False, [PREPARE.replace(" --masks masks", ""), TRAIN]),
    ("none of the 2 masks lies in Val", False, [lambda: all_but(2), PREPARE, TRAIN]),
    ("are too small", False, [PREPARE.replace("--size 40", "--size 24"), TRAIN]),
    ("a run with other settings", True, [f"{TRAIN} --lr 0.1"]),
    ("is in use by another", True, [lambda: lock(Path("runs/other"), "--output_dir", "run"), OTHER]),
    ("which holds prepared pictures", True, [OTHER.replace("runs/other", "data/mine/run")]),
    ("best_model.safetensors is missing", True, [WEIGHTS.unlink, TRAIN]),
    ("device cuda", True, [OTHER.replace("cpu", "cuda:64")]),
    ("fp16 needs a GPU", True, [f"{OTHER} --amp fp16"]),
    ("not finite at step", True, [f"{OTHER} --lr 1e30"]),
    ("give --normalisation unit", True, [f"{OTHER} --encoder tf_efficientnet_lite0 --encoder_weights imagenet"]),
    ("does nothing with --freeze always", True, [f"{OTHER} --freeze always --encoder_lr_scale 0.1"]),
    ("no weights at", True, [CARRIED]),
    ("was trained with labels", True, [CARRIED.replace("runs/encoder", "runs/mine")]),
    ("use the same --width", True, [f"{PRETRAIN} --data_dir data/mine --width 2", CARRIED]),
    ("holds out", True, [f"{TWO} --seed 7", f"{PRETRAIN} --data_dir data/two", CARRIED]),
    ("leave unlabelled out", True, [f"{OTHER} --unlabelled consistency --unlabelled_pictures unlabelled"]),
    ("add pictures, or leave these settings out", True, [f"{OTHER} --unlabelled consistency"]),
    ("of its pool are learned from", True, [a_grid({"taught": TAUGHT}), GRID]),
    ("no arm of the grid meets", True, [a_grid({}, budgets=[5]), GRID]),
    ("runs/mine is a folder", True, [PREDICT.replace(str(WEIGHTS), "runs/mine")]),
    ("not a whole safetensors file", True, [lambda: cut(WEIGHTS), PREDICT]),
    (
        "a file of torch.save",
        True,
        [lambda: torch.save({"a": torch.ones(2)}, "model.pth"), PREDICT.replace(str(WEIGHTS), "model.pth")],
    ),
    ("holds no file to segment", True, [lambda: Path("new").mkdir(), PREDICT.replace("photos", "new")]),
    ("say with --class_map", True, [five_classes, TWO, EVALUATE]),
    ("pictures of 3 channels", True, [grey, TWO, EVALUATE]),
    ("too few to hold any of them out", False, [lambda: all_but(2), "advise --images photos --masks masks"]),
    ("name the --output_dir of an evaluation", False, ["report runs/nothing"]),
]
# What a second cannot bring about: a part of the line, and the module that has its words.
TOLD = {
    "has no bf16 instructions": "core/machine/device.py",
    "is damaged; going on from": "core/run/state.py",
    "could not be locked": "core/filing/writing.py",
    "encoder 'resnet81' is unknown": "core/networks/encoders.py",
    "no ImageNet weights of": "core/networks/hub_weights.py",
    "one place, over which batch norm": "core/networks/encoders.py",
    "the hub cannot be reached": "core/filing/hub.py",
    "onnx is not installed": "transfer_learning/inference/exported.py",
    "the page is made with gradio": "transfer_learning/app.py",
    "volumes are seen in windows": "transfer_learning/inference/volumes.py",
    "--tracker mlflow": "core/run/trackers/tracker.py",
    "--runner ray": "experiments/grid/runners/runner.py",
}
