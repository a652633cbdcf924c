"""The processed folder: where its files lie and what its manifest says, read through one schema."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, FiniteFloat, TypeAdapter, ValidationError

from core.classes import ClassSet
from core.errors import UserError, first_problem
from core.files import open_text
from core.filing.json_file import NotJSONError, parse_json
from data.geometry import Geometry
from data.prepared.fingerprint import FORMAT_VERSION, UNSEALED, Seal
from data.prepared.format_1 import head_of_today, record_of_today
from data.prepared.streamed import objects, until_images
from data.preprocessing.steps import parse_steps
from data.volumes.geometry import VolumeGeometry
from data.volumes.intensity import Intensity

SPLITS = ("Train", "Val", "Test")
ARRAYS = "arrays"
LABEL_FOLDERS = {"Train": "resized_label", "Val": "processed_labels", "Test": "masks"}

_Integer = Annotated[int, Field(strict=True)]
_Count = Annotated[_Integer, Field(ge=0)]
_Side = Annotated[_Integer, Field(ge=1)]
_Number = Annotated[FiniteFloat, Field(strict=True)]


def image_path(root: Path, split: str, name: str) -> Path:
    """The picture as training reads it, RGB or grey."""
    return root / split / "resized" / f"{name}.png"


def label_path(root: Path, split: str, name: str) -> Path:
    """Its label: indices of classes, 255."""
    return root / split / LABEL_FOLDERS[split] / f"{name}.png"


def truth_path(root: Path, split: str, name: str) -> Path:
    """The label at the picture's original size."""
    return root / split / "original_labels" / f"{name}.png"


def trimap_path(root: Path, split: str, name: str) -> Path:
    """What format 1 kept instead for Pets: the trimap (1, 2, 3) at the picture's original size."""
    return root / split / "original_trimaps" / f"{name}.png"


def volume_path(root: Path, split: str, name: str) -> Path:
    """The volume as training reads it, [C, D, H, W] of 16 bits: 0 to 65535 stand for 0 to 1."""
    return root / split / "volumes" / f"{name}.npy"


def volume_label_path(root: Path, split: str, name: str) -> Path:
    """Its label [D, H, W]: indices of classes, 255."""
    return root / split / "labels" / f"{name}.npy"


def volume_truth_path(root: Path, split: str, name: str) -> Path:
    """The label before it was resampled."""
    return root / split / "original_labels" / f"{name}.npy"


def foreground_path(root: Path, split: str, name: str) -> Path:
    """Some voxels of each class that is looked for, which patches are centred on: [P, 4], class and place."""
    return root / split / "foreground" / f"{name}.npy"


@dataclass(frozen=True)
class Places:
    """Where the files of a picture lie: the first is the picture, the others come with a mask."""

    paths: tuple[Callable[[Path, str, str], Path], ...]
    suffix: str


PLACES = {
    2: Places((image_path, label_path, truth_path), ".png"),
    3: Places((volume_path, volume_label_path, volume_truth_path, foreground_path), ".npy"),
}


@dataclass(frozen=True)
class Counts:
    """How many pictures a split has, and how many of them have a mask."""

    images: _Count
    labelled: _Count


def _of_every_split(counts: dict[str, Counts]) -> dict[str, Counts]:
    if missing := [split for split in SPLITS if split not in counts]:
        raise ValueError(f"it lacks {', '.join(missing)}")
    return counts


def _steps(text: str | None) -> str | None:
    if text is not None:
        parse_steps(text)
    return text


@dataclass(frozen=True)
class Manifest:
    """What the manifest says of the data as a whole; what it says besides is for people.

    Attributes:
        format_version: in which it was written; what format 1 called otherwise has the names of today here.
        dataset, source, seed, ratios: what was prepared, with which settings; see `PrepareConfig.settings`.
        size: height and width of the canvas that the pictures lie on; of volumes depth, height and width that all fit
            into.
        resize_mode: how they came onto it; `own`: volumes keep their own shapes.
        class_set: what the labels mean.
        channels: of the pictures, 1 or 3; of volumes any number of modalities.
        stratum: the tag that label fractions are shared out by; None takes the rarest class that a picture holds.
        tags: the names of what else is known of pictures.
        counts: split -> how many pictures it has.
        fingerprint: SHA-256 over settings and contents.
        listing: digest of the names, sizes and times of the files that were prepared, of one's own pictures.
        lists: SHA-256 of each list that lay in the folder of a public data set.
        archives: of a public data set those that were unpacked, each with its MD5.
        value_range: of pictures deeper than 8 bits, the values that became 0 and 255.
        preprocess: what was done to intensities, as `data.preprocessing.steps` writes it; None: nothing.
        copies: what became of copies across an official division, as `--copies` says.
        trimaps: whether the truth is kept as trimaps, as format 1 did for Pets.
        sha256: the manifest's `Seal`; None in data prepared before there was one.
        dims: 2 for pictures, 3 for volumes.
        spacing: of volumes, in mm along [D, H, W]; None: each has its own.
        intensity: of volumes, how each channel's voxels became 0 to 1 (`data.volumes.intensity`).
        label_values: of volumes, the value of each class in the masks, and in predictions.
    """

    format_version: Literal[1, 2, 3]
    dataset: str
    source: dict[str, Any]
    size: tuple[_Side, ...]
    resize_mode: Literal["letterbox", "stretch", "own"]
    seed: _Integer
    ratios: dict[str, _Number]
    class_set: Annotated[ClassSet, BeforeValidator(ClassSet.of)]
    channels: Annotated[_Integer, Field(ge=1)]
    stratum: str | None
    tags: tuple[str, ...]
    counts: Annotated[dict[str, Counts], AfterValidator(_of_every_split)]
    fingerprint: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    listing: str | None = None
    lists: dict[str, str] | None = None
    archives: dict[str, dict[str, Any]] | None = None
    value_range: tuple[_Number, _Number] | None = None
    preprocess: Annotated[str | None, AfterValidator(_steps)] = None
    copies: Literal["report", "leave_out"] = "report"
    trimaps: bool = False
    sha256: str | None = None
    dims: Literal[2, 3] = 2
    spacing: tuple[_Number, _Number, _Number] | None = None
    intensity: tuple[Intensity, ...] = ()
    label_values: tuple[_Count, ...] = ()

    def __post_init__(self) -> None:
        if len(self.size) != self.dims:
            raise ValueError(f"size: {len(self.size)} sides of {self.dims}")
        if self.dims == 2 and self.channels not in (1, 3):
            raise ValueError("channels: pictures have 1 or 3")

    @property
    def settings(self) -> dict[str, Any]:
        """What decided the prepared data, as `PrepareConfig.settings` says it."""
        names = ("dataset", "source", "resize_mode", "seed", "ratios")
        known = {name: getattr(self, name) for name in names}
        size = {} if self.dims == 3 else {"size": list(self.size)}
        steps = {"preprocess": self.preprocess} if self.preprocess else {}
        copies = {"copies": self.copies} if self.copies != "report" else {}
        return {**known, **size, **steps, **copies}

    def truth_path(self, root: Path, split: str, name: str) -> Path:
        """Where the label of a picture lies at its original size."""
        return (trimap_path if self.trimaps else truth_path)(root, split, name)


