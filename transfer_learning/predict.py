"""Segment pictures of any size and kind: a file, a folder with its subfolders, or a pattern.

Each picture is resized as in training, and its scores are brought back to its own size. --tile goes over large
pictures in overlapping windows, --tta averages over sizes and the mirror image. Writes of each picture the mask as an
indexed PNG (its values are the classes, in the weights' order), an overlay and a figure, and of all of them the area
and mean confidence of each class as predictions.json and predictions.csv. Files that cannot be read are listed and the
rest goes on; the exit code is then 1.

    python -m transfer_learning.predict --model_path runs/pretrained/best_model.safetensors --input photos
"""

import dataclasses
import errno
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.command import run_command
from core.errors import RunError, UserError
from core.filing.paths import readable, real
from core.filing.writing import files_named, publish, replacing, sole_writer
from transfer_learning.inference.tables import TABLES, print_summary, result_places, write_tables
from transfer_learning.predict_config import InferenceOptions, PredictConfig

if TYPE_CHECKING:
    import numpy as np

    from transfer_learning.inference.files import Areas
    from transfer_learning.inference.segmenter import Segmentation, Segmenter

# Pictures of a batch are in memory with the scores of all their pixels: large ones come fewer at a time.
BATCH_PIXELS = 16_000_000


def predict(config: PredictConfig) -> dict[str, Any]:
    """Segment, write, print; returns the content of predictions.json.

    Raises:
        UserError: no such input, no file in it that can be read, or weights that do not fit.
        RunError: after all is written, where some of the files could not be read.
    """
    from core.run.signals import Terminated
    from data.sources.own.listing import by_reason
    from transfer_learning.inference.inputs import find_files, result_names, unwritable
    from transfer_learning.inference.segmenter import Segmenter

    if config.model_path is None:
        raise UserError("give the weights to segment with: --model_path runs/.../best_model.safetensors")
    files, passed_over = find_files(config.input, config.output_dir)
    results = result_names(list(files))
    left_out = dict(unwritable(results))
    _keep_inputs(files.values(), results.values(), config.output_dir)
    options = {field.name: getattr(config, field.name) for field in dataclasses.fields(InferenceOptions)}
    earlier = _results_of_before(config.output_dir, files.values())
    with sole_writer(config.output_dir), replacing(config.output_dir, earlier) as folder:
        segmenter = Segmenter.load(config.model_path, **options)
        for line in by_reason(passed_over):
            print(line, file=sys.stderr)
        into = dataclasses.replace(config, output_dir=folder)
        try:
            content = _segment_files(files, results, left_out, segmenter, into)
        except (KeyboardInterrupt, Terminated):
            if not (config.output_dir / TABLES[0]).exists():  # what is done is whole, and mixes with nothing
                publish(folder, config.output_dir, earlier, whole=False)
            raise
    print_summary(content, config)
    if content["unreadable"]:
        raise RunError(f"{len(content['unreadable'])} of {len(files)} files could not be read (listed above)")
    return content


def _results_of_before(output_dir: Path, inputs: Iterable[Path]) -> list[str]:
    """Return what an earlier prediction left in the folder; these results replace it."""
    kept = {real(path) for path in inputs}
    return [file for file in files_named(output_dir / TABLES[0]) if real(output_dir / file) not in kept]


def _keep_inputs(files: Iterable[Path], results: Iterable[str], output_dir: Path) -> None:
    written = {real(output_dir / result_places(result)[kind]) for result in results for kind in result_places(result)}
    for path in files:
        if real(path) in written:
            raise UserError(f"{path} would be overwritten by a result: choose another --output_dir")


def _segment_files(
    files: dict[str, Path],
    results: dict[str, str],
    left_out: dict[str, str],
    segmenter: "Segmenter",
    config: PredictConfig,
) -> dict[str, Any]:
    from core.run.signals import Terminated
    from core.terminal.progress import track
    from transfer_learning.inference.files import Areas

    unreadable = [_left_out(name, reason) for name, reason in left_out.items()]
    records = []
    total = Areas(segmenter.classes)
    try:
        todo = [(name, path) for name, path in files.items() if name not in left_out]
        pictures = _read(track(todo, "segmenting", len(todo)), segmenter, unreadable)
        for batch in _batches(pictures, config.batch_size):
            found = segmenter.segment([picture for _, picture, _ in batch])
            for (name, picture, notes), segmentation in zip(batch, found, strict=True):
                record = {"file": readable(name), "height": picture.shape[0], "width": picture.shape[1], "notes": notes}
                places = result_places(results[name])
                try:
                    records.append(record | _write(picture, segmentation, places, total, config))
                except OSError as error:
                    if error.errno != errno.ENAMETOOLONG:
                        raise
                    unreadable.append(_left_out(name, "its result's name is too long here: shorten it"))
    except (KeyboardInterrupt, Terminated) as stop:
        message = f"{len(records)} of {len(files)} pictures were done; the same command starts again"
        raise type(stop)(message) from None
    if not records:
        reasons = "; ".join(f"{entry['file']}: {entry['reason']}" for entry in unreadable[:3])
        raise UserError(f"{' '.join(config.input)}: none of {len(files)} files can be read as a picture ({reasons})")
    return write_tables(records, unreadable, total, segmenter, config)


Picture = tuple[str, "np.ndarray", list[str]]


def _read(
    files: Iterable[tuple[str, Path]], segmenter: "Segmenter", unreadable: list[dict[str, str]]
) -> Iterator[Picture]:
    """Yield name, picture and what was unusual about its file; add those that cannot be read to `unreadable`."""
    from data.pictures import PictureError

    for name, path in files:
        try:
            picture, notes = segmenter.read(path)
            segmenter.check(picture)
        except (PictureError, OSError) as error:
            unreadable.append(_left_out(name, getattr(error, "strerror", None) or str(error)))
            continue
        yield name, picture, notes


def _left_out(name: str, reason: str) -> dict[str, str]:
    return {"file": readable(name), "reason": readable(reason)}


def _batches(pictures: Iterable[Picture], batch_size: int) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    pixels = 0
    for picture in pictures:
        height, width = picture[1].shape[:2]
        if batch and (len(batch) == batch_size or pixels + height * width > BATCH_PIXELS):
            yield batch
            batch, pixels = [], 0
        batch.append(picture)
        pixels += height * width
    if batch:
        yield batch


def _write(
    picture: "np.ndarray", found: "Segmentation", places: dict[str, str], total: "Areas", config: PredictConfig
) -> dict[str, Any]:
    """Write a picture's files, add its areas to the total and return what predictions.json says of it."""
    from transfer_learning.inference.files import Areas, overlay, save_image, save_mask, side_by_side
    from transfer_learning.inference.segmenter import with_channels

    classes = total.class_set
    areas = Areas(classes).add(found.mask, found.confidence).content()
    total.add(found.mask, found.confidence)
    save_mask(config.output_dir / places["mask"], found.mask, classes)
    if not config.figures:
        return {"tiled": found.tiled, **areas, "mask": places["mask"]}
    coloured = with_channels(picture, 3)
    overlaid = overlay(coloured, found.mask, classes)
    save_image(config.output_dir / places["overlay"], overlaid)
    save_image(config.output_dir / places["figure"], side_by_side(coloured, found.mask, overlaid, classes))
    return {"tiled": found.tiled, **areas, **places}


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
