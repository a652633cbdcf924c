"""The settings of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from core.classes import MOST_CLASSES
from core.errors import UserError
from core.train_config import Amp, Kernels, MemoryFormat


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise UserError(f"{name} {getattr(config, name)} must be at least 1")


def _require_threads(given: tuple[int, ...]) -> None:
    if given and min(given) < 1:
        raise UserError(f"threads {min(given)} must be at least 1")


@dataclass(frozen=True)
class ThroughputConfig:
    """What is measured, how often, on what."""

    output_dir: Path = Path("benchmarks/results")
    """Where summary.json and throughput.json go, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures and runs lie that are measured with."""
    size: int = 128
    """Side of the pictures that the networks see."""
    width: int = 16
    """Width of our network."""
    batch_size: int = 8
    """Pictures a step."""
    steps: int = 2
    """Steps of a round."""
    repeats: int = 20
    """Rounds, in which everything that is compared takes its turn."""
    threads: tuple[int, ...] = ()
    """Threads that compute, one measurement each. Left out: as many as there are cores, and 1."""
    images: int = 200
    """Pictures that are drawn to measure with."""
    train_steps: int = 300
    """Steps that the network is trained for, once, whose scoring is timed."""
    peers: bool = True
    """Measure segmentation-models-pytorch and MONAI too."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    amp: Amp = "auto"
    """Mixed precision of our own arms."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "width", "batch_size", "steps", "repeats", "images", "train_steps")
        if self.images < 10 * self.batch_size:
            raise UserError(f"images {self.images} must be at least ten batches, {10 * self.batch_size}")
        _require_threads(self.threads)


@dataclass(frozen=True)
class GrowthConfig:
    """How many pictures, and how many classes, and with which small network."""

    of: Literal["all", "pictures", "classes", "volumes"] = "all"
    """What grows: pictures (growth.json), classes (class_growth.json), volumes (volume_growth.json), or all: one
    after the other."""
    counts: tuple[int, ...] = (5000, 20000, 80000)
    """Numbers of pictures, smallest first."""
    output_dir: Path = Path("benchmarks/results")
    """Where growth.json, class_growth.json and volume_growth.json go, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures are drawn."""
    size: int = 40
    """Side of the pictures."""
    width: int = 2
    """Width of the network."""
    batch_size: int = 64
    """Pictures a step."""
    classes: tuple[int, ...] = (3, 21, 50, 150)
    """Numbers of classes, smallest first."""
    class_size: int = 128
    """With classes: side of the pictures that the network sees; they are scored at sides of photographs."""
    class_width: int = 16
    """With classes: width of the network."""
    class_batch_size: int = 8
    """With classes: pictures a step."""
    repeats: int = 5
    """With classes: how often each is timed."""
    volume_counts: tuple[int, ...] = (10, 200)
    """Numbers of volumes, smallest first."""
    volume_size: int = 96
    """With volumes: voxels of a side."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        names = {
            "pictures": ("counts", "size", "width", "batch_size"),
            "classes": ("classes", "class_size", "class_width", "class_batch_size", "repeats"),
            "volumes": ("volume_counts", "volume_size"),
        }
        others = () if self.of == "all" else (kind for kind in names if kind != self.of)
        return {name: f"with --of {self.of}" for kind in others for name in names[kind]}

    def __post_init__(self) -> None:
        for name, least, most in (("counts", 10, None), ("classes", 2, MOST_CLASSES), ("volume_counts", 6, None)):
            values = getattr(self, name)
            if len(values) < 2 or list(values) != sorted(set(values)) or values[0] < least:
                raise UserError(f"{name} {values}: give at least two numbers from {least} upwards, smallest first")
            if most and values[-1] > most:
                raise UserError(f"{name} {values}: labels hold {most} classes at most")
        _require_positive(
            self, "size", "width", "batch_size", "class_size", "class_width", "class_batch_size", "repeats"
        )


