"""Write a trained segmentation network for other programs: ONNX, OpenVINO, or a plain state dict of PyTorch.

ONNX and OpenVINO take pictures of any number and sides (at least 33 px) and give the scores of each class; the
normalisation is inside, the classes and how pictures are resized stand in the file's metadata, and all of it in
a JSON file beside it. What was written is run on pictures and compared with the network before it takes its place:
those of --data_dir, or noise.

    python -m transfer_learning.export --model_path runs/pretrained/best_model.safetensors --format onnx
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from core.command import run_command
from core.errors import RunError, UserError
from core.filing.kinds import EXPORT

if TYPE_CHECKING:
    from core.headers.header import Header
    from transfer_learning.exporting.exporter import Exporter
    from transfer_learning.exporting.pictures import Batches

PHASE = "transfer_learning"
FORMAT = 1
FILES = {"onnx": "model.onnx", "openvino": "model.xml", "state_dict": "model.pt"}
OF_ENCODER = {"encoder_timm": "timm", "encoder_smp": "smp", "encoder_torchvision": "torchvision"}
FILES |= dict.fromkeys(OF_ENCODER, "encoder.pt")
# The share of pixels with the same class: what rounding explains in fp32, and what is a network still in eight bits.
LEAST_AGREEMENT = {"fp32": 0.999, "int8": 0.8}
# Of eight bits besides, where nearly all is background: the mean IoU of the classes with the network's. Half is what
# two classes come to when one of them is gone.
LEAST_IOU = 0.5


@dataclass(frozen=True)
class ExportConfig:
    """Settings of `transfer_learning.export`."""

    writes: ClassVar[dict[str, str]] = {"output_dir": EXPORT}

    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors. Must be given."""
    format: Literal["onnx", "openvino", "state_dict", "encoder_timm", "encoder_smp", "encoder_torchvision"] = "onnx"
    """onnx: model.onnx. openvino: model.xml and model.bin. state_dict: model.pt, for torch.load(weights_only=True).
    encoder_...: encoder.pt, an --encoder of timm alone, of weights of either phase, by the library's names."""
    output_dir: Path = Path("exported")
    """Where the network and the JSON file beside it go."""
    opset: int = 20
    """Version of ONNX's operators."""
    precision: Literal["fp32", "int8"] = "fp32"
    """int8 (onnx): convolutions in eight bits, in ranges taken from pictures of Train: a quarter of the size, and
    faster where the processor has VNNI; some pixels get another class, so score what you use."""
    data_dir: Path | None = None
    """Prepared data: compare on pictures of Val. Left out: on noise. int8 asks for it."""
    pictures: int = 32
    """With --data_dir: how many pictures of Val are compared, and of Train give the ranges of int8."""

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {} if self.data_dir else {"pictures": "without --data_dir"}
        if self.format in OF_ENCODER:
            found |= dict.fromkeys(("data_dir", "pictures"), f"with --format {self.format}")
        traced = self.format in ("onnx", "openvino")
        return found if traced else {**found, "opset": f"with --format {self.format}"}

    def __post_init__(self) -> None:
        if not 18 <= self.opset <= 23:
            raise UserError(f"opset {self.opset} is outside 18 to 23, which the exporter knows")
        if self.pictures < 1:
            raise UserError(f"pictures {self.pictures} must be at least 1")
        if self.precision == "int8" and self.format != "onnx":
            raise UserError(f"--precision int8 is of --format onnx, which OpenVINO reads too, not of {self.format}")
        if self.precision == "int8" and self.data_dir is None:
            raise UserError("--precision int8 takes the ranges of activations from pictures: give --data_dir")


def export(config: ExportConfig) -> dict[str, Any]:
    """Export, compare, write; returns the content of the JSON beside it.

    Raises:
        UserError: a file is in its place, no weights, weights of phase 1 or of volumes, data of other channels, or the
            extra `export` is not installed.
        RunError: the exported network says other classes than the network; nothing is written then.
    """
    if config.format in OF_ENCODER:
        return _export_encoder(config)
    from core.files import write_json
    from core.filing.writing import replacing, sole_writer

    name = FILES[config.format]
    _require_free(config.output_dir, name, config.precision)
    exporter, header = _exporter(config)
    compared_on, ranges = _pictures(config, header)
    with sole_writer(config.output_dir), replacing(config.output_dir) as folder:
        exporter.write(folder / name, config.opset, ranges)
        compared = exporter.compare(folder / name, compared_on)
        _require_agreement(compared, config.precision)
        content = _content(config, header, compared)
        write_json(folder / f"{name}.json", content)
    _print(content, config)
    return content


def _exporter(config: ExportConfig) -> "tuple[Exporter, Header]":
    """Return what writes the network of the weights, and their header."""
    import torch

    from core.evaluation import load_model
    from transfer_learning.exporting.exporter import Exporter
    from transfer_learning.network import SegmentationUNet

    model, header = load_model(config.model_path, PHASE, SegmentationUNet, torch.device("cpu"))
    assert config.model_path is not None
    assert isinstance(model, SegmentationUNet)
    if model.dims == 3:
        raise UserError(
            f"{config.model_path} is of volumes, of which no network is exported: predict reads its weights"
        )
    return Exporter(model, config.model_path), header


