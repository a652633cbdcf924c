"""Pictures that are the same, or so alike that one is a copy of the other: saved again, resized, a frame apart."""

import tempfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from data.preparing.looks import SIDE, Look

# Set on Pets (7,349 photographs), ISIC, CamVid and DRIVE: what passes is one picture saved twice, or frames of a scene
# that stands still. The nearest strangers, of eyes, correlate by 0.994; copies in Pets by 0.998 and more.
MOST_BITS = 4
LEAST_CORRELATION = 0.997
LEAST_CONTRAST = 2.0  # grey levels: what is flat looks like everything flat
_CHUNKS = 5  # of two numbers that differ in 4 bits at most, one of 5 parts is the same
_BUCKET = 256  # so many of one part, and more: compared with those next in order alone


class Pair(NamedTuple):
    """Two pictures by their places; `same`: to the pixel."""

    first: int
    second: int
    same: bool


class Looks:
    """The looks of many pictures; thumbnails are in a file, as there may be any number."""

    def __init__(self) -> None:
        self._contents: list[int] = []
        self._differences: list[int] = []
        self._thumbnails = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this object

    def add(self, look: Look) -> None:
        """Note the look of the next picture."""
        self._contents.append(int(look.content, 16))
        self._differences.append(look.differences)
        self._thumbnails.write(look.thumbnail.tobytes())

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs that are alike; of many equal pictures each with the one before."""
        count = len(self._contents)
        if count < 2:
            return
        contents = np.array(self._contents, np.uint64)
        order = np.argsort(contents, kind="stable")
        equal = contents[order[1:]] == contents[order[:-1]]
        for before, after in zip(order[:-1][equal].tolist(), order[1:][equal].tolist(), strict=True):
            yield Pair(min(before, after), max(before, after), True)
        self._thumbnails.flush()
        thumbnails = np.memmap(self._thumbnails, np.uint8, "r", shape=(count, SIDE * SIDE))
        differences = np.array(self._differences, np.uint64)
        for first, second in sorted(_near(differences)):
            if contents[first] != contents[second] and _correlation(thumbnails[first], thumbnails[second]):
                yield Pair(first, second, False)


def _near(differences: np.ndarray) -> set[tuple[int, int]]:
    """Return the pairs that differ in few bits."""
    found: set[tuple[int, int]] = set()
    for chunk in range(_CHUNKS):
        part = (differences >> np.uint64(13 * chunk)) & np.uint64((1 << 13) - 1)
        order = np.lexsort((differences, part))
        ends = np.flatnonzero(np.diff(part[order])) + 1
        for members in np.split(order, ends):
            for step in range(1, min(len(members), _BUCKET)):
                one, other = members[:-step], members[step:]
                close = np.bitwise_count(differences[one] ^ differences[other]) <= MOST_BITS
                pairs = np.sort(np.stack([one[close], other[close]], axis=1), axis=1)
                found.update(map(tuple, pairs.tolist()))
    return found


def _correlation(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether two thumbnails have contrast, and the same but for brightness."""
    centred = [picture.astype(np.float64) - picture.mean() for picture in (one, other)]
    deviations = [float(np.sqrt(np.mean(picture**2))) for picture in centred]
    if min(deviations) < LEAST_CONTRAST:
        return False
    return float(np.mean(centred[0] * centred[1])) >= LEAST_CORRELATION * deviations[0] * deviations[1]


def clusters(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the places that hang together by pairs, two and more, each list in order (union-find)."""
    parents = list(range(count))

    def root(place: int) -> int:
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    for first, second in pairs:
        one, other = root(first), root(second)
        parents[max(one, other)] = min(one, other)
    members: dict[int, list[int]] = {}
    for place in range(count):
        members.setdefault(root(place), []).append(place)
    return [places for places in members.values() if len(places) > 1]