@dataclass(frozen=True)
class BackendsConfig:
    """Which network computes, and how often."""

    output_dir: Path = Path("benchmarks/results")
    """Where backends.json goes, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures, the network and its exports lie."""
    size: int = 128
    """Side of the pictures that the network sees."""
    width: int = 16
    """Width of the network."""
    batch_size: int = 8
    """Pictures at a time."""
    train_steps: int = 300
    """Steps that the network is trained for, once."""
    images: int = 200
    """Pictures that are drawn to train, compare and measure with, at sides of photographs."""
    repeats: int = 20
    """Rounds, in which all backends take their turn."""
    threads: tuple[int, ...] = ()
    """Threads that compute, one measurement each. Left out: as many as there are cores, and 1."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "width", "batch_size", "train_steps", "images", "repeats")
        if self.images < 10 * self.batch_size:
            raise UserError(f"images {self.images} must be at least ten batches, {10 * self.batch_size}")
        _require_threads(self.threads)


@dataclass(frozen=True)
class KernelsConfig:
    """Of which network, how often, and what becomes of it."""

    output_dir: Path = Path("benchmarks/results")
    """Where kernels.json goes, in a folder named after the processor."""
    size: int = 128
    """Side of the pictures."""
    width: int = 16
    """Width of the network."""
    batch_size: int = 8
    """Pictures a step."""
    repeats: int = 20
    """Rounds, in which everything that is compared takes its turn."""
    threads: tuple[int, ...] = ()
    """Threads that compute, one measurement each. Left out: as many as there are cores, and 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    amp: Amp = "auto"
    """Precision to measure beside fp32."""
    adopt: bool = False
    """Have auto take what was fastest, on all processors of this kind."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "width", "batch_size", "repeats")
        _require_threads(self.threads)


@dataclass(frozen=True)
class PartsConfig:
    """Of which batch, and how often."""

    output_dir: Path = Path("benchmarks/results")
    """Where parts.json goes, in a folder named after the processor."""
    size: int = 128
    """Side of the pictures."""
    batch_size: int = 8
    """Pictures a step."""
    classes: tuple[int, ...] = (3, 21, 150)
    """Numbers of classes that losses are measured with."""
    repeats: int = 20
    """Rounds, in which all ways of a part take their turn."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    amp: Amp = "auto"
    """Precision to measure beside fp32."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "batch_size", "repeats")
        if not self.classes or not 2 <= min(self.classes) <= max(self.classes) <= MOST_CLASSES:
            raise UserError(f"classes {self.classes}: give numbers from 2 to {MOST_CLASSES}")


@dataclass(frozen=True)
class CurvesConfig:
    """Which ways are compared, on what, and how long."""

    output_dir: Path = Path("benchmarks/results")
    """Where the JSON and the figure go, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures and runs lie."""
    data_dir: Path | None = None
    """Prepared data to train on. Left out: drawn pictures of --size."""
    size: int = 128
    """Side of drawn pictures."""
    images: int = 200
    """Number of drawn pictures, half of them for training."""
    width: int = 16
    """Width of the network."""
    batch_size: int = 8
    """Pictures a step."""
    steps: int = 300
    """Length of each training."""
    every: int = 20
    """Steps a row of the curves."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Each with its own first weights and order, the same for all ways."""
    precisions: tuple[Amp, ...] = ("off",)
    """Of off, bf16 and fp16; the first is what others are compared with."""
    kernels: tuple[Kernels, ...] = ("torch", "own")
    """Likewise."""
    memory_format: MemoryFormat = "auto"
    """Layout of all trainings."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "images", "width", "batch_size", "steps", "every")
        for name in ("seeds", "precisions", "kernels"):
            if not getattr(self, name) or len(set(getattr(self, name))) != len(getattr(self, name)):
                raise UserError(f"{name} {getattr(self, name)}: give at least one, each once")
        if "auto" in (*self.precisions, *self.kernels):
            raise UserError("precisions and kernels are compared by name: give others than auto")


@dataclass(frozen=True)
class ClusterConfig:
    """How many arms, how short, and on how many workers."""

    workers: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of Ray workers, a grid each."""
    arms: int = 200
    """Arms of a grid."""
    steps: int = 4
    """Steps of an arm."""
    output_dir: Path = Path("benchmarks/results")
    """Where cluster.json goes, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures and runs lie."""
    size: int = 40
    """Side of the pictures."""
    width: int = 2
    """Width of the network."""
    batch_size: int = 4
    """Pictures a step."""

    def __post_init__(self) -> None:
        _require_positive(self, "steps", "size", "width", "batch_size")
        if self.arms < 2:
            raise UserError(f"arms {self.arms} must be at least 2")
        if not self.workers or min(self.workers) < 1 or len({*self.workers}) < len(self.workers):
            raise UserError(f"workers {self.workers}: give different numbers from 1 upwards")


@dataclass(frozen=True)
class StepProfileConfig:
    """What is profiled, and over how many steps."""

    output_dir: Path = Path("benchmarks/results")
    """Where profile.json goes, in a folder named after the processor."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures lie that are trained on."""
    size: int = 128
    """Side of the pictures that the network sees."""
    width: int = 16
    """Width of the network."""
    batch_size: int = 8
    """Pictures a step."""
    steps: int = 5
    """Steps that are profiled, after one that warms up."""
    images: int = 200
    """Pictures that are drawn to train on."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    amp: Amp = "auto"
    """Mixed precision of the training step."""

    def __post_init__(self) -> None:
        _require_positive(self, "size", "width", "batch_size", "steps", "images")