@dataclass(frozen=True)
class RecordContent:
    """What a record in the manifest has to be."""

    name: Annotated[str, Field(min_length=1)]
    split: Literal["Train", "Val", "Test"]
    tags: dict[str, str]
    labelled: Annotated[bool, Field(strict=True)]
    classes: list[_Count]
    geometry: Geometry | VolumeGeometry
    sha256: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")] = ""
    content: Annotated[str, Field(pattern="^([0-9a-f]{16})?$")] = ""


class Record(NamedTuple):
    """What the manifest says of a picture.

    Attributes:
        content: 16 hexadecimal digits over its pixels at original size.
        sha256: of its pixels as written, and those of its label and truth. Both are "" in data prepared before.
    """

    name: str
    tags: dict[str, str]
    classes: tuple[int, ...]
    labelled: bool
    geometry: Geometry | VolumeGeometry
    content: str = ""
    sha256: str = ""


def read_manifest(data_dir: Path) -> Manifest:
    """Read the manifest of a processed folder, without the records of its images: those come from `read_records`.

    Raises:
        UserError: if there is none, it is not one that this version reads, or a field of it is not what it must be.
    """
    path = data_dir / "manifest.json"
    remedy = f"delete {data_dir} and {prepare_hint(data_dir)}"
    try:
        with open_text(path) as file:
            head, _ = until_images(file)
        content = parse_json(head, str(path))
    except (FileNotFoundError, NotADirectoryError):
        others = data_dir.is_dir() and any(data_dir.iterdir())
        hint = "give the folder that data.prepare wrote, its --output_dir" if others else prepare_hint(data_dir)
        raise UserError(f"{data_dir} holds no prepared data (no manifest.json): {hint}") from None
    except NotJSONError as error:
        raise UserError(f"{path} is damaged ({error.reason}): {remedy}") from None
    except ValueError:
        raise UserError(f"{path} is damaged: {remedy}") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if version not in (1, UNSEALED, FORMAT_VERSION):
        raise UserError(f"{path} is of another version: {remedy}")
    if version == FORMAT_VERSION and "sha256" not in content:
        raise UserError(damaged(data_dir, "the sha256 that it was written with was taken out"))
    try:
        return TypeAdapter(Manifest).validate_python(head_of_today(content) if version == 1 else content)
    except ValidationError as errors:
        raise UserError(f"{path} is damaged ({first_problem(errors)}): {remedy}") from None


def read_records(data_dir: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all images one by one, so that a large manifest need not be in memory.

    Those of format 1 come in the form of today; which classes a picture holds they did not say. Behind the last one it
    is seen whether the manifest is as it was written, where it says so.

    Raises:
        UserError: the manifest is cut, damaged or altered.
    """
    seal = Seal()
    try:
        with open_text(data_dir / "manifest.json") as file:
            text, rest = until_images(file)
            head = parse_json(text, "manifest.json")
            for record in objects(rest, file):
                if "sha256" in head:
                    seal.add(record)
                yield record if "tags" in record else record_of_today(record)
        altered = "sha256" in head and head["sha256"] != seal.close(head)
    except UserError as error:
        raise UserError(damaged(data_dir, str(error))) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(damaged(data_dir, "")) from None
    if altered:
        raise UserError(damaged(data_dir, "altered after data.prepare wrote it: its sha256 does not fit"))


def damaged(data_dir: Path, why: str) -> str:
    """Return the error of a manifest that is not as it was written."""
    of = f" ({why})" if why else ""
    return f"{data_dir / 'manifest.json'} is damaged{of}: delete {data_dir} and {prepare_hint(data_dir)}"


def missing(path: Path, data_dir: Path) -> str:
    """Return the error of a file of prepared data that is not there, or not whole."""
    return f"{path} is missing or damaged: delete {data_dir} and {prepare_hint(data_dir)}"


def prepare_hint(data_dir: Path) -> str:
    """The remedy that every error about prepared data ends with."""
    return f"run python -m data.prepare --output_dir {data_dir}"
