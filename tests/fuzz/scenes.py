"""The commands that read what is damaged: how each is set up in a folder of its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import yaml

from fuzz import outcomes
from fuzz.corpus import CLASSES, SIDE, SMALL, grid_flags, half_way
from fuzz.places import copy_linked


@dataclass
class Scene:
    """A command that is about to be called.

    Attributes:
        module, argv: the command.
        victims: the files of which one is damaged.
        output: where it writes.
        outcome: reads there what it made.
        codes: exit codes that are right beside 0 and 2.
        pictures: victims are pictures, whose pixels any viewer can tell.
    """

    module: str
    argv: list[str]
    victims: list[Path]
    output: Path
    outcome: Callable[[Path], Any] = outcomes.nothing
    codes: tuple[int, ...] = ()
    pictures: bool = False
    more: dict[str, Any] = field(default_factory=dict)


class Place:
    """The folder of a case, and the corpus that it copies from."""

    def __init__(self, folder: Path, corpus: Path) -> None:
        self.folder, self.corpus = folder, corpus
        folder.mkdir(parents=True, exist_ok=True)

    def copy(self, name: str) -> Path:
        """Copy a folder of the corpus, once."""
        copied = self.folder / Path(name).name
        return copied if copied.exists() else copy_linked(self.corpus / name, copied)

    def files(self, folder: Path, pattern: str) -> list[Path]:
        """List files, sorted."""
        return sorted(path for path in folder.rglob(pattern) if path.is_file())


def words(*values: object) -> list[str]:
    """Return command-line words."""
    return [str(value) for value in values]


def prepare_own(place: Place, *more: object, classes: bool = True) -> Scene:
    """Prepare one's own pictures."""
    own, output = place.copy("own"), place.folder / "made"
    argv = words("--dataset", "folder", "--images", own / "images", "--masks", own / "masks", "--size", SIDE)
    argv += words("--workers", 1, "--output_dir", output, *(["--classes", *CLASSES] if classes else []), *more)
    return Scene("data.prepare", argv, [], output, outcomes.prepared)


def pictures(place: Place, random: Random) -> Scene:
    scene = prepare_own(place)
    scene.victims, scene.pictures = place.files(place.folder / "own/images", "*"), True
    return scene


def masks(place: Place, random: Random) -> Scene:
    scene = prepare_own(place, *random.choice(([], ["--bad_masks", "leave_out"])))
    scene.victims, scene.pictures = place.files(place.folder / "own/masks", "*"), True
    return scene


def annotations(place: Place, random: Random) -> Scene:
    """Prepare one's own pictures with the annotations of a labelling tool."""
    scene = prepare_own(place, *random.choice(([], ["--bad_masks", "leave_out"])), classes=False)
    masks = place.folder / "own/annotations" / random.choice(ANNOTATIONS)
    scene.argv[scene.argv.index("--masks") + 1] = str(masks)
    scene.victims = [masks] if masks.is_file() else place.files(masks, "*")
    if masks.name == "label_studio.json":
        scene.victims.append(masks.with_suffix(".xml"))
    if masks.name == "labels":
        scene.victims.append(masks.parent / "data.yaml")
    return scene


ANNOTATIONS = ("annotations_coco.json", "label_studio.json", "labelme", "yolo/labels")


def classes_file(place: Place, random: Random) -> Scene:
    scene = prepare_own(place, "--classes", place.folder / "own/classes.yaml", classes=False)
    scene.victims = [place.folder / "own/classes.yaml"]
    return scene


def lists(place: Place, random: Random) -> Scene:
    folder = place.folder / "own/lists"
    form = random.choice(("split.json", "splits.csv", "texts", "tags.csv"))
    chosen = folder / form
    flags = ["--tag_file", chosen, "--group_by", "patient"] if form == "tags.csv" else ["--splits", chosen]
    scene = prepare_own(place, *flags)
    scene.victims = place.files(chosen, "*.txt") if form == "texts" else [chosen]
    return scene


def inspected(place: Place, random: Random) -> Scene:
    own = place.copy("own")
    argv = words("--images", own / "images", "--masks", own / "masks", "--preview", place.folder / "made/preview.png")
    victims = place.files(own / "masks", "*") + place.files(own / "images", "*")
    return Scene("data.inspect", argv, victims, place.folder / "made")


