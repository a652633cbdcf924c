"""The numbers of a prediction: predictions.json, predictions.csv and what is printed."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.evaluation import figure, format_cell, print_table, spread
from core.files import file_sha256, write_csv, write_json
from transfer_learning.predict_config import PredictConfig

if TYPE_CHECKING:
    from transfer_learning.inference.files import Areas
    from transfer_learning.inference.segmenter import Segmenter

TABLES = ("predictions.json", "predictions.csv")
KINDS = ("mask", "overlay", "figure")
FIGURES_LISTED = 12
SETTINGS = ("tta", "tta_scales", "tile", "tile_scale", "tile_overlap")
CAPTION = "Picture, predicted mask, and the picture under the mask's colours; with each class's share of the pixels."


def result_places(result: str) -> dict[str, str]:
    """Return where the files of a picture lie below the output folder, by kind."""
    return {kind: f"{kind}s/{result}.png" for kind in KINDS}


def write_tables(
    records: list[dict[str, Any]],
    unreadable: list[dict[str, str]],
    total: "Areas",
    segmenter: "Segmenter",
    config: PredictConfig,
) -> dict[str, Any]:
    """Write predictions.json and predictions.csv; returns the content of the former.

    Args:
        records: one a picture.
        unreadable: `file` and `reason` of each file that is none.
        total: areas and confidences of all pictures.
        segmenter: what segmented them.
        config: the settings.
    """
    class_names = segmenter.header["class_names"]
    drawn = [records[place] for place in spread(len(records), FIGURES_LISTED)] if config.figures else []
    settings = {name: getattr(config, name) for name in SETTINGS}
    content = {
        "num_pictures": len(records),
        "class_names": class_names,
        "total": total.content(),
        "pictures": records,
        "unreadable": unreadable,
        "figures": [figure(record["figure"], record["file"], CAPTION) for record in drawn],
        "settings": {"size": segmenter.size, "resize_mode": segmenter.resize_mode, **settings},
        "provenance": _provenance(segmenter, config),
    }
    write_json(config.output_dir / "predictions.json", content)
    _write_csv(config.output_dir / "predictions.csv", records, class_names)
    return content


def print_summary(content: dict[str, Any], config: PredictConfig) -> None:
    """Print the areas of all pictures, where the files are, and which files could not be read."""
    total = content["total"]
    rows = []
    for name in content["class_names"]:
        pictures = sum(record[name]["pixels"] > 0 for record in content["pictures"])
        rows.append([name, f"{total[name]['share']:.1%}", total[name]["confidence"], pictures])
    print_table(
        f"{content['num_pictures']} pictures segmented, mean confidence {format_cell(total['confidence'])}",
        ["class", "share of pixels", "mean confidence", "pictures with it"],
        rows,
    )
    print(
        f"written to {config.output_dir}: {', '.join(TABLES)}, masks{', overlays, figures' if config.figures else ''}"
    )
    for entry in content["unreadable"]:
        print(f"not read: {entry['file']}: {entry['reason']}", file=sys.stderr)


def _provenance(segmenter: "Segmenter", config: PredictConfig) -> dict[str, Any]:
    from core.run.provenance import commit, device_name, versions

    assert config.model_path is not None
    header = segmenter.header
    return {
        "commit": commit(),
        "checkpoint_sha256": file_sha256(config.model_path),
        "resolution": segmenter.size,
        "seed": header["config"]["seed"],
        "epoch": header["epoch"],
        "training": header["config"],
        "versions": versions(),
        "device": device_name(segmenter.device),
    }


def _write_csv(path: Path, records: list[dict[str, Any]], class_names: Sequence[str]) -> None:
    """Write the records flat, a row a picture: `cat` becomes `cat_pixels`, `cat_share`, `cat_confidence`."""
    rows = []
    for record in records:
        row = {name: record[name] for name in ("file", "height", "width", "tiled", "confidence")}
        for name in class_names:
            row |= {f"{name}_{key}": value for key, value in record[name].items()}
        rows.append(row | {kind: record[kind] for kind in KINDS if kind in record})
    write_csv(path, list(rows[0]), rows)
