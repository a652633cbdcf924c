"""What networks.json holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from core.machine.device import resolve_device
from core.machine.peak import require_peaks
from core.networks.unet import require_sides
from core.run.provenance import commit, device_name, versions
from experiments.architectures.at_work import measured_as
from experiments.architectures.drawn import Pictures, drawn_split
from experiments.architectures.measuring import measured
from experiments.architectures.table import FORMAT
from experiments.grid.planning.variants import Variant
from transfer_learning.config import SegmentationConfig
from transfer_learning.description import counted
from transfer_learning.network import SegmentationUNet
from transfer_learning.task import architecture_of

if TYPE_CHECKING:
    from experiments.networks import NetworksConfig


def content_of(variants: Sequence[Variant], pictures: Pictures, config: "NetworksConfig") -> dict[str, Any]:
    """Return what the variants' networks are made of and, with `measure`, what they take.

    Args:
        variants: at least one.
        pictures: what the networks see.
        config: whether and how they are measured.

    Raises:
        UserError: a network cannot be built, pictures are too small, or peaks of memory cannot be measured here.
    """
    device = resolve_device(config.device) if config.measure else None
    if device:
        require_peaks(device)
    for sides in (pictures.size, *(variant.config.window for variant in variants)):
        if sides:
            require_sides(*sides)
    rows = [_counts(variant, pictures) for variant in variants]
    said: dict[str, Any] | None = None
    if device:
        configs = {variant.name: measured_as(variant.config, config.device) for variant in variants}
        found = measured(configs, pictures, config.rounds)
        rows = [{**row, "measured": found[row["name"]]} for row in rows]
        said = {"device": device_name(device), "threads": torch.get_num_threads(), "rounds": config.rounds}
    return {
        "format": FORMAT,
        "size": list(pictures.size),
        "num_classes": pictures.classes,
        "in_channels": pictures.channels,
        "measured": said,
        "networks": rows,
        "provenance": {"commit": commit(), "versions": versions("timm", "segmentation-models-pytorch")},
    }


def _counts(variant: Variant, pictures: Pictures) -> dict[str, Any]:
    config: SegmentationConfig = variant.config
    network = SegmentationUNet(**architecture_of(config, drawn_split(pictures, 1))).eval()
    found = counted(network, pictures.size)
    return {
        "name": variant.name,
        "title": variant.title,
        "num_parameters": found.total,
        "parameters": found.parameters,
        "multiply_adds": found.multiply_adds,
        "bytes_on_disk": found.bytes_on_disk,
        "batch_size": config.batch_size,
        "step_size": list(config.window or pictures.size),
    }
