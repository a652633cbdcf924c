"""The settings of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.train_config import Amp


@dataclass(frozen=True)
class ThroughputConfig:
    """What is measured, how often, on what."""

    output_dir: Path = Path("benchmarks/results")
    """Where summary.json and throughput.json go."""
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
    images: int = 200
    """Pictures that are drawn to measure with."""
    peers: bool = True
    """Measure segmentation-models-pytorch and MONAI too."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    amp: Amp = "auto"
    """Mixed precision of our own arms."""

    def __post_init__(self) -> None:
        for name in ("size", "width", "batch_size", "steps", "repeats", "images"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} must be at least 1")
        if self.images < 10 * self.batch_size:
            raise UserError(f"images {self.images} must be at least ten batches, {10 * self.batch_size}")


@dataclass(frozen=True)
class GrowthConfig:
    """How many pictures, and with which small network."""

    counts: tuple[int, ...] = (5000, 20000, 80000)
    """Numbers of pictures, smallest first."""
    output_dir: Path = Path("benchmarks/results")
    """Where growth.json goes."""
    work_dir: Path = Path("benchmarks/data")
    """Where the pictures are drawn."""
    size: int = 40
    """Side of the pictures."""
    width: int = 2
    """Width of the network."""
    batch_size: int = 64
    """Pictures a step."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""

    def __post_init__(self) -> None:
        if len(self.counts) < 2 or list(self.counts) != sorted(set(self.counts)) or self.counts[0] < 10:
            raise UserError(f"counts {self.counts}: give at least two numbers from 10 upwards, smallest first")


@dataclass(frozen=True)
class StepProfileConfig:
    """What is profiled, and over how many steps."""

    output_dir: Path = Path("benchmarks/results")
    """Where profile.json goes."""
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
        for name in ("size", "width", "batch_size", "steps", "images"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} {getattr(self, name)} must be at least 1")
