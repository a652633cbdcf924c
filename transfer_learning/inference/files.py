"""What a prediction leaves of a picture: mask, overlay, a figure of them side by side, and its numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from core.files import atomic_path
from transfer_learning.figures.pictures import colour_label

# Share of the classes' colours in an overlay, as in the figures of the evaluation.
OPACITY = 0.45
PANEL, GAP, STRIP, FONT_SIZE = 384, 12, 34, 18


def palette(num_classes: int) -> np.ndarray:
    """Return the colours of the classes [num_classes, 3] uint8, those of all figures."""
    return np.round(255 * colour_label(np.arange(num_classes))).astype(np.uint8)


def save_mask(path: Path, mask: np.ndarray, num_classes: int) -> None:
    """Save a mask [H, W] uint8 as an indexed PNG: its values are the classes, its palette their colours."""
    image = Image.fromarray(mask)
    image.putpalette(palette(num_classes).tobytes())
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")


def save_image(path: Path, image: np.ndarray) -> None:
    """Save an image [H, W, 3] uint8 as PNG."""
    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def overlay(picture: np.ndarray, mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the picture [H, W, 3] uint8 under the colours of its mask [H, W]."""
    return cv2.addWeighted(picture, 1 - OPACITY, palette(num_classes)[mask], OPACITY, 0)


def side_by_side(picture: np.ndarray, mask: np.ndarray, overlaid: np.ndarray, legend: Sequence[str]) -> np.ndarray:
    """Draw picture | mask | overlay at a size for the screen, titled, with a legend.

    Args:
        picture, overlaid: [H, W, 3] uint8.
        mask: [H, W] uint8.
        legend: what is said of each class, beside its colour.

    Returns:
        [h, w, 3] uint8, as wide for every picture.
    """
    colours = palette(len(legend))
    scale = PANEL / max(mask.shape)
    width, height = (max(1, round(side * scale)) for side in mask.shape[::-1])
    panels = {"picture": picture, "mask": colours[mask], "overlay": overlaid}
    canvas = Image.new("RGB", (len(panels) * (PANEL + GAP) + GAP, height + 2 * STRIP), "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(FONT_SIZE)
    for place, (title, panel) in enumerate(panels.items()):
        middle = GAP + place * (PANEL + GAP) + PANEL // 2
        draw.text((middle, STRIP // 2), title, "black", font, anchor="mm")
        fitted = cv2.resize(panel, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        canvas.paste(Image.fromarray(fitted), (middle - width // 2, STRIP))
    widths = [32 + draw.textlength(text, font) + 3 * GAP for text in legend]
    left, middle = (canvas.width - sum(widths)) / 2, STRIP + height + STRIP // 2
    for colour, text, used in zip(colours.tolist(), legend, widths, strict=True):
        draw.rectangle((left, middle - 8, left + 24, middle + 8), tuple(colour), "black")
        draw.text((left + 32, middle), text, "black", font, anchor="lm")
        left += used
    return np.array(canvas)


class Areas:
    """Pixels of each class and the confidence there, of one picture or added over several."""

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = list(class_names)
        self.pixels = np.zeros(len(self.class_names), np.int64)
        self.confidences = np.zeros(len(self.class_names), np.float64)

    def add(self, mask: np.ndarray, confidence: np.ndarray) -> "Areas":
        """Count a mask [H, W] and its confidence [H, W]; returns itself."""
        classes = len(self.class_names)
        self.pixels += np.bincount(mask.ravel(), minlength=classes)
        self.confidences += np.bincount(mask.ravel(), confidence.ravel(), minlength=classes)
        return self

    def content(self) -> dict[str, Any]:
        """Return, for each class, its pixels, their share and mean confidence (None without a pixel), and the mean
        confidence of all pixels."""
        total = self.pixels.sum()
        of_classes = {
            name: {
                "pixels": int(pixels),
                "share": float(pixels / total),
                "confidence": float(confidence / pixels) if pixels else None,
            }
            for name, pixels, confidence in zip(self.class_names, self.pixels, self.confidences, strict=True)
        }
        return {"confidence": float(self.confidences.sum() / total), **of_classes}
