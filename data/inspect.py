"""Look at your own pictures and masks, change nothing, and say what was understood: what data.prepare --dataset folder
would make of them, what is odd, and a preview with the masks laid over twelve pictures.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.command import run_command
from core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from data.annotations.scan import Tally
    from data.prepare_config import PrepareConfig
    from data.sources.folder import Understood
    from data.sources.own.listing import Facts
    from data.sources.own.survey import Listing

SHOWN_AT_MOST = 40
RARE_MASKS = 3


@dataclass(frozen=True)
class InspectConfig:
    """What to look at; the settings of reading are those of `data.prepare --dataset folder`."""

    images: Path | None = None
    """Your pictures, in any subfolders."""
    masks: Path | None = None
    """Their masks, as of data.prepare."""
    classes: tuple[str, ...] = ()
    """Names for the masks' values 0, 1, 2, ..., or a YAML file."""
    mask_pattern: str | None = None
    """A mask's file name from its picture's, such as '{name}_mask.png'."""
    ignore_value: tuple[int, ...] = ()
    """Values of the masks that are neither learned nor scored."""
    splits: Path | None = None
    """Who belongs to which split: a JSON or CSV file, a folder of lists, or the word folders."""
    folds: int = 0
    """Divide the labelled pictures into so many folds; --fold is Test. 0: off."""
    fold: int = 0
    """Which of the folds is Test, from 0."""
    group_by: str | None = None
    """A tag: pictures that share its value lie in one split."""
    stratify_by: str | None = None
    """A tag: Test and Val are held out evenly over its values."""
    tag_file: Path | None = None
    """A CSV of what else is known of the pictures: a column file, then a column a tag."""
    channels: int | None = None
    """1 (grey) or 3 (colour). Left out: what the pictures have."""
    range: tuple[float, float] | None = None
    """Of pictures deeper than 8 bits, the values that become 0 and 255."""
    ground: Literal["white", "black"] = "white"
    """What lies behind transparent pictures."""
    val_ratio: float = 0.2
    """Share held out for validation, of what is not Test."""
    test_ratio: float = 0.2
    """Share of all pictures held out for testing."""
    seed: int = 42
    """Which of the possible splits."""
    bad_masks: Literal["refuse", "leave_out"] = "refuse"
    """A mask that cannot be used stops everything, or is passed over."""
    workers: int = 0
    """Threads; 0 takes as many as there are processors."""
    preview: Path = Path("inspect.png")
    """Where the preview goes: a PNG of twelve pictures with their masks over them."""
    no_preview: bool = False
    """Write no preview."""

    def __post_init__(self) -> None:
        if self.preview.suffix.lower() != ".png":
            raise UserError(f"preview {self.preview}: the preview is a PNG, such as inspect.png")

    def as_prepared(self) -> "PrepareConfig":
        """Return the settings of the preparation that would read the same."""
        from data.prepare_config import PrepareConfig

        own = {field.name for field in fields(self)} & {field.name for field in fields(PrepareConfig)}
        return PrepareConfig(dataset="folder", **{name: getattr(self, name) for name in own})


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("data.inspect", InspectConfig, inspect, argv, section="inspect", description=__doc__)


def inspect(config: InspectConfig) -> None:
    """Look, and print what was seen as soon as it was, then what was understood.

    Raises:
        UserError: `data.prepare` would refuse this, with the same words.
    """
    from data.sources.folder import understand
    from data.sources.own.survey import Watcher

    settings = config.as_prepared()
    settings.check_source()
    if not config.no_preview:
        _require_apart(config)
    watcher = Watcher(
        lambda listing: _say(_pictures(listing)),
        lambda listing: _say(_masks(listing)),
        lambda tally: _say(_held(tally)),
    )
    seen = understand(settings, watcher)
    _say((*_decided(seen), *_splits(seen), *_odd(seen)))
    _require_trainable(seen)
    if not config.no_preview:
        from data.preview import write_preview

        write_preview(config.preview, seen.source)
        _say([f"preview: {config.preview}"])


def _require_apart(config: InspectConfig) -> None:
    """Raise where the preview would lie among what is looked at: over one of its files, or as one more picture."""
    for folder in filter(None, (config.images, config.masks)):
        if config.preview.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"the preview {config.preview} would lie in {folder}, which is not changed: give --preview a path "
                "elsewhere, or --no_preview"
            )


def _say(lines: Iterable[str]) -> None:
    from data.preparing.console import say

    for line in lines:
        say(line)


