"""Phase 2 for the training loop: segment augmented pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from core.evaluation import MANY_CLASSES, spread
from core.headers.header import read_header
from core.headers.seen import united
from core.machine.machine import Machine
from core.machine.processes import Sums, merged
from core.networks.batch_norms import require_norms_fit
from core.networks.checkpointing import checkpoint_blocks
from core.networks.encoder_weights import start_encoder
from core.networks.encoders import require_one_process
from core.networks.unet import initialise
from core.randomness import seed_of
from core.run.sampling import Draws
from core.run.task import Task
from data.augment.batch import Batch
from data.loading import on_device, plain_batches, strata_groups, training_batch
from data.split import Split
from data.subsets import label_subset
from transfer_learning.config import SegmentationConfig
from transfer_learning.freezing import is_frozen, norms_learn, set_training_mode, still_parameters
from transfer_learning.losses.segmentation import SegmentationLoss
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import confusion_matrix, segmentation_scores
from transfer_learning.transfer import TRANSFERRED, load_pretrained, parameter_groups

PICTURES = 6
MEAN_DICE = "dice_mean_foreground"


def architecture_of(config: SegmentationConfig, train: Split) -> dict[str, Any]:
    """Return the arguments of `SegmentationUNet` that the settings and the data ask for."""
    names = ("width", "normalisation", "encoder_dropout", "decoder_dropout", "encoder", "refine")
    of_data = {"num_classes": len(train.class_set), "in_channels": train.channels}
    return {**of_data, **{name: getattr(config, name) for name in names}, **config.network()}


def dice_columns(class_set: ClassSet) -> dict[str, str]:
    """Return the log's column for the Dice of each class; with more than 25 there are none.

    A class whose column would be called like that of the mean gets a _ behind it.
    """
    columns: dict[str, str] = {}
    for name in class_set.names if len(class_set) <= MANY_CLASSES else ():
        column = f"dice_{name}"
        while column == MEAN_DICE or column in columns.values():
            column += "_"
        columns[name] = column
    return columns


class SegmentationTask(Task):
    """Segment the labelled pictures.

    Args:
        config: the settings.
        train, val: splits; pictures without a mask are left out.
        machine: what it computes on.

    Raises:
        UserError: if a split has no mask, Train holds less than two classes, or the encoder does not fit.
    """

    select, maximise = "mean_iou", True

    def __init__(self, config: SegmentationConfig, train: Split, val: Split, machine: Machine) -> None:
        self.config, self.val = config, val
        self.device, self.processes = device, processes = machine.device, machine.processes
        self.classes = train.class_set
        for split in (train, val):
            require_masks(split)
        processes.require_enough(len(val.labelled), "the masks of Val")
        self.chosen = chosen_labels(train, config)
        torch.manual_seed(seed_of(config.seed))
        self.architecture = architecture_of(config, train)
        self.model = SegmentationUNet(**self.architecture)
        require_one_process(self.model.encoder, processes, f"--encoder {config.encoder}", not norms_learn(config))
        require_one_process(self.model.decoder, processes, f"--decoder {config.decoder}")
        initialise(self.model)
        if config.gradient_checkpointing:
            checkpoint_blocks(self.model.encoder)
        start_encoder(self.model.encoder, config, norms_learn(config))
        self.still = still_parameters(self.model.encoder, config.freeze)
        if config.pretrained_encoder:
            parts = TRANSFERRED[config.transfer]
            header = load_pretrained(self.model, config.pretrained_encoder, config.normalisation, parts, config.encoder)
            require_norms_fit(self.model.encoder, str(config.pretrained_encoder), norms_learn(config))
            self.pretrained_on: str | None = header.run.data_fingerprint
        begun_with = [read_header(path).seen for path in (config.pretrained_encoder, config.init_weights) if path]
        self.seen = united(train.contents[self.chosen], *begun_with)
        pixels = class_pixels(train, self.chosen)
        self.loss = SegmentationLoss(config.dice_weight, config.ce_weight, config.weighted_ce, pixels).to(device)
        self.optimizer = _optimizer(self.model, config, fused=not machine.scales_gradients)
        groups = strata_groups(train, self.chosen, config.class_balance)
        self.draws = Draws(groups, config.batch_size, config.seed, refill=bool(config.max_steps))
        self.train = on_device(train, device, config.device_memory_limit)

    @property
    def log_columns(self) -> tuple[str, ...]:
        """Columns of `training_log.csv`."""
        mean = () if self.classes.background is None else (MEAN_DICE,)
        scores = (*dice_columns(self.classes).values(), *mean, "mean_iou")
        return ("epoch", "train_loss", "val_loss", *scores, "learning_rate", "epoch_time")

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode; the encoder's depends on `freeze`."""
        frozen = is_frozen(self.config, epoch)
        set_training_mode(self.model, frozen, self.still, self.config.freeze_batch_norm)

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
        num_classes = len(self.classes)
        matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=self.device)
        sums: Sums = {}
        labelled = self.val.labelled[self.processes.share(len(self.val.labelled))]
        for _, batch in plain_batches(self.val, labelled, self.config.batch_size, self.device):
            logits = self.model(batch.input, batch.content)
            sums = merged(sums, self.loss.sums(logits, batch.label))
            matrix += confusion_matrix(logits.argmax(dim=1), batch.label, num_classes)
        (matrix,) = self.processes.add_up({"matrix": (matrix,)})["matrix"]
        scores = segmentation_scores(matrix.cpu(), self.classes)
        dice = {column: scores["classes"][name]["dice"] for name, column in dice_columns(self.classes).items()}
        mean = {"mean_iou": scores["mean_iou"]}
        if self.classes.background is not None:
            mean[MEAN_DICE] = scores["mean_foreground_dice"]
        return {"val_loss": self.loss.from_sums(self.processes.add_up(sums))["loss"].item(), **dice, **mean}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network."""
        data = self.val.manifest
        return {
            "phase": "transfer_learning",
            "architecture": self.architecture,
            "class_set": self.classes.content(),
            # How a picture of any size and depth, transparent perhaps, comes to what the network was trained on.
            "size": data.size,
            "resize_mode": data.resize_mode,
            "value_range": data.value_range,
            "ground": data.source.get("ground"),
        }

    def save_pictures(self, path: Path) -> None:
        """Save labelled pictures of Val with truth and prediction."""
        from transfer_learning.figures.pictures import as_rgb, save_panels

        chosen = self.val.labelled[spread(len(self.val.labelled), PICTURES)]
        self.model.eval()
        with torch.inference_mode():
            _, batch = next(plain_batches(self.val, chosen, len(chosen), self.device))
            prediction = self.model(batch.input, batch.content).argmax(dim=1)
        names = [self.val.names[index] for index in chosen]
        pictures = as_rgb(batch.clean.permute(0, 2, 3, 1).cpu().numpy())
        save_panels(path, names, pictures, batch.label.cpu().numpy(), prediction.cpu().numpy(), self.classes)


def chosen_labels(train: Split, config: SegmentationConfig) -> np.ndarray:
    """Return the indices of the labelled pictures to learn from; see `data.subsets`."""
    labelled = train.labelled
    names = [train.names[index] for index in labelled]
    strata = [train.strata[index] or "" for index in labelled]
    chosen = set(label_subset(names, strata, config.label_fraction, config.seed))
    return labelled[[name in chosen for name in names]]


def require_masks(split: Split) -> None:
    """Raise UserError unless a split has a mask, and a pixel in it that is not left out; Train two classes to tell."""
    if not len(split.labelled):
        raise UserError(f"{split.data_dir}: {split.lacking}")
    held = np.flatnonzero(class_pixels(split, split.labelled))
    if not len(held):
        raise UserError(f"{split.data_dir}: the masks of {split.name} hold no pixel of any class, only {IGNORED}")
    if split.name == "Train" and len(held) < 2:
        only = split.class_set.names[held[0]]
        raise UserError(f"{split.data_dir}: the masks of Train hold {only!r} alone: learning needs two classes or more")


def class_pixels(split: Split, chosen: np.ndarray) -> list[int]:
    """Count the pixels of each class in the chosen pictures' labels."""
    counts = np.zeros(256, dtype=np.int64)
    for row in split.label_rows[chosen]:
        counts += np.bincount(split.labels[row].ravel(), minlength=256)
    return counts[: len(split.class_set)].tolist()


def _optimizer(model: torch.nn.Module, config: SegmentationConfig, fused: bool) -> torch.optim.Optimizer:
    groups = parameter_groups(model, config)
    common = {"lr": config.lr, "weight_decay": config.weight_decay, "fused": fused}
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, **common)
    return torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0, **common)
