"""The settings of phase 2."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from core.errors import UserError
from core.train_config import Schedule, TrainConfig, require_of_volumes
from data.augment.settings import AugmentConfig
from data.volumes.settings import PatchConfig
from transfer_learning.fitting_config import FittingConfig
from transfer_learning.losses.loss_config import LossConfig
from transfer_learning.unlabelled.settings import LOOKED_AT, STABILITY_PASSES, UnlabelledConfig

Refinement = Literal["none", "boundary"]
PARTLY = r"(first_params|stage):([1-9][0-9]{0,5})"


@dataclass(frozen=True)
class SegmentationConfig(UnlabelledConfig, LossConfig, FittingConfig, PatchConfig, AugmentConfig, TrainConfig):
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
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    """SGD with Nesterov momentum, Adam, or AdamW."""
    lr: float = 0.005
    """Learning rate at its height."""
    weight_decay: float = 0.0001
    """Weight decay: added to the gradient by sgd and adam, taken from the weights themselves by adamw."""
    momentum: float = 0.99
    """Momentum of SGD."""
    schedule: Schedule = "poly"
    """How the learning rate falls over the whole run: half a cosine, (1 - t)^0.9, or not at all; plateau: each time the
    score of --select stands still (torch's ReduceLROnPlateau)."""
    label_fraction: float = 1.0
    """Share of the labelled training pictures to learn from, of data divided by --group_by whole groups; smaller shares
    are contained in larger ones."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        AugmentConfig.__post_init__(self)
        PatchConfig.__post_init__(self)
        if self.patch is not None:
            require_of_volumes(self)
            if self.scales:
                raise UserError("train_scales resizes pictures: leave it out with --patch (--scale zooms volumes)")
        LossConfig.__post_init__(self)
        FittingConfig.__post_init__(self)
        UnlabelledConfig.__post_init__(self)
        if self.select == "last" and self.schedule == "plateau":
            raise UserError(
                "--schedule plateau goes by the score of --select, and with --select last none has a say: give "
                "--schedule cosine, poly or constant"
            )
        if not self.encoder_lr_scale >= 0:
            raise UserError(f"encoder_lr_scale {self.encoder_lr_scale} must be at least 0")
        if not 0 <= self.momentum < 1:
            raise UserError(f"momentum {self.momentum} is outside [0, 1)")
        if not 0 < self.label_fraction <= 1:
            raise UserError(f"label_fraction {self.label_fraction} is outside (0, 1]: 0.1 keeps a tenth of the labels")
        self._check_freeze()
        if not 0 < self.layer_decay <= 1:
            raise UserError(f"layer_decay {self.layer_decay} is outside (0, 1]: 0.75 is common, 1 turns it off")
        self._check_transfer()

    @property
    def begun_with(self) -> list[Path]:
        """The weights that the run learns from beside its pictures: what it begins with, and a teacher."""
        return [path for path in (self.pretrained_encoder, self.init_weights, self.teacher_weights) if path]

    @property
    def passes_per_step(self) -> int:
        """Picture passes of a step, those of unlabelled pictures and of a teacher among them."""
        return super().passes_per_step + self.unlabelled_passes

    @property
    def teacher_passes_per_step(self) -> int:
        """Those of them that a teacher makes whose network is another run's, and perhaps another."""
        return self.unlabelled_batch * LOOKED_AT if self.unlabelled == "self_training" else 0

    def passes_before(self, pictures: int) -> int:
        """Return the picture passes that come before the first step, of so many unlabelled pictures."""
        return pictures * STABILITY_PASSES if self.stable < 1 else 0

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {
            **TrainConfig.idle(self),
            **AugmentConfig.idle(self),
            **PatchConfig.idle(self),
            **LossConfig.idle(self),
            **UnlabelledConfig.idle(self),
        }
        if not self.pretrained_encoder:
            found["transfer"] = "without --pretrained_encoder"
        if not self.val_labels:
            found["val_labels"] = "which is all"
        if self.select == "last":
            found["patience"] = "with --select last, where no score says when to stop"
        if self.optimizer != "sgd":
            found["momentum"] = f"with --optimizer {self.optimizer}"
        if self.freeze == "always":  # in eval mode
            found |= dict.fromkeys(
                ("encoder_dropout", "freeze_batch_norm", "restore_batch_norm"), "with --freeze always"
            )
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
