"""What the pictures of a split are known to be: the groups that a latent space may tell apart."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from data.split import Split
from reconstruction.figures.pictures import file_stems

# Probes of more values than this take hours and say little of each.
MOST_VALUES = 200
STRATA = "rarest class"


@dataclass(frozen=True)
class Grouping:
    """One way to group pictures.

    Attributes:
        title: what it goes by.
        stem: of the names of its figures' files.
        labels: [N] the group of each picture, None where it is not known.
    """

    title: str
    stem: str
    labels: Sequence[str | None]


def groupings(split: Split) -> tuple[list[Grouping], Grouping | None, list[str]]:
    """Return the tags that group the pictures, the strata where these are no tag, and notes on what is left out.

    A tag groups pictures where it has 2 to 200 values and two pictures share one. Strata that are no tag are the rarest
    class that each picture holds, which is known of labelled pictures alone.
    """
    *stems, of_strata = file_stems([*split.tags, STRATA])
    tags = [Grouping(tag, stem, labels) for (tag, labels), stem in zip(split.tags.items(), stems, strict=True)]
    strata = None if split.stratum else Grouping(STRATA, of_strata, split.strata)
    notes = [
        f"the tag {tag.title} has {len(set(tag.labels))} values: at most {MOST_VALUES} are told apart"
        for tag in tags
        if len(set(tag.labels)) > MOST_VALUES
    ]
    return [tag for tag in tags if _groups(tag)], strata if strata and _groups(strata) else None, notes


def _groups(grouping: Grouping) -> bool:
    counts = Counter(label for label in grouping.labels if label is not None)
    return 2 <= len(counts) <= MOST_VALUES and max(counts.values()) > 1
