"""The networks of an ablation as JSON and as one table."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation import counted, in_words
from experiments.table_formats import Table, listed

FORMAT = "networks 1"
COUNTED = ["parameters", "multiply-adds, billion", "MB on disk"]
MEASURED = ["inference, images/s", "training, images/s", "inference, MiB", "training, MiB"]
WORKS = ("forward", "step")


def table_of(content: Mapping[str, Any]) -> Table:
    """Return the table of what networks.json holds."""
    measured = content["measured"]
    rows = [_row(network, bool(measured)) for network in content["networks"]]
    columns = ["network", *COUNTED, *(MEASURED if measured else [])]
    size = in_words(content["size"])
    channels = counted(content["in_channels"], "channel")
    notes = [
        f"A picture of {size} px, {channels}, {content['num_classes']} classes. Multiply-adds: of one picture, of "
        "convolutions and matrix products. On disk: in fp32, 10^6 bytes."
    ]
    if measured:
        notes += _how(content["networks"], measured, size)
    return Table("Networks side by side", columns, rows, ["network"], notes)


def _row(network: Mapping[str, Any], measured: bool) -> list[str]:
    sizes = [f"{network['multiply_adds'] / 1e9:.3f}", f"{network['bytes_on_disk'] / 1e6:.1f}"]
    row = [network["title"], f"{network['num_parameters']:,}", *sizes]
    if not measured:
        return row
    speeds = [_speed(network["measured"][work]["images_per_second"]) for work in WORKS]
    return [*row, *speeds, *(f"{network['measured'][work]['peak_mebibytes']:,.0f}" for work in WORKS)]


def _speed(found: Mapping[str, float]) -> str:
    return " to ".join([f"{found['median']:.3g} ({found['min']:.3g}", f"{found['max']:.3g})"])


def _how(networks: Sequence[Mapping[str, Any]], measured: Mapping[str, Any], size: str) -> list[str]:
    batches = listed(str(network["batch_size"]) for network in networks)
    windows = listed(in_words(network["step_size"]) for network in networks)
    ways = [_ways([network["measured"][work]["how"] for network in networks]) for work in WORKS]
    rounds = counted(measured["rounds"], "round")
    return [
        f"Measured on {measured['device']}, the networks in turns, {rounds}: the median, in brackets the slowest and "
        "the fastest round. One batch a round, made beforehand: neither reading nor augmentation counts.",
        f"Inference: batches of {batches} pictures of {size} px ({ways[0]}). Training: steps of {batches} windows of "
        f"{windows} px with loss and optimiser ({ways[1]}).",
        "MiB: the most that a process of its own held at a time for it, weights and batch included, beside what it "
        "held with the libraries loaded. Commands keep freed memory for the next tensor, and may hold more.",
    ]


def _ways(ways: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{name} {listed(way[name] for way in ways)}" for name in ways[0])
