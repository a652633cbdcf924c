"""Segment pictures, or volumes, of any size and kind: a file, a folder with its subfolders, or a pattern.

Each picture is resized as in training, and its scores are brought back to its own size. --tile goes over large pictures
in overlapping windows, --tta averages over sizes and the mirror image. Writes of each picture the mask as an indexed
PNG (its values are the classes, in the weights' order), an overlay and a figure, and of all of them the area and mean
confidence of each class as predictions.json and predictions.csv; --write adds the formats of labelling tools. Files
that cannot be read are listed and the rest goes on; the exit code is then 1. Weights of volumes take NIfTI, NRRD or
MHA, all modalities in one file or in one each (NAME_0000 and so on), and folders of DICOM, and write each prediction as
NIfTI in its file's own space.

    python -m transfer_learning.predict --model_path runs/pretrained/best_model.safetensors --input photos
"""

import dataclasses
import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from core.command import run_command
from core.errors import RunError, UserError
from core.evaluation import counted
from core.filing.paths import readable
from core.filing.writing import publish, replacing, sole_writer
from transfer_learning.inference.annotations import annotation_places, write_annotations
from transfer_learning.inference.places import TABLES, require_free, result_places, results_of_before
from transfer_learning.inference.tables import print_summary, shapes_in_words, write_tables
from transfer_learning.inference.weights_files import is_torchvision
from transfer_learning.predict_config import InferenceOptions, PredictConfig

if TYPE_CHECKING:
    import numpy as np

    from core.classes import ClassSet
    from transfer_learning.inference.files import Areas
    from transfer_learning.inference.readout import Seen
    from transfer_learning.inference.segmenter import Segmenter

# Pictures of a batch are in memory with the scores of all their pixels: large ones come fewer at a time.
BATCH_PIXELS = 16_000_000
# Pictures read at a time while a batch goes through the network; a large one is half a gigabyte.
READ_AHEAD = 2


def predict(config: PredictConfig) -> dict[str, Any]:
    """Segment, write, print; returns the content of predictions.json.

    Raises:
        UserError: no such input, no file in it that can be read, or weights that do not fit.
        RunError: after all is written, where some of the files could not be read.
    """
    members = config.members(config.model_path)
    with TemporaryDirectory() as folder:
        files, passed_over = _inputs(config, Path(folder))
        return predict_files(
            dataclasses.replace(config, model_path=members[0], ensemble=members[1:]), files, passed_over
        )


def _inputs(config: PredictConfig, folder: Path) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """Return the files to segment, by name, and what was passed over; what has an address is fetched into a folder."""
    from data.sources.fetching.addresses import fetch, is_address
    from transfer_learning.inference.inputs import find_files

    addresses = [given for given in config.input if is_address(given)]
    if addresses and config.write is not None:
        raise UserError(f"--write names pictures by their files: download {addresses[0]} first, and give the file")
    here = [given for given in config.input if not is_address(given)]
    files, passed_over = find_files(here, config.output_dir) if here or not addresses else ({}, [])
    for address in addresses:
        path = fetch(address, folder, files)
        files[path.name] = path
    return files, passed_over


