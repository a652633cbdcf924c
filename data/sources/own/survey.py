"""Looking at one's own pictures and masks, and deciding how they are read."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from core.classes import ClassSet
from core.errors import UserError
from core.filing.paths import real
from data.annotations.assigning import BINARY_NAMES
from data.annotations.coding import Coding
from data.annotations.decide import decide
from data.annotations.decide_regions import decide_regions
from data.annotations.formats.region import Annotations
from data.annotations.request import Request, read_request
from data.annotations.scan import Tally
from data.sources.own.annotated import find_annotations
from data.sources.own.config import ReadingConfig
from data.sources.own.counting import count_masks
from data.sources.own.finding import check_folders, find_masks, sibling_pattern
from data.sources.own.listing import Pictures, list_images
from data.sources.own.lookalikes import masks_for_pictures, polygons_among, refuse_masks_among_pictures
from data.sources.own.patterns import Pattern, pattern_of
from data.sources.own.progress import with_progress
from data.sources.own.value_range import PERCENTILES, find_range, require_within
from data.volumes.reading import is_volume


def _ignore(_: object) -> None:
    pass


@dataclass
class Listing:
    """Pictures and their masks by their names and headers alone.

    Attributes:
        pattern: how the masks were found; None without masks, and of annotations.
        annotations: of a labelling tool, where those are the masks.
        found_by: how the masks were found, in words.
        masks: the folder of the masks, or the file of annotations.
    """

    pictures: Pictures
    pattern: Pattern | None = None
    annotations: Annotations | None = None
    found_by: str = ""
    masks: Path | None = None
    passed_over: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Watcher:
    """Who is told what was seen as soon as it was, so that it can be shown even where the next step refuses it.

    Attributes:
        listed: of the pictures.
        found: of the masks, by their names alone.
        counted: of what the masks hold; of those that can be used.
    """

    listed: Callable[[Listing], None] = _ignore
    found: Callable[[Listing], None] = _ignore
    counted: Callable[[Tally], None] = _ignore


@dataclass(frozen=True)
class Reading:
    """How pictures and masks are read.

    Attributes:
        channels: 1 or 3.
        value_range: of pictures deeper than 8 bits; None without such.
        coding: what masks mean; None without masks.
        tally: what the masks hold.
    """

    channels: int
    value_range: tuple[float, float] | None
    coding: Coding | None
    tally: Tally
    notes: list[str]
    requested: Request | None

    @property
    def classes(self) -> ClassSet:
        """The classes of the masks; without masks those of --classes, or background and foreground."""
        if self.coding:
            return self.coding.class_set
        if self.requested:
            return ClassSet(self.requested.names, self.requested.background)
        return ClassSet(BINARY_NAMES)


def list_pictures(config: ReadingConfig, watcher: Watcher | None = None) -> Listing:
    """List pictures and find their masks; no pixel is read.

    Raises:
        UserError: a folder is missing or empty, two pictures share a name, masks fit no pictures or only a few.
    """
    watcher = watcher or Watcher()
    listing = _list_folder(config)
    watcher.listed(listing)
    images, masks = config.require_images(), listing.masks
    if not listing.pattern and not listing.annotations:
        refuse_masks_among_pictures(listing.pictures, images)
    if masks is None:
        listing.notes += polygons_among(listing.passed_over, listing.pictures, images)
    if masks is not None:
        if not listing.annotations:
            text = listing.pattern.text if listing.pattern else config.mask_pattern
            listing.pattern, passed_over, notes = find_masks(listing.pictures, images, masks, text)
            listing.found_by = f"their names, as {listing.pattern.text}"
            listing.passed_over += passed_over
            listing.notes += notes
        listing.notes += listing.pictures.turned_with_masks()
        watcher.found(listing)
    return listing


def _list_folder(config: ReadingConfig) -> Listing:
    """List pictures; where masks lie beside them, the listing has the pattern that tells them apart."""
    images, masks = config.require_images(), config.masks
    check_folders(images, masks)
    if masks is None and config.mask_pattern:
        masks = images
    beside = masks is not None and real(masks) == real(images)
    if beside and config.mask_pattern:
        return _list_beside(images, config.mask_pattern)
    listing = Listing(Pictures(), masks=masks)
    excluded = masks if masks and masks.is_dir() and not beside else None
    listing.passed_over = list_images(listing.pictures, images, excluded, is_mask=lambda path: False)
    _require_pictures(listing, images)
    if masks is not None:
        _add_annotations(listing, images, masks, config.mask_pattern)
    if beside and not listing.annotations:
        which = "say which is which, --mask_pattern '{name}_mask.png'"
        raise UserError(f"{images} holds both images and masks: {which}")
    if masks is None and (text := sibling_pattern(listing.pictures)):
        listing = _list_beside(images, text)
        listing.notes = [f"masks lie beside their pictures, as --mask_pattern '{text}' would say"]
    return listing


def _add_annotations(listing: Listing, images: Path, masks: Path, pattern: str | None) -> None:
    """Let the annotations of a labelling tool be the masks, where `masks` holds such."""
    if found := find_annotations(listing.pictures, images, masks, pattern):
        listing.annotations, listing.found_by = found.annotations, found.found_by
        listing.passed_over = [entry for entry in listing.passed_over if entry[0] not in found.used]
        listing.passed_over += found.strays
        listing.notes += found.notes


def read_listing(listing: Listing, config: ReadingConfig, watcher: Watcher | None = None) -> Reading:
    """Look into masks, and into deep pictures, and decide how all are read.

    Raises:
        UserError: masks that cannot be used, or whose meaning cannot be told.
    """
    requested = read_request(config.classes)
    facts, notes = listing.pictures.facts, []
    channels = config.channels or max(facts.channels)
    if config.channels is None and len(facts.channels) > 1:
        notes.append(f"{facts.channels[1]} grey pictures among {facts.channels[3]} in colour: all are read in colour")
    value_range = None
    if max(facts.bits) > 8:
        value_range, note = _value_range(listing.pictures, config)
        notes.append(note)
    elif config.range:
        notes.append("no picture is deeper than 8 bits: --range changes nothing")
    tally = Tally()
    if not listing.found_by:
        notes += masks_for_pictures(listing.pictures)
        return Reading(channels, value_range, None, tally, notes, requested)
    layered, annotations = bool(listing.pattern and listing.pattern.is_layered), listing.annotations
    tally = count_masks(listing.pictures, layered, annotations, config, (watcher or Watcher()).counted)
    if annotations:
        coding = decide_regions(annotations, tally, requested, config.ignore_value)
    else:
        coding = decide(tally, requested, config.ignore_value)
    return Reading(channels, value_range, coding, tally, [*notes, *coding.notes], requested)


def _list_beside(images: Path, text: str) -> Listing:
    pattern = pattern_of(text)
    listing = Listing(Pictures(), pattern, masks=images)
    listing.passed_over = list_images(
        listing.pictures, images, None, is_mask=lambda path: pattern.match(path, images) is not None
    )
    _require_pictures(listing, images)
    return listing


def _require_pictures(listing: Listing, images: Path) -> None:
    if not len(listing.pictures):
        if volume := next((file for file, _ in listing.passed_over if is_volume(Path(file))), None):
            raise UserError(
                f"{images} holds volumes ({volume}), and this reads pictures: ae-pretrained prepare --dataset volumes "
                "takes them (docs/medical.md)"
            )
        (file, reason), *_ = listing.passed_over or [("", "")]
        first = f" (of {len(listing.passed_over)} files; first {file}: {reason})" if file else ""
        raise UserError(f"{images} holds no picture{first}")


def _value_range(pictures: Pictures, config: ReadingConfig) -> tuple[tuple[float, float] | None, str]:
    deep = sum(count for bits, count in pictures.facts.bits.items() if bits > 8)
    mapped = partial(with_progress, "looking at deep pictures", deep, config)

    def paths() -> Iterator[Path]:
        return (row.image for row in pictures if row.bits > 8)

    if found := config.range:
        require_within(found, paths(), mapped)
    else:
        found = find_range(paths, mapped)
    if not found:
        return None, f"none of {deep} pictures deeper than 8 bits can be read"
    whence = "--range" if config.range else f"the {PERCENTILES[0]} and {PERCENTILES[1]} percentile of all their pixels"
    return found, f"{deep} pictures are deeper than 8 bits: {found[0]:g} becomes 0 and {found[1]:g} 255 ({whence})"
