"""What the throughput benchmark times: every arm is a function that does one round of work."""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import ours, peers, practitioner
from benchmarks.config import ThroughputConfig
from benchmarks.sources import exported, prepared
from benchmarks.timing import OfOthers
from core.headers.header import Header
from core.machine.device import LAYOUTS, for_inference
from core.machine.fabric import Fabric
from core.networks.unet import InstanceNorm
from data.opened import open_data
from transfer_learning.inference.backends import Network
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict_config import InferenceOptions
from transfer_learning.scores.split import scores_of_split

Arms = dict[str, Callable[[], Any]]
ALONE = " alone"
# What each loop's picture files hold: a tidy data set for the one, the original project's 512 px for the other.
SOURCE_SIZES = {"practitioner": 256, "original": 512}
WORKERS = 2


def plain_network(width: int) -> SegmentationUNet:
    """Return our network as a practitioner would have it: `nn.InstanceNorm2d`, NCHW."""
    model = SegmentationUNet(practitioner.NUM_CLASSES, width)
    for stage in model.modules():
        for name, norm in list(stage.named_children()):
            if isinstance(norm, InstanceNorm):
                setattr(stage, name, torch.nn.InstanceNorm2d(norm.num_channels, affine=True))
    return model


def kernel_arms(config: ThroughputConfig, fabric: Fabric) -> Arms:
    """Return a step, and a forward pass, of the network alone for each norm kernel and layout, at our precision."""
    images = torch.rand(config.batch_size, 3, config.size, config.size, device=fabric.device)
    label = torch.randint(practitioner.NUM_CLASSES, (config.batch_size, config.size, config.size)).to(fabric.device)
    networks = {
        "instance norm": plain_network,
        "group norm": partial(SegmentationUNet, practitioner.NUM_CLASSES),
    }
    arms: Arms = {}
    for (norm, build), (layout, memory_format) in itertools.product(networks.items(), LAYOUTS.items()):
        model = build(config.width).to(fabric.device, memory_format=memory_format)
        arms[f"step, {norm}, {layout}"] = partial(_step, model, images, label, fabric)
        arms[f"forward, {norm}, {layout}"] = partial(_forward, model, images, fabric)
    return arms


def _step(model: torch.nn.Module, images: Tensor, label: Tensor, fabric: Fabric) -> None:
    with fabric.autocast():
        logits = model.train()(images)
    torch.nn.functional.cross_entropy(logits.float(), label).backward()
    model.zero_grad()


@torch.inference_mode()
def _forward(model: torch.nn.Module, images: Tensor, fabric: Fabric) -> None:
    with fabric.autocast():
        model.eval()(images)


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
        for name, size in SOURCE_SIZES.items():
            stream = practitioner.Batches(_files(config, size), config.size, config.batch_size, WORKERS)
            loop = practitioner.Training(plain_network(config.width), stream, fabric.device, config.steps)
            arms[name] = OfOthers(loop)
        if config.peers:
            arms |= {name: OfOthers(peer) for name, peer in _peers(config, fabric.device).items()}
        yield arms


def _peers(config: ThroughputConfig, device: torch.device) -> Arms:
    files = _files(config, SOURCE_SIZES["practitioner"])
    stream = practitioner.Batches(files, config.size, config.batch_size, WORKERS)
    sizes = (config.size, config.batch_size, device, config.steps)
    return {
        "smp Unet(resnet34)": practitioner.Training(peers.smp_unet(), stream, device, config.steps),
        "MONAI BasicUNet": peers.monai_training(peers.monai_unet(), files, *sizes),
    }


def _files(config: ThroughputConfig, size: int) -> Path:
    data_dir = prepared(config.work_dir, size, config.images)
    return exported(data_dir, "Train", config.work_dir / f"files-{size}-{config.images}")


def multiply_adds(config: ThroughputConfig) -> dict[str, float]:
    """Return the multiply-adds of a picture, forward and backward, for the arms whose networks can be compared."""
    networks = {"transfer_learning": plain_network(config.width)}
    if config.peers:
        networks |= {"smp Unet(resnet34)": peers.smp_unet(), "MONAI BasicUNet": peers.monai_unet()}
    return {name: peers.multiply_adds(model, config.size, torch.device("cpu")) for name, model in networks.items()}


def evaluation_arms(config: ThroughputConfig, fabric: Fabric) -> tuple[Arms, int]:
    """Return our scoring of a split, our prediction and the plain loop over the same pictures, and how many those are.

    Ours scores boundary and calibration as well, the plain loop counts pixels alone; prediction counts nothing.
    """
    data_dir = prepared(config.work_dir, config.size, config.images)
    split = open_data(data_dir).split("Test")
    files = exported(data_dir, "Test", config.work_dir / f"test-{config.size}-{config.images}")
    images, device = len(split.labelled), fabric.device
    model = for_inference(SegmentationUNet(practitioner.NUM_CLASSES, config.width), device)
    options = InferenceOptions(batch_size=config.batch_size)
    header = Header("transfer_learning", {}, {"seed": 0}, 1, {}, split.class_set)
    readout = Readout(Network(model, device), split.size, "stretch", options, config.batch_size)
    segmenter = Segmenter(readout, header)
    everything = [np.array(split.images[index]) for index in split.labelled]
    pictures = [everything[start : start + config.batch_size] for start in range(0, images, config.batch_size)]
    arms: Arms = {
        "ours": lambda: scores_of_split(readout, split),
        "prediction": lambda: [segmenter.segment(batch) for batch in pictures],
        "plain loop": OfOthers(
            practitioner.evaluation(plain_network(config.width), files, config.size, images, device)
        ),
    }
    return arms, images


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
