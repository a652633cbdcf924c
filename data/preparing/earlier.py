"""What an earlier preparation left in the output folder: whether it is what is asked for now, and still whole."""

import os
from pathlib import Path
from struct import pack

import cv2

from core.errors import UserError
from core.files import open_bytes, write_json
from core.filing.json_file import read_json
from core.terminal.screen import say
from data.decoders.png import SIGNATURE
from data.geometry import Geometry
from data.manifest import ARRAYS, SPLITS, Manifest, Record, image_path, label_path, missing
from data.opened import open_data
from data.pictures import read_png
from data.prepare_config import PrepareConfig
from data.preparing.differences import differences
from data.preparing.inputs import INPUTS, Inputs, files_now
from data.preparing.place import REPORT, SPLITS_FILE, is_empty
from data.sources.table import archives_of, files_of, listing_of, lists_of, open_source

_REMEDY = "give another --output_dir, or delete that one first"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_SIDES = slice(16, 24)  # bytes: width and height


def is_prepared(config: PrepareConfig) -> bool:
    """Say whether the output folder holds what is asked for; what can be made of the rest is made again.

    Raises:
        UserError: it holds something else, of other settings or other files, or something is missing, cut or altered.
    """
    output = config.output_dir
    if is_empty(output):
        return False
    if not (output / "manifest.json").exists():
        raise UserError(f"{output} holds something else than prepared data: give another --output_dir")
    data = open_data(output)
    manifest, records = data.manifest, data.records(*SPLITS)
    before = manifest.settings
    # Earlier versions knew fewer settings of a source.
    before["source"] = {**config.source_defaults(), **manifest.source}
    if difference := differences(before, config.settings()):
        raise UserError(f"{output} was prepared with other settings ({difference}): {_REMEDY}")
    if manifest.lists is not None and lists_of(config) != manifest.lists:
        raise UserError(f"{output} was prepared before the lists in {config.archives} changed: {_REMEDY}")
    if manifest.sha256 is not None or (output / INPUTS).exists():  # before it was sealed there was not always one
        _require_same_inputs(manifest, records, config)
    if manifest.listing is not None and listing_of(config) != manifest.listing:
        raise UserError(f"{output} was prepared before files in {config.images} or its masks changed: {_REMEDY}")
    _require_whole(output, manifest, records)
    _mend(output, records)
    return True


def build_arrays(root: Path) -> None:
    """Build what training reads, so that the prepared folder may be read-only from now on."""
    data = open_data(root)
    data.splits(*(split for split, count in data.manifest.counts.items() if count.images))


def _require_same_inputs(manifest: Manifest, records: dict[str, list[Record]], config: PrepareConfig) -> None:
    output = config.output_dir
    try:
        inputs = Inputs(output)
    except (OSError, ValueError, UserError):
        inputs = None
    names = (record.name for members in records.values() for record in members)
    if inputs is None or (manifest.listing is not None and inputs.lacks(names)):
        raise UserError(f"{output / INPUTS} is missing or damaged, so what was prepared cannot be compared: {_REMEDY}")
    if manifest.listing is not None:
        changed = inputs.changed_file(files_of(config), complete=False)
    elif manifest.archives or config.archives is None:
        changed = inputs.changed_archive(config.archives, archives_of(config))
    else:
        changed = inputs.changed_file(files_now(open_source(config).samples), complete=True)
    if changed:
        raise UserError(f"{output} was prepared before {changed}: {_REMEDY}")


def _require_whole(output: Path, manifest: Manifest, records: dict[str, list[Record]]) -> None:
    """See that every picture and mask is there, whole and of its size; what their pixels are is seen when they serve.

    Raises:
        UserError: one is not.
    """
    if manifest.dims == 3:  # whoever opens the splits sees
        return
    for split, members in records.items():
        for record in members:
            assert isinstance(record.geometry, Geometry), "of pictures"
            of_truth = record.geometry.height, record.geometry.width
            wanted = {image_path(output, split, record.name): manifest.size}
            if record.labelled:
                wanted |= {label_path(output, split, record.name): manifest.size}
                wanted |= {manifest.truth_path(output, split, record.name): of_truth}
            for path, sides in wanted.items():
                if not _is_whole(path, sides):
                    raise UserError(missing(path, output))


def _is_whole(path: Path, sides: tuple[int, ...]) -> bool:
    """Say whether a PNG of this height and width is there to its end; it is decoded only where that is in doubt."""
    try:
        with open_bytes(path) as file:
            beginning = file.read(_PNG_SIDES.stop)
            file.seek(-len(_PNG_END), os.SEEK_END)
            end = file.read()
    except (OSError, UserError):
        return False
    if beginning.startswith(SIGNATURE) and beginning[_PNG_SIDES] == pack(">II", *sides[::-1]) and end == _PNG_END:
        return True
    found = read_png(path, cv2.IMREAD_UNCHANGED)
    return found is not None and found.shape[:2] == sides


def _mend(output: Path, records: dict[str, list[Record]]) -> None:
    """Make again what can be made of the rest, and tell."""
    splits = {split: [record.name for record in members] for split, members in records.items()}
    if _content(output / SPLITS_FILE) != splits:
        try:
            write_json(output / SPLITS_FILE, splits)
            say(f"note: {output / SPLITS_FILE} was missing or altered: it is written again")
        except OSError as error:  # read-only, say; no command reads it
            say(f"note: {output / SPLITS_FILE} is missing or altered, and cannot be written ({error.strerror})")
    if not isinstance(_content(output / REPORT), dict):
        say(f"note: {output / REPORT} is missing or damaged: no command reads it; only a new preparation writes one")
    before = _arrays(output)
    build_arrays(output)
    for path in sorted(_arrays(output) - before):
        say(f"note: {path} was missing: it is built again")


def _content(path: Path) -> object:
    try:
        return read_json(path)
    except (OSError, UserError):
        return None


def _arrays(output: Path) -> set[Path]:
    return set((output / ARRAYS).glob("*.npy"))
