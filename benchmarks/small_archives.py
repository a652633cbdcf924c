"""Write Oxford-IIIT Pet's archives again, small enough to be carried to a machine with a GPU.

Pictures are scaled to one side and saved as JPEG, the quality lowered until the archives fit; unlabelled pictures of
the official test list, which nothing reads, stay behind. Trimaps are scaled with their pictures. Both are others than
the official ones: scores on them are scores of these.

    python -m benchmarks.small_archives --archives path/to/archives --output_dir data/small_archives
"""

import io
import sys
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.command import run_command
from core.errors import UserError
from core.filing.paths import real

QUALITIES = (90, 85, 80, 75, 70, 60, 50)
MIB = 2**20


@dataclass(frozen=True)
class SmallArchivesConfig:
    """Which archives, and how small."""

    archives: Path | None = None
    """Folder with images.tar.gz and annotations.tar.gz."""
    output_dir: Path = Path("data/small_archives")
    """Where the new ones go."""
    size: int = 256
    """The longer side of a picture, in pixels, at most."""
    most_mib: int = 50
    """Both archives together, in MiB."""

    def __post_init__(self) -> None:
        if self.size < 1 or self.most_mib < 1:
            raise UserError("size and most_mib are numbers from 1 upwards")


def small_archives(config: SmallArchivesConfig) -> None:
    """Write images.tar.gz and annotations.tar.gz.

    Raises:
        UserError: the archives are not there, are damaged, or do not fit at the lowest quality.
    """
    from core.terminal.progress import track

    if config.archives and real(config.archives) == real(config.output_dir):
        raise UserError("--output_dir is the folder of --archives: the new ones would replace those")
    images, annotations = (_archive(config, name) for name in ("images.tar.gz", "annotations.tar.gz"))
    wanted = _wanted(annotations)
    config.output_dir.mkdir(parents=True, exist_ok=True)
    pictures = {}
    with tarfile.open(images) as archive:
        members = [member for member in archive if member.isfile() and Path(member.name).stem in wanted]
        for member in track(members, "scaling", len(members)):
            pictures[member.name] = _scaled(archive, member, config.size, cv2.IMREAD_COLOR, cv2.INTER_AREA)
    lists = _write(config.output_dir / annotations.name, _annotations(annotations, config.size).items())
    target = config.output_dir / images.name
    for quality in QUALITIES:
        coding = [cv2.IMWRITE_JPEG_QUALITY, quality]
        coded = ((name, cv2.imencode(".jpg", picture, coding)[1].tobytes()) for name, picture in pictures.items())
        size = _write(target, coded) + lists
        if size <= config.most_mib * MIB:
            print(f"{config.output_dir}: {len(pictures)} pictures, quality {quality}, {size / MIB:.1f} MiB in all")
            return
    target.unlink()
    raise UserError(f"{size / MIB:.1f} MiB at quality {quality}: raise --most_mib, or lower --size")


def _archive(config: SmallArchivesConfig, name: str) -> Path:
    path = config.archives / name if config.archives else None
    if path is None or not path.is_file():
        raise UserError(f"--archives needs the folder that holds {name}")
    return path


def _wanted(annotations: Path) -> set[str]:
    """Return the names of trainval, and of test those with a trimap."""
    names: dict[str, set[str]] = {"trainval": set(), "test": set(), "trimaps": set()}
    with tarfile.open(annotations) as archive:
        for member in archive:
            path = Path(member.name)
            if path.name in ("trainval.txt", "test.txt") and (file := archive.extractfile(member)):
                lines = file.read().decode().splitlines()
                names[path.stem] = {line.split()[0] for line in lines if line.strip() and not line.startswith("#")}
            elif path.parent.name == "trimaps":
                names["trimaps"].add(path.stem)
    return names["trainval"] | names["test"] & names["trimaps"]


def _annotations(path: Path, size: int) -> dict[str, bytes]:
    """Return the files of the annotations by their names, trimaps scaled as the pictures are."""
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if Path(member.name).suffix == ".png" and not Path(member.name).name.startswith("."):
                trimap = _scaled(archive, member, size, cv2.IMREAD_GRAYSCALE, cv2.INTER_NEAREST)
                files[member.name] = cv2.imencode(".png", trimap)[1].tobytes()
            elif Path(member.name).suffix == ".txt" and (file := archive.extractfile(member)):
                files[member.name] = file.read()
    return files


def _scaled(archive: tarfile.TarFile, member: tarfile.TarInfo, size: int, how: int, interpolation: int) -> np.ndarray:
    """Return a picture [H, W, 3] BGR, or a trimap [H, W], whose longer side has at most `size` pixels."""
    file = archive.extractfile(member)
    picture = cv2.imdecode(np.frombuffer(file.read() if file else b"", np.uint8), how)
    if picture is None:
        raise UserError(f"{member.name} cannot be read as a picture")
    height, width = picture.shape[:2]
    factor = min(1.0, size / max(height, width))
    sides = max(1, round(width * factor)), max(1, round(height * factor))
    return picture if factor == 1.0 else cv2.resize(picture, sides, interpolation=interpolation)


def _write(target: Path, files: Iterable[tuple[str, bytes]]) -> int:
    """Write an archive of files, (name, content) each; returns its bytes."""
    with tarfile.open(target, "w:gz", compresslevel=1) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.stat().st_size


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    command, section = "benchmarks.small_archives", "small_archives"
    return run_command(command, SmallArchivesConfig, small_archives, argv, section=section, description=str(__doc__))


if __name__ == "__main__":
    sys.exit(main())