def _pictures(listing: "Listing") -> Iterator[str]:
    facts = listing.pictures.facts
    yield f"pictures: {len(listing.pictures)}"
    sizes = {f"{height} x {width}": count for (height, width), count in facts.sizes.items()}
    yield f"  height x width: {_listed(Counter(sizes))}"
    yield f"  orientation: {_listed(facts.turned)}"
    yield f"  formats: {_listed(facts.formats)}"
    yield f"  channels: {_listed(_named(facts.channels, {1: 'grey', 3: 'colour'}))}; bits: {_listed(facts.bits)}"


def _masks(listing: "Listing") -> Iterator[str]:
    labelled = sum(1 for _ in listing.pictures.names(labelled=True))
    by = f", found by {listing.pattern.text}" if listing.pattern else ""
    yield f"masks: of {labelled} pictures, in {listing.masks}{by}"


def _held(tally: "Tally") -> Iterator[str]:
    """Yield what the masks hold, the commonest first."""
    shown = tally.commonest(SHOWN_AT_MOST)
    width = max((len(what) for what, _ in shown), default=0)
    for what, where in shown:
        share = f"{where.pixels / tally.pixels:8.3%} of the pixels, in {where.masks} masks"
        yield f"  {what:>{width}}  {share} (first {where.first})"
    if more := len(tally.found) + len(tally.layers) - len(shown):
        yield f"  and {more} more"


def _decided(seen: "Understood") -> Iterator[str]:
    yield "understood:"
    yield from (f"  {note}" for note in seen.source.notes)
    coding = seen.reading.coding
    if coding is None:
        return
    what = {"values": "values", "colours": "colours", "layers": "one binary file a class"}[coding.reading]
    yield f"  read as {what}; the classes: {', '.join(coding.class_set.names[:SHOWN_AT_MOST])}"
    width = max(len(meaning.code) for meaning in coding.meanings)
    for meaning in coding.meanings[:SHOWN_AT_MOST]:
        yield f"  {meaning.code:>{width}}: {meaning.becomes}"
    if len(coding.meanings) > SHOWN_AT_MOST:
        yield f"  and {len(coding.meanings) - SHOWN_AT_MOST} more"
    if coding.yaml and len(coding.yaml) < 4000:
        yield "as a YAML for --classes:"
        yield from (f"  {line}" for line in coding.yaml.splitlines())


def _splits(seen: "Understood") -> Iterator[str]:
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


def _odd(seen: "Understood") -> Iterator[str]:
    """Yield what a person would want to look at, with counts and the first file."""
    found = [
        f"{len(files)} pictures {what} (first {files[0]})" for what, files in _unusual(seen.listing.pictures.facts)
    ]
    reasons: dict[str, list[str]] = {}
    for file, reason in seen.source.passed_over:
        reasons.setdefault(reason, []).append(file)
    found += [f"{len(files)} files passed over: {reason} (first {files[0]})" for reason, files in reasons.items()]
    coding = seen.reading.coding
    if coding and seen.reading.tally.masks > RARE_MASKS:
        found += [
            f"{meaning.becomes} ({meaning.code}) is in {meaning.masks} masks alone (first {meaning.first})"
            for meaning in coding.meanings
            if meaning.masks < RARE_MASKS and meaning.becomes != "ignored" and not coding.binary
        ]
    yield "odd:" if found else "odd: nothing"
    yield from (f"  {line}" for line in found[:SHOWN_AT_MOST])


def _unusual(facts: "Facts") -> list[tuple[str, list[str]]]:
    return sorted(facts.unusual.items())


def _require_trainable(seen: "Understood") -> None:
    """Raise what a preparation raises where the masks of Train hold fewer than two classes."""
    from core.classes import IGNORED
    from data.preparing.contents import require_classes

    held: set[int] = set()
    labelled = 0
    for sample in seen.source.samples:
        if sample.split != "Train" or sample.label is None:
            continue
        labelled += 1
        held |= _classes_in(sample.label) - {IGNORED}
        if len(held) > 1:
            return
    pictures = {"Train": [int(c in held) for c in range(len(seen.source.classes))]}
    require_classes(seen.source, {"counts": {"Train": {"labelled": labelled}}, "pictures_of_classes": pictures})


def _classes_in(label: Callable[[], "np.ndarray"]) -> set[int]:
    import numpy as np

    from data.pictures import PictureError

    try:
        return set(np.unique(label()).tolist())
    except PictureError:  # left out, as --bad_masks says
        return set()


def _listed(counts: Counter[Any]) -> str:
    parts = [f"{what} ({count})" for what, count in counts.most_common(8)]
    return ", ".join(parts) + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")


def _named(counts: Counter[int], names: dict[int, str]) -> Counter[str]:
    return Counter({names[what]: count for what, count in counts.items()})


if __name__ == "__main__":
    sys.exit(main())
