"""Phase 2 for the training loop: segment augmented pictures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.evaluation import spread
from core.headers.header import read_header
from core.headers.seen import united
from core.machine.machine import Machine
from core.machine.processes import Sums, merged
from core.networks.batch_norms import require_norms_fit, restore_encoder
from core.networks.checkpointing import checkpoint_blocks
from core.networks.encoder_weights import start_encoder
from core.networks.encoders import require_one_process
from core.networks.unet import initialise, volume_arguments
from core.randomness import seed_of
from core.run.learning.hard_examples import HardDraws
from core.run.sampling import Draws
from core.run.task import Task
from data.augment.batch import Batch
from data.loading import AnySplit, on_device, plain_batches, sampled, strata_groups, training_batch
from data.volumes.split import VolumeSplit
from transfer_learning.columns import log_columns, score_columns, selected
from transfer_learning.config import SegmentationConfig
from transfer_learning.fitting import Scales, among_all, picture_losses, training_counts
from transfer_learning.freezing import is_frozen, norms_learn, set_training_mode, still_parameters
from transfer_learning.losses.segmentation import SegmentationLoss
from transfer_learning.masks import chosen_labels, class_pixels, judging_labels, require_masks
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import confusion_matrix, known, scores_of_counts, segmentation_scores
from transfer_learning.transfer import TRANSFERRED, load_pretrained, outside_weights, parameter_groups
from transfer_learning.unlabelled.parts import Part, make_parts, unlabelled_pool, with_parts

PICTURES, VOLUMES = 6, 3
# Beside the sums of the loss.
COUNTS, LOSSES = "training_counts", "picture_losses"


def architecture_of(config: SegmentationConfig, train: AnySplit) -> dict[str, Any]:
    """Return the arguments of `SegmentationUNet` that the settings and the data ask for."""
    names = ("width", "normalisation", "encoder_dropout", "decoder_dropout", "encoder", "refine")
    of_data = {"num_classes": len(train.class_set), "in_channels": train.channels}
    own = {name: getattr(config, name) for name in names}
    return {**of_data, **own, **config.network(), **volume_arguments(config.patch_sides)}


class SegmentationTask(Task):
    """Segment the labelled pictures.

    Args:
        config: the settings.
        train, val: splits; pictures without a mask are left out.
        machine: what it computes on.

    Raises:
        UserError: if a split has no mask, Train holds less than two classes, or the encoder does not fit.
    """

    loss: SegmentationLoss
    maximise = True

    def __init__(self, config: SegmentationConfig, train: AnySplit, val: AnySplit, machine: Machine) -> None:
        self.config, self.val = config, val
        self.device, self.processes = device, processes = machine.device, machine.processes
        self.classes = train.class_set
        self.select, self.keeps_last = selected(config, self.classes), config.select == "last"
        self.judging = judging_labels(val, config)
        for split, masks in ((train, train.labelled), (val, self.judging)):
            require_masks(split, masks)
        processes.require_enough(len(self.judging), "the masks of Val")
        self.chosen = chosen_labels(train, config)
        torch.manual_seed(seed_of(config.seed))
        self.architecture = architecture_of(config, train)
        self.model = network = SegmentationUNet(**self.architecture)
        self.norms_learn = norms_learn(config)
        require_one_process(self.model.encoder, processes, f"--encoder {config.encoder}", not self.norms_learn)
        require_one_process(self.model.decoder, processes, f"--decoder {config.decoder}")
        initialise(self.model)
        if config.gradient_checkpointing:
            checkpoint_blocks(self.model.encoder)
        start_encoder(self.model.encoder, config, self.norms_learn)
        self.still = still_parameters(self.model.encoder, config.freeze)
        if config.pretrained_encoder:
            parts = TRANSFERRED[config.transfer]
            seen_as = self.architecture["normalisation"]
            header = load_pretrained(self.model, config.pretrained_encoder, seen_as, parts, config.encoder)
            learn = self.norms_learn and not config.restore_batch_norm
            require_norms_fit(self.model.encoder, str(config.pretrained_encoder), learn)
            self.pretrained_on: str | None = header.run.data_fingerprint
        if config.restore_batch_norm:
            restore_encoder(self.model, sampled(train, self.chosen, config.batch_size))
        begun_with = [read_header(path) for path in config.begun_with]
        self.pool = unlabelled_pool(train, self.chosen, config)
        learned_from = train.contents[np.union1d(self.chosen, self.pool)]
        self.seen = united(learned_from, *(header.seen for header in begun_with))
        self.outside = outside_weights(config, begun_with)
        pixels = class_pixels(train, self.chosen)
        self.loss = SegmentationLoss(config.loss_parts, config.weighted_ce, pixels, train.class_set.background).to(
            device
        )
        groups = strata_groups(train, self.chosen, config.class_balance)
        self.draws = _draws(groups, config, device)
        self.scales = Scales(config.scales, config.window or train.size, config.seed)
        self.counts = torch.zeros(len(self.classes), 3, dtype=torch.int64, device=device)
        self.train = on_device(train, device, config.device_memory_limit)
        steps = config.length if config.max_steps else config.length * self.draws.steps_per_pass
        self.parts = make_parts(config, self.train, self.pool, self.model, steps, machine)
        self.optimizer = _optimizer(network, self.parts, config, fused=not machine.scales_gradients)
        of_parts = (column for part in self.parts for column in part.columns)
        self.log_columns = (*log_columns(self.classes, self.select), *of_parts)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode; the encoder's depends on `freeze`."""
        frozen = is_frozen(self.config, epoch)
        set_training_mode(self.model, frozen, self.still, self.config.freeze_batch_norm)

    def read(self, draw: tuple[np.ndarray, ...]) -> Batch:
        """Return the augmented batch of a draw."""
        passes, indices, repeats = draw
        return training_batch(self.train, (passes, indices, repeats), self.config.seed, self.config, self.device)

    def loss_sums(self, batch: Batch) -> Sums:
        """Compare with the augmented labels; beside the sums of the loss, what training counts and draws by."""
        assert batch.label is not None, "pictures with a mask are drawn alone"
        logits = self.model(batch.input, batch.content)
        scored = self.loss.scored(logits, batch.label)
        sums = {**self.loss.sums_of(scored), COUNTS: (training_counts(logits, batch.label),)}
        if isinstance(self.draws, HardDraws):
            sums[LOSSES] = (picture_losses(scored),)
        return sums

    def training_losses(self, step: int) -> dict[str, Tensor | None]:
        """Return what `Task.training_losses` does, and keep what training counts and draws by."""
        draw, counted = self.share_of_step(step)
        sums = self.loss_sums(self.scales.resized(self.read(draw), step))
        if LOSSES in sums:
            places = self.draws.pictures_in(step)
            (own,) = sums[LOSSES]
            sums[LOSSES] = (among_all(own, self.processes.share(places).start, places),)
        sums = self.processes.add_up(sums, counted)
        self.counts += sums[COUNTS][0]
        if isinstance(self.draws, HardDraws):
            self.draws.note(sums[LOSSES][0])
        return with_parts(self.loss.from_sums(sums), self.parts, step, self.model, self.scales.resized)

    def training_scores(self) -> dict[str, float | None]:
        """Mean IoU over the pixels that training saw, as the network was at each step."""
        scores = scores_of_counts(self.counts.cpu().numpy()[None], self.classes)
        self.counts.zero_()
        return {"train_mean_iou": known(scores["mean_iou"][0])}

    def carried(self) -> dict[str, Tensor]:
        """Return the counts of the row under way, what hard draws go by, and what parts of the loss carry."""
        carried = {COUNTS: self.counts, **(self.draws.state() if isinstance(self.draws, HardDraws) else {})}
        for part in self.parts:
            carried |= part.state(self.model)
        return carried

    def carry_on(self, carried: dict[str, Tensor]) -> None:
        """Go on from what `carried` returned."""
        if COUNTS in carried:
            self.counts.copy_(carried[COUNTS])
        if isinstance(self.draws, HardDraws):
            self.draws.load(carried)
        for part in self.parts:
            part.load(carried, self.model)

    def validate(self) -> dict[str, float | None]:
        """Loss and scores of the pictures of Val whose masks judge, at the size that the network sees.

        Both are ratios of sums over all of them, so that they do not depend on the batch size.
        """
        num_classes = len(self.classes)
        matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64, device=self.device)
        sums: Sums = {}
        own = self.judging[self.processes.share(len(self.judging))]
        for _, batch in plain_batches(self.val, own, self.config.batch_size, self.device):
            assert batch.label is not None, "masks judge"
            logits = self.model(batch.input, batch.content)
            sums = merged(sums, self.loss.sums(logits, batch.label))
            prediction = logits.max(dim=1).indices  # argmax takes up to nine times as long (benchmarks.parts)
            matrix += confusion_matrix(prediction, batch.label, num_classes)
        (matrix,) = self.processes.add_up({"matrix": (matrix,)})["matrix"]
        scores = segmentation_scores(matrix.cpu(), self.classes)
        columns = score_columns(scores, self.classes, self.select)
        loss = self.loss.from_sums(self.processes.add_up(sums))["loss"]
        assert loss is not None
        return {"val_loss": loss.item(), **columns}

    def header(self) -> dict[str, Any]:
        """What the weights file says of the network."""
        data = self.val.manifest
        said = {"phase": "transfer_learning", "architecture": self.architecture, "class_set": self.classes.content()}
        if self.outside:
            said["outside_weights"] = self.outside
        if data.dims == 3:
            how = {"spacing": data.spacing, "label_values": data.label_values}
            intensity = [asdict(one) for one in data.intensity]
            return {**said, "size": self.config.patch_sides, "volumes": {**how, "intensity": intensity}}
        return {
            **said,
            # How a picture of any size and depth, transparent perhaps, comes to what the network was trained on.
            "size": data.size,
            "resize_mode": data.resize_mode,
            "value_range": data.value_range,
            "ground": data.source.get("ground"),
            **({"preprocess": data.preprocess} if data.preprocess else {}),
        }

    def save_pictures(self, path: Path) -> None:
        """Save labelled pictures of Val with truth and prediction, of volumes slices through the most errors."""
        from transfer_learning.figures.pictures import as_rgb, save_panels
        from transfer_learning.figures.volumes import save_patches

        chosen = self.judging[spread(len(self.judging), PICTURES)]
        self.model.eval()
        if isinstance(self.val, VolumeSplit):
            save_patches(path, self.model, self.val, chosen[:VOLUMES], self.config.batch_size, self.device)
            return
        with torch.inference_mode():
            _, batch = next(plain_batches(self.val, chosen, len(chosen), self.device))
            prediction = self.model(batch.input, batch.content).argmax(dim=1)
        assert batch.label is not None, "masks judge"
        names = [self.val.names[index] for index in chosen]
        pictures = as_rgb(batch.clean.permute(0, 2, 3, 1).cpu().numpy())
        truths, found = (list(labels.cpu().numpy()) for labels in (batch.label, prediction))
        save_panels(path, names, list(pictures), truths, found, self.classes)


def _draws(groups: list[np.ndarray], config: SegmentationConfig, device: torch.device) -> Draws:
    common = (groups, config.batch_size, config.seed, bool(config.max_steps))
    return HardDraws(*common, config.hard_examples, device) if config.hard_examples else Draws(*common)


def _optimizer(
    model: SegmentationUNet, parts: Sequence[Part], config: SegmentationConfig, fused: bool
) -> torch.optim.Optimizer:
    groups = parameter_groups(model, config)
    if own := [parameter for part in parts for parameter in part.parameters()]:
        groups.append({"params": own, "initial_lr": config.lr})
    rate, decay, momentum = config.lr, config.weight_decay, config.momentum
    if config.optimizer != "sgd":
        adam = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
        return adam(groups, lr=rate, weight_decay=decay, fused=fused)
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, weight_decay=decay, fused=fused)
