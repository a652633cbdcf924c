"""Odd words on command lines: every setting of every command, with values that nobody should give."""

import dataclasses
from importlib import import_module
from os import mkfifo
from pathlib import Path
from random import Random

import yaml
from ablation_grid import one_variant

from core.cli import COMMANDS
from fuzz import outcomes
from fuzz.corpus import CLASSES, SIDE, SMALL
from fuzz.scenes import Place, Scene, planned, words

# What would rightly take forever, reach the network, or write outside the case's folder.
LEFT_ALONE = ("download", "measure", "replay", "device", "encoder", "encoder_weights", "raw_dir", "perceptual_network")
COSTLY = (
    "num_images",
    "width",
    "batch_size",
    "unlabelled_batch",
    "epochs",
    "max_steps",
    "extend_to",
    "workers",
    "jobs",
    "visualize_samples",
    "val_every",
)
TAKE_VOLUMES = ("reconstruction.train", "transfer_learning.train", "transfer_learning.evaluate")
PLACES = ("output_dir", "output", "results_dir", "preview", "cache_dir")
VALUES = (
    *(
        "",
        " ",
        "-1",
        "0",
        "1",
        "2",
        "nan",
        "inf",
        "-inf",
        "1e999",
        "99999999999999999999",
        "0.5",
        "3.5",
        "--",
        "-",
        "None",
        "True",
    ),
    *(
        "off",
        "null",
        "\x1b[31mred",
        "é",
        "e\u0301",
        "\udcff",
        "a" * 5000,
        "$HOME",
        "~",
        "{name}",
        "{class}",
        "*",
        "[",
        "**",
        "0x10",
    ),
    *(
        "1,2",
        "1 2",
        "a\nb",
        "0x0",
        "1x1",
        "32x",
        "{}",
        "[]",
        "1=2",
        "no/such/file",
        "a file",
        "a folder",
        "a fifo",
        "a loop",
    ),
)
CHEAP = ("", "-1", "0", "nan", "inf", "1.5", "x", "None", "é", "\x1b[31mred")


def flags(place: Place, random: Random) -> Scene:
    """Call a command with one to three odd flags."""
    command = random.choice([command for command in COMMANDS if command.name])
    settings = getattr(import_module(command.module), command.settings)
    fields = [field.name for field in dataclasses.fields(settings) if field.name not in LEFT_ALONE]
    _make_odd_files(place)
    argv = _whole(place, command.module)
    if command.module in TAKE_VOLUMES and random.random() < 0.3:
        argv = _of_volumes(place, command.module)
    for _ in range(random.choice((1, 1, 2, 3))):
        argv += _odd(place, random.choice(fields), random)
    output = place.folder / "made"
    return Scene(command.module, argv, [], output, outcomes.nothing, codes=(1,), more={"how": str(argv[-6:])})


def _of_volumes(place: Place, module: str) -> list[str]:
    """Return what `_whole` does, of volumes."""
    to = words("--data_dir", place.corpus / "volumes", "--output_dir", place.folder / "made")
    if module == "transfer_learning.evaluate":
        weights = place.corpus / "phase_2_of_volumes/best_model.safetensors"
        return [*words("--model_path", weights), *to, "--no_figures"]
    once = [*SMALL, "--max_steps", "1", "--val_every", "1", "--patch", "8", *to]
    return once if module == "transfer_learning.train" else [*once, "--perceptual_weight", "0"]


def _odd(place: Place, name: str, random: Random) -> list[str]:
    way = random.choice(("value",) * 8 + ("bare", "misspelt", "no", "equals", "twice"))
    value = random.choice(CHEAP if name in COSTLY or name in PLACES else VALUES)
    if value.startswith("a ") and " " in value:
        value = str(place.folder / "odd" / value.removeprefix("a "))
    if way == "bare":
        return [f"--{name}"]
    if way == "misspelt":
        return [f"--{name[:-1]}", value]
    if way == "no":
        return [f"--no_{name}"]
    if way == "equals":
        return [f"--{name}={value}"]
    return [f"--{name}", value] * (2 if way == "twice" else 1)


