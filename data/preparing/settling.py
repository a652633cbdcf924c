"""Copies of one picture in several splits: laid into one where the division is ours, reported where it is official."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from core.errors import UserError
from data.manifest import SPLITS
from data.preparing.alike import Looks, Pair, clusters
from data.preparing.contents import Note
from data.preparing.journal import Journal
from data.sources.source import Source

Redivide = Callable[[Mapping[str, str]], dict[str, str]]
MOVED, ACROSS, GROUP = "moved to its copy", "copy in another split", "group in another split"
LEFT_OUT = "left out, copy in another split"
Copies = Literal["report", "leave_out"]


@dataclass
class Settled:
    """What became of copies.

    Attributes:
        moved: picture -> the split that it lies in now.
        left_out: pictures that are no part of the data any more.
        notes: for the report.
        lines: for the screen.
    """

    moved: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class _Pictures:
    """What the journal keeps, by place: names, splits as they become, whether there is a mask, groups."""

    def __init__(self, journal: Journal, group: str | None, kind: str) -> None:
        self.kind = kind  # in words
        self.names: list[str] = []
        self.splits: list[str] = []
        self.labelled: list[bool] = []
        self.groups: dict[str, list[int]] = {}
        self.contents: dict[str, list[int]] = {}
        looks = Looks()
        for place, entry in enumerate(journal.entries()):
            record = entry["record"]
            self.names.append(record["name"])
            self.splits.append(record["split"])
            self.labelled.append(record["labelled"])
            if group in record["tags"]:
                self.groups.setdefault(record["tags"][group], []).append(place)
            look = entry["look"]
            self.contents.setdefault(look.content, []).append(place)
            looks.add(look)
        self.pairs: list[Pair] = list(looks.pairs())
        self.counts: Counter[tuple[str, bool]] = Counter(zip(self.splits, self.labelled, strict=True))

    def would_empty(self, places: Iterable[int], split: str | None) -> bool:
        """Say whether a move of these into a split, or out of all, leaves another without pictures or its masks."""
        leaving = Counter((self.splits[place], self.labelled[place]) for place in places if self.splits[place] != split)
        left = self.counts - leaving
        return any(
            not left[other, True] and (self.counts[other, True] or not left[other, False])
            for other in {other for other, _ in leaving}
        )

    def move(self, places: Iterable[int], split: str) -> None:
        for place in places:
            self.counts[self.splits[place], self.labelled[place]] -= 1
            self.counts[split, self.labelled[place]] += 1
            self.splits[place] = split


def settle(journal: Journal, source: Source, copies: Copies = "report") -> Settled:
    """Find copies that lie in several splits and say where they belong.

    Of splits that were drawn here (`Source.drawn`) a picture goes where the first of its copies lies, in the order of
    names, those with a mask first; a group (`Source.group`) goes as one. What lies in an official split stays there; of
    its copies those are left out, with `leave_out`, that lie in a split before the last: Test stays as it is.

    Raises:
        UserError: without the copies a split would have no picture, or no mask.
    """
    pictures = _Pictures(journal, source.group, "volumes" if source.plan else "pictures")
    settled = Settled()
    if source.drawn:
        _gather(pictures, set(source.drawn), source.redivide, settled)
    across = _across(pictures)
    if copies == "leave_out":
        _leave_out(pictures, across, settled)
    else:
        _report_copies(pictures, across, settled)
    if not set(source.drawn) >= set(SPLITS):
        _report_groups(pictures, source.group, settled)
    return settled


def _gather(pictures: _Pictures, drawn: set[str], redivide: Redivide | None, settled: Settled) -> None:
    if not pictures.pairs:
        return
    in_groups = [pair for places in pictures.groups.values() for pair in pairwise(places)]
    together = clusters(len(pictures.names), [*(pair[:2] for pair in pictures.pairs), *in_groups])
    before, stay = list(pictures.splits), 0
    if redivide:
        stay = _redivided(pictures, together, redivide)
    else:
        stay = sum(len(members) for members in together if not _gathered(pictures, members, drawn))
    _tell(pictures, before, stay, settled)


def _redivided(pictures: _Pictures, together: Sequence[Sequence[int]], redivide: Redivide) -> int:
    """Divide anew, what hangs together as one; returns how many pictures stay apart as there are too few groups."""
    groups = {pictures.names[place]: pictures.names[places[0]] for places in together for place in places}
    try:
        splits = redivide({name: groups.get(name, name) for name in pictures.names})
    except UserError:  # behind all the work
        apart = (places for places in together if len({pictures.splits[place] for place in places}) > 1)
        return sum(map(len, apart))
    pictures.splits = [splits[name] for name in pictures.names]
    return 0


def _gathered(pictures: _Pictures, members: Sequence[int], drawn: set[str]) -> bool:
    """Lay what hangs together into one of the drawn splits; False where that would empty another."""
    places = [place for place in members if pictures.splits[place] in drawn]
    if len({pictures.splits[place] for place in places}) < 2:
        return True
    first = min(places, key=lambda place: (not pictures.labelled[place], place))
    # The most of all pictures, frames of one film perhaps, can only be learned from.
    wanted = pictures.splits[first] if 2 * len(places) <= len(pictures.names) else SPLITS[0]
    for split in (wanted, *(split for split in SPLITS if split in drawn)):
        if not pictures.would_empty(places, split):
            pictures.move(places, split)
            return True
    return False


def _tell(pictures: _Pictures, before: Sequence[str], stay: int, settled: Settled) -> None:
    copies = _copies(pictures.pairs)
    for place, (was, now) in enumerate(zip(before, pictures.splits, strict=True)):
        if was != now:
            name = pictures.names[place]
            settled.moved[name] = now
            other = f"like {pictures.names[copies[place]]}" if place in copies else "with its group"
            settled.notes.append((name, MOVED, f"{other}: {now} instead of {was}"))
    if settled.moved:
        settled.lines.append(
            f"{len(settled.moved)} {pictures.kind} are copies of others, or nearly, and go into the split of those "
            f"(first {next(iter(settled.moved))}): prepare_report.json lists them"
        )
    if stay:
        settled.lines.append(
            f"note: {stay} {pictures.kind} are so alike that no division keeps them together; they stay where they "
            "were drawn: --group_by a tag, or --splits, divides them as you say"
        )


def _copies(pairs: Iterable[Pair]) -> dict[int, int]:
    """Return of each picture that has copies the first of these."""
    found: dict[int, int] = {}
    for first, second, _ in pairs:
        found.setdefault(second, first)
        found.setdefault(first, second)
    return found


def _across(pictures: _Pictures) -> list[Pair]:
    """Return pairs of copies in two splits, the earlier split's first: each picture that has any is in one of them."""

    def order(place: int) -> int:
        return SPLITS.index(pictures.splits[place])

    found = []
    for places in pictures.contents.values():
        early, late = min(places, key=order), max(places, key=order)
        found += [Pair(early, place, True) for place in places if order(place) > order(early)]
        found += [Pair(place, late, True) for place in places if order(place) < order(late)]
    for pair in pictures.pairs:
        early, late = sorted(pair[:2], key=order)
        if order(early) < order(late):
            found.append(Pair(early, late, False))
    return found


