"""Weights out of TFLite files, whose convolutions hold whole numbers and have their batch norms folded into them."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from core.errors import UserError
from core.extras import to_install

# Axes of a kernel [out, height, width, in], and of a depthwise one [1, height, width, out], as torch has them.
KERNEL = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}
Layer = tuple[Tensor, Tensor]


def open_tflite(path: Path) -> Any:
    """Return an interpreter of a TFLite file, ready to run.

    Raises:
        UserError: no such file, not TFLite, or the extra `convert` is not installed.
    """
    if not path.is_file():
        raise UserError(f"no file {path}: give a .tflite file")
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise UserError(f"ai_edge_litert is not installed: {to_install('convert')}") from None
    try:
        interpreter = Interpreter(str(path), num_threads=torch.get_num_threads())
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path} is no TFLite file that can be read ({reason})") from None
    return interpreter


def layers_of(interpreter: Any) -> list[Layer]:
    """Return weight and bias of each convolution, float32, in the order in which they are computed.

    Weights are [out, in, height, width] ([out, 1, height, width] where each channel goes by itself).
    """
    known = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    layers = []
    for operation in interpreter._get_ops_details():  # the only way to learn which tensors an operation takes
        if axes := KERNEL.get(operation["op_name"]):
            weight, bias = (_real(interpreter, known[index]) for index in operation["inputs"][1:3])
            layers.append((torch.from_numpy(weight.transpose(axes).copy()), torch.from_numpy(bias)))
    return layers


def fill_folded(network: nn.Module, layers: Iterable[Layer], source: str) -> None:
    """Give a network's convolutions, in their order, the weights of layers whose batch norms are folded.

    A batch norm behind a convolution then adds the bias and no more: weight 1, mean 0, variance 1 - eps.

    Args:
        network: with its parts in the order in which they are computed.
        layers: one for each convolution or linear layer.
        source: where they come from, for the error.

    Raises:
        UserError: another number of layers, or one of another shape.
    """
    parts = [part for part in network.named_modules() if isinstance(part[1], nn.Conv2d | nn.Linear | _BatchNorm)]
    given = list(layers)
    wanted = sum(not isinstance(part, _BatchNorm) for _, part in parts)
    if len(given) != wanted:
        raise UserError(f"{source} has {len(given)} convolutions, this network {wanted}: it is another network")
    following: Iterator[Layer] = iter(given)
    bias = torch.zeros(0)
    for name, part in parts:
        if isinstance(part, _BatchNorm):
            _add_alone(part, bias)
            continue
        weight, bias = next(following)
        if weight.numel() != part.weight.numel() or weight.shape[0] != part.weight.shape[0]:
            shapes = f"{list(weight.shape)}, here {list(part.weight.shape)}"
            raise UserError(f"{source} is of another network: the layer that {name} would be has weights {shapes}")
        _fill(part, weight, bias)


@torch.no_grad()
def _fill(part: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> None:
    part.weight.copy_(weight.view(part.weight.shape))
    if part.bias is not None:
        part.bias.copy_(bias)


@torch.no_grad()
def _add_alone(norm: _BatchNorm, bias: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.weight.fill_(1)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def _real(interpreter: Any, tensor: dict[str, Any]) -> np.ndarray:
    """Return a tensor's values, which are stored as whole numbers: (number - zero point) x scale, by channel or not."""
    stored = interpreter.get_tensor(tensor["index"])
    told = tensor["quantization_parameters"]
    scales, zeros = (told[name].astype(np.float64) for name in ("scales", "zero_points"))
    if not len(scales):
        return stored.astype(np.float32)
    shape = [1] * stored.ndim
    if len(scales) > 1:
        shape[told["quantized_dimension"]] = -1
    return ((stored - zeros.reshape(shape)) * scales.reshape(shape)).astype(np.float32)
