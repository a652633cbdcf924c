"""The unfinished folder of a preparation: a line for each finished image, so that an interrupted call goes on."""

import json
import os
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from core.errors import UserError
from core.files import write_json
from data.manifest import SPLITS, image_path, label_path, truth_path
from data.processing import Outcome
from data.samples import Sample


class Journal:
    """Finished images in a folder that is still being written.

    An image counts as finished once its line stands here, which is after its files were written. A line holds for one
    version of the source's files: where they changed since, the image is done again.
    """

    def __init__(self, root: Path, settings: dict[str, Any]) -> None:
        """Open or start the folder.

        Raises:
            UserError: the folder holds an unfinished preparation with other settings.
        """
        self.root = root
        self.path = root / "journal.jsonl"
        settings_path = root / "settings.json"
        if settings_path.exists():
            difference = differences(json.loads(settings_path.read_text(encoding="utf-8")), settings)
            if difference:
                raise UserError(f"{root} is an unfinished preparation with other settings ({difference}): delete it")
        else:
            write_json(settings_path, settings)
        self.entries = self._read()
        self._file = self.path.open("a", encoding="utf-8")

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def is_finished(self, sample: Sample) -> bool:
        """Say whether the sample, as it is now, was finished by this call or an earlier one."""
        return self.entries.get(sample.name, {}).get("key") == _key(sample)

    def append(self, outcome: Outcome) -> None:
        """Note a finished image."""
        entry = {
            "key": _key(outcome.sample),
            "record": outcome.record,
            "digest": outcome.digest,
            "notes": outcome.notes,
        }
        self.entries[outcome.sample.name] = entry
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close_folder(self, records: list[dict[str, Any]], dataset: str) -> None:
        """Remove what only the way here needed, and pictures that belong to no record."""
        self._file.close()
        expected = set()
        for record in records:
            split, name = record["split"], record["name"]
            expected.add(image_path(self.root, split, name))
            if record["labelled"]:
                expected |= {label_path(self.root, split, name), truth_path(self.root, split, name, dataset)}
        for split in SPLITS:
            for path in (self.root / split).rglob("*.png*"):
                if path.is_file() and path not in expected:
                    path.unlink()
        self.path.unlink()
        (self.root / "settings.json").unlink()

    def _read(self) -> dict[str, dict[str, Any]]:
        entries: dict[str, dict[str, Any]] = {}
        if not self.path.exists():
            return entries
        whole = 0
        for line in self.path.read_bytes().splitlines(keepends=True):
            try:
                entry = json.loads(line)
            except ValueError:  # cut off by a kill
                break
            entries[entry["record"]["name"]] = entry
            whole += len(line)
        os.truncate(self.path, whole)
        return entries


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Name the settings that differ, as "size 128, now 256"; empty when none do."""
    return ", ".join(f"{key} {before.get(key)}, now {now[key]}" for key in now if before.get(key) != now[key])


def _key(sample: Sample) -> str:
    text = json.dumps([sample.split, sample.species, sample.breed, sample.mask is not None, *sample.stamp])
    return sha256(text.encode()).hexdigest()[:16]
