"""The settings of phase 1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.train_config import TrainConfig
from data.augment_config import AugmentConfig


@dataclass(frozen=True)
class ReconstructionConfig(AugmentConfig, TrainConfig):
    """Phase 1: train a UNet autoencoder to restore pictures; Adam with decoupled weight decay, cosine schedule."""

    output_dir: Path = Path("runs/reconstruction")
    """Run folder. The same command again goes on where it stopped; other settings need another folder."""
    mse_weight: float = 1.0
    """Weight of the squared error. 0 leaves it out."""
    perceptual_weight: float = 0.1
    """Weight of the distance in a pretrained network's features. 0 leaves it out."""
    ssim_weight: float = 0.1
    """Weight of 1 - SSIM. 0 leaves it out."""
    perceptual_network: Literal["efficientnet_lite0", "vgg16"] = "efficientnet_lite0"
    """Whose features: EfficientNet-Lite0 (weights from an installed package) or VGG16 (torchvision downloads them)."""
    skips: Literal["all", "none", "deep"] = "all"
    """Which encoder features the decoder sees: with full-resolution skips it can copy pixels."""
    image_statistics: bool = True
    """Give each picture's own mean and deviation, which instance norm wipes out, to the output."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        AugmentConfig.__post_init__(self)
        for name in ("mse_weight", "perceptual_weight", "ssim_weight"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} {getattr(self, name)} must be at least 0 (0 leaves that part out)")
        if not self.mse_weight + self.perceptual_weight + self.ssim_weight > 0:
            raise UserError("mse_weight, perceptual_weight and ssim_weight are all 0: there is nothing to learn")
        if self.image_statistics and self.cutout:
            raise UserError(
                "image_statistics hands on the input's mean and deviation, which cutout falsifies: "
                "give --no_image_statistics or --cutout 0"
            )
