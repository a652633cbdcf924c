"""The trackers of a run as the training loop sees them: none of them can end it, and each gets what it missed."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from core.files import write_json
from core.run.outputs import picture_of
from core.run.trackers.told import NOTE, Told, place_of, told_so_far
from core.run.trackers.tracker import Followed, Tracker, made, plain_names
from core.terminal.screen import visible

LogRow = Mapping[str, Any]


@dataclass
class _One:
    """A tracker, and what it was told; None in its place where it failed."""

    name: str
    place: Path
    tracker: Tracker | None = None
    told: Told = field(default_factory=Told)

    def keep(self, told: Told) -> None:
        self.told = told
        write_json(self.place / NOTE, asdict(told))


class Trackers:
    """Tell a run to all of its trackers.

    One that raises anything is left aside with a note, once. Rows that one lacks, since it was added late or failed,
    it gets when the run goes on, or when the command is given again.

    Args:
        names: of the trackers; none for the processes beside the first.
        folder: the run folder, which this process alone writes to.
        description: the content of `training_config.json`.
        columns: of the log.
    """

    def __init__(
        self, names: Sequence[str], folder: Path, description: Mapping[str, Any], columns: Sequence[str]
    ) -> None:
        self._all = [_One(name, place_of(folder, name)) for name in dict.fromkeys(names)]
        self._folder, self._description = folder, description
        self._plain = plain_names(columns)
        self._finished = False

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(self, *exception: object) -> None:
        for one in self._all:
            if one.tracker:
                self._guarded(one, partial(self._close, one, one.tracker))

    def begin(self, rows: Sequence[LogRow]) -> None:
        """Begin, or go on where the run has these rows already; whoever lacks some is told them."""
        for one in self._all:
            self._guarded(one, partial(self._begin, one, rows))

    def log(self, row: LogRow) -> None:
        """Tell a row of the log, and show the picture that was drawn of its epoch."""
        for one in self._all:
            if one.tracker:
                self._guarded(one, partial(self._tell, one, one.tracker, row))

    def finish(self, best: LogRow | None) -> None:
        """Tell that the run is finished, with the row of the weights that it leaves, if any."""
        self._finished = True
        for one in self._all:
            if best and one.tracker and not one.told.finished:
                self._guarded(one, partial(one.tracker.best, best["epoch"], self._scores(best)))

    def _begin(self, one: _One, rows: Sequence[LogRow]) -> None:
        one.place.mkdir(parents=True, exist_ok=True)
        told = told_so_far(one.place)
        known = min(told.epochs, len(rows))  # rows past a restored state are gone
        settings, commit = self._description["settings"], self._description["commit"]
        tracker = made(one.name)
        known_as = tracker.begin(Followed(self._folder, one.place, settings, commit, told.known_as, known + 1))
        if known_as != told.known_as:
            told, known = Told(), 0
        one.tracker = tracker
        one.keep(Told(known_as, known, told.finished and known == len(rows)))
        for row in rows[known:]:
            self._tell(one, tracker, row)

    def _tell(self, one: _One, tracker: Tracker, row: LogRow) -> None:
        epoch = row["epoch"]
        tracker.log(epoch, self._scores(row))
        if (picture := picture_of(self._folder, epoch)).is_file():
            tracker.picture(epoch, picture)
        one.keep(replace(one.told, epochs=epoch, finished=False))

    def _close(self, one: _One, tracker: Tracker) -> None:
        tracker.close(self._finished)
        if self._finished:
            one.keep(replace(one.told, finished=True))

    def _scores(self, row: LogRow) -> dict[str, float]:
        return {self._plain[name]: float(value) for name, value in row.items() if value is not None and name != "epoch"}

    def _guarded(self, one: _One, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            one.tracker = None
            reason = " ".join(str(error).split()) or "no reason given"
            print(
                visible(
                    f"note: --tracker {one.name} failed ({type(error).__name__}: {reason}) and is left aside; training "
                    "goes on, and what it missed it is told when the same command is given again"
                ),
                file=sys.stderr,
            )


NO_TRACKERS = Trackers((), Path(), {}, ())
