"""What the data hold for an ablation: how many labels each fraction means, and whether the grid can have them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from core.errors import UserError
from data.manifest import read_manifest, read_records
from data.subsets import label_subset


@dataclass(frozen=True)
class Data:
    """The prepared data of a grid.

    Args:
        sha256: the data's fingerprint.
        resolution: side of the pictures in pixels.
        num_labels: (fraction, seed) -> number of labelled training pictures.
        train_images: pictures of Train, labelled or not.
        test_labels: labelled pictures of Test.
    """

    folder: Path
    sha256: str
    resolution: int
    num_labels: dict[tuple[float, int], int]
    train_images: int
    test_labels: int


def read_data(
    data_dir: Path,
    fractions: Sequence[float],
    seeds: Sequence[int],
    tuned_at: Sequence[float],
    more_seeds: Mapping[float, Sequence[int]] | None = None,
) -> Data:
    """Read the manifest and count the labels of every fraction that is trained or tuned with.

    Args:
        data_dir: what `data.prepare` made.
        fractions, tuned_at: shares of the labels, each with all `seeds`.
        more_seeds: fraction -> seeds beside these.

    Raises:
        UserError: no prepared data, a split without labels, more labels asked for than exist, a class without a
            picture, or two fractions that mean the same pictures.
    """
    manifest = read_manifest(data_dir)
    images = list(read_records(data_dir))
    labelled = {
        split: [image for image in images if image["split"] == split and image["labelled"]]
        for split in ("Train", "Val", "Test")
    }
    for split, found in labelled.items():
        if not found:
            raise UserError(f"{data_dir}: no picture of {split} has a mask, which every arm needs")
    train = labelled["Train"]
    every = sorted({*fractions, *tuned_at})
    for fraction in every:
        if fraction > 1:
            asked = round(fraction * len(train))
            raise UserError(
                f"fraction {fraction:g} asks for {asked} labels, more than exist: {data_dir} has {len(train)}"
            )
    _require_distinct(train, fractions)
    return Data(
        folder=data_dir,
        sha256=manifest["fingerprint"],
        resolution=manifest["size"],
        num_labels={
            (f, seed): _labels(train, f, seed, data_dir)
            for f in every
            for seed in (*seeds, *(more_seeds or {}).get(f, ()))
        },
        train_images=sum(image["split"] == "Train" for image in images),
        test_labels=len(labelled["Test"]),
    )


def _labels(train: list[dict[str, Any]], fraction: float, seed: int, data_dir: Path) -> int:
    """Count the labels of a fraction; every species that the data know must be among them."""
    species = {image["name"]: image["species"] or "" for image in train}
    chosen = label_subset(list(species), list(species.values()), fraction, seed)
    found = {species[name] for name in chosen}
    missing = {"cat", "dog"} - found
    if missing and found != {""}:  # the pictures of one's own may come without a species
        raise UserError(
            f"{data_dir}: fraction {fraction:g} with seed {seed} leaves no labelled picture of a "
            f"{' or a '.join(sorted(missing))} to learn from"
        )
    return len(chosen)


def _require_distinct(train: list[dict[str, Any]], fractions: Sequence[float]) -> None:
    # Subsets are nested: equally many pictures of each species are the same pictures.
    species = Counter(image["species"] or "" for image in train)
    ordered = sorted(fractions)
    sizes = [[max(1, round(fraction * count)) for count in species.values()] for fraction in ordered]
    for (small, size), (large, other) in pairwise(zip(ordered, sizes, strict=True)):
        if size == other:
            raise UserError(
                f"fractions {small:g} and {large:g} mean the same {sum(size)} labelled pictures, so their arms differ "
                "in nothing: leave one out"
            )
