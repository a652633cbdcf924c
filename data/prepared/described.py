"""What the manifest says of a split, whether it holds pictures or volumes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.headers.seen import of_contents
from data.manifest import Manifest, Record, prepare_hint
from data.prepared.lacking import without_masks
from data.subsets import groups_of, strata_of


@dataclass(frozen=True, kw_only=True)
class Described:
    """A split as the manifest describes it, N items sorted by name.

    Attributes:
        manifest: what is said of all splits together.
        label_rows: [N] int64, the place of each item among those with a mask, -1 without one.
        tags: tag -> its value for each item, None where it is not known.
        strata: what label fractions are shared out by and draws balanced: the value of the tag `stratum`, or where the
            data have none the name of the rarest class that an item holds; None where neither is known.
        groups: the value of the tag that the data were divided by (--group_by) for each item, or its name where it has
            none; label fractions take groups whole.
        contents: [N] int64, what an item is known by (`core.headers.seen`); 0: not known.
        digests: SHA-256 of each item as written, with its label and its truth; "" in data prepared before these.
    """

    name: str
    data_dir: Path
    manifest: Manifest
    names: list[str]
    label_rows: np.ndarray
    tags: dict[str, list[str | None]]
    strata: list[str | None]
    groups: list[str]
    contents: np.ndarray
    digests: list[str]

    @property
    def channels(self) -> int:
        """Of pictures 1 or 3; of volumes their modalities."""
        return self.manifest.channels

    @property
    def class_set(self) -> ClassSet:
        """What the labels mean."""
        return self.manifest.class_set

    @property
    def stratum(self) -> str | None:
        """The tag whose values are the strata; None where those are classes."""
        return self.manifest.stratum

    @property
    def labelled(self) -> np.ndarray:
        """[M] int64, the indices of the items that have a mask, in the order of `label_rows`."""
        return np.flatnonzero(self.label_rows >= 0)

    @property
    def lacking(self) -> str:
        """What to say where no item has a mask."""
        counts = {name: count.labelled for name, count in self.manifest.counts.items()}
        return without_masks(self.name, counts, self.manifest.dataset)

    def altered(self, index: int) -> UserError:
        """Return what to raise where an item is not what was prepared."""
        return UserError(
            f"{self.data_dir}: {self.names[index]} of {self.name} or its mask was altered after data.prepare wrote "
            f"it: delete {self.data_dir} and {prepare_hint(self.data_dir)}"
        )


def described(data_dir: Path, manifest: Manifest, name: str, records: Sequence[Record], item: str) -> dict[str, Any]:
    """Return the fields of `Described`; `item` is what one is called.

    Raises:
        UserError: there is none.
    """
    if not records:
        raise UserError(f"{data_dir} has no {item} in the split {name}: {prepare_hint(data_dir)} with other ratios")
    labelled = np.array([record.labelled for record in records])
    return {
        "name": name,
        "data_dir": data_dir,
        "manifest": manifest,
        "names": [record.name for record in records],
        "label_rows": np.where(labelled, np.cumsum(labelled) - 1, -1).astype(np.int64),
        "tags": {tag: [record.tags.get(tag) for record in records] for tag in manifest.tags},
        "strata": strata_of(records, manifest),
        "groups": groups_of(records, manifest),
        "contents": of_contents(record.content for record in records),
        "digests": [record.sha256 for record in records],
    }
