"""What a prediction leaves of a picture: mask, overlay, a figure of them side by side, and its numbers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.classes import RGB, ClassSet, voc_colour
from core.figures.style import shortened
from core.files import atomic_path

PANEL, GAP, STRIP, FONT_SIZE = 384, 12, 34, 18


def palette(class_set: ClassSet) -> np.ndarray:
    """Return the colours of the classes [C, 3] uint8, those of all figures."""
    return np.array(class_set.palette, np.uint8)


def save_mask(path: Path, mask: np.ndarray, class_set: ClassSet) -> None:
    """Save a mask [H, W] uint8 as an indexed PNG: its values are the classes, its palette their colours."""
    image = Image.fromarray(mask)
    image.putpalette(palette(class_set).tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def save_image(path: Path, image: np.ndarray) -> None:
    """Save an image [H, W, 3] uint8 as PNG."""
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())


def overlay(picture: np.ndarray, mask: np.ndarray, class_set: ClassSet, alpha: float = 0.45) -> np.ndarray:
    """Return the picture [H, W, 3] uint8 under the colours of its mask [H, W], whose share is `alpha`."""
    return cv2.addWeighted(picture, 1 - alpha, palette(class_set)[mask], alpha, 0)


def in_colours(class_set: ClassSet, which: str) -> ClassSet:
    """Return the classes in other colours.

    Args:
        class_set: the classes.
        which: `data` for their own, `voc` for the rule of PASCAL VOC's masks, `guide` for that of PyTorch hub's guide
            to DeepLabV3.
    """
    if which == "data":
        return class_set
    rule = voc_colour if which == "voc" else guide_colour
    return replace(class_set, colours=tuple(map(rule, range(len(class_set)))))


def guide_colour(number: int) -> RGB:
    """Return the colour of a class in PyTorch hub's guide to DeepLabV3."""
    red, green, blue = ((2**bits - 1) * number % 255 for bits in (25, 15, 21))
    return red, green, blue


def side_by_side(picture: np.ndarray, mask: np.ndarray, overlaid: np.ndarray, class_set: ClassSet) -> np.ndarray:
    """Draw picture | mask | overlay at a size for the screen, titled, with a legend of the classes and their shares.

    Args:
        picture, overlaid: [H, W, 3] uint8.
        mask: [H, W] uint8.
        class_set: the classes; of many the largest are named, as many as there is room for.

    Returns:
        [h, w, 3] uint8, as wide for every picture.
    """
    scale = PANEL / max(mask.shape)
    width, height = (max(1, round(side * scale)) for side in mask.shape[::-1])
    panels = {"picture": picture, "mask": palette(class_set)[mask], "overlay": overlaid}
    canvas = Image.new("RGB", (len(panels) * (PANEL + GAP) + GAP, height + 2 * STRIP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(FONT_SIZE)
    for place, (title, panel) in enumerate(panels.items()):
        middle = GAP + place * (PANEL + GAP) + PANEL // 2
        draw.text((middle, STRIP // 2), title, "black", font, anchor="mm")
        fitted = cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        canvas.paste(Image.fromarray(fitted), (middle - width // 2, STRIP))
    entries, widths = _legend(mask, class_set, canvas.width, lambda text: draw.textlength(text, font))
    left, middle = (canvas.width - sum(widths)) / 2, STRIP + height + STRIP // 2
    for (colour, text), used in zip(entries, widths, strict=True):
        if colour:
            draw.rectangle((left, middle - 8, left + 24, middle + 8), colour, "black")
        draw.text((left + 32, middle), text, "black", font, anchor="lm")
        left += used
    return np.array(canvas)


def _legend(
    mask: np.ndarray, class_set: ClassSet, room: float, width_of: Callable[[str], float]
) -> tuple[list[tuple[RGB | None, str]], list[float]]:
    """Return colours and texts, and the width of each: all classes, or the largest that there is room for."""
    counts = np.bincount(mask.ravel(), minlength=len(class_set))

    def entries(classes: Sequence[int]) -> tuple[list[tuple[RGB | None, str]], list[float]]:
        texts = [f"{shortened(class_set.names[c])} {counts[c] / mask.size:.1%}" for c in classes]
        found: list[tuple[RGB | None, str]] = list(zip((class_set.palette[c] for c in classes), texts, strict=True))
        if more := int((counts > 0).sum()) - len(classes):
            found += [(None, f"and {more} more")] if more > 0 else []
        return found, [32 + width_of(text) + 3 * GAP for _, text in found]

    every = entries(range(len(class_set)))
    if sum(every[1]) <= room:
        return every
    largest = sorted(np.flatnonzero(counts).tolist(), key=lambda c: -counts[c])
    fitting = (entries(largest[:kept]) for kept in range(min(len(largest), 12), 0, -1))
    return next((found for found in fitting if sum(found[1]) <= room), entries(largest[:1]))


class Areas:
    """Pixels of each class and the confidence there, of one picture or added over several."""

    def __init__(self, class_set: ClassSet) -> None:
        self.class_set = class_set
        self.pixels = np.zeros(len(class_set), np.int64)
        self.confidences = np.zeros(len(class_set), np.float64)

    def add(self, mask: np.ndarray, confidence: np.ndarray) -> "Areas":
        """Count a mask [H, W] and its confidence [H, W]; returns itself."""
        classes = len(self.class_set)
        self.pixels += np.bincount(mask.ravel(), minlength=classes)
        self.confidences += np.bincount(mask.ravel(), confidence.ravel(), minlength=classes)
        return self

    @classmethod
    def added(cls, class_set: ClassSet, areas: Iterable["Areas"]) -> "Areas":
        """Return the areas of several pictures as one."""
        total = cls(class_set)
        for one in areas:
            total.pixels += one.pixels
            total.confidences += one.confidences
        return total

    def content(self) -> dict[str, Any]:
        """Return the mean confidence of all pixels, and for each class its pixels, their share and mean confidence
        (None without a pixel)."""
        total = self.pixels.sum()
        of_classes = {
            name: {
                "pixels": int(pixels),
                "share": float(pixels / total),
                "confidence": float(confidence / pixels) if pixels else None,
            }
            for name, pixels, confidence in zip(self.class_set.names, self.pixels, self.confidences, strict=True)
        }
        return {"confidence": float(self.confidences.sum() / total), "classes": of_classes}
