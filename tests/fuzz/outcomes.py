"""What a command made, without what differs from call to call: to be compared with what it makes of whole inputs."""

import csv
import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Content = dict[str, Any]


def digest(path: Path) -> str:
    """Return the beginning of a file's SHA-256, "" where there is none."""
    return sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


def prepared(folder: Path) -> Content:
    """Return what each prepared picture and label is."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    pictures = {}
    for record in manifest["images"]:
        name, split = record["name"], record["split"]
        found = (folder / split).glob(f"*/{_escaped(name)}.png")
        pixels = {path.parent.name: _pixels(path) for path in found}
        pictures[name] = {"split": split, "classes": record["classes"], "tags": record["tags"], **pixels}
    return {"classes": manifest["class_set"]["names"], "channels": manifest["channels"], "pictures": pictures}


def _escaped(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)


def _pixels(path: Path) -> str:
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    return f"{pixels.shape} {sha256(pixels.tobytes()).hexdigest()[:16]}"


def predicted(folder: Path) -> Content:
    """Return the masks, and the numbers of each picture."""
    content = json.loads((folder / "predictions.json").read_text(encoding="utf-8"))
    masks = {path.name: digest(path) for path in sorted((folder / "masks").rglob("*.png"))}
    return {"pictures": {picture["file"]: picture for picture in content["pictures"]}, "masks": masks}


def evaluated(folder: Path) -> Content:
    """Return all scores, and those of each picture."""
    (result,) = (path for path in folder.glob("*.json"))
    content = json.loads(result.read_text(encoding="utf-8"))
    scores = {key: value for key, value in content.items() if key not in ("provenance", "figures")}
    return {"scores": scores, "pictures": digest(folder / "per_image.csv")}


def trained(folder: Path) -> Content:
    """Return the weights and the log's rows but for their times."""
    with (folder / "training_log.csv").open(encoding="utf-8") as file:
        rows = [{key: value for key, value in row.items() if key != "epoch_time"} for row in csv.DictReader(file)]
    return {"weights": digest(folder / "best_model.safetensors"), "rows": rows}


def shown(folder: Path) -> Content:
    """Return the tables or the page that were written; they name files, which lie elsewhere in every call."""
    written = sorted(folder.glob("tables.*")) + sorted(folder.glob("*.html"))
    texts = {path.name: path.read_text(encoding="utf-8").replace(str(folder.parent), "") for path in written}
    return {name: text if name == "tables.md" else sha256(text.encode()).hexdigest() for name, text in texts.items()}


def nothing(folder: Path) -> Content:
    """Return nothing: what comes out may be anything."""
    return {}
