"""Measure what computes a trained network: torch, ONNX Runtime and OpenVINO, in fp32, int8 and, where there is, bf16.

A network is trained for a few hundred steps on drawn photographs, once, and exported. Beside the speed of each backend,
of its forward pass and of prediction from picture files to masks, stand the share of pixels that get the class that
torch gives them in fp32, and the score on the test pictures. Everything takes turns in the same rounds, with as many
threads as there are cores, and with one. Writes backends.json into a folder named after the processor, and prints
tables.

    python -m benchmarks.backends --size 128 --width 16 --repeats 20
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.config import BackendsConfig
from core.command import run_command

if TYPE_CHECKING:
    from torch import Tensor

    from core.train_config import Amp
    from transfer_learning.inference.backends import Loaded, Network
    from transfer_learning.inference.options import Backend

    # Precision -> backend -> the weights, or what was exported.
    Places = dict[str, dict[Backend, Path]]

REFERENCE = "torch, fp32"
PACKAGES = ("onnx", "onnxruntime", "openvino")
# The folder, the flags of `export` and the file. ONNX in eight bits is read by both.
FILES: "dict[Backend, tuple[str, str]]" = {"onnxruntime": ("onnx", "model.onnx"), "openvino": ("openvino", "model.xml")}
EIGHT_BITS = ("onnx", "model.onnx", "int8")


def backends(config: BackendsConfig) -> dict[str, Any]:
    """Train, export, measure, write and print; returns what was written.

    Raises:
        UserError: the extra `export` is not installed.
    """
    from benchmarks.filing import write_results
    from benchmarks.sources import photographs, trained
    from benchmarks.timing import require_proc, thread_counts
    from core.machine.device import resolve_device
    from transfer_learning.inference.exported import of_extra

    require_proc()
    for package in PACKAGES:
        of_extra(package)
    photos = photographs(config.work_dir, config.size, config.images)
    weights = trained(
        config.work_dir, photos.data_dir, config.train_steps, width=config.width, batch_size=config.batch_size
    )
    fp32 = {backend: exported(weights, photos.data_dir, *file) for backend, file in FILES.items()}
    int8 = exported(weights, photos.data_dir, *EIGHT_BITS)
    places: Places = {"fp32": {"torch": weights, **fp32}, "int8": dict.fromkeys(fp32, int8)}
    rows = [row for count in thread_counts(config.threads) for row in _rows(config, places, photos, count)]
    _print(rows)
    write_results(config, "benchmarks.backends", resolve_device("cpu"), {"backends.json": {"rows": rows}}, PACKAGES)
    return {"rows": rows}


def exported(weights: Path, data_dir: Path, format_: str, file: str, precision: str = "fp32") -> Path:
    """Export weights into the folder that they lie in, once; returns the file."""
    from transfer_learning.export import ExportConfig, export

    folder = weights.parent / (format_ if precision == "fp32" else precision)
    settings: dict[str, Any] = {"format": format_, "precision": precision}
    if precision == "int8":
        settings["data_dir"] = data_dir
    if not (folder / file).exists():
        export(ExportConfig(model_path=weights, output_dir=folder, **settings))
    return folder / file


def _rows(config: BackendsConfig, places: "Places", photos: Any, count: int) -> list[dict[str, Any]]:
    """Return a row for each backend and precision, with so many threads."""
    from benchmarks.timing import ratios, threads
    from core.machine.device import resolve_device
    from core.machine.timing import interleaved, rates
    from data.opened import open_data

    split = open_data(photos.data_dir).split("Test")
    files, device = photos.of_split("Test"), resolve_device("cpu")
    with threads(count):
        loaded = _loaded(places, config.batch_size)
        images, content = _batches(split, config.batch_size)[0]
        forward = {name: partial(one.network.scores, images, content) for name, one in loaded.items()}
        predicting = _predicting(loaded, split, files, config.batch_size)
        compared = {
            name: _compared(one.network, loaded[REFERENCE].network, split, config) for name, one in loaded.items()
        }
        seen = interleaved(_inferring(forward), config.repeats, device)
        predicted = interleaved(_inferring(predicting), -(-config.repeats // 2), device)
    speeds, whole = rates(seen, len(images)), rates(predicted, len(files))
    return [
        {
            "backend": name,
            "threads": count,
            "forward": speeds[name],
            "forward_over_torch": ratios(seen[REFERENCE], seen[name]),
            "prediction": whole[name],
            "prediction_over_torch": ratios(predicted[REFERENCE], predicted[name]),
            **compared[name],
        }
        for name in loaded
    ]


def _loaded(places: "Places", batch_size: int) -> "dict[str, Loaded]":
    """Return each backend in fp32, in bf16 where the processor has it and the backend knows it, and in eight bits."""
    from benchmarks.arms.training import has_bf16
    from core.machine.device import resolve_device
    from transfer_learning.inference.backends import load_network
    from transfer_learning.predict_config import InferenceOptions

    bf16 = has_bf16(resolve_device("cpu"))
    fp32, int8 = places["fp32"], places["int8"]
    arms: dict[str, tuple[Backend, Path, Amp]] = {f"{name}, fp32": (name, place, "off") for name, place in fp32.items()}
    if bf16:
        arms |= {f"{name}, bf16": (name, place, "bf16") for name, place in fp32.items() if name != "onnxruntime"}
    arms |= {f"{name}, int8": (name, place, "off") for name, place in int8.items()}
    return {
        arm: load_network(place, InferenceOptions(batch_size=batch_size, amp=amp, backend=name), "cpu")
        for arm, (name, place, amp) in arms.items()
    }


def _batches(split: Any, batch_size: int) -> "list[tuple[Tensor, Tensor]]":
    """Return images [N, C, H, W] and content [N, 1, H, W] of all labelled pictures as the network sees them."""
    from core.machine.device import resolve_device
    from data.loading import plain_batches

    batches = plain_batches(split, split.labelled, batch_size, resolve_device("cpu"))
    return [(batch.input, batch.content) for _, batch in batches]


def _predicting(loaded: "dict[str, Loaded]", split: Any, files: Sequence[Path], batch_size: int) -> dict[str, Any]:
    from benchmarks.arms.scoring import predict
    from transfer_learning.inference.options import ReadoutOptions
    from transfer_learning.inference.readout import Readout
    from transfer_learning.inference.segmenter import Segmenter

    mode = split.manifest.resize_mode
    readouts = {
        name: Readout(one.network, split.size, mode, ReadoutOptions(), batch_size) for name, one in loaded.items()
    }
    return {
        name: partial(predict, Segmenter(readout, loaded[name].header), files) for name, readout in readouts.items()
    }


def _inferring(arms: Mapping[str, Callable[[], Any]]) -> dict[str, Callable[[], Any]]:
    import torch

    return {name: torch.inference_mode()(arm) for name, arm in arms.items()}


def _compared(network: "Network", reference: "Network", split: Any, config: BackendsConfig) -> dict[str, float]:
    """Return how a network differs from the reference over all test pictures, bars left out, and its own score."""
    import torch

    from transfer_learning.inference.options import ReadoutOptions
    from transfer_learning.inference.readout import Readout
    from transfer_learning.scores.results import results_of
    from transfer_learning.scores.split import scores_of_split

    largest, same, pixels = 0.0, 0, 0
    with torch.inference_mode():
        for images, content in _batches(split, config.batch_size):
            got, wanted = network.scores(images, content).float(), reference.scores(images, content)
            inside = content[:, 0]
            largest = max(largest, float((got - wanted).abs().max()))
            same += int((got.argmax(1) == wanted.argmax(1))[inside].sum())
            pixels += int(inside.sum())
    readout = Readout(network, split.size, split.manifest.resize_mode, ReadoutOptions(), config.batch_size)
    score = results_of(scores_of_split(readout, split))["mean_iou"]
    return {"agreement": same / pixels, "largest_difference": largest, "mean_iou": score}


def _print(rows: Sequence[dict[str, Any]]) -> None:
    from core.evaluation import print_table

    def median(row: dict[str, Any], kind: str) -> list[float]:
        return [row[kind]["images_per_second"]["median"], row[f"{kind}_over_torch"]["wall"]["median"]]

    columns = ["backend", "threads", "forward images/s", "over torch", "prediction images/s", "over torch"]
    cells = [[row["backend"], row["threads"], *median(row, "forward"), *median(row, "prediction")] for row in rows]
    print_table("Speed: medians", columns, cells)
    columns = ["backend", "threads", "same class", "largest difference", "mean IoU"]
    cells = [
        [row["backend"], row["threads"], f"{row['agreement']:.4%}", f"{row['largest_difference']:.1e}", row["mean_iou"]]
        for row in rows
    ]
    print_table(f"Beside {REFERENCE}", columns, cells)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("benchmarks.backends", BackendsConfig, backends, argv, section="backends", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
