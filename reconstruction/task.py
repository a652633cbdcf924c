"""Phase 1 for the training loop: restore augmented pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation import spread
from core.randomness import seed_of
from core.sampling import Draws
from core.task import Task
from core.unet import initialise
from data.dataset import Split
from data.loading import plain_batches, species_groups, training_batch
from reconstruction.autoencoder import Autoencoder
from reconstruction.config import ReconstructionConfig
from reconstruction.losses import ReconstructionLoss
from reconstruction.metrics import mean_scores, restoration_scores
from reconstruction.perceptual import PerceptualDistance

PARTS = ("mse", "perceptual", "ssim")
PICTURES = 8


def architecture_of(config: ReconstructionConfig) -> dict[str, Any]:
    """Return the arguments of `Autoencoder` that the settings ask for."""
    names = ("width", "skips", "image_statistics", "normalisation", "encoder_dropout", "decoder_dropout")
    return {name: getattr(config, name) for name in names}


class ReconstructionTask(Task):
    """Restore the augmented clean picture from the network's input.

    Args:
        config: the settings.
        train, val: splits with their pictures; masks are not looked at.
        device: where batches go.
    """

    select, maximise = "val_loss", False
    log_columns = (
        *("epoch", "train_loss", "val_loss", "val_mse", "val_psnr", "val_ssim", "learning_rate", "epoch_time"),
        *(f"train_{part}" for part in PARTS),
    )

    def __init__(self, config: ReconstructionConfig, train: Split, val: Split, device: torch.device) -> None:
        self.config, self.train, self.val, self.device = config, train, val, device
        torch.manual_seed(seed_of(config.seed))
        self.model = Autoencoder(**architecture_of(config))
        initialise(self.model)
        self.loss = ReconstructionLoss(
            config.mse_weight,
            config.perceptual_weight,
            config.ssim_weight,
            PerceptualDistance(config.perceptual_network) if config.perceptual_weight else None,
        ).to(device)
        parameters = [{"params": list(self.model.parameters()), "initial_lr": config.lr}]
        # Adam with decoupled decay (Loshchilov & Hutter 2019). Added to the gradient instead, the decay is all that a
        # layer with a tiny gradient feels, and Adam scales it up to full steps: where the skips carry the picture, the
        # deep layers, which are what the transfer is about, shrank to a fifth.
        self.optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
        groups = species_groups(train, np.arange(len(train.names)), config.class_balance)
        self.draws = Draws(groups, config.batch_size, config.seed, refill=bool(config.max_steps))

    def training_losses(self, step: int) -> dict[str, Tensor | None]:
        """The loss of a step: the target is the augmented clean picture, never the corrupted input."""
        batch = training_batch(self.train, self.draws.batch(step), self.config.seed, self.config, self.device)
        return self.loss(self.model(batch.input, batch.content), batch.clean, batch.content)

    def validate(self) -> dict[str, float | None]:
        """Means over all pictures of Val, each restored without augmentation."""
        parts = []
        everything = np.arange(len(self.val.names))
        for indices, batch in plain_batches(self.val, everything, self.config.batch_size, self.device):
            restored = self.model(batch.input, batch.content)
            scores = restoration_scores(restored, batch.clean, torch.from_numpy(self.val.rectangles[indices]))
            loss = self.loss(restored, batch.clean, batch.content)["loss"]
            parts.append({"loss": loss.repeat(len(indices)), **scores})
        return {f"val_{name}": mean for name, mean in mean_scores(parts).items()}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network."""
        return {"phase": "reconstruction", "architecture": architecture_of(self.config)}

    def save_pictures(self, path: Path) -> None:
        """Save the first pictures of Val: input, restored, error."""
        from reconstruction.visualize import save_grid

        chosen = np.array(spread(len(self.val.names), PICTURES))
        self.model.eval()
        with torch.inference_mode():
            _, batch = next(plain_batches(self.val, chosen, len(chosen), self.device))
            restored = self.model(batch.input, batch.content).float()
        names = [self.val.names[index] for index in chosen]
        save_grid(path, names, batch.clean, restored, batch.content)
