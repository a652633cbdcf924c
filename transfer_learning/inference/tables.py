"""The numbers of a prediction: predictions.json, predictions.csv and what is printed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.evaluation import MANY_CLASSES, figure, format_cell, print_table, resolution_of, spread
from core.files import file_sha256, write_csv, write_json
from transfer_learning.inference.annotations import in_words
from transfer_learning.inference.places import KINDS, TABLES
from transfer_learning.inference.weights_files import weights_file
from transfer_learning.predict_config import PredictConfig

if TYPE_CHECKING:
    from transfer_learning.inference.files import Areas
    from transfer_learning.inference.segmenter import Segmenter

FORMAT = 2
FIGURES_LISTED = 12
CAPTION = "Picture, predicted mask, and the picture under the mask's colours; with each class's share of the pixels."


def write_tables(
    records: list[dict[str, Any]],
    unreadable: list[dict[str, str]],
    annotations: list[dict[str, str]],
    total: "Areas",
    segmenter: "Segmenter",
    config: PredictConfig,
) -> dict[str, Any]:
    """Write predictions.json and predictions.csv; returns the content of the former.

    Args:
        records: one a picture.
        unreadable: `file` and `reason` of each file that is none.
        annotations: `format` and `file` of what was written for labelling tools.
        total: areas and confidences of all pictures.
        segmenter: what segmented them.
        config: the settings.
    """
    drawn = [records[place] for place in spread(len(records), FIGURES_LISTED)] if config.figures else []
    content = {
        "format": FORMAT,
        "num_pictures": len(records),
        "class_set": total.class_set.content(),
        "total": total.content(),
        "pictures": records,
        "unreadable": unreadable,
        **({"annotations": annotations} if annotations else {}),
        "figures": [figure(record["figure"], record["file"], CAPTION) for record in drawn],
        "settings": segmenter.readout.settings,
        "provenance": _provenance(segmenter, config),
    }
    write_json(config.output_dir / "predictions.json", content)
    _write_csv(config.output_dir / "predictions.csv", records)
    return content


def print_summary(content: dict[str, Any], config: PredictConfig) -> None:
    """Print the areas of all pictures, where the files are, and which files could not be read."""
    total = content["total"]["classes"]
    names = list(total)
    if len(names) > MANY_CLASSES:
        names = sorted((name for name in names if total[name]["pixels"]), key=lambda name: -total[name]["pixels"])
    rows = []
    for name in names[:MANY_CLASSES]:
        pictures = sum(record["classes"][name]["pixels"] > 0 for record in content["pictures"])
        rows.append([name, f"{total[name]['share']:.1%}", total[name]["confidence"], pictures])
    confidence = format_cell(content["total"]["confidence"])
    print_table(
        f"{content['num_pictures']} pictures segmented, mean confidence {confidence}",
        ["class", "share of pixels", "mean confidence", "pictures with it"],
        rows,
    )
    if len(rows) < len(total):
        print(f"the {len(rows)} largest of {len(total)} classes: {TABLES[0]} holds all")
    kinds = [*TABLES, "masks", *(["overlays", "figures"] if config.figures else []), *in_words(config.write)]
    print(f"written to {config.output_dir}: {', '.join(kinds)}")
    for entry in content["unreadable"]:
        print(f"not read: {entry['file']}: {entry['reason']}", file=sys.stderr)


def shapes_in_words(content: dict[str, Any], channels: int) -> str:
    """Return the shapes of the first picture, of what the network saw of it and put out, and of its mask."""
    record, size = content["pictures"][0], content["settings"]["size"]
    sides = f"{record['height']}, {record['width']}"
    seen = ", ".join(map(str, size if isinstance(size, list) else [size] * 2))
    return (
        f"shapes of {record['file']}: picture [{sides}], input [1, {channels}, {seen}], scores "
        f"[1, {len(content['class_set']['names'])}, {seen}], mask [{sides}]"
    )


def _provenance(segmenter: "Segmenter", config: PredictConfig) -> dict[str, Any]:
    from core.run.provenance import commit, device_name, versions

    assert config.model_path is not None
    header = segmenter.header
    return {
        "commit": commit(),
        "checkpoint_sha256": file_sha256(weights_file(config.model_path)),
        "resolution": resolution_of(segmenter.readout.size),
        "seed": header.run.seed,
        "epoch": header.epoch,
        "training": header.config,
        "versions": versions(),
        "device": device_name(segmenter.readout.network.device),
        **({"ensemble": [file_sha256(weights_file(path)) for path in config.ensemble]} if config.ensemble else {}),
    }


def _write_csv(path: Path, records: list[dict[str, Any]]) -> None:
    """Write the records flat, a row a picture: class `cat` has the columns pixels_cat, share_cat and confidence_cat."""
    rows = []
    for record in records:
        row = {name: record[name] for name in ("file", "height", "width", "tiled", "confidence")}
        for name, values in record["classes"].items():
            row |= {f"{key}_{name}": value for key, value in values.items()}
        rows.append(row | {kind: record[kind] for kind in KINDS if kind in record})
    write_csv(path, list(rows[0]), rows)
