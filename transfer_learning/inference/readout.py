"""How pictures go through a network and class probabilities come back: what evaluation and prediction share.

A picture is seen whole, on a canvas as in training, or in overlapping windows where it is larger than one (`--tile`);
once, or at several sizes and mirrored (`--tta`); by one network, or by several (`--ensemble`). What comes back may be
worked over (`--postprocess`).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from core.classes import ClassSet
from core.errors import RunError, UserError
from core.evaluation import resolution_of
from core.networks.unet import MIN_SIDE, require_sides
from data.augment.batch import plain
from data.geometry import Geometry, fit, resize_image
from transfer_learning.inference.backends import Network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.postprocessing.pipeline import Pipeline, Reading
from transfer_learning.inference.windows import blend_windows
from transfer_learning.scores.confusion import likeliest

Sides = tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What the network put out for one picture.

    Attributes:
        views: the logits [C, h, w] float32 of each view, and where the picture lies there; none of a picture that was
            seen in windows.
        blended: of such a picture the probabilities [C, H, W] float32.
        others: what further networks put out for it.
        groups: [G, C] of 0 and 1, which classes count as one; None: each for itself.
        pipeline: what is done to the result; None: nothing.
        picture: [h, w(, channels)] uint8, where that looks at it.
    """

    views: Sequence[tuple[Geometry, np.ndarray]] = ()
    blended: np.ndarray | None = None
    others: "Sequence[Seen]" = ()
    groups: np.ndarray | None = None
    pipeline: Pipeline | None = None
    picture: np.ndarray | None = None

    @property
    def tiled(self) -> bool:
        """Whether the picture was seen in windows, and not whole."""
        return self.blended is not None

    def probabilities(self) -> np.ndarray:
        """Return the probability of each class at the picture's own size [C, H, W] float32.

        They are the mean over the views, then over the networks. Bringing them back takes about as long as a small
        network does: work for another thread (`threaded`).

        Raises:
            RunError: the scores are not finite.
        """
        mean = self._mean_over_views()
        if self.others:
            mean = sum((other.probabilities() for other in self.others), mean) / np.float32(1 + len(self.others))
        if self.groups is None:
            return mean
        kept = np.tensordot(self.groups, mean, 1)
        return kept / np.maximum(kept.sum(axis=0), np.finfo(np.float32).tiny)

    def read(self) -> Reading:
        """Return the class of each pixel, its probability, and those of all, after what is done to the result.

        Raises:
            RunError: the scores are not finite.
        """
        probabilities = self.probabilities()
        if self.pipeline is None:
            return Reading(*likeliest(probabilities), probabilities)
        picture = self.picture
        if picture is not None:
            picture = resize_image(picture, *probabilities.shape[1:])
        return self.pipeline.read(probabilities, picture)

    def _mean_over_views(self) -> np.ndarray:
        if self.blended is not None:
            return self.blended
        mean = None
        for place, logits in self.views:
            # Scores come back before the softmax: between a sure cat and a sure dog lies a line, and not a blur.
            seen = probabilities_of(place.restore_scores(logits))
            if len(self.views) > 1:
                seen /= len(self.views)
            mean = seen if mean is None else np.add(mean, seen, out=mean)
        assert mean is not None
        return mean


