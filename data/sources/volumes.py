"""One's own volumes: NIfTI, NRRD or MHA files and DICOM series (a folder each), and for some a mask of the same name.

--classes names the masks' values 0, 1, 2, ..., or is a YAML that says each class's value; without it every value that
the masks hold is a class. Splits are as of one's own pictures.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from data.annotations.request import read_request, values_of
from data.decoders.opening import PictureError
from data.prepare_config import PrepareConfig
from data.sources.own.dividing.divide import divide
from data.sources.own.dividing.tags import read_tags
from data.sources.own.progress import with_progress
from data.sources.source import Source, file_stamp
from data.volumes.cases import files_in, frames_of, plan_of, sample_of
from data.volumes.frame import Frame
from data.volumes.itk_files import is_dicom, slices_in
from data.volumes.reading import SUFFIXES, read_volume

_DATA = (".raw", ".zraw", ".raw.gz")  # of an MHD or NHDR beside them


class Listed:
    """Volumes by their names, with what `divide` asks of pictures."""

    def __init__(self, config: PrepareConfig) -> None:
        """Raises UserError where there is no folder, or no volume in it."""
        folder = config.require_images()
        self.images, self.others = _volumes(folder)
        if not self.images:
            held = "a DICOM series itself: give the folder above it" if slices_in(folder) else "no volume"
            raise UserError(f"{folder} holds {held} ({', '.join(SUFFIXES)}, or a folder a DICOM series)")
        masks = _volumes(config.masks)[0] if config.masks else {}
        self.masks = {name: path for name, path in masks.items() if name in self.images}
        self.strays = [str(path) for name, path in masks.items() if name not in self.images]
        if config.masks and not self.masks:
            raise UserError(
                f"{config.masks} holds no mask of the same name as a volume ({next(iter(self.images))}, ...)"
            )

    def names(self, labelled: bool | None = None) -> Iterator[str]:
        """Yield the names in order; of those with a mask, or without."""
        return (name for name in self.images if labelled is None or (name in self.masks) == labelled)

    def find(self, written: str) -> str | None:
        """Return the volume of a name with or without its suffix."""
        bare = _bare(written)
        return next((name for name in (written, bare) if name in self.images), None)


def read(config: PrepareConfig) -> Source:
    """List one's own volumes and decide how they are read.

    Raises:
        UserError: there are none, or the division or the classes cannot be used.
    """
    listed = Listed(config)
    tags = read_tags(config.tag_file, listed.find) if config.tag_file else {}
    division = divide(listed, tags, config)
    classes, values, said = _classes(listed, config)
    images = {name: (listed.images[name],) for name in division.splits}
    frames, unread = frames_of(images)
    channels, modality = _usual(frames)
    train = [name for name, split in division.splits.items() if split == "Train"]
    plan, how = plan_of(config, frames, train, [modality] * channels, values)
    samples = [
        sample_of(name, split, images[name], listed.masks.get(name), values, plan.trust_shapes, tags.get(name, {}))
        for name, split in sorted(division.splits.items())
    ]
    return Source(
        samples,
        classes,
        channels=channels,
        stratum=config.stratify_by,
        official=False,
        drawn=division.drawn,
        group=config.group_by,
        passed_over=[
            *((path, "a mask without its volume") for path in listed.strays),
            *((str(path), _why(path)) for path in listed.others),
            *division.left_out.items(),
            *division.held_back.items(),
        ],
        details={"listing": listing(config)},
        notes=[*said, *division.notes, *how, *unread],
        plan=plan,
    )


def listing(config: PrepareConfig) -> str:
    """Return a digest of names, sizes and times of all files, and of those that the settings name."""
    more = [path for path in (config.tag_file, config.splits, *map(Path, config.classes)) if path and path.is_file()]
    rows = [[name, *file_stamp(*paths)] for name, paths in files(config)] + [
        [str(path), *file_stamp(path)] for path in more
    ]
    return sha256(repr(rows).encode()).hexdigest()


def files(config: PrepareConfig) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """Yield the name and the files of each volume."""
    listed = Listed(config)
    for name, image in listed.images.items():
        yield name, (*files_in(image), *(files_in(listed.masks[name]) if name in listed.masks else ()))


def _usual(frames: Mapping[str, Frame]) -> tuple[int, str]:
    """Return how many modalities most volumes have, and what most say of these: the others are left out by name."""
    channels = Counter(frame.channels for frame in frames.values())
    usual = min(channels, key=lambda number: (-channels[number], number))
    kinds = Counter(frame.modality for frame in frames.values() if frame.channels == usual)
    return usual, kinds.most_common(1)[0][0]


def _why(path: Path) -> str:
    if is_dicom(path):
        return "a slice of DICOM outside a folder: lay each series into a folder of its own"
    return f"no volume: {', '.join(SUFFIXES)}, or a folder a DICOM series"


def _volumes(folder: Path) -> tuple[Mapping[str, Path], list[Path]]:
    """Return the volumes below a folder by their names, files and folders of DICOM; and the files of none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: --images and --masks are folders of volumes")
    found: dict[str, Path] = {}
    others = []
    for path in sorted(folder.rglob("*")):
        is_volume = path.name.lower().endswith(SUFFIXES) or (path.is_dir() and slices_in(path))
        if path.name.startswith(".") or not is_volume:
            others += [path] if path.is_file() else []
            continue
        name = _bare(path.relative_to(folder).as_posix())
        if name in found:
            raise UserError(f"{found[name]} and {path} are two files for one name: move one away")
        found[name] = path
    series = {path for path in found.values() if path.is_dir()}
    return found, [path for path in others if path.parent not in series and not path.name.lower().endswith(_DATA)]


def _bare(name: str) -> str:
    suffix = next((suffix for suffix in sorted(SUFFIXES, key=len)[::-1] if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]


def _classes(listed: Listed, config: PrepareConfig) -> tuple[ClassSet, tuple[int, ...], list[str]]:
    """Return the classes, the value of each in the masks, and what to say of them."""
    request = read_request(config.classes)
    if request is None:
        values = _values_held(listed, config)
        names = tuple("background" if value == 0 else f"class_{value}" for value in values)
        said = [f"the masks hold {', '.join(map(str, values))}, each a class: --classes names them"] if values else []
    elif request.codes:
        each = [values_of(code, request.where) for code in request.codes]
        if any(len(several) > 1 for several in each):
            raise UserError(f"{request.where}: a class of volumes has one value")
        names, values, said = request.names, tuple(several[0] for several in each), []
    else:
        names, values, said = request.names, tuple(range(len(request.names))), []
    if len(names) < 2:  # nothing is labelled: phase 1 alone
        names, values = ("background", "foreground"), (0, 1)
    return ClassSet(names, background=values.index(0) if 0 in values else None), values, said


def _values_held(listed: Listed, config: PrepareConfig) -> tuple[int, ...]:
    found: set[int] = set()
    for values in with_progress("masks", len(listed.masks), config, _values_of, listed.masks.values()):
        found |= values
        if len(found) > 254:
            raise UserError(f"the masks hold more than 254 values ({sorted(found)[:3]}, ...): are they masks?")
    return tuple(sorted(found - {255}))


def _values_of(path: Path) -> set[int]:
    try:
        return {int(value) for value in np.unique(np.round(read_volume(path)[1])).tolist()}
    except PictureError:  # which is told where it is prepared
        return set()
