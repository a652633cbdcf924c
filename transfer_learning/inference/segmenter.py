"""Segment pictures of any size with trained weights, from Python.

from transfer_learning.inference.segmenter import Segmenter

segmenter = Segmenter.load("runs/scratch/best_model.safetensors")
mask, confidence = segmenter("tom.jpg")
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.filing.hub import fetched, is_on_hub, with_fetched
from core.headers.header import Header
from core.sides import sides_of
from data.pictures import MAX_PIXELS, PictureError, read_picture
from data.preprocessing.pipeline import Preprocessing, read_preprocessed
from transfer_learning.inference.backends import Loaded, load_members
from transfer_learning.inference.readout import Readout, Seen
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict_config import InferenceOptions


@dataclass(frozen=True)
class Segmentation:
    """What was found in one picture.

    Attributes:
        mask: [H, W] uint8, the class of each pixel: the likeliest, unless post-processing chose another.
        confidence: [H, W] float32 in (0, 1], the network's probability (softmax) of that class.
        tiled: whether the picture was seen in windows, and not whole.
    """

    mask: np.ndarray
    confidence: np.ndarray
    tiled: bool


class Segmenter:
    """A trained network that segments pictures.

    Args:
        readout: of the network.
        header: of the weights; must be given.
        model: the network as torch knows it, for who looks into its layers; None of an exported one and torchvision's.

    Raises:
        UserError: weights or pictures are given instead.
    """

    def __init__(self, readout: Readout, header: Header | None = None, model: SegmentationUNet | None = None) -> None:
        if not isinstance(readout, Readout) or header is None:
            raise UserError("Segmenter(...) takes a loaded network and its header: Segmenter.load(FILE) loads weights")
        self.readout, self.header, self.model = readout, header, model

    @classmethod
    def load(cls, model_path: str | Path | None, **options: Any) -> "Segmenter":
        """Load the weights of phase 2.

        Args:
            model_path: a run's best_model.safetensors, what `ae-pretrained export` wrote, `torchvision:NAME`, or
                `hf://USER/NAME` (fetched once); None: those of `ensemble` alone.
            **options: fields of `InferenceOptions`, such as `tta=True`, `tile=True` or `device="cpu"`.

        Raises:
            UserError: no path; unreadable, of the other phase, or older than the naming of the size in the weights
                (`size` and `resize_mode` must be given then); an ensemble of different classes.
        """
        if not isinstance(model_path, str | Path | None):
            kind = type(model_path).__name__
            raise UserError(f"Segmenter.load takes one path, not a {kind}: give further networks as ensemble=[...]")
        given = options.pop("ensemble", ())
        given = [given] if isinstance(given, str | Path) else given
        chosen = InferenceOptions(**options, ensemble=tuple(map(Path, given)))
        chosen = with_fetched(chosen)
        if model_path is not None and is_on_hub(model_path):
            model_path = fetched(model_path)
        members = chosen.members(None if model_path is None else Path(model_path))
        loaded = load_members(members, chosen, chosen.device)
        plain = replace(chosen, postprocess=None, ensemble=())
        others = [_readout(path, one, plain) for path, one in zip(members[1:], loaded[1:], strict=True)]
        return cls(_readout(members[0], loaded[0], chosen, others), loaded[0].header, loaded[0].model)

    @classmethod
    def from_pretrained(cls, name: str, **options: Any) -> "Segmenter":
        """Load weights from the Hugging Face Hub: `USER/NAME`, or `USER/NAME@REVISION`; the rest as `load`."""
        return cls.load(name if is_on_hub(name) else f"hf://{name}", **options)

    @property
    def classes(self) -> ClassSet:
        """The classes that masks tell apart; a mask's values are their indices."""
        return self.header.classes

    @property
    def channels(self) -> int:
        """Of the pictures that the network sees: 3, or 1 for grey ones."""
        return self.header.network.in_channels

    @property
    def preprocessing(self) -> Preprocessing:
        """The steps on intensities that come before the network."""
        return Preprocessing.of(self.header.preprocess)

    def __call__(self, picture: str | Path | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Segment one picture.

        Args:
            picture: a file, or an array uint8: [H, W, 3], RGB, or [H, W], grey.

        Returns:
            mask [H, W] uint8 (indices of `classes`) and confidence [H, W] float32 (the network's probability of
            the mask's class), both at the picture's own size; a file's is that after turning it upright (EXIF).

        Raises:
            PictureError: not a picture, damaged, or too large; an array of another kind; several pictures.
            OSError: the file cannot be read.
        """
        (found,) = self.segment([picture])
        return found.mask, found.confidence

    def _taken(self, picture: str | Path | np.ndarray) -> np.ndarray:
        """Return a picture, of a file or of a program, as `see` takes it. Raises as `__call__`."""
        if isinstance(picture, np.ndarray):
            self.check(picture)
            return self.preprocessed(picture)
        if not isinstance(picture, str | Path):
            raise PictureError(
                f"a {type(picture).__name__} is no picture: give a file or an array (uint8); several to segment([...])"
            )
        try:
            read, _ = self.read(Path(picture))
            self.check(read)
        except PictureError as error:
            raise PictureError(f"{picture}: {error}") from None
        return read

    def read(self, path: Path) -> tuple[np.ndarray, list[str]]:
        """Read a picture as those of the training were, preprocessed; returns it and what was unusual about the file.

        Raises:
            PictureError, OSError: as `read_picture`.
        """
        header, steps = self.header, self.preprocessing
        if not steps.steps:  # in its colours, whatever the network sees of them
            return read_picture(path, value_range=header.value_range, ground=header.ground)
        channels = steps.channels_before(self.channels)
        return read_preprocessed(path, steps, channels, header.value_range, header.ground)

    def preprocessed(self, picture: np.ndarray) -> np.ndarray:
        """Return what `read` gives for a file that holds a picture [H, W, 3] or [H, W] uint8."""
        steps = self.preprocessing
        return steps(with_channels(picture, steps.channels_before(self.channels))) if steps.steps else picture

    def check(self, picture: np.ndarray) -> None:
        """Raise PictureError unless `segment` can take the picture."""
        if picture.dtype != np.uint8 or picture.shape[2:] not in ((), (3,)) or picture.ndim < 2 or not picture.size:
            raise PictureError(f"{picture.dtype} {picture.shape}: pictures are uint8 [H, W, 3], RGB, or [H, W], grey")
        sides = picture.shape[:2]
        if self.readout.is_tiled(sides):
            height, width = self.readout.largest(sides)
            if height * width > MAX_PIXELS:
                raise PictureError(f"{height} x {width} after scaling is more than {MAX_PIXELS} pixels")

    def segment(self, pictures: Sequence[str | Path | np.ndarray]) -> list[Segmentation]:
        """Segment pictures of any sizes, those that are seen whole as one batch.

        Args:
            pictures: files, or arrays uint8 [H, W, 3] or [H, W], as `__call__` takes them.

        Raises:
            PictureError, OSError: as `__call__`, or one picture is given instead of several.
        """
        if isinstance(pictures, str | Path | np.ndarray):
            raise PictureError("segment takes several pictures, a list: call the segmenter itself with one")
        return [segmentation(seen) for seen in self.see([self._taken(picture) for picture in pictures])]

    def see(self, pictures: Sequence[np.ndarray]) -> list[Seen]:
        """Run the network alone on pictures as `read` returns them; `segmentation` makes the rest of it."""
        return self.readout.see([with_channels(picture, self.channels) for picture in pictures])


def _readout(path: Path, loaded: Loaded, options: InferenceOptions, others: Sequence[Readout] = ()) -> Readout:
    header = loaded.header
    if header.network.dims == 3:
        raise UserError(
            f"{path} was trained on volumes, and Segmenter takes pictures: ae-pretrained predict takes files of volumes"
        )
    size, mode = options.size or header.size, options.resize_mode or header.resize_mode
    if size is None or mode is None:
        raise UserError(
            f"{path} does not say how its training pictures were resized (it was written before weights did):"
            " give --size and --resize_mode, which the manifest.json of the training data names"
        )
    sides = sides_of(size) if isinstance(size, int | str) else size
    assert len(sides) == 2, "three are of volumes"
    return Readout(loaded.network, sides, mode, options, options.batch_size, header.classes, others)


def segmentation(seen: Seen) -> Segmentation:
    """Return the segmentation of a picture that the network has seen."""
    labels, confidence, _ = seen.read()
    return Segmentation(labels, confidence, seen.tiled)


def with_channels(picture: np.ndarray, channels: int) -> np.ndarray:
    """Return a picture [H, W] or [H, W, 3] uint8 as grey [H, W] for one channel, as RGB [H, W, 3] for three."""
    if channels == 1:
        return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
