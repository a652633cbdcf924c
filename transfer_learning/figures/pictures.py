"""Pictures of what the segmentation network says, at the pictures' original sizes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from core.classes import IGNORED, ClassSet
from core.figures.picture_grid import Scale, picture_grid
from core.figures.style import UNSCORED_COLOUR, Colour, class_colours, shortened

# With more classes a legend names those alone that are to be seen, and of these the most frequent.
MOST_NAMED, MOST_SEEN = 8, 24
# What can have become of a pixel, in the order of the codes that `error_classes` returns. The colours are those of
# Okabe & Ito: bluish green, vermilion, blue and yellow stay apart for colour-blind readers.
RIGHT_BACKGROUND, RIGHT_CLASS, FALSE_ALARM, MISSED, WRONG_CLASS, UNSCORED = range(6)
OUTCOMES: dict[str, Colour] = {
    "background, right": (0.97, 0.97, 0.97),
    "right class": (0.0, 0.62, 0.45),
    "false alarm": (0.84, 0.37, 0.0),
    "missed": (0.0, 0.45, 0.70),
    "wrong class": (0.94, 0.89, 0.26),
    "not scored": UNSCORED_COLOUR,
}
# The same where no class is the background.
PLAIN_OUTCOMES: dict[str, Colour] = {
    "right": OUTCOMES["right class"],
    "wrong": OUTCOMES["false alarm"],
    "not scored": UNSCORED_COLOUR,
}
HEAT = "inferno"


def as_rgb(pictures: np.ndarray) -> np.ndarray:
    """Return pictures [..., 3], of grey ones [..., 1] too."""
    return np.broadcast_to(pictures, (*pictures.shape[:-1], 3))


def colour_label(label: np.ndarray, class_set: ClassSet) -> np.ndarray:
    """Return a label [H, W] (a class or 255) as a picture [H, W, 3] in [0, 1]."""
    palette = np.array([*class_colours(class_set), UNSCORED_COLOUR], dtype=np.float32)
    return palette[np.where(label == IGNORED, len(class_set), label)]


def class_legend(labels: Sequence[np.ndarray], class_set: ClassSet) -> dict[str, Colour]:
    """Return the names and colours of classes for the legend of labels; of many those that the labels hold."""
    colours = class_colours(class_set)
    every = range(len(class_set))
    shown = every if len(class_set) <= MOST_NAMED else frequent_classes(labels, every)
    entries = [(shortened(class_set.names[c]), colours[c]) for c in shown[:MOST_SEEN]]
    if len(shown) > MOST_SEEN:
        entries.append((f"and {len(shown) - MOST_SEEN} classes more", (1.0, 1.0, 1.0)))
    legend: dict[str, Colour] = {}
    for name, colour in [*entries, ("not scored", UNSCORED_COLOUR)]:
        while name in legend:  # shortened names may be equal, and a class may be called "not scored"
            name += " "
        legend[name] = colour
    return legend


def frequent_classes(labels: Sequence[np.ndarray], classes: Sequence[int]) -> list[int]:
    """Return those of the classes that labels [H, W] hold, the most frequent first."""
    counts = sum((np.bincount(label.ravel(), minlength=256) for label in labels), np.zeros(256, np.int64))
    return sorted((c for c in classes if counts[c]), key=lambda c: -counts[c])


def error_classes(truth: np.ndarray, prediction: np.ndarray, background: int | None) -> np.ndarray:
    """Say what became of each pixel.

    Args:
        truth: [H, W], a class, or 255 where nothing is scored.
        prediction: [H, W], a class.
        background: the class that is not looked for.

    Returns:
        [H, W] uint8, places in `outcomes`. With a background: 0 background found as such; 1 another class found; 2
        false alarm (background taken for another class); 3 missed (another class taken for background); 4 wrong class
        (one taken for another); 5 not scored. Without one: 0 right; 1 wrong; 2 not scored.
    """
    unscored = truth == IGNORED
    if background is None:
        return np.select([unscored, truth == prediction], [2, 0], 1).astype(np.uint8)
    there, claimed = truth != background, prediction != background
    cases = [unscored, ~there & ~claimed, ~there, ~claimed, truth == prediction]
    codes = [UNSCORED, RIGHT_BACKGROUND, FALSE_ALARM, MISSED, RIGHT_CLASS]
    return np.select(cases, codes, WRONG_CLASS).astype(np.uint8)


def outcomes(class_set: ClassSet) -> dict[str, Colour]:
    """Return what can have become of a pixel, and its colour, in the order of `error_classes`."""
    return PLAIN_OUTCOMES if class_set.background is None else OUTCOMES


def outcomes_in(truths: Sequence[np.ndarray], predictions: Sequence[np.ndarray], class_set: ClassSet) -> set[str]:
    """Return the names of the `outcomes` that truths and predictions [H, W] hold."""
    names = list(outcomes(class_set))
    pairs = zip(truths, predictions, strict=True)
    return {names[code] for pair in pairs for code in np.unique(error_classes(*pair, class_set.background))}


def save_panels(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    class_set: ClassSet,
    title: str = "Predictions",
) -> None:
    """Save rows of picture, truth, prediction and overlay as one PNG; a dozen stands in two blocks side by side.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        truths: [H, W] each, 255 where nothing is scored (drawn grey).
        predictions: [H, W] each.
        class_set: the classes.
        title: which pictures these are.
    """
    coloured = [colour_label(prediction, class_set) for prediction in predictions]
    columns = {
        "picture": pictures,
        "truth": [colour_label(truth, class_set) for truth in truths],
        "prediction": coloured,
        "overlay": [0.55 * picture + 0.45 * colour for picture, colour in zip(pictures, coloured, strict=True)],
    }
    picture_grid(path, title, names, columns, class_legend([*truths, *predictions], class_set))


def save_confidence(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    maps: Mapping[str, Sequence[np.ndarray]],
    title: str = "Confidence: probability of each class",
) -> None:
    """Save rows of picture and maps of probability as one PNG, all maps on one scale from 0 to 1.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        maps: heading (a class) -> its probability [H, W] in [0, 1], one a row.
        title: which pictures these are.
    """
    picture_grid(path, title, names, {"picture": pictures, **maps}, scale=Scale("probability"))


def save_errors(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    class_set: ClassSet,
    title: str = "Errors",
) -> None:
    """Save rows of picture and error map (`error_classes`) as one PNG; arguments as in `save_panels`."""
    kinds = outcomes(class_set)
    palette = np.array([*kinds.values()], dtype=np.float32)
    maps = [palette[error_classes(*pair, class_set.background)] for pair in zip(truths, predictions, strict=True)]
    # One class beside the background cannot be taken for another.
    legend = {name: colour for name, colour in kinds.items() if name != "wrong class" or len(class_set) > 2}
    picture_grid(path, title, names, {"picture": pictures, "errors": maps}, legend)


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
        heading: [heated(*pair) for pair in zip(pictures, found, strict=True)] for heading, found in maps.items()
    }
    scale = Scale("activation", colours=HEAT, ends=("none", "most"))
    picture_grid(path, title, names, {"picture": pictures, **columns}, scale=scale)


def heated(picture: np.ndarray, activation: np.ndarray | None) -> np.ndarray | None:
    """Blend a map [H, W] in [0, 1] into a picture [H, W, 3] in [0, 1] made grey: its colours would look like heat."""
    if activation is None:
        return None
    from matplotlib import colormaps

    grey = (picture @ np.array([0.299, 0.587, 0.114]))[..., None]
    return 0.4 * grey + 0.6 * colormaps[HEAT](activation)[..., :3]
