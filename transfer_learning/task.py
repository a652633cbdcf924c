"""Phase 2 for the training loop: segment augmented pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.errors import UserError
from core.evaluation import spread
from core.machine.device import fused_optimizer
from core.machine.processes import ALONE, Processes, Sums, merged
from core.networks.encoders import load_imagenet, require_one_process
from core.networks.unet import initialise
from core.randomness import seed_of
from core.run.sampling import Draws
from core.run.task import Task
from data.augment.batch import Batch
from data.loading import on_device, plain_batches, strata_groups, training_batch
from data.manifest import CLASS_NAMES
from data.split import Split
from data.subsets import label_subset
from transfer_learning.config import SegmentationConfig
from transfer_learning.losses.segmentation import SegmentationLoss
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import confusion_matrix, segmentation_scores
from transfer_learning.transfer import TRANSFERRED, is_frozen, load_pretrained, parameter_groups, set_training_mode

PICTURES = 6


def architecture_of(config: SegmentationConfig) -> dict[str, Any]:
    """Return the arguments of `SegmentationUNet` that the settings ask for."""
    names = ("width", "normalisation", "encoder_dropout", "decoder_dropout", "encoder", "decoder")
    return {"num_classes": len(CLASS_NAMES), **{name: getattr(config, name) for name in names}}


class SegmentationTask(Task):
    """Segment the labelled pictures.

    Args:
        config: the settings.
        train, val: splits; pictures without a mask are left out.
        device: where batches go.
        processes: those of the run.

    Raises:
        UserError: if a split has no mask, or the encoder does not fit.
    """

    select, maximise = "mean_iou", True
    log_columns = (
        *("epoch", "train_loss", "val_loss", "dice_background", "dice_cat", "dice_dog", "dice_mean_foreground"),
        *("mean_iou", "learning_rate", "epoch_time"),
    )

    def __init__(
        self, config: SegmentationConfig, train: Split, val: Split, device: torch.device, processes: Processes = ALONE
    ) -> None:
        self.config, self.val, self.device, self.processes = config, val, device, processes
        for split in (train, val):
            require_masks(split)
        processes.require_enough(len(val.labelled), "the masks of Val")
        self.chosen = chosen_labels(train, config)
        torch.manual_seed(seed_of(config.seed))
        self.model = SegmentationUNet(**architecture_of(config))
        require_one_process(self.model.encoder, processes, config.encoder, config.freeze == "always")
        initialise(self.model)
        if config.encoder_weights == "imagenet":
            load_imagenet(self.model.encoder)
        if config.pretrained_encoder:
            parts = TRANSFERRED[config.transfer]
            load_pretrained(self.model, config.pretrained_encoder, config.normalisation, parts, config.encoder)
        pixels = class_pixels(train, self.chosen)
        self.loss = SegmentationLoss(config.dice_weight, config.ce_weight, config.weighted_ce, pixels).to(device)
        self.optimizer = _optimizer(self.model, config, device)
        groups = strata_groups(train, self.chosen, config.class_balance)
        self.draws = Draws(groups, config.batch_size, config.seed, refill=bool(config.max_steps))
        self.train = on_device(train, device, config.device_memory_limit)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode; the encoder's depends on `freeze`."""
        set_training_mode(self.model, is_frozen(self.config, epoch))

    def read(self, draw: tuple[np.ndarray, ...]) -> Batch:
        """Return the augmented batch of a draw."""
        return training_batch(self.train, draw, self.config.seed, self.config, self.device)

    def loss_sums(self, batch: Batch) -> Sums:
        """Compare with the augmented labels."""
        return self.loss.sums(self.model(batch.input, batch.content), batch.label)

    def validate(self) -> dict[str, float | None]:
        """Loss and scores of all labelled pictures of Val, at the size that the network sees.

        Both are ratios of sums over all of Val, so that they do not depend on the batch size.
        """
        num_classes = len(CLASS_NAMES)
        matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=self.device)
        sums: Sums = {}
        labelled = self.val.labelled[self.processes.share(len(self.val.labelled))]
        for _, batch in plain_batches(self.val, labelled, self.config.batch_size, self.device):
            logits = self.model(batch.input, batch.content)
            sums = merged(sums, self.loss.sums(logits, batch.label))
            matrix += confusion_matrix(logits.argmax(dim=1), batch.label, num_classes)
        (matrix,) = self.processes.add_up({"matrix": (matrix,)})["matrix"]
        scores = segmentation_scores(matrix.cpu(), CLASS_NAMES)
        dice = {f"dice_{name}": scores[name]["dice"] for name in CLASS_NAMES}
        mean = {"dice_mean_foreground": scores["mean_foreground_dice"], "mean_iou": scores["mean_iou"]}
        return {"val_loss": self.loss.from_sums(self.processes.add_up(sums))["loss"].item(), **dice, **mean}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network."""
        return {
            "phase": "transfer_learning",
            "architecture": architecture_of(self.config),
            "class_names": list(CLASS_NAMES),
            # How a picture of any size comes to what the network was trained on.
            "size": self.val.size,
            "resize_mode": self.val.geometries[0].mode,
        }

    def save_pictures(self, path: Path) -> None:
        """Save labelled pictures of Val with truth and prediction."""
        from transfer_learning.figures.pictures import save_panels

        chosen = self.val.labelled[spread(len(self.val.labelled), PICTURES)]
        self.model.eval()
        with torch.inference_mode():
            _, batch = next(plain_batches(self.val, chosen, len(chosen), self.device))
            prediction = self.model(batch.input, batch.content).argmax(dim=1)
        names = [self.val.names[index] for index in chosen]
        pictures = [*batch.clean.permute(0, 2, 3, 1).cpu().numpy()]
        save_panels(path, names, pictures, [*batch.label.cpu().numpy()], [*prediction.cpu().numpy()])


def chosen_labels(train: Split, config: SegmentationConfig) -> np.ndarray:
    """Return the indices of the labelled pictures to learn from; see `data.subsets`."""
    labelled = train.labelled
    names = [train.names[index] for index in labelled]
    species = [train.species[index] or "" for index in labelled]
    chosen = set(label_subset(names, species, config.label_fraction, config.seed))
    return labelled[[name in chosen for name in names]]


def require_masks(split: Split) -> None:
    """Raise UserError unless a split has a mask, and a pixel in it that is not left out."""
    if not len(split.labelled):
        raise UserError(f"{split.data_dir}: no picture of {split.name} has a mask, so nothing can be learned")
    if not sum(class_pixels(split, split.labelled)):
        raise UserError(f"{split.data_dir}: the masks of {split.name} hold no pixel of any class, only 255")


def class_pixels(train: Split, chosen: np.ndarray) -> list[int]:
    """Count the pixels of each class in the chosen pictures' labels."""
    counts = np.zeros(256, dtype=np.int64)
    for row in train.label_rows[chosen]:
        counts += np.bincount(train.labels[row].ravel(), minlength=256)
    return counts[: len(CLASS_NAMES)].tolist()


def _optimizer(model: torch.nn.Module, config: SegmentationConfig, device: torch.device) -> torch.optim.Optimizer:
    groups = parameter_groups(model, config)
    common = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": fused_optimizer(config.amp, device)}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **common)
    return torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0, **common)
