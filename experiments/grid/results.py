"""The results folder of an ablation: what a finished run leaves there, and whether it belongs to a plan."""

import csv
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.errors import UserError
from core.files import atomic_path, file_sha256
from experiments.grid.plan_file import PLAN
from experiments.grid.prepared import Data
from experiments.grid.variants import Plan, differing, plain
from experiments.runs import find_runs, read_json

FORMATS = {"arms": "ablation arm 1", "tuning": "ablation tuning 1", "pretraining": "ablation pretraining 1"}
WEIGHTS = "best_model.safetensors"
# Tensors that are counted along, not learned.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def read_result(path: Path, kind: str) -> dict[str, Any]:
    """Return the content of a file of the results folder; raises UserError where it is damaged or not of its kind."""
    content = read_json(path)
    if content.get("format") != FORMATS[kind]:
        raise UserError(f"{path} is not a result of this ablation: remove it, or choose another results_dir")
    return content


def require_same_grid(plan: Plan, data: Data) -> None:
    """Compare every result that is there with the plan, before anything trains.

    Raises:
        UserError: names the first file that comes from other data or other settings, and the settings that differ.
    """
    folder = plan.config.results_dir
    for kind in FORMATS:
        for path in sorted((folder / kind).glob("*.json")):
            content = read_result(path, kind)
            found = list(_other_data(content, data)) or list(_other_settings(content, kind, plan))
            if found:
                raise UserError(
                    f"{path} comes from other {'data' if found[0].startswith(('data', 'resolution')) else 'settings'} "
                    f"({'; '.join(found)}): choose another results_dir"
                )
    if any(folder.glob("tuning/*.json")) or any(folder.glob("arms/*.json")):
        _require_same_tuning(plan)


def _other_data(content: Mapping[str, Any], data: Data) -> Iterator[str]:
    for name, now in (("data_sha256", data.sha256), ("resolution", data.resolution)):
        if content.get(name, now) != now:
            yield f"{name} {_short(content[name])} there, {_short(now)} now"


def _other_settings(content: Mapping[str, Any], kind: str, plan: Plan) -> Iterator[str]:
    """Yield what differs; results of variants that the plan does not have are no business of it."""
    if kind == "pretraining":
        yield from _other_pretraining(content, plan)
        return
    arm = content["arm"]
    variant = plan.variants.get(arm["variant"])
    if variant is None:
        return
    yield from differing(
        content["settings"], plain(variant.config), "transfer_learning", ("lr", "seed", "label_fraction")
    )
    pretraining = content["pretraining"] or {"name": None}
    if pretraining["name"] != variant.pretraining:
        yield f"pretraining {pretraining['name']} there, {variant.pretraining} now"
    elif variant.pretraining:
        yield from _other_pretraining(pretraining, plan)
    if kind == "tuning" and arm["seed"] != plan.config.seeds[0]:
        yield f"rates tuned with seed {arm['seed']} there, {plan.config.seeds[0]} now"
    if arm["learning_rate"] not in plan.config.learning_rates:
        rates = ", ".join(f"{rate:g}" for rate in plan.config.learning_rates)
        yield f"learning rate {arm['learning_rate']:g} there, one of {rates} now"


def _other_pretraining(content: Mapping[str, Any], plan: Plan) -> Iterator[str]:
    planned = plan.pretrainings.get(content["name"])
    if planned:
        for difference in differing(content["settings"], plain(planned.config), "reconstruction"):
            yield f"pretraining {planned.name}: {difference}"


def _require_same_tuning(plan: Plan) -> None:
    path = plan.config.results_dir / PLAN
    if not path.exists():
        return
    earlier = read_json(path)
    for name in ("learning_rates", "tuned_at"):
        there, now = (sorted(values) for values in (earlier.get(name, []), getattr(plan.config, name)))
        if there != now:
            raise UserError(
                f"{path}: {name} {there} there, {now} now; the arms' rates were chosen by that grid: "
                "choose another results_dir"
            )


def mixed_encoders(results: Path) -> list[str]:
    """Return a line for each pretraining of which the arms began with other weights than each other or its JSON."""
    found: dict[str, Counter[str]] = {}
    for kind in FORMATS:
        for path in (results / kind).glob("*.json"):
            content = read_result(path, kind)
            origin = content if kind == "pretraining" else content["pretraining"]
            if origin:
                found.setdefault(origin["name"], Counter())[origin["sha256"]] += kind != "pretraining"
    return [
        f"the runs with pretraining {name} began with {len(shas)} different encoders "
        f"({', '.join(f'SHA-256 {_short(sha)}: {count} runs' for sha, count in sorted(shas.items()))}): "
        f"their scores mix them; remove the JSON files of all but one from {results} to have those trained again"
        for name, shas in sorted(found.items())
        if len(shas) > 1
    ]


