"""The settings of phase 2."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from core.errors import UserError
from core.train_config import Schedule, TrainConfig
from data.augment.settings import AugmentConfig

Refinement = Literal["none", "boundary"]
ClassWeights = Literal["static", "log", "batch", "off"]
PARTLY = r"(first_params|stage):([1-9][0-9]{0,5})"


@dataclass(frozen=True)
class SegmentationConfig(AugmentConfig, TrainConfig):
    """Phase 2: train a segmentation UNet, its encoder pretrained or from scratch."""

    bare_flags: ClassVar[dict[str, str]] = {"amp": "auto", "weighted_ce": "static"}

    output_dir: Path = Path("runs/segmentation")
    """Run folder. The same command again goes on where it stopped; other settings need another folder."""
    pretrained_encoder: Path | None = None
    """best_model.safetensors of phase 1; without it the encoder starts from scratch."""
    transfer: Literal["encoder", "all"] = "encoder"
    """With --pretrained_encoder: carry over phase 1's encoder, or its decoder too."""
    freeze: int | Literal["always", "never"] | str = "never"
    """Keep the encoder as it came: always, never, or for the first N epochs, while the decoder warms up (an epoch is a
    row of the log: with --max_steps that is --val_every steps). A part of it for good: first_params:50, the first 50
    parameter tensors, or stage:3, the first three stages; batch norms keep their statistics there."""
    encoder_lr_scale: float = 1.0
    """The encoder's learning rate as a share of the rest's."""
    layer_decay: float = 1.0
    """Each stage of the encoder learns at this share of the rate of the next deeper one (Clark et al. 2020, BEiT):
    the deepest at lr x encoder_lr_scale. 1: all alike."""
    refine: Refinement = "none"
    """boundary: a residual block behind the scores, at the picture's size, which begins by changing nothing (Peng et
    al. 2017)."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with Nesterov momentum, or AdamW."""
    lr: float = 0.005
    """Learning rate at its height."""
    weight_decay: float = 0.0001
    """Weight decay."""
    momentum: float = 0.99
    """Momentum of SGD."""
    schedule: Schedule = "poly"
    """How the learning rate falls over the whole run: half a cosine, (1 - t)^0.9, or not at all."""
    dice_weight: float = 1.0
    """Weight of the Dice loss. 0 leaves it out."""
    ce_weight: float = 1.0
    """Weight of the cross-entropy. 0 leaves it out."""
    weighted_ce: ClassWeights = "static"
    """Class weights of the cross-entropy: the inverse frequency of the training labels' pixels (static), or of each
    batch's; log: 1 / ln(1.02 + share) of the training labels (ENet), milder on common classes; off: all one."""
    label_fraction: float = 1.0
    """Share of the labelled training pictures to learn from; smaller shares are contained in larger ones."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        AugmentConfig.__post_init__(self)
        for name in ("dice_weight", "ce_weight", "encoder_lr_scale"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} {getattr(self, name)} must be at least 0")
        if not self.dice_weight + self.ce_weight > 0:
            raise UserError("dice_weight and ce_weight are both 0: there is nothing to learn")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum {self.momentum} is outside [0, 1)")
        if not 0 < self.label_fraction <= 1:
            raise UserError(f"label_fraction {self.label_fraction} is outside (0, 1]: 0.1 keeps a tenth of the labels")
        self._check_freeze()
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"layer_decay {self.layer_decay} is outside (0, 1]: 0.75 is common, 1 turns it off")
        self._check_transfer()

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {**TrainConfig.idle(self), **AugmentConfig.idle(self)}
        if not self.pretrained_encoder:
            found["transfer"] = "without --pretrained_encoder"
        if self.optimizer != "sgd":
            found["momentum"] = f"with --optimizer {self.optimizer}"
        if not self.ce_weight:
            found["weighted_ce"] = "with --ce_weight 0"
        if self.freeze == "always":  # in eval mode
            found |= dict.fromkeys(("encoder_dropout", "freeze_batch_norm"), "with --freeze always")
        return found

    def _check_freeze(self) -> None:
        known = self.freeze >= 0 if isinstance(self.freeze, int) else self.freeze in ("always", "never")
        if not known and not re.fullmatch(PARTLY, str(self.freeze)):
            raise UserError(
                f"freeze: {self.freeze} must be always, never, a number of epochs, first_params:N (parameter tensors) "
                "or stage:K (stages)"
            )

    def _check_transfer(self) -> None:
        """Refuse settings that would do nothing."""
        if self.pretrained_encoder and self.init_weights:
            raise UserError("--init_weights replaces --pretrained_encoder: leave one of them out")
        if self.transfer == "all" and not self.pretrained_encoder:
            raise UserError("transfer all carries phase 1's decoder over: it needs --pretrained_encoder")
        if self.transfer == "all" and self.decoder in ("linear", "fcn"):
            raise UserError(
                f"transfer all carries phase 1's decoder over, --decoder {self.decoder} has none: leave one out"
            )
        if self.pretrained_encoder and self.encoder_weights != "none":
            raise UserError(
                f"--pretrained_encoder replaces --encoder_weights {self.encoder_weights}: leave one of them out "
                "(phase 1 may begin with these weights)"
            )
        for name in ("encoder_lr_scale", "layer_decay"):
            if self.freeze == "always" and getattr(self, name) != 1:
                raise UserError(
                    f"{name} {getattr(self, name)} does nothing with --freeze always: leave one of them out"
                )