def _make_odd_files(place: Place) -> None:
    odd = place.folder / "odd"
    (odd / "folder").mkdir(parents=True)
    (odd / "file").write_bytes(b"\x00\xff")
    mkfifo(odd / "fifo")
    (odd / "loop").symlink_to("loop")


def _grid(place: Place) -> Path:
    path = place.folder / "grid.yaml"
    path.write_text(yaml.safe_dump({"ablation": one_variant(steps=4)}))
    return path


def _folds(place: Place) -> Path:
    path = place.folder / "folds.yaml"
    learning = dict(zip(("width", "max_steps", "val_every"), (2, 1, 1), strict=True))
    data = {"dataset": "shapes", "num_images": 12, "size": SIDE, "labelled_fraction": 1.0}
    path.write_text(yaml.safe_dump({"data": data, "transfer_learning": learning}))
    return path


def _whole(place: Place, module: str) -> list[str]:
    """Return the arguments of a call that would go well, and quickly."""
    corpus, output = place.corpus, place.folder / "made"
    data = words("--data_dir", corpus / "data")
    weights = {phase: corpus / phase / "best_model.safetensors" for phase in ("phase_1", "phase_2")}
    own = words("--images", corpus / "own/images", "--masks", corpus / "own/masks", "--classes", *CLASSES)
    to = words("--output_dir", output)
    once = [*SMALL, "--max_steps", "1", "--val_every", "1", *data, *to]
    calls = {
        "data.prepare": ["--dataset", "folder", *own, *words("--size", SIDE, "--workers", 1), *to],
        "data.inspect": [*own, "--preview", str(output / "preview.png")],
        "reconstruction.train": [*once, "--perceptual_weight", "0"],
        "transfer_learning.train": once,
        "reconstruction.evaluate": ["--model_path", str(weights["phase_1"]), *data, *to, "--visualize_samples", "0"],
        "transfer_learning.evaluate": ["--model_path", str(weights["phase_2"]), *data, *to, "--no_figures"],
        "transfer_learning.predict": words(
            "--model_path", weights["phase_2"], "--input", corpus / "own/images", *to, "--no_figures"
        ),
        # Of what is no weights: a page that opens stays open.
        "transfer_learning.app": words("--model_path", corpus / "own/images", "--port", 0),
        "transfer_learning.export": words("--model_path", weights["phase_2"], "--format", "state_dict", *to),
        "transfer_learning.push": words(
            *("u/n", "--model_path", weights["phase_2"], "--data", "d", "--data_licence", "l", "--folder", output)
        ),
        "transfer_learning.describe": words("--model_path", weights["phase_2"], "--size", SIDE),
        "transfer_learning.convert": words("--tflite", corpus / "own/images", "--output", output / "a.safetensors"),
        "experiments.ablate": ["--config", str(_grid(place)), *planned(place).argv],
        "experiments.networks": [str(_grid(place)), *words("--size", SIDE, "--num_classes", 3)],
        "experiments.crossval": [str(_folds(place)), *words("--folds", 3), *to],
        "experiments.recipe": ["--list", *to],
        # Without masks: a whole advice takes minutes.
        "experiments.advise": [*words("--images", corpus / "own/images"), *to],
        # Every picture there has a mask, which is refused once the settings are right.
        "experiments.suggest": [
            *words("--model_path", weights["phase_2"], "--number", 1, "--device", "cpu"),
            *data,
            *to,
        ],
        "experiments.config_diff": words("diff", _grid(place), _folds(place)),
        "experiments.tables": words("--results", place.copy("results")),
        "experiments.report": words(place.copy("results"), "--output", output / "report.html"),
    }
    return calls[module]
