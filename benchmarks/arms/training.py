"""Training, our own and that of others, as the throughput benchmark times it."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.config import ThroughputConfig
from benchmarks.loops import ours, peers, practitioner
from benchmarks.sources import exported, prepared
from benchmarks.timing import OfOthers
from core.machine.device import resolve_amp
from core.machine.fabric import Fabric
from core.networks.unet import InstanceNorm
from transfer_learning.network import SegmentationUNet

Arms = dict[str, Callable[[], Any]]
ALONE = " alone"
PRACTITIONER, BF16, ORIGINAL = "practitioner", "practitioner, autocast", "original"
# The loops of others: with their own networks, and with ours.
SMP, MONAI = "SMP's loop", "MONAI's loop"
SMP_OURS, MONAI_OURS = SMP + ", our network", MONAI + ", our network"
# What each loop's picture files hold: a tidy data set for the one, the original project's 512 px for the other.
SOURCE_SIZES = {PRACTITIONER: 256, ORIGINAL: 512}
WORKERS = 2


def plain_network(width: int) -> SegmentationUNet:
    """Return our network as a practitioner would have it: `nn.InstanceNorm2d`, NCHW."""
    model = SegmentationUNet(practitioner.NUM_CLASSES, width)
    for stage in model.modules():
        for name, norm in list(stage.named_children()):
            if isinstance(norm, InstanceNorm):
                setattr(stage, name, torch.nn.InstanceNorm2d(norm.num_channels, affine=True))
    return model


@contextmanager
def training_arms(config: ThroughputConfig, fabric: Fabric) -> Iterator[Arms]:
    """Give both phases end to end and alone (one batch, read beforehand), and the loops of others."""
    data_dir = prepared(config.work_dir, config.size, config.images)
    shared = {"width": config.width, "batch_size": config.batch_size, "device": str(fabric.device), "amp": config.amp}
    arms: Arms = {}
    with tempfile.TemporaryDirectory() as runs:
        for phase in ours.TASKS:
            for name, fixed in ((phase, False), (phase + ALONE, True)):
                arms[name] = ours.training(phase, data_dir, Path(runs, name), fabric, config.steps, fixed, **shared)
        others = _practitioners(config, fabric.device) | (_peers(config, fabric.device) if config.peers else {})
        yield arms | {name: OfOthers(loop) for name, loop in others.items()}


def _practitioners(config: ThroughputConfig, device: torch.device) -> Arms:
    """Return the loop in fp32, at the sizes of a tidy data set and of the original's, and with what bf16 there is."""
    sizes = {**SOURCE_SIZES, **({BF16: SOURCE_SIZES[PRACTITIONER]} if has_bf16(device) else {})}
    arms: Arms = {}
    for name, size in sizes.items():
        files = practitioner.PictureFiles(_files(config, size), config.size)
        step = practitioner.Step(plain_network(config.width), device, bf16=name == BF16)
        arms[name] = practitioner.Training(
            step, practitioner.Batches(files, config.batch_size, WORKERS, device.type == "cuda"), config.steps
        )
    return arms


def has_bf16(device: torch.device) -> bool:
    """Say whether a device computes bf16 in hardware."""
    return resolve_amp("auto", device) == "bf16"


def _peers(config: ThroughputConfig, device: torch.device) -> Arms:
    folder = _files(config, SOURCE_SIZES[PRACTITIONER])
    arms: Arms = {}
    for name, model in _networks_of_peers(config).items():
        if name.startswith(SMP):
            batches = practitioner.Batches(peers.SmpFiles(folder, config.size), config.batch_size, WORKERS)
            step: Callable[[Any], None] = peers.SmpStep(model, device)
        else:
            batches = peers.monai_batches(folder, config.size, config.batch_size, WORKERS)
            step = peers.MonaiStep(model, device)
        arms[name] = practitioner.Training(step, batches, config.steps)
    return arms


def _networks_of_peers(config: ThroughputConfig) -> dict[str, torch.nn.Module]:
    return {
        SMP: peers.smp_unet(),
        MONAI: peers.monai_unet(),
        SMP_OURS: plain_network(config.width),
        MONAI_OURS: plain_network(config.width),
    }


def _files(config: ThroughputConfig, size: int) -> Path:
    data_dir = prepared(config.work_dir, size, config.images)
    return exported(data_dir, "Train", config.work_dir / f"files-{size}-{config.images}")


def multiply_adds(config: ThroughputConfig) -> dict[str, float]:
    """Return the multiply-adds of a picture, forward and backward, for the arms whose networks can be compared."""
    networks: dict[str, torch.nn.Module] = {"transfer_learning": plain_network(config.width)}
    if config.peers:
        networks |= _networks_of_peers(config)
    return {name: peers.multiply_adds(model, config.size, torch.device("cpu")) for name, model in networks.items()}


def start_up_arms() -> Arms:
    """Return what a user waits for: `--help`."""
    command = [sys.executable, "-m", "transfer_learning.train", "--help"]
    return {"help": lambda: subprocess.run(command, check=True, capture_output=True)}


def import_core_seconds(repeats: int) -> list[float]:
    """Return what `import core` takes where torch is there already, each time in a process of its own."""
    code = "import time, torch; t = time.perf_counter(); import core; print(time.perf_counter() - t)"
    command = [sys.executable, "-c", code]
    runs = (subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(repeats))
    return [float(run.stdout) for run in runs]
