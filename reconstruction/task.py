"""Phase 1 for the training loop: restore augmented pictures."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from core.evaluation import spread
from core.headers.header import read_header
from core.headers.seen import united
from core.machine.machine import Machine
from core.machine.processes import Sums, merged
from core.networks.batch_norms import hold_batch_norms, restore_encoder
from core.networks.checkpointing import checkpoint_blocks
from core.networks.encoder_weights import start_encoder
from core.networks.encoders import require_one_process
from core.networks.unet import initialise, volume_arguments
from core.randomness import keys, seed_of
from core.run.sampling import Draws
from core.run.task import Loss, Task
from data.augment.batch import Batch
from data.loading import AnySplit, on_device, plain_batches, sampled, strata_groups, training_batch
from data.pool import pool
from data.pretext.hiding import Pretext, Shown, shown
from data.pretext.targets import TargetLoss
from data.volumes.split import VolumeSplit
from reconstruction.config import ReconstructionConfig
from reconstruction.losses import ReconstructionLoss
from reconstruction.metrics import mean_scores, restoration_scores, score_sums
from reconstruction.network import Autoencoder
from reconstruction.perceptual import PerceptualDistance
from reconstruction.volumes import VolumeScores

PARTS = ("mse", "perceptual", "ssim")
PICTURES = 8


def architecture_of(config: ReconstructionConfig, in_channels: int) -> dict[str, Any]:
    """Return the arguments of `Autoencoder` that the settings and the pictures' channels ask for."""
    names = ("width", "skips", "image_statistics", "target", "normalisation", "encoder_dropout", "decoder_dropout")
    own = {name: getattr(config, name) for name in (*names, "encoder", "sparse")}
    return {"in_channels": in_channels, **own, **config.network(), **volume_arguments(config.patch_sides)}


class PredictionLoss(Loss, Protocol):
    """What compares a prediction with what was wanted, over what is judged: pictures, or features of several depths."""

    def sums(self, predicted: Any, wanted: Any, judged: Tensor, /) -> Sums:
        """Return what makes up the loss of a batch."""


