"""Small results of an ablation for tests, made up, as `experiments.ablate` first wrote them, or as it does today."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from transfer_learning.scores.confusion import segmentation_scores

CLASSES = ClassSet(("background", "cat", "dog"), ignored_is="border")
STEPS = {"max_steps": 1000, "batch_size": 16, "val_every": 100, "amp": "off", "memory_format": "contiguous"}
ARM_KEYS = ("variant", "fraction", "seed", "learning_rate")
# Of a whole small grid.
VARIANTS = {
    "scratch": {},
    "plain_frozen": {"pretraining": "plain", "title": "50 % & more_of_it"},
    "mask_all": {"pretraining": "mask"},
    "imagenet": {"outside_weights": True, "autoencoder": False},
}
FRACTIONS = (0.01, 0.1, 1.0)
ENCODER = {"settings": {}, "sha256": "e" * 64, "seconds": 1800.0, "images": 50000, "val_loss": 0.01}


def counts_of(quality: float, seed: int, images: int, classes: int = 3) -> np.ndarray:
    """Confusion matrices [N, C, C]: the same true pixels whatever the seed, of which about `quality` are right.

    What is wrong is one of the two next classes.
    """
    truth = np.random.default_rng(0).integers(2000, 9000, (images, classes))
    if classes > 2:
        truth[np.arange(images), 1 + np.arange(images) % (classes - 1)] = 0  # no picture shows a cat and a dog
    hardness = np.random.default_rng(1).normal(0, 0.12, (images, 1))
    right = np.clip(quality + hardness + np.random.default_rng(seed).normal(0, 0.05, (images, classes)), 0.02, 0.98)
    correct = np.round(truth * right).astype(int)
    matrices = np.zeros((images, classes, classes), int)
    for true in range(classes):
        first, second = sorted((true + step) % classes for step in (1, 2)) if classes > 2 else [1 - true] * 2
        wrong = truth[:, true] - correct[:, true]
        matrices[:, true, true] = correct[:, true]
        matrices[:, true, first] += wrong // 2
        matrices[:, true, second] += wrong - wrong // 2
    return matrices


def arm(matrices: np.ndarray, *, variant: str, fraction: float = 1.0, seed: int = 1, **changes: Any) -> dict[str, Any]:
    """Return the content of one arm's file; changes by name, `learning_rate` among them."""
    rate = changes.pop("learning_rate", 0.003)
    return {
        "format": "ablation arm 1",
        "arm": dict(zip(ARM_KEYS, (variant, fraction, seed, rate), strict=True)),
        "num_labels": round(522 * fraction),
        "val_mean_iou": 0.5,
        "best_step": 800,
        "mean_iou": segmentation_scores(matrices.sum(axis=0), CLASSES)["mean_iou"],
        "class_names": list(CLASSES.names),
        "settings": {"lr": rate, **STEPS},
        "pretraining": None,
        "resolution": 128,
        "width": 16,
        "data_sha256": "d" * 64,
        "compute": {"seconds": 321.4, "images": 16000, "parameters": 4915907, "device": "cpu (a name, 1 threads)"},
        "provenance": {"commit": "c" * 40, "versions": {}, "weights_sha256": "a" * 64},
        "per_image": {f"Pet_{number}": matrix.ravel().tolist() for number, matrix in enumerate(matrices)},
        **changes,
    }


def arm_of_today(matrices: np.ndarray, classes: ClassSet = CLASSES, **changes: Any) -> dict[str, Any]:
    """Return what `arm` does in today's format, of any classes."""
    content = arm(np.zeros((1, 3, 3), int), **changes)
    del content["class_names"]
    counts = [[m.diagonal(), m.sum(axis=1), m.sum(axis=0)] for m in matrices]
    own = {
        "format": "ablation arm 2",
        "mean_iou": segmentation_scores(matrices.sum(axis=0), classes)["mean_iou"],
        "class_set": classes.content(),
        "per_image": {f"Pet_{number}": np.ravel(rows).tolist() for number, rows in enumerate(counts)},
    }
    return {**content, **{name: value for name, value in own.items() if name not in changes}}


def trial(variant: str, fraction: float, rate: float, val: float) -> dict[str, Any]:
    """Return the content of one learning-rate run's file."""
    return {
        "format": "ablation tuning 1",
        "arm": dict(zip(ARM_KEYS, (variant, fraction, 1, rate), strict=True)),
        "num_labels": round(522 * fraction),
        "val_mean_iou": val,
        "best_step": 400,
        "settings": {"lr": rate, **STEPS},
        "pretraining": None,
        "resolution": 128,
        "data_sha256": "d" * 64,
        "compute": {"seconds": 100.0, "images": 8000, "parameters": 4915907, "device": "cpu (a name, 1 threads)"},
    }


def plan(variants: Mapping[str, Mapping[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return the content of plan.json; variants are autoencoders without outside weights unless their flags differ."""
    described = {
        name: {
            "title": f"what {name} is",
            "outside_weights": False,
            "autoencoder": name != "scratch",
            "settings": {},
            "pretraining": None,
            **flags,
        }
        for name, flags in variants.items()
    }
    return {
        "format": "ablation plan 1",
        "baseline": "scratch",
        "fractions": [1.0],
        "seeds": [1, 2, 3],
        "learning_rates": [0.001, 0.003, 0.01],
        "variants": described,
        **changes,
    }


def write(folder: Path, plan: Mapping[str, Any], contents: Sequence[Mapping[str, Any]]) -> Path:
    """Write a results folder; returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(plan))
    for content in contents:
        path = folder / path_of(content)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def path_of(content: Mapping[str, Any]) -> str:
    """Return where a file of this content lies."""
    if content["format"] == "ablation pretraining 1":
        return f"pretraining/{content['name']}.json"
    name = content["arm"]
    start = f"{name['variant']}__{name['fraction']:g}__"
    if content["format"] == "ablation tuning 1":
        return f"tuning/{start}lr_{name['learning_rate']:g}.json"
    return f"arms/{start}seed_{name['seed']}.json"


def whole_grid(folder: Path, images: int = 12, classes: ClassSet | None = None) -> Path:
    """Write a finished grid, rates tried at one fraction; returns it. With `classes` it is in today's format.

    Arms get better with labels, mask_all most of the autoencoders.
    """
    found = []
    for place, (variant, flags) in enumerate(VARIANTS.items()):
        encoder = {"name": flags["pretraining"], **ENCODER} if "pretraining" in flags else None
        for fraction in FRACTIONS:
            quality = 0.4 + 0.1 * FRACTIONS.index(fraction) + (0, -0.05, 0.1, 0.2)[place]
            for seed in (1, 2, 3):
                matrices = counts_of(quality, 100 * seed + place, images, len(classes or CLASSES))
                score = {"val_mean_iou": quality + seed / 1000, "pretraining": encoder}
                settings = {"freeze": "always"} if variant == "plain_frozen" else {}
                name = {"variant": variant, "fraction": fraction, "seed": seed}
                content = (
                    arm_of_today(matrices, classes, **name, **score) if classes else arm(matrices, **name, **score)
                )
                found.append({**content, "settings": {**content["settings"], **settings}})
        found += [trial(variant, 0.1, rate, val) for rate, val in ((0.001, 0.41), (0.003, 0.52), (0.01, 0.33))]
    names = ("plain", "mask")
    found += [{"format": "ablation pretraining 1", "name": n, **ENCODER, "data_sha256": "d" * 64} for n in names]
    return write(folder, plan(VARIANTS, fractions=FRACTIONS), found)
