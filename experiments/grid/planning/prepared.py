"""What the data hold for an ablation: how many labels each fraction means, and whether the grid can have them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.evaluation import resolution_of
from data.pool import ALL, pool
from data.subsets import groups_of, label_subset, strata_of, strata_of_groups
from experiments.evaluations import Resolution
from experiments.grid.config import AblationConfig, is_number_of_labels

if TYPE_CHECKING:
    from data.opened import Data
    from data.prepared.described import Described


@dataclass(frozen=True)
class GridData:
    """What a grid needs to know of its prepared data.

    Args:
        sha256: the data's fingerprint.
        resolution: side of the pictures in pixels, or height and width.
        num_labels: (fraction, seed) -> number of labelled training pictures.
        train_images: pictures of Train, labelled or not.
        val_labels, test_labels: labelled pictures of Val, of Test.
    """

    folder: Path
    sha256: str
    resolution: Resolution
    num_labels: dict[tuple[float, int], int]
    train_images: int
    val_labels: int
    test_labels: int

    def pool_size(self, text: str) -> int:
        """Return how many pictures of Train are in a pool; raises UserError where there are none (`data.pool`)."""
        from data.opened import open_data

        return self.train_images if text == ALL else len(pool(described_train(open_data(self.folder)), text))


def described_train(data: "Data") -> "Described":
    """Return what the manifest says of the training pictures."""
    from data.prepared.described import Described, described

    return Described(**described(data.data_dir, data.manifest, "Train", data.records("Train")["Train"], "image"))


def in_shares(config: AblationConfig) -> AblationConfig:
    """Return a grid whose numbers of labels are shares of those of its data.

    Raises:
        UserError: no prepared data, more labels asked for than exist, or a number that label subsets do not come to,
            which hold the same share of every stratum.
    """
    asked = {value for value in (*config.fractions, *config.tuned_at, *config.more_seeds) if is_number_of_labels(value)}
    if not asked:
        return config
    from data.opened import open_data

    train = train_labels(open_data(config.data_dir))
    shares = {value: train.share_of(int(value)) for value in asked}
    meant: dict[float, float] = {}
    for value in config.more_seeds:
        share = shares.get(value, value)
        if share in meant:
            raise UserError(
                f"more_seeds: {meant[share]:g} and {value:g} are the same labels: give their seeds in one list"
            )
        meant[share] = value
    return dataclasses.replace(
        config,
        fractions=tuple(shares.get(value, value) for value in config.fractions),
        tuned_at=tuple(shares.get(value, value) for value in config.tuned_at),
        more_seeds={shares.get(value, value): seeds for value, seeds in config.more_seeds.items()},
    )


def read_data(
    data_dir: Path,
    fractions: Sequence[float],
    seeds: Sequence[int],
    tuned_at: Sequence[float],
    more_seeds: Mapping[float, Sequence[int]] | None = None,
) -> GridData:
    """Open the data and count the labels of every fraction that is trained or tuned with.

    Args:
        data_dir: what `data.prepare` made.
        fractions, tuned_at: shares of the labels, each with all `seeds`.
        more_seeds: fraction -> seeds beside these.

    Raises:
        UserError: no prepared data, a split without labels, more labels asked for than exist, a stratum without
            a label, or two fractions that mean the same pictures.
    """
    from data.opened import open_data

    data = open_data(data_dir)
    counts = data.manifest.counts
    for split, count in counts.items():
        if not count.labelled:
            raise UserError(f"{data_dir}: no picture of {split} has a mask, which every arm needs")
    train = train_labels(data)
    every = sorted({*fractions, *tuned_at})
    for fraction in every:
        train.require_there(fraction)
    train.require_distinct(fractions)
    return GridData(
        folder=data_dir,
        sha256=data.fingerprint,
        resolution=resolution_of(data.manifest.size),
        num_labels={
            (f, seed): train.count(f, seed) for f in every for seed in (*seeds, *(more_seeds or {}).get(f, ()))
        },
        train_images=counts["Train"].images,
        val_labels=counts["Val"].labelled,
        test_labels=counts["Test"].labelled,
    )


@dataclass(frozen=True)
class TrainLabels:
    """The labelled training pictures: name -> stratum, "" where it is not known; `wanted`: all strata of Train.

    Where they were divided by a tag, `groups` has more than one picture to a group, and labels are counted in groups.
    """

    strata: dict[str, str]
    groups: dict[str, str]
    wanted: set[str]
    kind: str
    folder: Path

    def count(self, fraction: float, seed: int) -> int:
        """Count the labels of a fraction; every stratum of the training pictures must be among them."""
        chosen = self.chosen(fraction, seed)
        missing = self.wanted - {self.strata[name] for name in chosen}
        if missing:
            raise UserError(
                f"{self.folder}: fraction {fraction:g} with seed {seed} leaves no labelled picture of the {self.kind} "
                f"{' or '.join(sorted(missing))} to learn from"
            )
        return len(chosen)

    def chosen(self, fraction: float, seed: int) -> list[str]:
        """Return the names of the pictures whose masks are learned from."""
        groups = list(self.groups.values())
        return label_subset(list(self.strata), list(self.strata.values()), fraction, seed, groups)

    def require_there(self, fraction: float) -> None:
        """Raise UserError where a fraction means more labels than exist."""
        if fraction > 1:
            there = len(self._drawn)
            asked = round(fraction * there)
            raise UserError(
                f"fraction {fraction:g} asks for {asked} labels, more than exist: {self.folder} has {there}"
            )

    @property
    def _drawn(self) -> dict[str, str]:
        """What is drawn, and its stratum: pictures, or groups of them."""
        return strata_of_groups(list(self.groups.values()), list(self.strata.values()))

    def share_of(self, asked: int) -> float:
        """Return the fraction that means so many labels."""
        fraction = asked / max(1, len(self._drawn))
        self.require_there(fraction)
        sizes = [max(1, round(fraction * count)) for count in Counter(self._drawn.values()).values()]
        if sum(sizes) != asked:
            raise UserError(
                f"{asked} labels, the same share of every {self.kind} of {self.folder}, come to {sum(sizes)}: "
                "ask for another number, or for a fraction"
            )
        return fraction

    def require_distinct(self, fractions: Sequence[float]) -> None:
        """Raise UserError where two fractions mean the same pictures.

        Subsets are nested: equally many pictures of each stratum are the same pictures.
        """
        strata = Counter(self._drawn.values())
        ordered = sorted(fractions)
        sizes = [[max(1, round(fraction * count)) for count in strata.values()] for fraction in ordered]
        for (small, size), (large, other) in pairwise(zip(ordered, sizes, strict=True)):
            if size == other:
                raise UserError(
                    f"fractions {small:g} and {large:g} mean the same {sum(size)} labelled pictures, so their arms "
                    "differ in nothing: leave one out"
                )


def train_labels(data: "Data") -> TrainLabels:
    """Return the labelled training pictures of prepared data."""
    train = data.records("Train")["Train"]
    strata = strata_of(train, data.manifest)
    known = zip(train, strata, groups_of(train, data.manifest), strict=True)
    labelled = [(record.name, stratum or "", group) for record, stratum, group in known if record.labelled]
    return TrainLabels(
        {name: stratum for name, stratum, _ in labelled},
        {name: group for name, _, group in labelled},
        {*filter(None, strata)},
        data.manifest.stratum or "class",
        data.data_dir,
    )
