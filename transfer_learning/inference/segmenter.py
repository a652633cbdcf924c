"""Segment pictures of any size with trained weights, from Python.

from transfer_learning.inference.segmenter import Segmenter

segmenter = Segmenter.load("runs/scratch/best_model.safetensors")
mask, confidence = segmenter("tom.jpg")
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from core.classes import ClassSet
from core.errors import UserError
from core.evaluation import load_model
from core.headers.header import Header
from core.machine.device import resolve_device
from core.networks.unet import MIN_SIDE, require_sides
from core.sides import sides_of
from data.augment.batch import plain
from data.geometry import fit, resize_image
from data.pictures import MAX_PIXELS, PictureError, read_picture
from transfer_learning.inference.windows import blend_windows
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict_config import InferenceOptions
from transfer_learning.scores.confusion import likeliest
from transfer_learning.scores.split import probabilities_of


@dataclass(frozen=True)
class Segmentation:
    """What was found in one picture.

    Attributes:
        mask: [H, W] uint8, the likeliest class of each pixel.
        confidence: [H, W] float32 in (0, 1], the network's probability (softmax) of that class.
        tiled: whether the picture was seen in windows, and not whole.
    """

    mask: np.ndarray
    confidence: np.ndarray
    tiled: bool


class Segmenter:
    """A trained network and the way in which pictures go through it.

    Args:
        model: in eval mode, on its device: ([N, channels, H, W] in [0, 1], content [N, 1, H, W] bool) -> logits
            [N, C, H, W].
        size: height and width of the canvas on which a picture is seen whole, and of a window; at least 33.
        resize_mode: `letterbox` or `stretch`.
        options: how pictures go through; `size` and `resize_mode` above hold instead of its own.
        device: of the model.
        header: of the weights.
    """

    def __init__(
        self,
        model: nn.Module,
        size: tuple[int, int],
        resize_mode: str,
        options: InferenceOptions,
        device: torch.device,
        header: Header,
    ) -> None:
        require_sides(*size)
        self.model, self.size, self.resize_mode = model, size, resize_mode
        self.options, self.device, self.header = options, device, header
        self.views = tuple(itertools.product(options.tta_scales, (False, True))) if options.tta else ((1.0, False),)

    @classmethod
    def load(cls, model_path: str | Path, **options: Any) -> "Segmenter":
        """Load the weights of phase 2.

        Args:
            model_path: a run's best_model.safetensors.
            **options: fields of `InferenceOptions`, such as `tta=True`, `tile=True` or `device="cpu"`.

        Raises:
            UserError: unreadable, of the other phase, or older than the naming of the size in the weights (`size` and
                `resize_mode` must be given then).
        """
        chosen = InferenceOptions(**options)
        device = resolve_device(chosen.device)
        model, header = load_model(Path(model_path), "transfer_learning", SegmentationUNet, device)
        size, mode = chosen.size or header.size, chosen.resize_mode or header.resize_mode
        if size is None or mode is None:
            raise UserError(
                f"{model_path} does not say how its training pictures were resized (it was written before weights did):"
                " give --size and --resize_mode, which the manifest.json of the training data names"
            )
        sides = sides_of(size) if isinstance(size, int | str) else size
        return cls(model, sides, mode, chosen, device, header)

    @property
    def classes(self) -> ClassSet:
        """The classes that masks tell apart; a mask's values are their indices."""
        return self.header.classes

    @property
    def channels(self) -> int:
        """Of the pictures that the network sees: 3, or 1 for grey ones."""
        return self.header.network.in_channels

    def __call__(self, picture: str | Path | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Segment one picture.

        Args:
            picture: a file, or an array uint8: [H, W, 3], RGB, or [H, W], grey.

        Returns:
            mask [H, W] uint8 (indices of `classes`) and confidence [H, W] float32 (the network's probability of
            the mask's class), both at the picture's own size; a file's is that after turning it upright (EXIF).

        Raises:
            PictureError: not a picture, damaged, or too large; an array of another kind.
            OSError: the file cannot be read.
        """
        if not isinstance(picture, np.ndarray):
            picture, _ = self.read(Path(picture))
        self.check(picture)
        (found,) = self.segment([picture])
        return found.mask, found.confidence

    def read(self, path: Path) -> tuple[np.ndarray, list[str]]:
        """Read a picture as those of the training were; returns it and what was unusual about the file.

        Raises:
            PictureError, OSError: as `read_picture`.
        """
        return read_picture(path, value_range=self.header.value_range, ground=self.header.ground)

    def check(self, picture: np.ndarray) -> None:
        """Raise PictureError unless `segment` can take the picture."""
        if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)) or picture.ndim < 2 or not picture.size:
            raise PictureError(f"{picture.dtype} {picture.shape}: pictures are uint8 [H, W, 3], RGB, or [H, W], grey")
        if self.is_tiled(picture):
            height, width = self._resized(picture, max(scale for scale, _ in self.views))
            if height * width > MAX_PIXELS:
                raise PictureError(f"{height} x {width} after scaling is more than {MAX_PIXELS} pixels")

    def is_tiled(self, picture: np.ndarray) -> bool:
        """Say whether a picture is seen in windows: asked for, and it is larger than one."""
        (height, width), (window_height, window_width) = self._resized(picture, 1.0), self.size
        return self.options.tile and (height > window_height or width > window_width)

    def segment(self, pictures: Sequence[np.ndarray]) -> list[Segmentation]:
        """Segment pictures [H, W, 3] or [H, W] uint8 of any sizes, those that are seen whole as one batch."""
        pictures = [with_channels(picture, self.channels) for picture in pictures]
        whole = [place for place, picture in enumerate(pictures) if not self.is_tiled(picture)]
        probabilities = dict(zip(whole, self._seen_whole([pictures[place] for place in whole]), strict=True))
        found = []
        for place, picture in enumerate(pictures):
            of_classes = probabilities.pop(place, None)
            tiled = of_classes is None
            if of_classes is None:
                of_classes = self._seen_in_windows(picture)
            found.append(Segmentation(*likeliest(of_classes), tiled))
        return found

    def _seen_whole(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the probabilities [C, H, W] of each picture, the mean over the views."""
        means: list[np.ndarray] = []
        for scale, mirrored in self.views if pictures else ():
            sides = [round(side * scale) for side in self.size]
            places = [fit(*picture.shape[:2], *sides, self.resize_mode) for picture in pictures]
            laid = np.stack([place.image(picture) for place, picture in zip(places, pictures, strict=True)])
            logits = self._logits(laid, [place.rectangle for place in places], mirrored)
            for row, (place, scores) in enumerate(zip(places, logits, strict=True)):
                # Scores come back before the softmax, as in `transfer_learning.evaluate`.
                seen = probabilities_of(place.restore_scores(scores)) / len(self.views)
                if row == len(means):
                    means.append(seen)
                else:
                    means[row] += seen
        return means

    def _seen_in_windows(self, picture: np.ndarray) -> np.ndarray:
        """Return the probabilities [C, H, W] of a picture, blended from windows, the mean over the views."""
        mean = None
        for scale, mirrored in self.views:
            height, width = self._resized(picture, scale)
            window = (min(self.size[0], height), min(self.size[1], width))
            resized = resize_image(picture, height, width)
            function = partial(self._window_probabilities, mirrored)
            seen = blend_windows(resized, window, self.options.tile_overlap, self.options.batch_size, function)
            seen = _restored(seen, *picture.shape[:2]) / len(self.views)
            mean = seen if mean is None else mean + seen
        assert mean is not None
        return mean

    def _window_probabilities(self, mirrored: bool, windows: np.ndarray) -> np.ndarray:
        """[N, h, w(, 3)] uint8 -> [N, C, h, w] float32."""
        everything = (0, 0, *windows.shape[1:3])
        return probabilities_of(self._logits(windows, [everything] * len(windows), mirrored), axis=1)

    def _resized(self, picture: np.ndarray, scale: float) -> tuple[int, int]:
        """Height and width of the picture in which windows are laid."""
        height, width = (max(1, round(side * self.options.tile_scale * scale)) for side in picture.shape[:2])
        return height, width

    def _logits(self, images: np.ndarray, rectangles: Sequence[tuple[int, ...]], mirrored: bool) -> np.ndarray:
        """Run the network on [N, h, w(, 3)] uint8 with content at the rectangles; returns [N, C, h, w] float32.

        Sides that are too short for the network are lengthened by bars, as of a letterbox.
        """
        height, width = images.shape[1:3]
        planes = torch.from_numpy(images).to(self.device).view(*images.shape[:3], -1)
        batch = plain(planes, torch.tensor(rectangles), None)
        seen, content = (plane.flip(3) if mirrored else plane for plane in (batch.input, batch.content))
        bars = (0, max(0, MIN_SIDE - width), 0, max(0, MIN_SIDE - height))
        with torch.inference_mode():
            logits = self.model(F.pad(seen, bars), F.pad(content, bars))[:, :, :height, :width]
        return (logits.flip(3) if mirrored else logits).float().cpu().numpy()


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return a picture [H, W] or [H, W, 3] uint8 as grey [H, W] for one channel, as RGB [H, W, 3] for three."""
    if channels == 1:
        return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)


def _restored(probabilities: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bring probabilities [C, h, w] to [C, height, width], bilinear."""
    if probabilities.shape[1:] == (height, width):
        return probabilities
    return np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in probabilities])
