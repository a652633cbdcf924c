"""What the evaluation commands of both phases share: settings, weights, provenance, tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from core.errors import UserError
from core.filing.data_config import DataConfig
from core.filing.kinds import EVALUATION

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from core.filing.seal import Seal
    from core.headers.header import Header

# With more classes than this, tables and figures show the best and the worst, and logs the means alone.
MANY_CLASSES = 25
Model = TypeVar("Model", bound="nn.Module")


@dataclass(frozen=True)
class EvaluationConfig(DataConfig):
    """Common to `reconstruction.evaluate` and `transfer_learning.evaluate`."""

    writes: ClassVar[dict[str, str]] = {"output_dir": EVALUATION}

    model_path: Path | None = None
    """Weights to evaluate: a run's best_model.safetensors. Must be given."""
    split: Literal["Test", "Val", "Train"] = "Test"
    """Which split to score. Choose between models on Val; score Test once."""
    output_dir: Path = Path("evaluation_results")
    """Where JSON, table and figures go; each phase and run needs a folder of its own."""
    batch_size: int = 8
    """Pictures at a time. On a CPU more is slower (their features leave the cache), on a GPU faster."""
    visualize_samples: int = 16
    """Pictures drawn in each figure of single pictures. 0: none of those."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UserError(f"batch_size {self.batch_size} must be at least 1")
        if self.visualize_samples < 0:
            raise UserError(f"visualize_samples {self.visualize_samples} must be at least 0 (0: no single pictures)")


class Evaluated(Protocol):
    """What the data tell of themselves: `data.opened.Data`."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def require_unseen(self, weights: Path, seen: "np.ndarray", allowed: bool, *names: str) -> dict[str, int]: ...  # noqa: D102


RESULT_FILES = {"transfer_learning": "evaluation_results.json", "reconstruction": "reconstruction_metrics.json"}


def require_own_folder(output_dir: Path, phase: str) -> None:
    """Raise UserError where the folder holds the results of the other phase, whose tables and figures would be lost."""
    for other, file in RESULT_FILES.items():
        if other != phase and (output_dir / file).exists():
            raise UserError(f"{output_dir} holds the results of {other} ({file}): choose another --output_dir")


def seal_of_scores(config: EvaluationConfig, phase: str) -> "Seal":
    """Return the seal of what an evaluation is about to write: weights, the log beside them, and data have a say."""
    from core.filing.seal import seal_of, stamp_of
    from core.machine.processor import cpu_name

    read: dict[str, Path | None] = {"manifest": config.data_dir / "manifest.json"}
    if weights := config.model_path:
        read |= {"weights": weights, "training log": weights.parent / "training_log.csv"}
        if weights.suffix == ".xml":  # OpenVINO has two files
            read["beside them"] = weights.with_suffix(".bin")
    read |= {f"weights {place}": path for place, path in enumerate(getattr(config, "ensemble", ()), 2)}
    if class_map := getattr(config, "class_map", None):
        read["class map"] = class_map
    # Scores of another precision may differ in the third digit; which one it is takes torch to say.
    computes = [cpu_name(), Path("/dev/nvidia0").exists()] if getattr(config, "amp", "off") == "auto" else []
    more = {"computes": computes, "pictures": stamp_of(config.data_dir / config.split)}
    return seal_of(config.output_dir, f"{phase}.evaluate", config, read, apart=config.writes, **more)


def scored_before(config: EvaluationConfig, phase: str, seal: "Seal") -> dict[str, Any] | None:
    """Return the results of an earlier call and say so, if they are what this one would write; None where not."""
    from core.filing.json_file import read_json

    said = seal.said()
    if said is None:
        return None
    print(f"{config.output_dir} {said}")
    return read_json(config.output_dir / RESULT_FILES[phase])


def seal_scores(config: EvaluationConfig, seal: "Seal", result: dict[str, Any], folder: Path) -> None:
    """Seal results that wait in a folder to take their place, unless a figure is missing among them."""
    from core.filing.seal import files_in

    if result.get("not_drawn"):
        return
    score = next(name for name in ("mean_iou", "psnr", "target_error") if name in result)
    count = result["num_images"] if "num_images" in result else result["num_samples"]
    value = f"{score} {format_cell(result[score])}, {counted(count, scored_kind(result))} of {config.split}"
    said = f"holds these scores already ({value}), of the same weights, data, settings and code: nothing to do"
    seal.write(said, files_in(folder), folder)


def load_model(
    model_path: Path | None, phase: str, network: type[Model], device: "torch.device", precision: str = "off"
) -> tuple[Model, "Header"]:
    """Return the trained network in eval mode, and the header of its weights.

    Raises:
        UserError: none given, unreadable, damaged, or of the other phase.
    """
    from core.machine.device import for_inference
    from core.weights import build, load_weights

    if model_path is None:
        raise UserError("give the weights of a training run: --model_path runs/.../best_model.safetensors")
    tensors, header = load_weights(model_path)
    if header.phase != phase:
        raise UserError(f"{model_path} comes from {header.phase}: this command takes weights of {phase}")
    return for_inference(build(network, tensors, header, str(model_path)), device, precision), header


