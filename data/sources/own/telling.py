"""What `data.inspect` says of one's own pictures, line by line."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from data.annotations.scan import Tally
from data.sources.folder import Understood
from data.sources.own.listing import Facts, by_reason
from data.sources.own.survey import Listing

SHOWN_AT_MOST = 40
RARE_MASKS = 3


def picture_lines(listing: Listing) -> Iterator[str]:
    """Yield how many pictures there are, and of which kinds."""
    facts = listing.pictures.facts
    yield f"pictures: {len(listing.pictures)}"
    sizes = {f"{height} x {width}": count for (height, width), count in facts.sizes.items()}
    yield f"  height x width: {_listed(Counter(sizes))}"
    yield f"  orientation: {_listed(facts.turned)}"
    yield f"  formats: {_listed(facts.formats)}"
    yield f"  channels: {_listed(_named(facts.channels, {1: 'grey', 3: 'colour'}))}; bits: {_listed(facts.bits)}"


def mask_lines(listing: Listing) -> Iterator[str]:
    """Yield how many pictures have a mask, and how those were found."""
    labelled = sum(1 for _ in listing.pictures.names(labelled=True))
    by = f", found by {listing.found_by}" if listing.found_by else ""
    yield f"masks: of {labelled} pictures, in {listing.masks}{by}"


def held_lines(tally: Tally) -> Iterator[str]:
    """Yield what the masks hold, the commonest first."""
    shown = tally.commonest(SHOWN_AT_MOST)
    width = max((len(what) for what, _ in shown), default=0)
    for what, where in shown:
        share = f"{where.pixels / tally.pixels:8.3%} of the pixels, in {where.masks} masks"
        yield f"  {what:>{width}}  {share} (first {where.first})"
    if more := len(tally.found) + len(tally.layers) - len(shown):
        yield f"  and {more} more"


def decision_lines(seen: Understood) -> Iterator[str]:
    """Yield how pictures and masks will be read, and what --classes would say explicitly."""
    yield "understood:"
    yield from (f"  {note}" for note in seen.source.notes)
    coding = seen.reading.coding
    if coding is None:
        return
    what = {"values": "values", "colours": "colours", "layers": "one binary file a class", "regions": "annotations"}[
        coding.reading
    ]
    yield f"  read as {what}; the classes: {', '.join(coding.class_set.names[:SHOWN_AT_MOST])}"
    width = max((len(meaning.code) for meaning in coding.meanings), default=0)
    for meaning in coding.meanings[:SHOWN_AT_MOST]:
        yield f"  {meaning.code:>{width}}: {meaning.becomes}"
    if len(coding.meanings) > SHOWN_AT_MOST:
        yield f"  and {len(coding.meanings) - SHOWN_AT_MOST} more"
    if coding.yaml and len(coding.yaml) < 4000:
        yield "as a YAML for --classes:"
        yield from (f"  {line}" for line in coding.yaml.splitlines())


def split_lines(seen: Understood) -> Iterator[str]:
    """Yield how many pictures each split holds, and the tags."""
    counts: Counter[str] = Counter()
    labelled: Counter[str] = Counter()
    tags: dict[str, set[str]] = {}
    for sample in seen.source.samples:
        counts[sample.split] += 1
        labelled[sample.split] += sample.label is not None
        for tag, value in sample.tags.items():
            tags.setdefault(tag, set()).add(value)
    parts = [f"{split} {counts[split]} ({labelled[split]} labelled)" for split in ("Train", "Val", "Test")]
    yield f"splits: {', '.join(parts)}"
    if tags:
        yield f"tags: {', '.join(f'{tag} ({len(values)} values)' for tag, values in sorted(tags.items()))}"


def odd_lines(seen: Understood) -> Iterator[str]:
    """Yield what a person would want to look at, with counts and the first file."""
    found = [
        f"{len(files)} pictures {what} (first {files[0]})" for what, files in _unusual(seen.listing.pictures.facts)
    ]
    found += by_reason(seen.source.passed_over)
    coding = seen.reading.coding
    if coding and seen.reading.tally.masks > RARE_MASKS:
        background = coding.class_set.background if coding.annotations else None
        unremarkable = ("ignored", *([] if background is None else [coding.class_set.names[background]]))
        found += [
            f"{meaning.becomes} ({meaning.code}) is in {meaning.masks} masks alone (first {meaning.first})"
            for meaning in coding.meanings
            if meaning.masks < RARE_MASKS and meaning.becomes not in unremarkable and not coding.binary
        ]
    yield "odd:" if found else "odd: nothing"
    yield from (f"  {line}" for line in found[:SHOWN_AT_MOST])


def _unusual(facts: Facts) -> list[tuple[str, list[str]]]:
    return sorted(facts.unusual.items())


def _listed(counts: Counter[Any]) -> str:
    parts = [f"{what} ({count})" for what, count in counts.most_common(8)]
    return ", ".join(parts) + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")


def _named(counts: Counter[int], names: dict[int, str]) -> Counter[str]:
    return Counter({names[what]: count for what, count in counts.items()})