def archive(place: Place, random: Random) -> Scene:
    name, data_set = random.choice((("pets", "oxford_pets"), ("isic", "isic2018")))
    folder, output = place.copy(f"archives/{name}"), place.folder / "made"
    argv = words("--dataset", data_set, "--archives", folder, "--raw_dir", place.folder / "raw", "--size", SIDE)
    argv += words("--workers", 1, "--output_dir", output)
    return Scene("data.prepare", argv, place.files(folder, "*"), output, outcomes.prepared)


def layout(place: Place, random: Random) -> Scene:
    folder, output = place.copy("archives/unpacked"), place.folder / "made"
    argv = words("--dataset", "oxford_pets", "--archives", folder, "--raw_dir", place.folder / "raw", "--size", SIDE)
    argv += words("--workers", 1, "--output_dir", output)
    return Scene("data.prepare", argv, place.files(folder / "annotations", "*.txt"), output, outcomes.prepared)


def evaluate(place: Place) -> Scene:
    """Score the weights of phase 2 on a copy of the prepared data."""
    data, output = place.copy("data"), place.folder / "made"
    argv = words("--model_path", place.corpus / "phase_2/best_model.safetensors", "--data_dir", data)
    argv += words("--output_dir", output, "--device", "cpu", "--no_figures")
    scene = Scene("transfer_learning.evaluate", argv, [], output, outcomes.evaluated)
    scene.more["data"] = data
    return scene


def manifest(place: Place, random: Random) -> Scene:
    scene = evaluate(place)
    scene.victims = [scene.more["data"] / "manifest.json"]
    return scene


def prepared_pictures(place: Place, random: Random) -> Scene:
    scene = evaluate(place)
    data = scene.more["data"]
    if random.random() < 0.7:  # the arrays are built anew from the pictures
        for array in (data / "arrays").iterdir():
            array.unlink()
    scene.victims = place.files(data / "Test", "*.png")
    return scene


def arrays(place: Place, random: Random) -> Scene:
    scene = evaluate(place)
    scene.victims = place.files(scene.more["data"] / "arrays", "Test*.npy")
    return scene


def predict(place: Place, weights: Path, images: Path) -> Scene:
    """Segment pictures."""
    output = place.folder / "made"
    argv = words("--model_path", weights, "--input", images, "--output_dir", output, "--device", "cpu", "--no_figures")
    return Scene("transfer_learning.predict", argv, [], output, outcomes.predicted, codes=(1,))


def predicted_pictures(place: Place, random: Random) -> Scene:
    own = place.copy("own")
    scene = predict(place, place.corpus / "phase_2/best_model.safetensors", own / "images")
    scene.victims, scene.pictures = place.files(own / "images", "*"), True
    return scene


def weights(place: Place, random: Random) -> Scene:
    run = place.copy(random.choice(("phase_2", "phase_2", "phase_1")))
    file = run / "best_model.safetensors"
    if run.name == "phase_2" and random.random() < 0.5:
        scene = predict(place, file, place.corpus / "own/images")
        scene.codes = ()
    elif run.name == "phase_2":
        scene = evaluate(place)
        scene.argv[1] = str(file)
    else:
        output = place.folder / "made"
        argv = words(*SMALL, "--max_steps", 1, "--val_every", 1, "--data_dir", place.corpus / "data")
        argv += words("--pretrained_encoder", file, "--freeze", "always", "--output_dir", output)
        scene = Scene("transfer_learning.train", argv, [], output, outcomes.trained)
    scene.victims = [file]
    return scene


def state(place: Place, random: Random) -> Scene:
    run = place.copy("half_way")
    module, *flags = half_way()
    argv = words(*flags, "--data_dir", place.corpus / "data", "--output_dir", run)
    names = ("state.ckpt",) * 4 + ("metrics.json", "training_config.json", "training_log.csv", "best_model.safetensors")
    return Scene(module, argv, [run / random.choice(names)], run, outcomes.trained)


def tables(place: Place, random: Random) -> Scene:
    folder = place.copy("results")
    return Scene(
        "experiments.tables", words("--results", folder), place.files(folder, "*.json"), folder, outcomes.shown
    )


def report(place: Place, random: Random) -> Scene:
    results, run = place.copy("results"), place.copy(random.choice(("phase_1", "phase_2")))
    victims = [path for path in place.files(results, "*") + place.files(run, "*") if path.suffix in SEEN_BY_REPORT]
    argv = words(results, run, "--output", place.folder / "made/report.html")
    return Scene("experiments.report", argv, victims, place.folder / "made", outcomes.shown)


