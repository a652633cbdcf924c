"""Small drawn things that stand where pages name data, weights, runs and archives that their reader has."""

import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import yaml
from documented_commands import ROOT, Command, blocks_of
from own_pictures import indices, write_masks, write_pictures
from PIL import Image
from sample_classes import write_data
from sample_layouts import save, save_picture
from sample_pets import make_pets
from sample_sources import FORMS
from sample_weights import write_weights

from core.classes import ClassSet
from core.filing.yaml_file import read_yaml
from data.prepare import main as prepare
from reconstruction.train import main as pretrain
from transfer_learning.train import main as train

SIDE = 64  # a scale of 0.75 leaves more than the 33 px that networks need
NAMES = [f"photo_{number}" for number in range(30)]
STEPS = ["--max_steps", "2", "--val_every", "1"]
TRAINING = ["--width", "2", "--batch_size", "4", *STEPS, "--device", "cpu", "--amp", "off"]
# What follows these flags a command makes itself.
WRITTEN = {"--output_dir", "--output", "--cache_dir", "--node_dir"}
PICTURES = (".png", ".jpg", ".bmp", ".tif")
YOLO_VALUES = (0, 2, 10, 47)
# Writes a stand-in to a path; what it is made of may be stand-ins too.
Maker = Callable[["StandIns", Path], object]


class StandIns:
    """Lays what commands read and no command before them has written; each thing is made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._paths: dict[Maker, Path] = {}

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

    def path_of(self, maker: Maker) -> Path:
        """Return where that lies which a maker makes; it is called at the first time."""
        if maker not in self._paths:
            target = self.folder / maker.__name__.strip("_")
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


def _photos(_: StandIns, target: Path) -> None:
    write_pictures(target, NAMES)


def _photo(_: StandIns, target: Path) -> None:
    write_pictures(target.with_name("one"), ["photo"])
    shutil.copyfile(target.with_name("one") / "photo.jpg", target)


def _masks(_: StandIns, target: Path) -> None:
    """Write those of most photographs."""
    write_masks(target, {name: indices(number, 3) for number, name in enumerate(NAMES[:24])})


def _scans(stand_ins: StandIns, target: Path) -> None:
    shutil.copytree(stand_ins.path_of(_task) / "imagesTr", target)


def _masks_of_scans(stand_ins: StandIns, target: Path) -> None:
    shutil.copytree(stand_ins.path_of(_task) / "labelsTr", target)


def _patients(_: StandIns, target: Path) -> None:
    target.write_text("file,patient\n" + "".join(f"case_{number},{number // 2}\n" for number in range(8)))


def _yolo(_: StandIns, target: Path) -> None:
    write_pictures(target / "images", NAMES)
    (target / "labels").mkdir()
    for number, name in enumerate(NAMES):
        lines = []
        for place, value in enumerate(YOLO_VALUES):
            left, top = 0.02 + 0.24 * place, 0.1 + 0.01 * number
            corners = [(left, top), (left + 0.2, top), (left + 0.2, top + 0.5), (left, top + 0.5)]
            lines.append(" ".join(map(str, (value, *(round(side, 4) for corner in corners for side in corner)))))
        (target / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def _yolo_classes(_: StandIns, target: Path) -> None:
    target.write_text(blocks_of(ROOT / "docs/own_pictures.md", "yaml")[0])


def _pets(_: StandIns, target: Path) -> None:
    made = make_pets(target.with_name("pets_unpacked"))
    target.mkdir()
    for part in ("images", "annotations"):
        with tarfile.open(target / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(made / part, part)


def _form(name: str, masks: str = "", values: tuple[object, ...] = ()) -> Maker:
    """Return a maker of a public data set's layout: pictures that differ, and masks of so many values."""

    def make(_: StandIns, target: Path) -> None:
        FORMS[name].make(target)
        for number, path in enumerate(sorted(target.rglob("*.*"))):
            if masks and path.match(masks):
                label = np.array(values, np.uint8)[indices(number, len(values))]
                save(path, label[:36:3, :48:3], palette=name == "voc")
            elif path.suffix in PICTURES and "Truth" not in str(path) and Image.open(path).mode == "RGB":
                save_picture(path, number)

    make.__name__ = f"form_{name}"
    return make


def _task(_: StandIns, target: Path) -> None:
    from sample_task import write_task

    write_task(target)


def _data(_: StandIns, target: Path) -> None:
    flags = f"--dataset synthetic --num_images 60 --labelled_fraction 0.4 --size {SIDE} --workers 1"
    assert prepare([*flags.split(), "--output_dir", str(target)]) == 0


def _own_data(stand_ins: StandIns, target: Path) -> None:
    own = ["--images", str(stand_ins.path_of(_photos)), "--masks", str(stand_ins.path_of(_masks)), "--size", str(SIDE)]
    assert prepare(["--dataset", "folder", *own, "--workers", "1", "--output_dir", str(target)]) == 0


def _pets_data(stand_ins: StandIns, target: Path) -> None:
    flags = ["--archives", str(stand_ins.path_of(_pets)), "--size", str(SIDE), "--workers", "1"]
    assert prepare([*flags, "--output_dir", str(target)]) == 0


