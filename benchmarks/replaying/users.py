"""A user made of a public data set: all pictures of Train, masks of a few of them, and a Test that is not shown."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.classes import IGNORED
from data.manifest import image_path, label_path
from data.opened import open_data
from data.pictures import read_png
from data.ranking import ranked

# Preparations rank names by small seeds: a user's masks are drawn apart from these.
APART = 10_000
MOST_CLASSES = 4  # of which a few masks hold each


@dataclass(frozen=True)
class User:
    """Whose pictures are advised on.

    Args:
        data_dir: prepared data with masks, pictures of one size.
        masks: that the user has.
        seed: which.
        folder: where the user's pictures lie.
    """

    data_dir: Path
    masks: int
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        """What the replay is called."""
        return f"{self.data_dir.name}_{self.masks}_{self.seed}"

    def make(self) -> None:
        """Write what the user sees, what the truth is told from, and how its pictures are divided."""
        data = open_data(self.data_dir)
        records = data.records("Train", "Test")
        train, test = (records[split] for split in ("Train", "Test"))
        # Nested: whoever has twice the masks has these too.
        order = ranked([record.name for record in train if record.labelled], APART + self.seed)
        kept = set(order[: self.masks]), set(order[: 2 * self.masks])
        background = data.class_set.background
        assert background is not None, "without a background nothing is told apart from it"
        for record in train:
            self._copy("user", "Train", record.name, record.name in kept[0], background)
            self._copy("truth", "Train", record.name, record.name in kept[1], background)
        for record in test:
            if record.labelled:
                self._copy("truth", "Test", record.name, True, background)
        for number, names in enumerate(kept, 1):
            split = {"train": sorted(names), "test": sorted(record.name for record in test if record.labelled)}
            (self.folder / f"split_{number}.json").write_text(json.dumps(split), encoding="utf-8")
        self._write_classes([name for place, name in enumerate(data.class_set.names) if place != background])

    def _copy(self, who: str, split: str, name: str, labelled: bool, background: int) -> None:
        target = self.folder / who / "photos" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image_path(self.data_dir, split, name), target)
        if not labelled:
            return
        label = read_png(label_path(self.data_dir, split, name), cv2.IMREAD_UNCHANGED)
        assert label is not None, "prepared data are whole"
        target = self.folder / who / "masks" / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target), _recoded(label, background, self.binary))

    @property
    def binary(self) -> bool:
        """Whether all foreground is one class: of many classes a few masks do not hold each."""
        return len(open_data(self.data_dir).class_set) > MOST_CLASSES

    def _write_classes(self, foreground: Sequence[str]) -> None:
        names = ["foreground"] if self.binary else foreground
        lines = [
            "background: 0",
            *(f"{json.dumps(name)}: {number}" for number, name in enumerate(names, 1)),
            "ignore: [255]",
        ]
        (self.folder / "classes.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def words(self, who: str) -> list[str]:
        """Return how the pictures are named to a command."""
        here = self.folder / who
        classes = ["--classes", str(self.folder / "classes.yaml")]
        return ["--images", str(here / "photos"), "--masks", str(here / "masks"), *classes]


def _recoded(label: np.ndarray, background: int, binary: bool) -> np.ndarray:
    """Return a label [H, W] with the background at 0 and the rest in order behind it, or all of it at 1; 255 stays."""
    classes = np.arange(256, dtype=np.int64)
    codes = np.where(classes < background, classes + 1, classes)
    codes[background] = 0
    if binary:
        codes = (codes > 0).astype(np.int64)
    codes[IGNORED] = IGNORED
    return codes[label].astype(np.uint8)
