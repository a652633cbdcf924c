"""Turn TFLite's published weights of MobileNetV2 into weights for networks here.

Two networks are known by their layers. MobileNetV2, trained on ImageNet, becomes a state dict by torchvision's names,
which `--encoder mobilenetv2_100 --encoder_weights FILE` takes. DeepLabV3 on MobileNetV2, trained on PASCAL VOC, becomes
weights that prediction and evaluation take as any run's, at 513 px. Both want `--normalisation unit`; batch norms are
folded into the convolutions, so that training wants `--restore_batch_norm` or `--freeze_batch_norm`. Needs the extra
`convert`.

    python -m transfer_learning.convert --tflite mobilenet_v2_1.0_224_quant.tflite --output mobilenet_v2.safetensors
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from core.command import run_command
from core.errors import UserError
from core.filing.kinds import A_FILE, RUN, held

if TYPE_CHECKING:
    from torch import nn

    from transfer_learning.tflite import Layer

COMPARED = 32
OF_MOBILENET, OF_DEEPLAB = 53, 55  # convolutions


@dataclass(frozen=True)
class ConvertConfig:
    """Settings of `transfer_learning.convert`."""

    writes: ClassVar[dict[str, str]] = {"output": A_FILE}

    tflite: Path | None = None
    """MobileNetV2 (ImageNet) or DeepLabV3 on MobileNetV2 (VOC), of width 1, as a .tflite file. Must be given."""
    output: Path = Path("converted.safetensors")
    """The weights."""
    pictures: tuple[str, ...] = ()
    """Files or folders: say on how much of up to 32 of these pictures the weights and the TFLite interpreter agree."""


def convert(config: ConvertConfig) -> Path:
    """Convert, compare, write; returns the path of the weights.

    Raises:
        UserError: nothing given, an output that cannot be, no TFLite file, one of another network, or the extra is not
            installed.
    """
    if config.tflite is None:
        raise UserError("give the weights to convert: --tflite mobilenet_v2_1.0_224_quant.tflite")
    _require_output(config.output)
    from transfer_learning.tflite import layers_of, open_tflite

    interpreter = open_tflite(config.tflite)
    layers = layers_of(interpreter)
    if len(layers) not in (OF_MOBILENET, OF_DEEPLAB):
        raise UserError(
            f"{config.tflite} has {len(layers)} convolutions: known are MobileNetV2 with {OF_MOBILENET} and DeepLabV3 "
            f"on it with {OF_DEEPLAB}"
        )
    of_deeplab = len(layers) == OF_DEEPLAB
    make = _deeplab if of_deeplab else _mobilenet
    network, said = make(config.tflite, layers, config.output)
    if config.pictures:
        from transfer_learning.tflite_agreement import agreement

        share, count = agreement(network, interpreter, config.pictures, COMPARED)
        what = "pixels" if of_deeplab else "pictures"
        print(f"these weights and TFLite say the same class of {share:.2%} of the {what} ({count} pictures)")
    print(f"written to {config.output}: {said}")
    return config.output


def _require_output(output: Path) -> None:
    """Raise UserError where weights would have a name of other files, or replace those of a run."""
    if output.suffix != ".safetensors":
        better = output.with_suffix(".safetensors")
        raise UserError(f"output {output}: weights are written as .safetensors: give --output {better}")
    if output.is_dir():
        raise UserError(f"output {output} is a folder: name a file in it")
    if RUN in held(output.parent):
        raise UserError(f"output {output} lies in the folder of {RUN}, whose weights stay: choose another")


def _mobilenet(path: Path, layers: "list[Layer]", output: Path) -> "tuple[nn.Module, str]":
    """Write torchvision's MobileNetV2; returns it and how to use it."""
    import torchvision
    from safetensors.torch import save

    from core.files import atomic_path
    from transfer_learning.tflite import fill_folded

    network = torchvision.models.mobilenet_v2(num_classes=1000).eval()
    weight, bias = layers[-1]
    *convolutions, _ = layers
    # Its first class, of 1001, is "background", which no picture shows.
    fill_folded(network, [*convolutions, (weight[-1000:], bias[-1000:])], str(path))
    with atomic_path(output) as temporary:
        temporary.write_bytes(save(network.state_dict()))
    use = f"--encoder mobilenetv2_100 --encoder_weights {output} --normalisation unit --restore_batch_norm"
    return network, f"MobileNetV2 by torchvision's names; train with {use}"


def _deeplab(path: Path, layers: "list[Layer]", output: Path) -> "tuple[nn.Module, str]":
    """Write the network of phase 2; returns it and how to use it."""
    from core.files import file_sha256
    from core.weights import save_weights
    from data.sources.voc2012 import CLASSES
    from transfer_learning.network import SegmentationUNet
    from transfer_learning.tflite import fill_folded

    architecture: dict[str, Any] = {
        "num_classes": len(CLASSES),
        "in_channels": 3,
        "normalisation": "unit",
        "encoder": "mobilenetv2_100",
        "decoder": "mobile_deeplabv3",
        "output_stride": 16,
    }
    network = SegmentationUNet(**architecture).eval()
    fill_folded(network, layers, str(path))
    header = {
        "phase": "transfer_learning",
        "architecture": architecture,
        "config": {"seed": 0, "tflite_sha256": file_sha256(path)},
        "epoch": 1,
        "metrics": {},
        "class_set": CLASSES.content(),
        "size": [513, 513],
        # It learned from pictures in the upper left corner of the canvas, and centred ones it knows less well.
        "resize_mode": "stretch",
    }
    save_weights(output, network.state_dict(), header)
    return network, f"DeepLabV3 on MobileNetV2, VOC's 21 classes; ae-pretrained predict --model_path {output}"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.convert", ConvertConfig, convert, argv, section="convert", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())
