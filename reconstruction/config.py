"""The settings of phase 1."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import UserError
from core.networks.decoders import DECODERS
from core.train_config import OWN_ENCODER, OWN_ENCODERS, WHOLE_NETWORKS, TrainConfig, require_of_volumes
from data.augment.settings import AugmentConfig
from data.pool import require_pool
from data.pretext.settings import PretextName, Target
from data.volumes.settings import PatchConfig

SSIM_WINDOW = 11
# What only --target pixels has.
TERMS_OF_PIXELS = ("image_statistics", "perceptual_weight", "ssim_weight")
# What only a network with a decoder has.
OF_DECODER = (
    *("decoder", "decoder_dropout", "output_stride", "decoder_channels", "bottleneck_channels", "atrous_rates"),
    *("attention", "skips", "target"),
)


@dataclass(frozen=True)
class ReconstructionConfig(PatchConfig, AugmentConfig, TrainConfig):
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
    pictures: str = "all"
    """Which pictures of Train to learn from: all; unlabelled (those without a mask, which no fold of data.prepare
    --folds moves to another split: one phase 1 then serves all folds); by a tag breed=beagle,Bengal or
    breed!=beagle,Bengal, or breed=labelled for the values that the pictures with a mask have;
    unlabelled+breed=beagle."""
    pretext: PretextName = "reconstruct"
    """What is learned: to restore the picture as it is, the picture under noise, or the picture behind hidden patches;
    distil: to predict the features that --teacher has of it (weights from outside), by an encoder alone."""
    teacher: str = "tf_efficientnet_lite0"
    """With --pretext distil: a network of timm with its ImageNet weights, from an installed package
    (tf_efficientnet_lite0 to 2) or downloaded once from timm's hub. It never learns, and no file keeps it."""
    noise_sigma: float = 0.25
    """With --pretext denoise: standard deviation of the noise, with values in [0, 1]."""
    mask_ratio: float = 0.6
    """With --pretext mask: share of the patches that are hidden."""
    mask_patch: int = 16
    """With --pretext mask: side of a patch in pixels. With --target normalised: of a patch that is normalised."""
    sparse: bool = False
    """With --pretext mask: leave what is hidden out of the encoder's convolutions and norms (sparse convolution,
    SparK), so that it sees of a part what it would see in the whole picture. --encoder unet alone."""
    loss_on: Literal["masked", "all"] = "masked"
    """With --pretext mask: judge what is restored where it was hidden, or everywhere."""
    target: Target = "pixels"
    """What is predicted: the picture, each patch without its own mean and deviation, or oriented gradients. The last
    two are judged by their squared error alone."""
    skips: Literal["all", "none", "deep"] = "all"
    """Which encoder features the decoder sees: with full-resolution skips it can copy pixels."""
    image_statistics: bool = True
    """Give each picture's own mean and deviation, which instance norm wipes out, to the output (--target pixels)."""

    def __post_init__(self) -> None:
        TrainConfig.__post_init__(self)
        AugmentConfig.__post_init__(self)
        PatchConfig.__post_init__(self)
        require_pool(self.pictures)
        if self.patch is not None:
            self._require_of_volumes()
        for name in ("mse_weight", "perceptual_weight", "ssim_weight"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name} {getattr(self, name)} must be at least 0 (0 leaves that part out)")
        if not self.mse_weight + self.perceptual_weight + self.ssim_weight > 0:
            raise UserError("mse_weight, perceptual_weight and ssim_weight are all 0: there is nothing to learn")
        if not 0 < self.mask_ratio < 1:
            raise UserError(f"mask_ratio {self.mask_ratio} is outside (0, 1)")
        if self.mask_patch < 1:
            raise UserError(f"mask_patch {self.mask_patch} must be at least 1")
        if self.sparse and (self.pretext != "mask" or self.encoder != OWN_ENCODER):
            raise UserError("sparse leaves out what --pretext mask hides, in --encoder unet: give both, or --no_sparse")
        if self.pretext == "distil":
            self._require_teacher()
        if not self.noise_sigma > 0:
            raise UserError(f"noise_sigma {self.noise_sigma} must be above 0")
        statistics = self.image_statistics and self.predicts_pixels
        if statistics and self.pretext == "denoise":
            raise UserError(
                "image_statistics hands on the input's mean and deviation, which noise falsifies: "
                "give --no_image_statistics"
            )
        if statistics and self.cutout:
            raise UserError(
                "image_statistics hands on the input's mean and deviation, which cutout falsifies: "
                "give --no_image_statistics or --cutout 0"
            )

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {**TrainConfig.idle(self), **AugmentConfig.idle(self), **PatchConfig.idle(self)}
        if self.pretext != "denoise":
            found["noise_sigma"] = "without --pretext denoise"
        if self.pretext != "mask":
            found |= dict.fromkeys(("mask_ratio", "loss_on"), "without --pretext mask")
            if self.target != "normalised":
                found["mask_patch"] = "without --pretext mask or --target normalised"
        if self.pretext != "distil":
            found["teacher"] = "without --pretext distil"
        if not self.predicts_pixels:  # judged by its own squared error alone
            why = "with --pretext distil" if self.pretext == "distil" else f"with --target {self.target}"
            found |= dict.fromkeys(("mse_weight", *TERMS_OF_PIXELS, "perceptual_network"), why)
        elif not self.perceptual_weight:
            found["perceptual_network"] = "without --perceptual_weight"
        if not DECODERS[self.decoder].skips:
            found["skips"] = f"with --decoder {self.decoder}"
        if self.pretext == "distil":
            found |= dict.fromkeys((*OF_DECODER, "mask_patch"), "with --pretext distil")
            if self.encoder not in OWN_ENCODERS:
                found["width"] = f"with --pretext distil and --encoder {self.encoder}"
        return found

    @property
    def predicts_pixels(self) -> bool:
        """Whether pictures come out, which all terms of the loss can judge."""
        return self.target == "pixels" and self.pretext != "distil"

    @property
    def passes_per_step(self) -> int:
        """Picture passes of a step, the teacher's forward pass among them."""
        return super().passes_per_step + (self.batch_size if self.pretext == "distil" else 0)

    def _require_teacher(self) -> None:
        """Refuse teachers that have no weights from outside, or take volumes."""
        if self.teacher in WHOLE_NETWORKS:
            why = "takes volumes, --pretext distil learns from pictures"
        elif self.teacher in OWN_ENCODERS:
            why = "is this project's own, of which there are no ImageNet weights"
        else:
            return
        raise UserError(f"--teacher {self.teacher} {why}: name one of timm's, as --teacher tf_efficientnet_lite0")

    def _require_of_volumes(self) -> None:
        """Refuse what pictures alone can be judged by."""
        require_of_volumes(self)
        if self.encoder != OWN_ENCODER:
            raise UserError(f"--encoder {self.encoder} is a network of phase 2: give --encoder {OWN_ENCODER}")
        if self.pretext == "distil":
            raise UserError("--pretext distil is of pictures, which its teacher takes: with --patch take another")
        if self.target == "hog":
            raise UserError("--target hog is of pictures: with --patch take pixels or normalised")
        if self.target == "pixels" and self.perceptual_weight:
            raise UserError("perceptual_weight compares pictures: with --patch give --perceptual_weight 0")
        if self.target == "pixels" and self.ssim_weight and min(self.patch_sides) < SSIM_WINDOW:
            raise UserError(
                f"ssim_weight compares windows of {SSIM_WINDOW} voxels, --patch {self.patch} is smaller: give a "
                "patch of 16 or more, or --ssim_weight 0"
            )

    def without_effect(self) -> list[str]:
        """Return what is on, by default or not, and has no say because other things than pixels are predicted."""
        return [name for name in TERMS_OF_PIXELS if not self.predicts_pixels and getattr(self, name)]
