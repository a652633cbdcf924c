"""What a suggestion leaves: the list, a contact sheet, JSON, and pre-annotations of the pictures in it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.figures.picture_grid import picture_grid
from core.figures.style import class_colours
from core.files import file_sha256
from core.filing.json_file import read_json
from core.filing.paths import readable
from core.run.provenance import commit, device_name, versions
from data.opened import Data
from data.preparing.inputs import INPUTS
from data.preview import overlay
from data.split import Split
from experiments.suggestion.choice import Choice
from experiments.suggestion.config import SuggestConfig
from experiments.suggestion.weights import Weights, labels_of

LIST, SHEET, CONTENT, ANNOTATIONS = "suggestion.csv", "contact_sheet.png", "suggestion.json", "pre_annotations"
MOST_SHOWN, MOST_NAMED = 100, 24  # pictures on the sheet, classes in its legend


def originals_of(split: Split) -> dict[str, Path]:
    """Return the files that pictures were prepared from, by the pictures' names; none where that is not known."""
    path = split.data_dir / INPUTS
    rows = read_json(path)["files"] if path.is_file() else []
    return {name: Path(file) for name, place, file, *_ in rows if place == 0}


def file_names(split: Split, originals: dict[str, Path]) -> list[str]:
    """Return what each picture of a split is called for its owner: its file below their folder, or its name."""
    root = split.manifest.source.get("images")
    found = []
    for name in split.names:
        file = originals.get(name)
        below = file is not None and root is not None and file.is_relative_to(root)
        found.append(readable(file.relative_to(root).as_posix() if below else name))  # type: ignore[union-attr,arg-type]
    return found


def rows_of(choices: Sequence[Choice], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the list."""
    return [
        {"rank": place, "file": names[one.index], "why": one.why, "score": one.score}
        for place, one in enumerate(choices, 1)
    ]


def save_sheet(
    path: Path, split: Split, choices: Sequence[Choice], names: Sequence[str], weights: Weights | None, batch_size: int
) -> None:
    """Save the suggested pictures with rank and name on one page, of many the first hundred.

    With weights of phase 2 each has beside it what they see.
    """
    shown = [one.index for one in choices[:MOST_SHOWN]]
    pictures = []
    for index in shown:
        top, left, bottom, right = split.geometries[index].rectangle
        picture = split.images[index][top:bottom, left:right] / 255
        pictures.append(picture.repeat(3, axis=-1) if split.channels == 1 else picture)
    columns = {"picture": pictures}
    legend = None
    if weights is not None and weights.network is not None:
        labels = labels_of(weights.network, split, shown, batch_size)
        classes = split.class_set
        columns["prediction"] = [overlay(*pair, classes) for pair in zip(pictures, labels, strict=True)]
        seen = {int(c) for label in labels for c in set(label.ravel().tolist())} - {classes.background}
        colours = class_colours(classes)
        legend = {classes.names[c]: colours[c] for c in sorted(seen)[:MOST_NAMED]}
    more = "" if len(shown) == len(choices) else f", the first {len(shown)}"
    title = f"{len(choices)} pictures to label next{more}"
    picture_grid(path, title, [f"{rank}  {names[index]}" for rank, index in enumerate(shown, 1)], columns, legend)


def require_originals(split: Split, originals: dict[str, Path], choices: Sequence[int]) -> None:
    """Raise UserError where a picture's own file, which annotations are of, is not known or not there."""
    for index in choices:
        name = split.names[index]
        if name not in originals:
            raise UserError(
                f"--write annotates the files that {split.data_dir} was prepared from, and that of {name} is not "
                "known: prepare own pictures (--dataset folder), or leave --write out"
            )
        if not originals[name].is_file():
            raise UserError(f"--write annotates {originals[name]}, which is gone: prepare again, or leave --write out")


def write_annotations(
    config: SuggestConfig, split: Split, choices: Sequence[Choice], originals: dict[str, Path], names: Sequence[str]
) -> None:
    """Predict the masks of the suggested pictures at their original size and write them as --write says."""
    from transfer_learning.predict import predict_files
    from transfer_learning.predict_config import PredictConfig

    files = {names[one.index]: Path(os.path.abspath(originals[split.names[one.index]])) for one in choices}  # noqa: PTH100
    how = PredictConfig(
        model_path=config.model_path,
        output_dir=config.output_dir / ANNOTATIONS,
        write=config.write,
        figures=False,
        batch_size=config.batch_size,
        device=config.device,
    )
    predict_files(how, dict(sorted(files.items())))


def provenance(config: SuggestConfig, data: Data, weights: Weights | None) -> dict[str, Any]:
    """Return where a suggestion comes from."""
    return {
        "commit": commit(),
        "checkpoint_sha256": file_sha256(weights.path) if weights else None,
        "data_set": data.name,
        "data_sha256": data.fingerprint,
        "seed": config.seed,
        "beta": config.beta,
        "versions": versions("scikit-learn"),
        "device": device_name(weights.device) if weights else None,
    }
