"""A variant's network at work: forward passes as evaluation makes them, steps as training takes them."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from core.machine.choices import choice
from core.machine.device import for_inference, make_fabric, resolve_amp, resolve_device
from core.machine.machine import Machine
from core.run.folder import RunFolder
from core.run.rounds import in_rounds
from data.loading import plain_batches
from experiments.architectures.drawn import Pictures, drawn_split
from transfer_learning.config import SegmentationConfig
from transfer_learning.inference.backends import network_of
from transfer_learning.network import SegmentationUNet
from transfer_learning.task import SegmentationTask, architecture_of

Work = Literal["forward", "step"]
WORKS: Mapping[Work, str] = {"forward": "forward pass", "step": "training step"}
NO_END = 10**9


def measured_as(config: SegmentationConfig, device: str) -> SegmentationConfig:
    """Return a variant's settings as its network is measured: without weights to begin with, on a device, without end.

    None of these moves the time or the memory of a step, but for what stands still: an encoder that is let go after a
    while is measured as it is most of the time.
    """
    taught = config.unlabelled == "self_training"
    return dataclasses.replace(
        config,
        # A teacher that stands still takes what one that follows takes.
        unlabelled="consistency" if taught else config.unlabelled,
        teacher_weights=None,
        stable=1.0,
        pretrained_encoder=None,
        transfer="encoder",
        encoder_weights="none",
        init_weights=None,
        restore_batch_norm=False,
        freeze="never" if isinstance(config.freeze, int) else config.freeze,
        class_balance=False,
        max_steps=NO_END,
        val_every=NO_END,
        extend_to=None,
        save_every_steps=0,
        device=device,
        device_memory_limit=0,
    )


def at_work(config: SegmentationConfig, pictures: Pictures, work: Work) -> tuple[Callable[[], None], dict[str, str]]:
    """Return a function that has the network compute one batch of `batch_size`, and how it does that.

    The batch is made beforehand: what is measured is the network, with its loss and optimiser in a step.

    Args:
        config: of `measured_as`.
        pictures: what it sees; a step sees windows of `--train_crop`.
        work: a forward pass, or a step.

    Raises:
        UserError: the pictures are too small, or the device is not there.
    """
    make = _forward if work == "forward" else _step
    return make(config, pictures)


def _forward(config: SegmentationConfig, pictures: Pictures) -> tuple[Callable[[], None], dict[str, str]]:
    device = resolve_device(config.device)
    precision = resolve_amp(config.amp, device)
    split = drawn_split(pictures, config.batch_size)
    model = for_inference(SegmentationUNet(**architecture_of(config, split)), device, precision)
    network = network_of(model, device, precision)
    ((_, batch),) = plain_batches(split, np.arange(config.batch_size), config.batch_size, device)

    def forward() -> None:
        with torch.inference_mode():
            network.scores(batch.input, batch.content)

    fastest = choice("forward", device, precision)  # what `for_inference` took
    return forward, {"amp": precision, "memory_format": fastest.memory_format, "kernels": fastest.kernels}


def _step(config: SegmentationConfig, pictures: Pictures) -> tuple[Callable[[], None], dict[str, str]]:
    fabric, _ = make_fabric(config.device, config.amp, config.deterministic, config.freeze != "never")
    machine = Machine.of(fabric, config.memory_format, config.kernels)
    split = drawn_split(pictures, config.batch_size)
    task = SegmentationTask(config, split, split, machine)
    batch = task.read(task.draws.batch(0))
    task.read = lambda draw: batch  # type: ignore[method-assign]
    folder = RunFolder(Path(), {"identity": {}}, task.log_columns, writes=False)
    return in_rounds(task, config, machine, folder, steps=1), machine.choices()