def _volumes(stand_ins: StandIns, target: Path) -> None:
    task = ["--dataset", "msd", "--archives", str(stand_ins.path_of(_task))]
    assert prepare([*task, "--output_dir", str(target)]) == 0


MEMBRANE = ClassSet(("background", "membrane"))


def _membranes(_: StandIns, target: Path) -> None:
    write_data(target, MEMBRANE)


def _run_of_membranes(_: StandIns, target: Path) -> None:
    target.mkdir()
    write_weights(target / "best_model.safetensors", 0, SIDE, MEMBRANE)


def _autoencoder(stand_ins: StandIns, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(_pets_data)), "--perceptual_weight", "0"]
    assert pretrain([*TRAINING, *data, "--output_dir", str(target)]) == 0


def _run(stand_ins: StandIns, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(_pets_data))]
    assert train([*TRAINING, *data, "--output_dir", str(target)]) == 0


def _own_run(stand_ins: StandIns, target: Path) -> None:
    data = ["--data_dir", str(stand_ins.path_of(_own_data))]
    assert train([*TRAINING, *data, "--output_dir", str(target)]) == 0


def _mobilenet(_: StandIns, target: Path) -> None:
    import timm
    from safetensors.torch import save_file

    save_file(timm.create_model("mobilenetv2_100").state_dict(), target)


def _deeplab(_: StandIns, target: Path) -> None:
    from data.sources.voc2012 import CLASSES

    write_weights(target, 0, SIDE, CLASSES)


def _class_map(_: StandIns, target: Path) -> None:
    (content,) = [block for block in blocks_of(ROOT / "docs/evaluate.md", "yaml") if "pets_on_voc.yaml" in block]
    target.write_text(content)


def _recipe(_: StandIns, target: Path) -> None:
    content = yaml.safe_load(blocks_of(ROOT / "docs/recipes.md", "yaml")[0])
    content["data"]["num_images"] = 40
    content["transfer_learning"] |= {"width": 2, "max_steps": 2, "val_every": 1}
    target.write_text(yaml.safe_dump(content))


def _results(name: str) -> Maker:
    def make(_: StandIns, target: Path) -> None:
        shutil.copytree(ROOT / "evaluation_results" / name, target)

    make.__name__ = f"results_{name}"
    return make


def _first(count: int) -> Callable[[str], str]:
    return lambda name: "/".join(name.split("/")[:count])


RESULTS = sorted(path.name for path in (ROOT / "evaluation_results").iterdir())
# Pattern of a name, the folder that comes with it (None: itself), maker; the first that fits.
TABLE: tuple[tuple[str, Callable[[str], str] | None, Maker], ...] = (
    ("photo.jpg", None, _photo),
    ("scans", None, _scans),
    ("scan_masks", None, _masks_of_scans),
    ("patients.csv", None, _patients),
    ("coco128-seg/*", _first(1), _yolo),
    ("classes.yaml", None, _yolo_classes),
    ("pets_on_voc.yaml", None, _class_map),
    ("my.yaml", None, _recipe),
    *((pattern, None, _photos) for pattern in ("my/pictures", "new/pictures", "photos", "slices")),
    *((pattern, None, _masks) for pattern in ("my/masks", "masks", "labels")),
    ("Task04_Hippocampus", None, _task),
    *((pattern, None, _pets) for pattern in ("path/to/archives", "path/to/pets")),
    *(
        (pattern, None, _form("voc", "SegmentationClass/*.png", (0, 8, 12, 255)))
        for pattern in ("path/to/VOC2012", "path/to/voc", "VOC")
    ),
    ("path/to/CamVid", None, _form("camvid", "*annot/*.png", (0, 3, 4, 11))),
    ("path/to/drive", None, _form("drive")),
    ("path/to/isbi-em", None, _form("isbi")),
    ("path/to/isic2018", None, _form("isic")),
    ("path/to/msrc-v2", None, _form("msrc", "GroundTruth/*.bmp", ((192, 64, 0), (128, 0, 0), (0, 128, 0)))),
    ("mobilenet_v2.safetensors", None, _mobilenet),
    ("deeplab.safetensors", None, _deeplab),
    ("data/hippocampus", None, _volumes),
    ("data/em", None, _membranes),
    *((pattern, _first(2), _pets_data) for pattern in ("data/pets*", "data/processed")),
    ("data/mine", None, _own_data),
    ("data/*", _first(2), _data),
    ("runs/mine*", _first(2), _own_run),
    ("runs/membrane/*", _first(2), _run_of_membranes),
    ("runs/ablation/pretraining/*", _first(4), _autoencoder),
    *((pattern, _first(2), _autoencoder) for pattern in ("runs/*autoencoder*", "runs/encoder*", "runs/ae*")),
    ("runs/*", _first(2), _run),
    *((name, None, _run) for name in ("A", "B")),
    *((f"evaluation_results/{name}*", _first(2), _results(name)) for name in reversed(RESULTS)),
)


def missing(names: Iterable[str]) -> list[str]:
    """Return those of the packages that are not installed."""
    from importlib.util import find_spec

    return [name for name in names if find_spec(name) is None]