def _export_encoder(config: ExportConfig) -> dict[str, Any]:
    """Write the encoder alone; returns the content of the JSON beside it."""
    import torch

    from core.files import file_sha256, write_json
    from core.filing.writing import replacing, sole_writer
    from core.run.provenance import commit, versions
    from transfer_learning.exporting.encoder_weights import encoder_weights

    if config.model_path is None:
        raise UserError("give the weights: --model_path runs/mine/best_model.safetensors")
    name, library = FILES[config.format], OF_ENCODER[config.format]
    _require_free(config.output_dir, name, config.precision)
    tensors, line = encoder_weights(config.model_path, library)
    place = config.output_dir / name
    content = {
        "format": FORMAT,
        "file": name,
        "library": library,
        "loads": line.replace("FILE", repr(str(place))),
        "provenance": {
            "commit": commit(),
            "checkpoint_sha256": file_sha256(config.model_path),
            "versions": versions("timm", "segmentation-models-pytorch"),
        },
    }
    with sole_writer(config.output_dir), replacing(config.output_dir) as folder:
        torch.save(tensors, folder / name)
        write_json(folder / f"{name}.json", content)
    print(
        f"written to {place}: {len(tensors)} tensors, all that {library}'s network has and no others; it loads them by"
    )
    print(content["loads"])
    return content


def _require_free(folder: Path, name: str, precision: str) -> None:
    """Raise UserError where the network would replace what no export left, weights of the same name, say, or one of
    another precision.
    """
    from core.filing.json_file import read_json

    names = (name, "model.bin") if name == FILES["openvino"] else (name,)
    there = next((folder / one for one in names if (folder / one).exists()), None)
    if not there:
        return
    if not (folder / f"{name}.json").is_file():
        raise UserError(f"{there} is there, and of no earlier export: choose another --output_dir")
    content = read_json(folder / f"{name}.json")
    if isinstance(content, dict) and (before := content.get("precision", "fp32")) != precision:
        raise UserError(f"{there} is the network in {before}: choose another --output_dir for {precision}")


def _content(config: ExportConfig, header: "Header", compared: list[dict[str, Any]]) -> dict[str, Any]:
    from core.evaluation import resolution_of
    from core.files import file_sha256
    from core.run.provenance import commit, versions

    assert config.model_path is not None
    on = "noise" if config.data_dir is None else "pictures of Val"
    return {
        "format": FORMAT,
        "file": FILES[config.format],
        "class_set": header.classes.content(),
        "input": {
            "images": f"[N, {header.network.in_channels}, H, W] float32 in [0, 1], sides of at least 33",
            "content": "[N, 1, H, W] bool, False on the bars of a letterbox",
        },
        "output": "logits [N, classes, H, W] float32",
        "size": resolution_of(header.size) if header.size else None,
        "resize_mode": header.resize_mode,
        "value_range": header.value_range,
        "ground": header.ground,
        "preprocess": header.preprocess,
        "opset": None if config.format == "state_dict" else config.opset,
        "precision": config.precision,
        "compared": [{**entry, "on": on} for entry in compared],
        "provenance": {
            "commit": commit(),
            "checkpoint_sha256": file_sha256(config.model_path),
            "versions": versions(),
        },
    }


def _pictures(config: ExportConfig, header: "Header") -> "tuple[Batches, Batches | None]":
    """Return what the network is compared on, and in eight bits what the ranges of activations are taken from."""
    from transfer_learning.exporting.pictures import noise, prepared

    if config.data_dir is None:
        return noise(header), None
    splits = ["Val", "Train"] if config.precision == "int8" else ["Val"]
    compared_on, *ranges = (prepared(config.data_dir, split, config.pictures, header) for split in splits)
    return compared_on, (ranges[0] if ranges else None)


def _require_agreement(compared: list[dict[str, Any]], precision: str) -> None:
    remedy = ": give more --pictures, or leave --precision int8 out" if precision == "int8" else ""
    for entry in compared:
        if entry["agreement"] < LEAST_AGREEMENT[precision]:
            raise RunError(
                f"{entry['runtime']} gives {1 - entry['agreement']:.2%} of the pixels another class than the network: "
                f"nothing was written{remedy}"
            )
        if precision == "int8" and not entry["mean_iou"] > LEAST_IOU:
            raise RunError(
                f"{entry['runtime']}'s classes hardly lie where the network's do (mean IoU {entry['mean_iou']:.2f}): "
                f"nothing was written{remedy}"
            )


def _print(content: dict[str, Any], config: ExportConfig) -> None:
    for entry in content["compared"]:
        print(
            f"{entry['runtime']}: logits differ by {entry['largest_difference']:.1e} at most, "
            f"{entry['agreement']:.4%} of {entry['pixels']:,} pixels get the same class, mean IoU with the network's "
            f"{entry['mean_iou']:.4f} ({entry['on']})"
        )
    beside = ", model.bin" if config.format == "openvino" else ""
    print(f"written to {config.output_dir}: {content['file']}{beside}, {content['file']}.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("transfer_learning.export", ExportConfig, export, argv, section="export", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
