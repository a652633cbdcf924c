"""The ways to use a user's pictures that an advice compares: a row each.

Rates and lengths of warm-up are those of the race (docs/answer.md) and of the replays, and are not tuned on the user's
few masks: what they would choose is mostly chance.
"""

from dataclasses import dataclass, replace
from typing import Any

from core.errors import UserError
from core.filing.words import nearest

LITE0 = "tf_efficientnet_lite0"
# Phase 2 of every arm. Nothing is selected inside folds: the last averaged weights count. How long they are averaged
# over depends on the steps (`experiments.advice.work`).
BATCH_SIZE = 8
COMMON: dict[str, Any] = {
    "batch_size": BATCH_SIZE,
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "schedule": "cosine",
    "select": "last",
    "encoder_dropout": (0.0,) * 6,
    "decoder_dropout": (0.0,) * 5,
}
# Phase 1 on the pictures without a mask: the oriented gradients of what is hidden.
PRETRAINING: dict[str, Any] = {
    "batch_size": BATCH_SIZE,
    "pretext": "mask",
    "target": "hog",
    "skips": "all",
    "lr": 0.004,
    "weight_decay": 0.0,
    "perceptual_weight": 0.0,
    "ssim_weight": 0.0,
    "image_statistics": False,
    "blur": 0.0,
    "noise": 0.0,
    "encoder_dropout": (0.0,) * 6,
    "decoder_dropout": (0.0,) * 5,
}


@dataclass(frozen=True)
class Arm:
    """A way to use the pictures.

    Args:
        name: as `--arms` takes it.
        title: within a sentence.
        settings: phase 2's, beside those that all have.
        unlabelled: whether it learns from pictures without a mask.
        pretrained: whether phase 1 comes first.
        outside: whether weights from elsewhere are in it.
        only_named: whether it is tried where `--arms` names it alone.
    """

    name: str
    title: str
    settings: dict[str, Any]
    unlabelled: bool = False
    pretrained: bool = False
    outside: bool = False
    only_named: bool = False

    def in_batches_of(self, pictures: int) -> "Arm":
        """Return the arm with so many pictures a step of phase 2."""
        plain = pictures == BATCH_SIZE
        return self if plain else replace(self, settings={**self.settings, "batch_size": pictures})


IMAGENET = {"lr": 0.01, "encoder": LITE0, "encoder_weights": "imagenet", "normalisation": "unit"}
ARMS = {
    arm.name: arm
    for arm in (
        Arm("scratch", "from scratch", {"lr": 0.01}),
        Arm(
            "teacher",
            "a mean teacher on your pictures without masks",
            {"lr": 0.01, "unlabelled": "consistency"},
            unlabelled=True,
        ),
        Arm(
            "pretrained",
            "own pretraining on your pictures without masks",
            {"lr": 0.003, "transfer": "all"},
            unlabelled=True,
            pretrained=True,
        ),
        Arm("imagenet", "ImageNet's weights", {**IMAGENET, "encoder_lr_scale": 0.1}, outside=True),
        # Ahead of the other in the race (docs/answer.md); no replay has it.
        Arm(
            "imagenet_frozen",
            "ImageNet's weights, frozen",
            {**IMAGENET, "freeze": "always"},
            outside=True,
            only_named=True,
        ),
    )
}
AT_MOST = 3  # arms, unless they are named
NAMED = "--arms names it, beside others or instead of them"
NOT_TRIED = "not tried: DINOv2, no weights here"


def chosen_arms(names: tuple[str, ...], unlabelled: int, outside: bool) -> tuple[list[Arm], list[str]]:
    """Return the arms to compare, from scratch first, and why others are left out.

    Args:
        names: those asked for; none asks for all that can be.
        unlabelled: pictures without a mask.
        outside: whether weights from elsewhere may be in it.

    Raises:
        UserError: an unknown arm, or one that cannot be.
    """
    if unknown := [name for name in names if name not in ARMS]:
        hint = nearest(unknown[0], list(ARMS)) or f": there are {', '.join(ARMS)}"
        raise UserError(f"--arms {unknown[0]}{hint}")
    left_out = {arm.name: f"{arm.name}: {NAMED}" for arm in ARMS.values() if arm.only_named and not names}
    for arm in ARMS.values():
        if arm.unlabelled and not unlabelled:
            left_out[arm.name] = f"{arm.name}: every picture has a mask"
        if arm.outside and not outside:
            left_out[arm.name] = f"{arm.name}: --no_outside_weights"
    if clash := [left_out[name] for name in names if name in left_out]:
        raise UserError(f"--arms {clash[0]}: leave it out")
    wanted = ["scratch", *(name for name in names or ARMS if name != "scratch")]
    arms = [ARMS[name] for name in wanted if name not in left_out]
    if not names and len(arms) > AT_MOST:
        # Time is short: of the ways to use pictures without masks the one that the race is ahead with.
        arms = [arm for arm in arms if not arm.pretrained]
        left_out["pretrained"] = f"pretrained: {NAMED}"
    if names and len(arms) < 2:
        others = ", ".join(name for name in ARMS if name not in (*left_out, "scratch"))
        raise UserError(f"--arms scratch alone compares nothing: name another of {others}")
    if len(arms) < 2:
        raise UserError(
            "from scratch is all that can be tried, so there is nothing to compare: add pictures without masks to "
            "--images, or allow --outside_weights"
        )
    return arms, [why for name, why in left_out.items() if not names] + ([NOT_TRIED] if outside else [])