def provenance(
    config: EvaluationConfig,
    header: "Header",
    data: "Evaluated",
    size: Sequence[int],
    device: "torch.device",
) -> dict[str, Any]:
    """Return where the scores come from (design: commit, weights, data, resolution, seed, versions, device).

    Args:
        config: the settings.
        header: of the weights.
        data: what is scored.
        size: height and width of what the network sees, of volumes depth too.
        device: what computed.

    Returns:
        `pictures_seen` among them: how many of the pictures scored the weights were trained on, None where they do not
        tell.

    Raises:
        UserError: they were trained on some of Val or Test, without --allow_seen.
    """
    from core.files import file_sha256
    from core.headers.seen import all_named
    from core.run.provenance import commit, device_name, versions

    assert config.model_path is not None
    found = data.require_unseen(
        config.model_path, header.seen, config.allow_seen or config.split == "Train", config.split
    )
    if header.run.data_fingerprint != data.fingerprint and not all_named(header.seen):
        print(
            f"note: these weights were trained on other data than {config.data_dir} (source, size or division): "
            f"training may have seen pictures of its {config.split}"
        )
    return {
        "commit": commit(),
        "checkpoint_sha256": file_sha256(config.model_path),
        "data_set": data.name,
        "data_sha256": data.fingerprint,
        "pictures_seen": found[config.split] if all_named(header.seen) else None,
        "split": config.split,
        "resolution": resolution_of(size),
        "seed": header.run.seed,
        "epoch": header.epoch,
        "training": header.config,
        "versions": versions(),
        "device": device_name(device),
    }


def resolution_of(size: Sequence[int]) -> int | list[int]:
    """Return height and width, or depth too, as results name them: a square by its side."""
    return size[0] if len(size) == 2 and len(set(size)) == 1 else list(size)


def in_words(size: Sequence[int]) -> str:
    """Return height and width as the flag `--size` takes them: 128 for a square, 360x480; of volumes depth too."""
    return str(size[0]) if len(set(size)) == 1 else "x".join(map(str, size))


def figure(file: str, title: str, caption: str) -> dict[str, str]:
    """Return an entry of a result's `figures`: where it lies below `--output_dir`, and what a reader needs to know."""
    return {"file": file, "title": title, "caption": caption}


def spread(count: int, wanted: int) -> list[int]:
    """Return up to `wanted` places spread evenly over `count` pictures, the same at every call."""
    if not wanted or not count:
        return []
    wanted = min(wanted, count)
    return [round(place * (count - 1) / max(1, wanted - 1)) for place in range(wanted)]


def scored_kind(result: dict[str, Any], of_two_dimensions: str = "image") -> str:
    """Return what an evaluation scored, in words: "image" or so, or "volume"."""
    resolution = result["provenance"]["resolution"]
    return "volume" if isinstance(resolution, list) and len(resolution) == 3 else of_two_dimensions


def counted(count: int | str, noun: str) -> str:
    """Return a number of things, which may be a sum: "1 seed", "3 seeds", "52 + 131 pictures", "2 species"."""
    return f"{count} {noun}{'' if str(count) == '1' or noun.endswith('s') else 's'}"


def best_and_worst(scores: Sequence[float | None], most: int) -> list[int]:
    """Return the places of scores, best first and those without one last.

    Of more than `most` only the best and the worst, as many of each, and none without a score.
    """
    ranked = sorted((-score, place) for place, score in enumerate(scores) if score is not None)
    known = [place for _, place in ranked]
    if len(scores) <= most:
        return [*known, *(place for place, score in enumerate(scores) if score is None)]
    half = most // 2
    return known if len(known) <= most else [*known[:half], *known[-half:]]


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; numbers with four places, None as "-". Names are shown as they are, whatever they look like.

    Columns for which the terminal is too narrow follow below, behind the names again.
    """
    from rich.markup import escape
    from rich.table import Table

    from core.terminal.screen import screen
    from core.terminal.tables import least_widths, parts_that_fit, spread_widths, whole_widths

    cells, console = [[format_cell(value) for value in row] for row in rows], screen()
    least, whole = least_widths(columns, cells, console.width), whole_widths(columns, cells)
    for number, part in enumerate(parts_that_fit(columns, least, console.width)):
        widths = spread_widths([least[place] for place in part], [whole[place] for place in part], console.width)
        table = Table(title=None if number else escape(title), title_justify="left")
        for place, width in zip(part, widths, strict=True):
            justify: Literal["left", "right"] = "right" if place else "left"
            table.add_column(escape(columns[place]), justify=justify, width=width, overflow="fold")
        for row in cells:
            table.add_row(*[escape(row[place]) for place in part])
        console.print(table)


def format_cell(value: Any) -> str:
    """Return a number with four places (small ones with an exponent), None (nothing to score) as "-"."""
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4f}" if value == 0 or abs(value) >= 0.001 else f"{value:.2e}"
