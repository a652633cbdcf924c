"""The settings of `python -m transfer_learning.predict` and of `transfer_learning.inference.segmenter.Segmenter`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.errors import UserError
from core.filing.kinds import PREDICTION
from data.geometry import ResizeMode
from transfer_learning.inference.options import ReadoutOptions


@dataclass(frozen=True)
class InferenceOptions(ReadoutOptions):
    """How a picture goes through the network and its scores come back."""

    batch_size: int = 8
    """Pictures at a time, with --tile windows at a time. On a CPU more is slower, on a GPU faster."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    resize_mode: ResizeMode | None = None
    """letterbox or stretch. Left out: as in training, which the weights name."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size < 1:
            raise UserError(f"batch_size {self.batch_size} must be at least 1")


@dataclass(frozen=True)
class PredictConfig(InferenceOptions):
    """What to segment, with which weights, and where the results go."""

    writes: ClassVar[dict[str, str]] = {"output_dir": PREDICTION}

    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors. Must be given."""
    input: tuple[str, ...] = ()
    """Pictures, folders (with all subfolders) or patterns such as 'photos/**/*.jpg'; several may follow each other."""
    output_dir: Path = Path("predictions")
    """Where masks, overlays, figures and the tables go."""
    figures: bool = True
    """Draw an overlay and a figure picture | mask | overlay of each picture. --no_figures: masks and tables alone."""
