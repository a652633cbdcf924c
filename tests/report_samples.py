"""Small results and run folders for the tests of the report, written by hand."""

import csv
import json
import re
from pathlib import Path

import numpy as np
from PIL import Image

from core.classes import ClassSet
from experiments.report import main as report

CLASSES = ClassSet(("background", "cat", "dog"), ignored_is="border")
HOSTILE = '<script>document.title = "taken"</script><img src=x onerror=alert(1)>"\''


def segmentation_settings(**changes) -> dict:
    """Settings as a phase-2 run keeps them, defaults but for the changes."""
    from core.train_config import NOT_COMPARED
    from experiments.page.command_lines import defaults

    kept = {name: value for name, value in defaults("transfer_learning").items() if name not in NOT_COMPARED}
    return {**kept, "data_fingerprint": "d" * 64, "pretrained_encoder_sha256": None, **changes}


def matrices(seed: int, images: int = 30, classes: int = 3) -> np.ndarray:
    """Confusion matrices [N, C, C] with the same true pixels whatever the seed, and predictions that depend on it."""
    truth = np.random.default_rng(0).integers(200, 900, (images, classes))
    truth[np.arange(images), 1 + np.arange(images) % (classes - 1)] = 0  # no picture shows a cat and a dog
    generator = np.random.default_rng(seed)
    ones = np.ones(classes)
    counts = [[generator.multinomial(n, generator.dirichlet(ones)) for n in row] for row in truth]
    return np.array(counts) + np.eye(classes, dtype=int) * truth[:, :, None] * 2


def segmentation_result(counts: np.ndarray, training: dict, classes: ClassSet = CLASSES, **more) -> dict:
    """The content of evaluation_results.json."""
    from transfer_learning.scores.confusion import segmentation_scores

    return {
        "format": 2,
        "phase": "transfer_learning",
        **segmentation_scores(counts.sum(axis=0), classes),
        "class_set": classes.content(),
        "num_images": len(counts),
        "provenance": {
            "commit": "c" * 40,
            "checkpoint_sha256": "a" * 64,
            "data_sha256": "d" * 64,
            "split": "Test",
            "resolution": 64,
            "seed": training["seed"],
            "epoch": 2,
            "training": training,
            "versions": {"python": "3.11.7", "torch": "2.15.0"},
            "device": "cpu (a name, 1 threads)",
        },
        **more,
    }


def write_segmentation(
    folder: Path, seed: int = 1, training: dict | None = None, classes: ClassSet = CLASSES, **more
) -> dict:
    """Write results of phase 2 with their per_image.csv; returns the JSON's content."""
    counts = matrices(seed, classes=len(classes))
    result = segmentation_result(counts, training or segmentation_settings(), classes, **more)
    columns = [f"{kind}_{name}" for kind in ("hit", "truth", "said") for name in classes.names]
    rows = [
        [f"pet_{number}", *matrix.diagonal(), *matrix.sum(axis=1), *matrix.sum(axis=0)]
        for number, matrix in enumerate(counts)
    ]
    write_results(folder / "evaluation_results.json", result, ["name", *columns], rows)
    return result


def write_first_format(folder: Path, seed: int = 1, training: dict | None = None, **more) -> dict:
    """Write what `write_segmentation` does in the first format, of three classes."""
    counts, names = matrices(seed), CLASSES.names
    result = segmentation_result(counts, training or segmentation_settings(), **more)
    for key in ("format", "phase", "class_set", "foreground"):
        del result[key]
    result = {**result, **result.pop("classes")}
    columns = [f"count_{truth}_as_{said}" for truth in names for said in names]
    rows = [[f"pet_{number}", *matrix.ravel()] for number, matrix in enumerate(counts)]
    write_results(folder / "evaluation_results.json", result, ["name", *columns], rows)
    return result


def write_reconstruction(folder: Path, psnr: list, **more) -> dict:
    """Write results of phase 1, one PSNR an image ("" for none)."""
    from experiments.page.command_lines import defaults

    known = [value for value in psnr if value != ""]
    training = {**defaults("reconstruction"), "seed": 42}
    result = {
        "mse": 0.00123,
        "psnr": sum(known) / len(known),
        "ssim": 0.5,
        "num_samples": len(psnr),
        "provenance": {"split": "Val", "resolution": 64, "epoch": 1, "training": training},
        **more,
    }
    rows = [[f"pet_{number}", value, 0.5] for number, value in enumerate(psnr)]
    write_results(folder / "reconstruction_metrics.json", result, ["name", "psnr", "ssim"], rows)
    return result


def write_results(path: Path, result: dict, columns: list[str], rows: list) -> None:
    """Write a JSON and the per_image.csv beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result))
    with (path.parent / "per_image.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def write_run(folder: Path, training: dict, rows: int = 3) -> None:
    """Write a run folder of phase 2: its description and its log."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {**training, "data_dir": "data/my pets", "output_dir": str(folder), "pretrained_encoder": None}
    (folder / "training_config.json").write_text(json.dumps({"settings": settings, "identity": training}))
    log = [f"{row},{1 / row},{2 / row},0.{row},0.{row},0.{row},0.{row}" for row in range(1, rows + 1)]
    head = "epoch,train_loss,val_loss,dice_background,dice_cat,dice_dog,mean_iou"
    (folder / "training_log.csv").write_text("\n".join([head, *log]) + "\n")


def write_picture(path: Path, size: tuple[int, int] = (60, 20)) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 120, 40)).save(path)


def write_strip(folder: Path, names: tuple[str, ...] = ("one", "two"), tile: int = 8) -> dict:
    """Write the tiles of a strip; returns what the result says of it."""
    write_picture(folder / "figures/strip.png", (3 * tile, len(names) * tile))
    content = {"file": "figures/strip.png", "tile": tile, "names": [*names]}
    return {**content, "classes": ["cat", "dog"], "unscored": True}


def page_of(*arguments) -> str:
    """Make a report that must succeed; returns the page without its script and style."""
    assert report([str(argument) for argument in arguments]) == 0
    first = arguments[0]
    text = (first.parent if first.is_file() else first).joinpath("report.html").read_text()
    return re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.DOTALL)


def words(page: str) -> str:
    """Return what a reader sees of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.replace("<wbr>", "")).split())
