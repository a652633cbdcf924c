"""Whether converted weights say what the TFLite file says, on pictures."""

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.errors import UserError
from data.geometry import fit
from data.pictures import PictureError, read_picture
from transfer_learning.inference.inputs import find_files

GREY = 128  # beside a picture on its canvas: 0 for the network


def agreement(network: nn.Module, interpreter: Any, inputs: Sequence[str], most: int) -> tuple[float, int]:
    """Return the share of pixels (or of pictures, where they are sorted whole) of the same class, and of how many.

    TFLite computes with whole numbers, so that a few per cent differ where classes are about as likely.

    Args:
        network: takes what TFLite takes: torchvision's in [-1, 1], ours, with a `normalise`, in [0, 1].
        interpreter: of the file that the weights came from.
        inputs: files, folders or patterns.
        most: how many pictures at most, spread over all.

    Raises:
        UserError: there are none, or a file is no picture.
    """
    given, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    side = int(given["shape"][1])
    known = _padded_as_tensorflow(network) if side % 2 == 0 else network
    same = total = pictures = 0
    for canvas, content in _canvases(inputs, side, most):
        interpreter.set_tensor(given["index"], canvas[None])
        interpreter.invoke()
        theirs = interpreter.get_tensor(result["index"])[0]
        values = torch.from_numpy(canvas).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            scores = known(values if hasattr(network, "normalise") else values * 2 - 1)
        ours = scores.argmax(dim=1)[0].numpy()
        if ours.ndim:
            ours, theirs = ours[content], theirs[content]
        else:
            theirs = theirs[-scores.shape[1] :].argmax()
        same, total, pictures = same + int(np.sum(ours == theirs)), total + ours.size, pictures + 1
    return same / total, pictures


def _canvases(inputs: Sequence[str], side: int, most: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pictures [side, side, 3] uint8, and where they lie there, [side, side] bool."""
    files: list[Path] = list(find_files(inputs, Path("nowhere"))[0].values())
    for path in files[:: max(1, -(-len(files) // most))]:
        try:
            picture, _ = read_picture(path)
        except PictureError as error:
            raise UserError(f"--pictures: {path} cannot be read ({error}): leave it out") from None
        picture = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
        height, width = picture.shape[:2]
        place = fit(height, width, side, side, "letterbox")
        canvas, content = place.image(picture), place.label(np.zeros((height, width), np.uint8)) == 0
        canvas[~content] = GREY
        yield canvas, content


def _padded_as_tensorflow(network: nn.Module) -> nn.Module:
    """Return a copy in which convolutions of stride 2 pad even sides as TensorFlow does: below and to the right alone.

    Odd sides are padded alike by both.
    """
    network = copy.deepcopy(network)
    for part in network.modules():
        if isinstance(part, nn.Conv2d) and part.stride == (2, 2) and part.kernel_size == (3, 3):
            part.padding = (0, 0)
            part.register_forward_pre_hook(_pad)
    return network


def _pad(part: nn.Module, given: tuple[Tensor, ...]) -> Tensor:
    return F.pad(given[0], (0, 1, 0, 1))