class ReconstructionTask(Task):
    """Restore the augmented clean picture from the network's input.

    Args:
        config: the settings.
        train, val: splits with their pictures; masks are not looked at.
        machine: what it computes on.
    """

    loss: PredictionLoss
    select, maximise = "val_loss", False
    log_columns = (
        *("epoch", "train_loss", "val_loss", "val_mse", "val_psnr", "val_ssim", "learning_rate", "epoch_time"),
        *(f"train_{part}" for part in PARTS),
    )

    def __init__(self, config: ReconstructionConfig, train: AnySplit, val: AnySplit, machine: Machine) -> None:
        self.config, self.val = config, val
        self.device, self.processes = device, processes = machine.device, machine.processes
        processes.require_enough(len(val.names), "the pictures of Val")
        torch.manual_seed(seed_of(config.seed))
        self.model = self._network(self._architecture(train.channels))
        self.norms_learn = not config.freeze_batch_norm
        encoder = self.model.get_submodule("encoder")
        require_one_process(encoder, processes, f"--encoder {config.encoder}", not self.norms_learn)
        initialise(self.model)
        if config.gradient_checkpointing:
            checkpoint_blocks(encoder)
        start_encoder(encoder, config, self.norms_learn)
        self.pool = chosen = pool(train, config.pictures)
        if config.restore_batch_norm:
            restore_encoder(self.model, sampled(train, chosen, config.batch_size))
        self.loss = self._criterion()
        self.pretext = Pretext.of(vars(config))
        parameters = [{"params": list(self.model.parameters()), "initial_lr": config.lr}]
        # Adam with decoupled decay (Loshchilov & Hutter 2019). Added to the gradient instead, the decay is all that a
        # layer with a tiny gradient feels, and Adam scales it up to full steps: where the skips carry the picture, the
        # deep layers, which are what the transfer is about, shrank to a fifth.
        self.optimizer = torch.optim.AdamW(
            parameters,
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=not machine.scales_gradients,
        )
        groups = strata_groups(train, chosen, config.class_balance)
        self.draws = Draws(groups, config.batch_size, config.seed, refill=bool(config.max_steps))
        self.seen = united(train.contents[chosen], *(read_header(path).seen for path in (config.init_weights,) if path))
        self.train = on_device(train, device, config.device_memory_limit)

    def _architecture(self, in_channels: int) -> dict[str, Any]:
        return architecture_of(self.config, in_channels)

    def _network(self, architecture: dict[str, Any]) -> nn.Module:
        model = Autoencoder(**architecture)
        require_one_process(model.decoder, self.processes, f"--decoder {self.config.decoder}")
        return model

    def _criterion(self) -> PredictionLoss:
        if self.config.target != "pixels":
            return TargetLoss(self.config.target, self.config.mask_patch).to(self.device)
        weights = (self.config.mse_weight, self.config.perceptual_weight, self.config.ssim_weight)
        perceptual = PerceptualDistance(self.config.perceptual_network) if self.config.perceptual_weight else None
        return ReconstructionLoss(*weights, perceptual).to(self.device)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode, batch norms of the encoder perhaps not."""
        self.model.train()
        if self.config.freeze_batch_norm:
            hold_batch_norms(self.model.get_submodule("encoder"))

    def read(self, draw: tuple[np.ndarray, ...]) -> tuple[Batch, Shown]:
        """Return the augmented batch of a draw, and what the network is shown of it."""
        passes, indices, repeats = draw
        batch = training_batch(self.train, (passes, indices, repeats), self.config.seed, self.config, self.device)
        return batch, shown(batch.input, batch.content, keys(self.config.seed, passes, indices, repeats), self.pretext)

    def loss_sums(self, batch: tuple[Batch, Shown]) -> Sums:
        """Compare with the augmented clean picture, never with the corrupted input."""
        whole, seen = batch
        return self.loss.sums(self.model(seen.images, seen.visible, seen.hidden), whole.clean, seen.judged)

    def validate(self) -> dict[str, float | None]:
        """Loss and scores of all pictures of Val, each restored without augmentation.

        The scores are means over pictures, the loss is made of ratios of sums over all of Val.
        """
        losses: Sums = {}
        scores: Sums = {}
        of_volumes = VolumeScores()
        everything = np.arange(len(self.val.names))[self.processes.share(len(self.val.names))]
        for indices, batch in plain_batches(self.val, everything, self.config.batch_size, self.device):
            # The same corruption in every epoch, so that epochs compare.
            seen = shown(batch.input, batch.content, keys(self.config.seed, 0, indices), self.pretext)
            restored = self.model(seen.images, seen.visible, seen.hidden)
            losses = merged(losses, self.loss.sums(restored, batch.clean, seen.judged))
            if self.config.target == "pixels":
                completed = seen.completed(restored, batch.clean)
                if isinstance(self.val, VolumeSplit):
                    of_volumes.add(indices, completed, batch.clean, batch.content)
                    continue
                of_images = restoration_scores(completed, batch.clean, torch.from_numpy(self.val.rectangles[indices]))
                scores = merged(scores, score_sums(of_images))
        if of_volumes.sums:
            scores = score_sums(of_volumes.scores())
        loss = self.loss.from_sums(self.processes.add_up(losses))["loss"]
        assert loss is not None
        means = mean_scores(self.processes.add_up(scores))
        return {"val_loss": loss.item(), **{f"val_{name}": mean for name, mean in means.items()}}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network."""
        return {"phase": "reconstruction", "architecture": self._architecture(self.val.channels)}

    def save_pictures(self, path: Path) -> None:
        """Save the first pictures of Val: what the network was shown, what it made of it, what was asked for."""
        from core.figures.picture_grid import picture_grid
        from reconstruction.figures.pictures import printable, save_grid
        from reconstruction.figures.pretext import pretext_columns
        from reconstruction.per_image import shown_batches
        from reconstruction.volumes import through_errors

        chosen = np.array(spread(len(self.val.names), PICTURES))
        self.model.eval()
        # Hidden as in evaluation, so that its figures show how these went on.
        batches = shown_batches(self.model, self.val, chosen, len(chosen), self.device, self.pretext)
        indices, batch, seen, output = next(batches)
        names = [self.val.names[index] for index in indices]
        if isinstance(self.val, VolumeSplit):
            batch, seen, output = through_errors(batch, seen, output)
        if (self.config.pretext, self.config.target) == ("reconstruct", "pixels"):
            save_grid(path, names, batch.clean, output, batch.content)
            return
        columns = pretext_columns(output, batch.clean, batch.content, seen, self.config.target, self.config.mask_patch)
        picture_grid(path, f"The pretext task: {self.config.pretext}", [*map(printable, names)], columns)