def predict_files(
    config: PredictConfig, files: dict[str, Path], passed_over: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Do what `predict` does with files that are known.

    Args:
        config: its `input` has no say; `model_path` is given, and `ensemble` names further networks alone.
        files: name -> file, sorted; results are named by these.
        passed_over: what was found beside them and is no input, with the reason.
    """
    from core.run.signals import Terminated
    from data.sources.own.listing import by_reason
    from transfer_learning.inference.inputs import result_names, unwritable
    from transfer_learning.inference.segmenter import Segmenter

    earlier = results_of_before(config.output_dir, files.values())
    if _is_of_volumes(config.model_path):
        if config.write is not None:
            raise UserError("--write is of pictures: volumes are written as NIfTI, which their tools open")
        return _predict_volumes(config, files, passed_over, earlier)
    results = result_names(list(files))
    left_out = dict(unwritable(results))
    places = [place for result in results.values() for place in result_places(result).values()]
    places += annotation_places(config.write, results.values())
    require_free(config.output_dir, places, files.values(), earlier)
    options = {field.name: getattr(config, field.name) for field in dataclasses.fields(InferenceOptions)}
    with sole_writer(config.output_dir), replacing(config.output_dir, earlier) as folder:
        segmenter = Segmenter.load(config.model_path, **options)
        for line in by_reason(passed_over):
            print(line, file=sys.stderr)
        into = dataclasses.replace(config, output_dir=folder)
        try:
            content = _segment_files(files, results, left_out, segmenter, into, config.output_dir)
        except (KeyboardInterrupt, Terminated):
            if not (config.output_dir / TABLES[0]).exists():  # what is done is whole, and mixes with nothing
                publish(folder, config.output_dir, earlier, whole=False)
            raise
    print_summary(content, config)
    if is_torchvision(config.model_path):
        print(shapes_in_words(content, segmenter.channels))
    if content["unreadable"]:
        raise RunError(f"{len(content['unreadable'])} of {len(files)} files could not be read (listed above)")
    return content


def _is_of_volumes(model_path: Path | None) -> bool:
    from core.headers.header import read_header

    return bool(model_path and model_path.suffix == ".safetensors" and read_header(model_path).network.dims == 3)


def _predict_volumes(
    config: PredictConfig, files: dict[str, Path], passed_over: Sequence[tuple[str, str]], earlier: Sequence[str]
) -> dict[str, Any]:
    from core.files import write_json
    from core.headers.header import read_header
    from data.sources.own.listing import by_reason
    from transfer_learning.inference.volume_files import plan_of, segment_volumes
    from transfer_learning.inference.volume_inputs import result_files, volumes_of

    assert config.model_path is not None, "asked for where its weights are of volumes"
    _, modalities = plan_of(read_header(config.model_path), config.model_path)
    volumes, others = volumes_of(files, len(modalities), config.input)
    results = result_files(volumes)
    require_free(config.output_dir, results.values(), files.values(), earlier)
    with sole_writer(config.output_dir), replacing(config.output_dir, earlier) as folder:
        for line in by_reason([*passed_over, *others]):
            print(line, file=sys.stderr)
        content = segment_volumes(config, volumes, results, folder)
        write_json(folder / TABLES[0], content)
    done = counted(len(content["pictures"]), "volume")
    print(f"{done} segmented, each as NIfTI in its own space: {config.output_dir}")
    for entry in content["unreadable"]:
        print(f"{entry['file']}: {entry['reason']}", file=sys.stderr)
    if content["unreadable"]:
        raise RunError(f"{len(content['unreadable'])} of {len(volumes)} volumes could not be read (listed above)")
    return content


def _segment_files(
    files: dict[str, Path],
    results: dict[str, str],
    left_out: dict[str, str],
    segmenter: "Segmenter",
    config: PredictConfig,
    final: Path,
) -> dict[str, Any]:
    from core.machine.threads import threaded
    from core.run.signals import Terminated
    from core.terminal.progress import track
    from transfer_learning.inference.files import Areas, in_colours

    classes = in_colours(segmenter.classes, config.palette)
    unreadable = dict(left_out)
    done: dict[str, tuple[dict[str, Any], Areas]] = {}

    def finish(item: tuple[Picture, "Seen"]) -> None:
        picture, seen = item
        try:
            done[picture.name] = _write(picture, seen, result_places(results[picture.name]), classes, config)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            unreadable[picture.name] = "its result's name is too long here: shorten it"

    try:
        todo = [(name, path) for name, path in files.items() if name not in left_out]
        found = _read(todo, segmenter, unreadable)
        batches = _batches(track(found, "segmenting", len(todo)), config.batch_size)
        seen = (list(zip(batch, segmenter.see([one.pixels for one in batch]), strict=True)) for batch in batches)
        for _ in threaded(finish, seen):
            pass
    except (KeyboardInterrupt, Terminated) as stop:
        message = f"{len(done)} of {len(files)} pictures were done; the same command starts again"
        raise type(stop)(message) from None
    listed = [{"file": readable(name), "reason": readable(unreadable[name])} for name in files if name in unreadable]
    if not done:
        reasons = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in listed[:3])
        raise UserError(f"{' '.join(config.input)}: none of {len(files)} files can be read as a picture ({reasons})")
    records = {name: done[name][0] for name in files if name in done}
    annotations = write_annotations(config.write, records, files, results, classes, (config.output_dir, final))
    total = Areas.added(classes, (done[name][1] for name in records))
    return write_tables(list(records.values()), listed, annotations, total, segmenter, config)


class Picture(NamedTuple):
    """A file that could be read."""

    name: str
    pixels: "np.ndarray"  # [H, W, 3] or [H, W] uint8
    notes: list[str]  # what was unusual about it


def _read(
    files: Sequence[tuple[str, Path]], segmenter: "Segmenter", unreadable: dict[str, str]
) -> Iterator[Picture | None]:
    """Yield pictures in order, read in threads; None for one that cannot be read, which goes to `unreadable`."""
    from core.machine.threads import threaded
    from data.pictures import PictureError
    from transfer_learning.inference.inputs import why_unread

    def read(file: tuple[str, Path]) -> Picture | None:
        name, path = file
        try:
            picture, notes = segmenter.read(path)
            segmenter.check(picture)
        except (PictureError, OSError) as error:
            unreadable[name] = why_unread(path, error)
            return None
        return Picture(name, picture, notes)

    return threaded(read, (files[start : start + READ_AHEAD] for start in range(0, len(files), READ_AHEAD)))


def _batches(pictures: Iterable[Picture | None], batch_size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    pixels = 0
    for picture in pictures:
        if picture is None:
            continue
        height, width = picture.pixels.shape[:2]
        if batch and (len(batch) == batch_size or pixels + height * width > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(picture)
        pixels += height * width
    if batch:
        yield batch


def _write(
    picture: Picture, seen: "Seen", places: dict[str, str], classes: "ClassSet", config: PredictConfig
) -> tuple[dict[str, Any], "Areas"]:
    """Write a picture's files; returns what predictions.json says of it, and its areas."""
    from transfer_learning.inference.files import Areas, overlay, save_image, save_mask, side_by_side
    from transfer_learning.inference.segmenter import segmentation, with_channels

    found = segmentation(seen)
    areas = Areas(classes).add(found.mask, found.confidence)
    name, (height, width) = readable(picture.name), found.mask.shape
    record = {"file": name, "height": height, "width": width, "notes": picture.notes, "tiled": found.tiled}
    save_mask(config.output_dir / places["mask"], found.mask, classes)
    if not config.figures:
        return {**record, **areas.content(), "mask": places["mask"]}, areas
    coloured = with_channels(picture.pixels, 3)
    overlaid = overlay(coloured, found.mask, classes, config.alpha)
    save_image(config.output_dir / places["overlay"], overlaid)
    save_image(config.output_dir / places["figure"], side_by_side(coloured, found.mask, overlaid, classes))
    return {**record, **areas.content(), **places}, areas


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "transfer_learning.predict",
        PredictConfig,
        predict,
        argv,
        section="transfer_learning_prediction",
        description=__doc__,
    )


if __name__ == "__main__":
    sys.exit(main())
