"""Pictures of what the segmentation network says, at the pictures' original sizes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.figures.picture_grid import Scale, picture_grid
from core.figures.style import CLASS_COLOURS, UNSCORED_COLOUR
from data.manifest import CLASS_NAMES

# What can have become of a pixel, in the order of the codes that `error_classes` returns. The colours are those of
# Okabe & Ito: bluish green, vermilion, blue and yellow stay apart for colour-blind readers.
RIGHT_BACKGROUND, RIGHT_ANIMAL, FALSE_ALARM, MISSED, WRONG_CLASS, UNSCORED = range(6)
OUTCOMES = {
    "background, right": (0.97, 0.97, 0.97),
    "animal, right": (0.0, 0.62, 0.45),
    "false alarm": (0.84, 0.37, 0.0),
    "missed": (0.0, 0.45, 0.70),
    "wrong animal": (0.94, 0.89, 0.26),
    "not scored": UNSCORED_COLOUR,
}
HEAT = "inferno"


def colour_label(label: np.ndarray) -> np.ndarray:
    """Return a label [H, W] (a class or 255) as a picture [H, W, 3] in [0, 1]."""
    palette = np.array([*CLASS_COLOURS[: len(CLASS_NAMES)], UNSCORED_COLOUR], dtype=np.float32)
    return palette[np.where(label == 255, len(CLASS_NAMES), label)]


def error_classes(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Say what became of each pixel.

    Args:
        truth: [H, W], 0 background, 1 cat, 2 dog, 255 where nothing is scored.
        prediction: [H, W], 0, 1 or 2.

    Returns:
        [H, W] uint8: 0 background found as such; 1 animal found as the right one; 2 false alarm (background taken
        for an animal); 3 missed (animal taken for background); 4 wrong animal (cat taken for dog, or dog for cat);
        5 not scored.
    """
    animal, claimed = truth > 0, prediction > 0
    cases = [truth == 255, ~animal & ~claimed, ~animal, ~claimed, truth == prediction]
    codes = [UNSCORED, RIGHT_BACKGROUND, FALSE_ALARM, MISSED, RIGHT_ANIMAL]
    return np.select(cases, codes, WRONG_CLASS).astype(np.uint8)


def save_panels(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    title: str = "Predictions",
) -> None:
    """Save rows of picture, truth, prediction and overlay as one PNG; a dozen stands in two blocks side by side.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        truths: [H, W] each, 255 where nothing is scored (drawn grey).
        predictions: [H, W] each.
        title: which pictures these are.
    """
    coloured = [colour_label(prediction) for prediction in predictions]
    columns = {
        "picture": pictures,
        "truth": [colour_label(truth) for truth in truths],
        "prediction": coloured,
        "overlay": [0.55 * picture + 0.45 * colour for picture, colour in zip(pictures, coloured, strict=True)],
    }
    legend = {**dict(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)), "not scored": UNSCORED_COLOUR}
    picture_grid(path, title, names, columns, legend)


def save_confidence(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    probabilities: Sequence[np.ndarray],
    title: str = "Confidence: probability of each class",
) -> None:
    """Save rows of picture and probability of each class as one PNG, all maps on one scale from 0 to 1.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        probabilities: [C, H, W] in [0, 1] each, background, cat, dog.
        title: which pictures these are.
    """
    maps = {f"P({name})": [planes[place] for planes in probabilities] for place, name in enumerate(CLASS_NAMES)}
    picture_grid(path, title, names, {"picture": pictures, **maps}, scale=Scale("probability"))


def save_errors(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    title: str = "Errors",
) -> None:
    """Save rows of picture and error map (`error_classes`) as one PNG; arguments as in `save_panels`."""
    palette = np.array([*OUTCOMES.values()], dtype=np.float32)
    maps = [palette[error_classes(*pair)] for pair in zip(truths, predictions, strict=True)]
    picture_grid(path, title, names, {"picture": pictures, "errors": maps}, OUTCOMES)


def save_activations(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    maps: Mapping[str, Sequence[np.ndarray | None]],
    title: str = "Grad-CAM: what speaks for each class (each map on its own scale)",
) -> None:
    """Save rows of picture and class activation maps over the picture in grey, as one PNG.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        maps: heading ("cat, bottleneck") -> one map a row, [H, W] in [0, 1] of the picture's size, or None where the
            class is not present.
        title: which pictures these are.
    """
    columns = {
        heading: [_heated(*pair) for pair in zip(pictures, found, strict=True)] for heading, found in maps.items()
    }
    scale = Scale("activation", colours=HEAT, ends=("none", "most"))
    picture_grid(path, title, names, {"picture": pictures, **columns}, scale=scale)


def _heated(picture: np.ndarray, activation: np.ndarray | None) -> np.ndarray | None:
    """Blend a map into the picture in grey, whose own colours would be taken for the map's."""
    if activation is None:
        return None
    from matplotlib import colormaps

    grey = (picture @ np.array([0.299, 0.587, 0.114]))[..., None]
    return 0.4 * grey + 0.6 * colormaps[HEAT](activation)[..., :3]