SEEN_BY_REPORT = (".json", ".csv", ".png")


def ablation_tables(place: Place, random: Random) -> Scene:
    folder = place.copy(random.choice(("ablation/format_1", "ablation/format_2")))
    plan, others = folder / "plan.json", place.files(folder, "*.json")
    return Scene("experiments.tables", words("--results", folder), [plan] * 8 + others, folder, outcomes.shown)


def speeds(place: Place, random: Random) -> Scene:
    """Ask how long a grid takes of which runs were timed."""
    cache, flags = place.copy("timed/cache"), grid_flags(place.corpus, place.folder / "grid.yaml")
    argv = words(*flags, "--list", "--output_dir", place.folder / "runs", "--results_dir", place.folder / "made")
    return Scene("experiments.ablate", argv, [cache / "ae_pretrained/speeds.json"], place.folder / "made")


def finished_runs(place: Place, random: Random) -> Scene:
    """Let a grid keep the results of runs that were trained before."""
    trained, flags = place.copy("trained"), grid_flags(place.corpus, place.folder / "grid.yaml")
    argv = words(*flags, "--output_dir", trained, "--results_dir", place.folder / "made")
    names = ("metrics.json", "metrics.json", "training_config.json", "training_log.csv", "evaluation_results.json")
    name = random.choice((*names, "per_image.csv"))
    return Scene("fuzz.grid_here", argv, place.files(trained, name), place.folder / "made", codes=(1,))


def config(place: Place, random: Random) -> Scene:
    """Call a command with a YAML file, whose costly settings flags replace."""
    section, make = random.choice(list(CONFIGS.items()))
    path = place.folder / "config.yaml"
    scene, settings = make(place)
    path.write_text(yaml.safe_dump({section: settings}, sort_keys=False))
    scene.argv = ["--config", str(path), *scene.argv]
    scene.victims, scene.outcome, scene.codes = [path], outcomes.nothing, (1,)
    return scene


def _training(place: Place) -> tuple[Scene, dict[str, Any]]:
    argv = words("--data_dir", place.corpus / "data", "--output_dir", place.folder / "made", *SMALL)
    argv += words("--max_steps", 1, "--val_every", 1, "--encoder", "unet", "--save_every", 0)
    settings = {
        "lr": 0.01,
        "seed": 3,
        "freeze": 2,
        "schedule": "poly",
        "encoder_dropout": [0.0] * 6,
        "label_fraction": 0.5,
    }
    settings |= {"weighted_ce": "static", "clip": 1.0, "deterministic": False, "flip": 0.5, "decoder": "unet"}
    return Scene("transfer_learning.train", argv, [], place.folder / "made"), settings


def _preparing(place: Place) -> tuple[Scene, dict[str, Any]]:
    own = place.copy("own")
    argv = words("--output_dir", place.folder / "made", "--size", SIDE, "--workers", 1)
    settings = {
        "dataset": "folder",
        "images": str(own / "images"),
        "masks": str(own / "masks"),
        "classes": list(CLASSES),
    }
    settings |= {
        "val_ratio": 0.2,
        "test_ratio": 0.2,
        "seed": 1,
        "resize_mode": "stretch",
        "ignore_value": [255],
        "folds": 0,
    }
    return Scene("data.prepare", argv, [], place.folder / "made"), settings


def _predicting(place: Place) -> tuple[Scene, dict[str, Any]]:
    scene = predict(place, place.corpus / "phase_2/best_model.safetensors", place.corpus / "own/images")
    return scene, {"batch_size": 2, "tta": True, "tta_scales": [1.0, 1.5], "figures": False, "resize_mode": "letterbox"}


def _ablating(place: Place) -> tuple[Scene, dict[str, Any]]:
    from ablation_grid import one_variant

    return planned(place), one_variant(steps=4)


def planned(place: Place) -> Scene:
    """Show the runs of a grid."""
    argv = words("--list", "--data_dir", place.corpus / "data", "--output_dir", place.folder / "made")
    argv += words("--results_dir", place.folder / "made/results")
    return Scene("experiments.ablate", argv, [], place.folder / "made")


CONFIGS = {
    "transfer_learning": _training,
    "data": _preparing,
    "transfer_learning_prediction": _predicting,
    "ablation": _ablating,
}
