"""The settings of learning from pictures without masks in phase 2."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError
from data.pool import require_pool

Unlabelled = Literal["off", "consistency", "self_training"]
Auxiliary = Literal["none", "mask_hog"]
Thresholds = Literal["fixed", "ramp", "class"]
OF_A_TEACHER = ("unlabelled_weight", "unlabelled_rampup", "teacher_ema", "threshold", "thresholds", "cutmix", "stable")
# Picture passes: a forward pass counts 1, a forward and a backward pass 3.
LEARNED, LOOKED_AT = 3, 1
# Checkpoints that tell which pictures are stable, evenly spread over the teacher's run, as in ST++; and the teacher.
CHECKPOINTS = 3
STABILITY_PASSES = CHECKPOINTS + 1


@dataclass(frozen=True)
class UnlabelledConfig:
    """Semi-supervised training: pictures without masks, beside the labelled ones of each step."""

    unlabelled: Unlabelled = "off"
    """consistency: a slowly moving average of the network (mean teacher, Tarvainen & Valpola 2017) labels each
    unlabelled picture as it is, and the network learns these labels, where the teacher is sure, from the same picture
    with strong colours, blur and pieces of another in it (FixMatch, Sohn et al. 2020; CutMix, French et al. 2020; the
    changes are those of UniMatch, Yang et al. 2023). self_training: likewise, but the teacher is a finished run,
    --teacher_weights, which stands still. docs/unlabelled.md."""
    auxiliary: Auxiliary = "none"
    """mask_hog: in each step the network also predicts oriented gradients behind hidden patches of unlabelled pictures,
    by a layer of its own that is not kept: phase 1's task and phase 2's in one run."""
    unlabelled_pictures: str = "all"
    """Which pictures of Train are learned from without their masks: all; unlabelled, those that have none; those of
    some values of a tag, breed=beagle,Bengal or breed!=..., or breed=labelled, the values that pictures with a mask
    have; unlabelled+breed=labelled, what is in both."""
    unlabelled_batch: int = 8
    """Unlabelled pictures a step, beside --batch_size labelled ones."""
    unlabelled_weight: float = 1.0
    """With --unlabelled: weight of what is learned from the teacher; the loss is
    (labelled + weight x unlabelled) / (1 + weight)."""
    unlabelled_rampup: int = 0
    """With --unlabelled: steps over which that weight rises, by exp(-5 (1 - t)^2) (Laine & Aila 2017)."""
    teacher_ema: float = 0.99
    """With --unlabelled consistency: share of the teacher that each step keeps, less over the first steps. 0: the
    network teaches itself, as in FixMatch."""
    teacher_weights: Path | None = None
    """With --unlabelled self_training: best_model.safetensors of the run of phase 2 that labels the pictures."""
    stable: float = 1.0
    """With --unlabelled self_training: learn from this share of the pictures, those that the checkpoints beside
    --teacher_weights (--save_every) label most as it does (ST++, Yang et al. 2022). 1: from all."""
    threshold: float = 0.95
    """With --unlabelled: the probability from which on the teacher is believed. 0: always."""
    thresholds: Thresholds = "fixed"
    """With --unlabelled: fixed: --threshold throughout; ramp: from 1 / classes up to it over the run;
    class: one a class, below it by how sure the teacher is in the mean and how rarely it says the class (FreeMatch,
    Wang et al. 2023)."""
    cutmix: float = 0.5
    """With --unlabelled: share of the pictures into which a piece of another is pasted, with its label."""
    auxiliary_weight: float = 0.3
    """With --auxiliary: its weight at the first step; it falls to 0 with the last."""

    def __post_init__(self) -> None:
        require_pool(self.unlabelled_pictures)
        if self.unlabelled_batch < 1:
            raise UserError(f"unlabelled_batch {self.unlabelled_batch} must be at least 1")
        for name in ("unlabelled_weight", "auxiliary_weight"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} {getattr(self, name)} must be above 0")
        if self.unlabelled_rampup < 0:
            raise UserError(f"unlabelled_rampup {self.unlabelled_rampup} must be at least 0")
        if not 0 <= self.teacher_ema < 1:
            raise UserError(f"teacher_ema {self.teacher_ema} is outside [0, 1): 0.99 reaches back about 100 steps")
        if not 0 <= self.threshold <= 1:
            raise UserError(f"threshold {self.threshold} is outside [0, 1]: 0.95 believes what the teacher is sure of")
        if not 0 <= self.cutmix <= 1:
            raise UserError(f"cutmix {self.cutmix} is outside [0, 1]: 0.5 mixes every second picture")
        if not 0 < self.stable <= 1:
            raise UserError(f"stable {self.stable} is outside (0, 1]: 0.5 keeps the more stable half")
        if (self.teacher_weights is not None) != (self.unlabelled == "self_training"):
            raise UserError(
                "--unlabelled self_training and --teacher_weights go together: give both, or leave both out"
            )

    @property
    def learns_unlabelled(self) -> bool:
        """Whether pictures without masks take part at all."""
        return self.unlabelled != "off" or self.auxiliary != "none"

    @property
    def unlabelled_passes(self) -> int:
        """Picture passes that they cost a step: of the network, and of the teacher."""
        taught = (LEARNED + LOOKED_AT) * (self.unlabelled != "off")
        return self.unlabelled_batch * (taught + LEARNED * (self.auxiliary != "none"))

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found: dict[str, str] = {}
        if self.unlabelled == "off":
            found |= dict.fromkeys(OF_A_TEACHER, "without --unlabelled")
        if self.unlabelled == "consistency":
            found["stable"] = "with --unlabelled consistency"
        if self.unlabelled == "self_training":
            found["teacher_ema"] = "with --unlabelled self_training"
        if self.auxiliary == "none":
            found["auxiliary_weight"] = "without --auxiliary"
        if not self.learns_unlabelled:
            found |= dict.fromkeys(("unlabelled_batch", "unlabelled_pictures"), "without --unlabelled or --auxiliary")
        return found
