"""Where the files of a published data set lie: in the folder of --archives, unpacked or as the official archives."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.errors import UserError
from data.prepare_config import PrepareConfig
from data.sources.fetching.archives import extract
from data.sources.fetching.download import LOCK, Download, download_all, file_md5

_DEPTH = 5  # of folders around what is looked for, as in TrainVal/VOCdevkit/VOC2012
_NAMED_AT_MOST = 8


class Official:
    """The folder of a data set; what is not in it as such is looked for in the official archives that lie there.

    Attributes:
        folder: the folder.
        details: checksums of the archives that were unpacked, for the manifest.
    """

    def __init__(self, config: PrepareConfig, archives: Sequence[str], downloads: Sequence[Download] = ()) -> None:
        """Look at the folder; fetch archives first where the settings ask for it.

        Args:
            config: names the folder, and where archives are unpacked.
            archives: names of the official archives.
            downloads: those of them that may be fetched.

        Raises:
            UserError: there is no such folder, or an archive could not be fetched.
        """
        self._archives = archives
        self._target = config.raw_dir / config.dataset
        self._unpacked: list[Path] | None = None
        self._fetched = config.download
        self.details: dict[str, Any] = {}
        if config.download:
            assert downloads, "check_source looks at that"
            self._target.mkdir(parents=True, exist_ok=True)
            with FileLock(self._target / LOCK):
                download_all(downloads, self._target)
        folder = self._target if config.download else config.archives
        if folder is None or not folder.is_dir():
            raise UserError(f"{folder} is not a folder: --archives needs the folder of the data set")
        self.folder = folder

    def find(self, *needed: str) -> Path | None:
        """Return the topmost folder that holds all that is needed (names, or patterns such as `*_L.png`), or None."""
        found = None if self._fetched else _find(self.folder, needed)
        if found is None:
            candidates = (_find(folder, needed) for folder in self._unpack())
            found = next((folder for folder in candidates if folder is not None), None)
        return found

    def require(self, *needed: str) -> Path:
        """Return what `find` does.

        Raises:
            UserError: nothing is found; the message says what is needed and what is there.
        """
        found = self.find(*needed)
        if found is None:
            archives = f", or the archives {', '.join(self._archives)}" if self._archives else ""
            raise UserError(
                f"{self.folder} lacks {' and '.join(needed)}{archives}; found: {self.content()}. "
                f"Give the folder that holds them with --archives"
            )
        return found

    def content(self) -> str:
        """Name the first things that lie in the folder."""
        names = sorted(path.name for path in self.folder.iterdir())
        return ", ".join(names[:_NAMED_AT_MOST]) + (", ..." if len(names) > _NAMED_AT_MOST else "") or "nothing"

    def _unpack(self) -> list[Path]:
        """Unpack the official archives that are there, each into a folder of its own."""
        if self._unpacked is None:
            present = [self.folder / name for name in self._archives if (self.folder / name).is_file()]
            self._unpacked = []
            if present:
                self._target.mkdir(parents=True, exist_ok=True)
                with FileLock(self._target / LOCK):
                    self._unpacked = [self._unpack_one(path) for path in present]
        return self._unpacked

    def _unpack_one(self, archive: Path) -> Path:
        md5 = file_md5(archive)
        self.details.setdefault("archives", {})[archive.name] = {"md5": md5}
        # The checksum in the folder's name keeps what an older archive held from being taken for this one's.
        return extract(archive, self._target / f"{archive.name.partition('.')[0]}-{md5[:12]}")


def _find(root: Path, needed: Sequence[str]) -> Path | None:
    return next((folder for folder in _folders(root) if all(_holds(folder, name) for name in needed)), None)


def _holds(folder: Path, name: str) -> bool:
    return any(folder.glob(name)) if "*" in name else (folder / name).exists()


def _folders(root: Path) -> Iterator[Path]:
    """Yield the folder and those below it, level by level."""
    level = [root]
    for _ in range(_DEPTH):
        yield from level
        level = [below for folder in level for below in _subfolders(folder)]


def _subfolders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [folder / name for name in names if not name.startswith((".", "__MACOSX"))]
