"""Steps on the classes of pixels: each takes and returns labels [H, W] uint8.

Pixels that a class loses go, piece by piece, to one of the classes that touch the piece: the one that the network finds
likeliest there on average. So no piece ends up as a new speck, and what the network saw has its say.
"""

from collections.abc import Callable, Sequence

import cv2
import numpy as np


def majority(labels: np.ndarray, size: int) -> np.ndarray:
    """Return the most frequent class of the window of `size` px around each pixel: the median, of two classes.

    Where classes are equally frequent a pixel keeps its own, if that is one of them.
    """
    found, most = labels.copy(), np.full(labels.shape, -1.0, np.float32)
    for c in np.unique(labels):
        mask = (labels == c).astype(np.float32)
        votes = cv2.boxFilter(mask, -1, (size, size), normalize=False, borderType=cv2.BORDER_REPLICATE) + mask / 2
        found[votes > most] = c
        np.maximum(most, votes, out=most)
    return found


def median(mask: np.ndarray, size: int) -> np.ndarray:
    """Return the median of a mask [H, W] bool over windows of `size` px, the picture's edge repeated beyond it."""
    return cv2.medianBlur(mask.view(np.uint8), size).view(bool) if size <= 5 else _wide_median(mask, size)


def _wide_median(mask: np.ndarray, size: int) -> np.ndarray:
    votes = cv2.boxFilter(mask.astype(np.float32), -1, (size, size), normalize=False, borderType=cv2.BORDER_REPLICATE)
    return votes > size * size / 2


def opened(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a mask without what a disc of `size` px does not fit into."""
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, _disc(size)).view(bool)


def closed(mask: np.ndarray, size: int) -> np.ndarray:
    """Return a mask with those gaps in which a disc of `size` px does not fit."""
    return cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, _disc(size)).view(bool)


def largest(mask: np.ndarray) -> np.ndarray:
    """Return the largest connected piece of a mask (8 neighbours); of equal ones the first from the top."""
    count, pieces, stats, _centres = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return mask if count <= 2 else pieces == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()


def at_least(mask: np.ndarray, area: int) -> np.ndarray:
    """Return those connected pieces of a mask (8 neighbours) that have so many pixels at least."""
    _, pieces, stats, _centres = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    return mask & (stats[:, cv2.CC_STAT_AREA] >= area)[pieces]


def filled(mask: np.ndarray) -> np.ndarray:
    """Return a mask with its holes: what is around it and does not reach the picture's edge (4 neighbours)."""
    count, pieces = cv2.connectedComponents((~mask).view(np.uint8), connectivity=4)
    open_ones = np.zeros(count, bool)
    for edge in (pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]):
        open_ones[edge] = True
    return mask | ~open_ones[pieces]


def of_classes(
    change: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[int],
    takes_from: int | None = None,
) -> np.ndarray:
    """Return labels in which the mask of each of some classes, one after another, is what `change` makes of it.

    Args:
        change: mask [H, W] bool -> mask.
        labels: [H, W] uint8.
        probabilities: [C, H, W].
        classes: whose masks change.
        takes_from: the one class whose pixels others may gain; None: any.
    """
    labels = labels.copy()
    for c in classes:
        mask = labels == c
        if not mask.any():
            continue
        wanted = change(mask)
        _give_up(labels, probabilities, c, mask & ~wanted)
        gained = wanted & ~mask
        labels[gained if takes_from is None else gained & (labels == takes_from)] = c
    return labels


def _give_up(labels: np.ndarray, probabilities: np.ndarray, c: int, lost: np.ndarray) -> None:
    """Give each connected piece of the pixels that a class loses to another class, in place."""
    count, pieces, stats, _centres = cv2.connectedComponentsWithStats(lost.view(np.uint8), connectivity=8)
    for piece in range(1, count):
        left, top, width, height = stats[piece, : cv2.CC_STAT_AREA]
        around = np.s_[max(0, top - 1) : top + height + 1, max(0, left - 1) : left + width + 1]
        inside = pieces[around] == piece
        rim = cv2.dilate(inside.view(np.uint8), np.ones((3, 3), np.uint8)).view(bool) & ~inside
        touching = np.setdiff1d(labels[around][rim], [c])
        if not len(touching):  # the whole picture, say
            touching = np.setdiff1d(np.arange(len(probabilities)), [c])
        likely = probabilities[touching][(slice(None), *around)][:, inside].mean(axis=1)
        labels[around][inside] = touching[likely.argmax()]


def _disc(size: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
