"""Small drawn things that stand where pages name data, weights, runs and archives that their reader has."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import documented_makers as makers
from documented_commands import ROOT, Command

from core.filing.yaml_file import read_yaml

# What follows these flags a command makes itself.
WRITTEN = {"--output_dir", "--output", "--cache_dir", "--node_dir"}


class StandIns:
    """Lays what commands read and no command before them has written; each thing is made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[makers.Maker, Path] = {}

    def lay(self, command: Command, here: Path) -> None:
        """Lay all that a command names and that is not there, in the folder `here`."""
        for name in _read_by(command, here):
            if (here / name).exists():
                continue
            for pattern, place, maker in TABLE:
                if fnmatch(name, pattern):
                    # Weights come with their run, a file of a folder with the folder.
                    at = here / (name if place is None else place(name))
                    stand_in = self.path_of(maker)
                    at.parent.mkdir(parents=True, exist_ok=True)
                    if not at.exists():
                        (shutil.copytree if stand_in.is_dir() else shutil.copyfile)(stand_in, at)
                    break

    def path_of(self, maker: makers.Maker) -> Path:
        """Return where that lies which a maker makes; it is called at the first time."""
        if maker not in self._paths:
            target = self.folder / maker.__name__
            maker(self, target)
            self._paths[maker] = target
        return self._paths[maker]


def _read_by(command: Command, here: Path) -> Iterator[str]:
    """Yield what a command may read: its words, and the data that files of settings among them name."""
    for flag, word in zip(["", *command.words], command.words, strict=False):
        if flag not in WRITTEN:
            yield word.partition("/**")[0].rstrip("/")
        if word.endswith(".yaml") and (here / word).is_file():
            sections = [section for section in read_yaml(here / word).values() if isinstance(section, dict)]
            yield from (section["data_dir"] for section in sections if section.get("data_dir"))


def _first(count: int) -> Callable[[str], str]:
    return lambda name: "/".join(name.split("/")[:count])


RESULTS = sorted(path.name for path in (ROOT / "evaluation_results").iterdir())
# Pattern of a name, the folder that comes with it (None: itself), maker; the first that fits.
TABLE: tuple[tuple[str, Callable[[str], str] | None, makers.Maker], ...] = (
    ("photo.jpg", None, makers.photo),
    ("scans", None, makers.scans),
    ("scan_masks", None, makers.masks_of_scans),
    ("patients.csv", None, makers.patients),
    ("coco128-seg/*", _first(1), makers.yolo),
    ("classes.yaml", None, makers.yolo_classes),
    ("pets_on_voc.yaml", None, makers.class_map),
    ("my.yaml", None, makers.recipe),
    ("labels.yaml", None, makers.label_curve),
    *((pattern, None, makers.photos) for pattern in ("my/pictures", "new/pictures", "photos", "slices")),
    *((pattern, None, makers.masks) for pattern in ("my/masks", "masks", "labels")),
    ("Task04_Hippocampus", None, makers.task),
    *((pattern, None, makers.pets) for pattern in ("path/to/archives", "path/to/pets")),
    *(
        (pattern, None, makers.form("voc", "SegmentationClass/*.png", (0, 8, 12, 255)))
        for pattern in ("path/to/VOC2012", "path/to/voc", "VOC")
    ),
    ("path/to/CamVid", None, makers.form("camvid", "*annot/*.png", (0, 3, 4, 11))),
    ("path/to/drive", None, makers.form("drive")),
    ("path/to/isbi-em", None, makers.form("isbi")),
    ("path/to/isic2018", None, makers.form("isic")),
    ("path/to/msrc-v2", None, makers.form("msrc", "GroundTruth/*.bmp", ((192, 64, 0), (128, 0, 0), (0, 128, 0)))),
    ("mobilenet_v2.safetensors", None, makers.mobilenet),
    ("deeplab.safetensors", None, makers.deeplab),
    ("data/hippocampus", None, makers.volumes),
    ("data/em", None, makers.membranes),
    *((pattern, _first(2), makers.pets_data) for pattern in ("data/pets*", "data/processed")),
    ("data/mine", None, makers.own_data),
    ("data/*", _first(2), makers.data),
    ("runs/mine*", _first(2), makers.own_run),
    ("runs/membrane/*", _first(2), makers.run_of_membranes),
    ("runs/ablation/pretraining/*", _first(4), makers.autoencoder),
    *((pattern, _first(2), makers.autoencoder) for pattern in ("runs/*autoencoder*", "runs/encoder*", "runs/ae*")),
    ("runs/*", _first(2), makers.run),
    *((name, None, makers.run) for name in ("A", "B")),
    *((f"evaluation_results/{name}*", _first(2), makers.results(name)) for name in reversed(RESULTS)),
)


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the packages that are not installed."""
    from importlib.util import find_spec

    return [name for name in names if find_spec(name) is None]