class Readout:
    """A network and the way in which pictures go through it.

    Args:
        network: what computes the scores.
        size: height and width of the canvas on which a picture is seen whole, and of a window; at least 33.
        resize_mode: `letterbox` or `stretch`.
        options: how pictures are seen.
        batch_size: pictures at a time where the caller has many; windows at a time.
        classes: what is read in the end; needed for post-processing.
        others: the readouts of further networks of the same classes, whose probabilities are averaged with these.
        groups: [G, C], see `Seen`.

    Raises:
        UserError: sides that are too short, at a scale perhaps, or post-processing that does not fit the classes.
    """

    def __init__(
        self,
        network: Network,
        size: Sides,
        resize_mode: str,
        options: ReadoutOptions,
        batch_size: int,
        classes: ClassSet | None = None,
        others: "Sequence[Readout]" = (),
        groups: np.ndarray | None = None,
    ) -> None:
        require_sides(*size)
        if not options.tile:  # whose windows stay as large as they are
            _require_scales(options.scales, size)
        self.network, self.size, self.resize_mode = network, size, resize_mode
        self.options, self.batch_size = options, batch_size
        self.others, self.groups = others, groups
        assert classes or not options.steps, "post-processing is of classes"
        self.pipeline = Pipeline(options.steps, classes) if classes and options.steps else None
        self.views = tuple(itertools.product(options.scales, (False, True) if options.mirrors else (False,)))

    @property
    def settings(self) -> dict[str, Any]:
        """How pictures go through, for JSON."""
        return {
            "size": resolution_of(self.size),
            "resize_mode": self.resize_mode,
            **self.options.views,
            "backend": self.network.backend,
            "precision": self.network.precision,
            **({"ensemble": [other.settings for other in self.others]} if self.others else {}),
        }

    def see(self, pictures: Sequence[np.ndarray], sizes: Sequence[Sides] | None = None) -> list[Seen]:
        """Run pictures through the network, those that are seen whole as one batch.

        Args:
            pictures: [h, w, channels] or grey [h, w] uint8, of any sides.
            sizes: height and width at which the probabilities of each are wanted, left out: the picture's own.
        """
        sizes = sizes or [picture.shape[:2] for picture in pictures]
        whole = [place for place, picture in enumerate(pictures) if not self.is_tiled(picture.shape[:2])]
        views = self._views([pictures[place] for place in whole], [sizes[place] for place in whole])
        seen = {place: Seen(views=of_picture) for place, of_picture in zip(whole, views, strict=True)}
        found = [
            seen[place] if place in seen else Seen(blended=self._blended(picture, size))
            for place, (picture, size) in enumerate(zip(pictures, sizes, strict=True))
        ]
        others = zip(*(other.see(pictures, sizes) for other in self.others), strict=True) if self.others else repeat(())
        looks = self.pipeline is not None and self.pipeline.looks
        return [
            replace(one, others=theirs, groups=self.groups, pipeline=self.pipeline, picture=picture if looks else None)
            for one, theirs, picture in zip(found, others, pictures, strict=False)
        ]

    def is_tiled(self, sides: Sides) -> bool:
        """Say whether a picture of a height and width is seen in windows: asked for, and it is larger than one."""
        return self.options.tile and any(
            ours > one for ours, one in zip(self._resized(sides, 1.0), self.size, strict=True)
        )

    def largest(self, sides: Sides) -> Sides:
        """Return height and width at the largest scale at which windows are laid in a picture of such sides."""
        return self._resized(sides, max(scale for scale, _ in self.views))

    def _views(self, pictures: Sequence[np.ndarray], sizes: Sequence[Sides]) -> list[list[tuple[Geometry, np.ndarray]]]:
        """Return for each picture the views of it, seen whole."""
        found: list[list[tuple[Geometry, np.ndarray]]] = [[] for _ in pictures]
        for scale, mirrored in self.views if pictures else ():
            height, width = (round(side * scale) for side in self.size)
            places = [fit(picture.shape[0], picture.shape[1], height, width, self.resize_mode) for picture in pictures]
            laid = np.stack([place.image(picture) for place, picture in zip(places, pictures, strict=True)])
            logits = self._logits(laid, [place.rectangle for place in places], mirrored)
            for of_picture, place, (own_height, own_width), scores in zip(found, places, sizes, logits, strict=True):
                of_picture.append((replace(place, height=own_height, width=own_width), scores))
        return found

    def _blended(self, picture: np.ndarray, size: Sides) -> np.ndarray:
        """Return the probabilities [C, *size] of a picture, blended from windows, the mean over the views."""
        mean = None
        for scale, mirrored in self.views:
            height, width = self._resized(picture.shape[:2], scale)
            window = (min(self.size[0], height), min(self.size[1], width))
            resized = resize_image(picture, height, width)
            function = partial(self._window_probabilities, mirrored)
            seen = blend_windows(resized, window, self.options.tile_overlap, self.batch_size, function)
            seen = _restored(seen, *size) / len(self.views)
            mean = seen if mean is None else mean + seen
        assert mean is not None
        return mean

    def _window_probabilities(self, mirrored: bool, windows: np.ndarray) -> np.ndarray:
        """[N, h, w(, 3)] uint8 -> [N, C, h, w] float32."""
        everything = (0, 0, *windows.shape[1:3])
        return probabilities_of(self._logits(windows, [everything] * len(windows), mirrored), axis=1)

    def _resized(self, sides: Sides, scale: float) -> Sides:
        """Height and width of the picture in which windows are laid."""
        height, width = (max(1, round(side * self.options.tile_scale * scale)) for side in sides)
        return height, width

    def _logits(self, images: np.ndarray, rectangles: Sequence[tuple[int, ...]], mirrored: bool) -> np.ndarray:
        """Run the network on [N, h, w(, 3)] uint8 with content at the rectangles; returns [N, C, h, w] float32.

        Sides that are too short for the network are lengthened by bars, as of a letterbox.
        """
        height, width = images.shape[1:3]
        planes = torch.from_numpy(images).to(self.network.device).view(*images.shape[:3], -1)
        batch = plain(planes, torch.tensor(rectangles), None)
        seen, content = (plane.flip(3) if mirrored else plane for plane in (batch.input, batch.content))
        bars = (0, max(0, MIN_SIDE - width), 0, max(0, MIN_SIDE - height))
        with torch.inference_mode():
            logits = self.network.scores(F.pad(seen, bars), F.pad(content, bars))[:, :, :height, :width]
        return (logits.flip(3) if mirrored else logits).float().cpu().numpy()


def _require_scales(scales: Sequence[float], size: Sides) -> None:
    """Raise UserError for a scale at which the canvas is too small for a network."""
    for scale in scales:
        height, width = (round(side * scale) for side in size)
        if min(height, width) < MIN_SIDE:
            least = math.ceil(100 * MIN_SIDE / min(size)) / 100
            raise UserError(
                f"a scale of {scale:g} leaves {height}x{width} px of {size[0]}x{size[1]}, and every side needs at "
                f"least {MIN_SIDE}: give scales from {least:g} on (--tta flips,{least:g}), or a larger --size"
            )


def probabilities_of(scores: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the softmax of scores, [C, H, W] or with the classes along another axis; float32 in [0, 1].

    Raises:
        RunError: they are not finite.
    """
    probabilities = torch.from_numpy(scores).softmax(axis)
    if not probabilities.isfinite().all():
        raise RunError("the scores of a picture hold NaN or infinity: the network broke, train it again")
    return probabilities.numpy()


def _restored(probabilities: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bring probabilities [C, h, w] to [C, height, width], bilinear."""
    if probabilities.shape[1:] == (height, width):
        return probabilities
    return np.stack([cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in probabilities])
