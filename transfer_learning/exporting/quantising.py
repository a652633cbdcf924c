"""A network of ONNX whose convolutions compute in eight bits.

Activations are uint8 in a range taken from pictures, weights have a scale a channel (Jacob et al. 2018,
https://arxiv.org/abs/1712.05877); norms, upsampling and everything else stay in fp32.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from transfer_learning.exporting.pictures import Batches
from transfer_learning.inference.exported import INPUTS, of_extra


def quantised(model: Any, batches: Batches) -> Any:
    """Return a ModelProto anew, with its convolutions in eight bits; without the metadata of the first.

    Args:
        model: the network in fp32.
        batches: pictures that the ranges of activations are taken from.

    Raises:
        UserError: the extra `export` is not installed.
    """
    onnx = of_extra("onnx")
    of_extra("onnxruntime")
    from onnxruntime import quantization

    with TemporaryDirectory() as folder, _without_advice():
        place = Path(folder) / "model.onnx"
        quantization.quantize_static(
            model,
            str(place),
            _Reader(batches),
            op_types_to_quantize=["Conv"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            # Weights in seven bits: with eight, sums of two products overflow on processors without VNNI.
            reduce_range=True,
        )
        found = onnx.load(str(place))
    del found.metadata_props[:]
    return found


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep ONNX Runtime from advising a step before, which folds what torch's exporter has folded."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


class _Reader:
    """Pictures as ONNX Runtime's calibration asks for them: a batch a call, then None."""

    def __init__(self, batches: Batches) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {name: value.numpy() for name, value in zip(INPUTS, batch, strict=True)}