def _said(pictures: _Pictures, of: int, other: int, same: bool) -> str:
    how = "the same picture as" if same else "nearly the same picture as"
    return f"{pictures.splits[of]}: {how} {pictures.names[other]} of {pictures.splits[other]}"


def _counted(pictures: _Pictures, places: Iterable[int]) -> str:
    counts = Counter(pictures.splits[place] for place in places)
    return " and ".join(f"{counts[split]} of {split}" for split in SPLITS if counts[split])


def _report_copies(pictures: _Pictures, across: Sequence[Pair], settled: Settled) -> None:
    """Note each picture of Val and Test that has a copy in a split before its own, with the first of these."""
    found: dict[int, Pair] = {}
    for pair in across:
        found.setdefault(pair.second, pair)
    for late, (early, _, same) in sorted(found.items()):
        settled.notes.append((pictures.names[late], ACROSS, _said(pictures, late, early, same)))
    if found:
        late, (early, _, _) = next(iter(sorted(found.items())))
        settled.lines.append(
            f"note: {_counted(pictures, found)} are copies of pictures in another split, or nearly (first "
            f"{pictures.names[late]}, like {pictures.names[early]}); the division stays as it is, and scores there "
            "flatter: prepare_report.json lists them, --copies leave_out leaves them out of what is learned from"
        )


def _leave_out(pictures: _Pictures, across: Sequence[Pair], settled: Settled) -> None:
    """Take each picture out that has a copy in a split behind its own."""
    found: dict[int, Pair] = {}
    for pair in across:
        found.setdefault(pair.first, pair)
    for early, (_, late, same) in sorted(found.items()):
        settled.left_out.append(pictures.names[early])
        settled.notes.append((pictures.names[early], LEFT_OUT, _said(pictures, early, late, same)))
    if not found:
        return
    if pictures.would_empty(found, None):
        raise UserError(
            f"of the copies {_counted(pictures, found)} would be left out, and a split be without pictures or without "
            f"masks: divide the {pictures.kind} yourself, or keep them with --copies report"
        )
    settled.lines.append(
        f"{_counted(pictures, found)} are copies of pictures in a later split, or nearly, and are left out (first "
        f"{settled.left_out[0]}): prepare_report.json lists them"
    )


def _report_groups(pictures: _Pictures, group: str | None, settled: Settled) -> None:
    """Note the groups that lie in several splits of an official division."""
    for value, places in pictures.groups.items():
        counts: Counter[str] = Counter(pictures.splits[place] for place in places)
        if len(counts) > 1:
            held = ", ".join(f"{counts[split]} in {split}" for split in SPLITS if counts[split])
            settled.notes.append((f"{group} {value}", GROUP, held))
            settled.lines.append(
                f"note: the {group} {value} lies in several splits ({held}), as its publisher divides: scores there "
                "flatter"
            )
