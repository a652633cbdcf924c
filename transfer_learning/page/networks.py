"""The networks of the page, through which one picture goes at a time, whoever asks."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from core.errors import UserError
from transfer_learning.app_config import AppConfig
from transfer_learning.inference.inputs import result_names, unwritable
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.page.found import Answer, Found, Results
from transfer_learning.page.looking import Looker

# Called before each picture with how many are done, and of how many.
Tell = Callable[[int, int], None]


class Networks:
    """One network, or two that are compared.

    Args:
        lookers: the networks.
    """

    def __init__(self, lookers: Sequence[Looker]) -> None:
        self.lookers = tuple(lookers)
        self._at_work = Lock()

    @classmethod
    def load(cls, config: AppConfig) -> "Networks":
        """Load the weights that the settings name.

        Raises:
            UserError: as `Segmenter.load`.
        """
        members = config.members(config.model_path)
        segmenter = Segmenter.load(members[0], ensemble=members[1:], **config.inference)
        lookers = [Looker(members[0], segmenter, config)]
        if config.compare_with is not None:
            other = Segmenter.load(config.compare_with, **config.inference)
            lookers.append(Looker(config.compare_with, other, config))
        return cls(lookers)

    def look(self, uploads: Sequence[Path], folder: Path, tell: Tell = lambda done, of: None) -> Answer:
        """Segment files, one after the other; those that cannot be read are named and the rest goes on.

        Args:
            uploads: the files; of several of one name the later ones get a number.
            folder: for the files of the results, one a network below it.
            tell: hears how far it is.

        Raises:
            UserError: no file.
            RunError: the scores of a network are not finite.
        """
        if not uploads:
            raise UserError("drop a picture first")
        files = dict(zip(_distinct([path.name for path in uploads]), uploads, strict=True))
        results = result_names(list(files))
        unread = dict(unwritable(results))
        done: list[tuple[Found, ...]] = []
        alike: list[float | None] = []
        for number, (name, path) in enumerate(files.items()):
            tell(number, len(files))
            if name in unread:
                continue
            found = self._look(path, name, results[name], folder)
            if isinstance(found, str):
                unread[name] = found
                continue
            done.append(found)
            alike.append(_alike(found))
        listed = [(name, unread[name]) for name in files if name in unread]
        of_each = zip(*done, strict=True) if done else ((),) * len(self.lookers)
        pairs = zip(self.lookers, of_each, strict=True)
        return Answer(folder, tuple(Results(looker, found, listed) for looker, found in pairs), listed, alike)

    def _look(self, path: Path, name: str, result: str, folder: Path) -> tuple[Found, ...] | str:
        """Return what each network finds in a file, or why one of them cannot take it."""
        found = []
        for number, looker in enumerate(self.lookers, start=1):
            with self._at_work:
                read = looker.read(path)
                if isinstance(read, str):
                    return read
                found.append(looker.look(*read, name, result, folder / f"network_{number}"))
        return tuple(found)


def _alike(found: Sequence[Found]) -> float | None:
    if len({one.classes.names for one in found}) > 1 or len(found) < 2:
        return None
    first, second = (one.labels() for one in found)
    return float(np.mean(first == second))


def _distinct(names: Sequence[str]) -> list[str]:
    """Return names of which each stands there once: tom.png, tom-2.png."""
    found: list[str] = []
    seen: Counter[str] = Counter()
    for name in names:
        free = name
        while free in found or (free != name and free in names):
            seen[name] += 1
            free = f"{Path(name).stem}-{seen[name] + 1}{Path(name).suffix}"
        found.append(free)
    return found