def training_of(folder: Path) -> dict[str, Any]:
    """Return what a finished run folder of phase 2 says: settings, the best Val score, compute."""
    description, best = read_json(folder / "training_config.json"), read_json(folder / "metrics.json")
    settings = description["identity"]
    return {
        "val_mean_iou": best["mean_iou"],
        "best_step": min(best["epoch"] * settings["val_every"], settings["max_steps"]),
        "settings": settings,
        "compute": compute_of(folder, settings["max_steps"] * settings["batch_size"]),
    }


def pretraining_of(folder: Path, name: str, data: Data) -> dict[str, Any]:
    """Return the content of a pretraining's JSON from its finished run folder."""
    settings = read_json(folder / "training_config.json")["identity"]
    rows = log_rows(folder)
    per_row = settings["val_every"] if settings["max_steps"] else math.ceil(data.train_images / settings["batch_size"])
    last = settings["max_steps"] or len(rows) * per_row
    images = settings["max_steps"] * settings["batch_size"] if settings["max_steps"] else len(rows) * data.train_images
    compute = compute_of(folder, images)
    return {
        "format": FORMATS["pretraining"],
        "name": name,
        "settings": settings,
        "sha256": file_sha256(folder / WEIGHTS),
        "seconds": compute["seconds"],
        "images": images,
        "val_loss": read_json(folder / "metrics.json")["val_loss"],
        "log": [[min(int(row["epoch"]) * per_row, last), float(row["val_loss"])] for row in rows],
        "data_sha256": data.sha256,
        "compute": compute,
    }


def log_rows(folder: Path) -> list[dict[str, str]]:
    """Return the rows of a run's training_log.csv, none before the first."""
    log = folder / "training_log.csv"
    if not log.is_file():
        return []
    with log.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def broken_training_of(folder: Path) -> dict[str, Any]:
    """Return what `training_of` does, for a training that stopped being finite: no score, what it cost up to there."""
    settings = read_json(folder / "training_config.json")["identity"]
    images = len(log_rows(folder)) * settings["val_every"] * settings["batch_size"]
    return {"val_mean_iou": None, "best_step": None, "settings": settings, "compute": compute_of(folder, images)}


def compute_of(folder: Path, images: int) -> dict[str, Any]:
    """Return what a run cost: seconds of training and validation, training pictures, parameters, device."""
    weights = folder / WEIGHTS
    return {
        "seconds": round(sum(float(row["epoch_time"]) for row in log_rows(folder)), 3),
        "images": images,
        "parameters": parameters_of(weights) if weights.exists() else None,
        "device": read_json(folder / "training_config.json")["machine"]["device"],
    }


def parameters_of(weights: Path) -> int:
    """Return the number of parameters in a weights file, from its header alone; raises UserError where it is cut."""
    try:
        with safe_open(weights, "np") as tensors:
            shapes = {name: tensors.get_slice(name).get_shape() for name in tensors.keys()}  # noqa: SIM118
    except SafetensorError:
        raise UserError(
            f"{weights} is cut or altered: delete {weights.parent}, the same command trains it again"
        ) from None
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(STATISTICS))


def scores_of(results: Path) -> dict[str, Any]:
    """Return `mean_iou`, `class_names`, and `per_image` (name -> confusion counts) from an evaluation's folder."""
    (run,) = find_runs([results / "evaluation_results.json"])
    names = run.class_names
    columns = [f"count_{truth}_as_{said}" for truth in names for said in names]
    with run.per_image.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        per_image = {row["name"]: [int(row[column]) for column in columns] for row in csv.DictReader(file)}
    return {"mean_iou": run.result["mean_iou"], "class_names": names, "per_image": per_image}


def provenance_of(folder: Path) -> dict[str, Any]:
    """Return the code, versions and weights that an arm came from."""
    description = read_json(folder / "training_config.json")
    known = {name: description[name] for name in ("commit", "versions")}
    return {**known, "weights_sha256": file_sha256(folder / WEIGHTS)}


def write_arm(path: Path, content: Mapping[str, Any]) -> None:
    """Write an arm's JSON whole or not at all, one line an image, so that it stays readable and small."""
    heads = [f" {json.dumps(name)}: {_json(value)}" for name, value in content.items() if name != "per_image"]
    images = [f"  {json.dumps(name)}: {_json(counts)}" for name, counts in content["per_image"].items()]
    lines = [*heads, ' "per_image": {\n' + ",\n".join(images) + "\n }"]
    with atomic_path(path) as temporary:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)


def _short(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else str(value)
