"""The settings of `python -m transfer_learning.predict` and of `transfer_learning.inference.segmenter.Segmenter`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from core.errors import UserError
from core.filing.kinds import PREDICTION
from data.geometry import ResizeMode
from transfer_learning.inference.annotations import formats_of
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
class DrawingOptions(InferenceOptions):
    """And how what was found is drawn."""

    palette: Literal["data", "voc", "guide"] = "data"
    """Colours of the classes: those of the data set, PASCAL VOC's rule, or PyTorch hub's guide to DeepLabV3."""
    alpha: float = 0.45
    """Share of the classes' colours in an overlay, 0 to 1."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.alpha <= 1:  # catches NaN as well
            raise UserError(f"alpha {self.alpha} is outside [0, 1]: 0 shows the picture alone, 1 the mask")


@dataclass(frozen=True)
class PredictConfig(DrawingOptions):
    """What to segment, with which weights, and where the results go."""

    writes: ClassVar[dict[str, str]] = {"output_dir": PREDICTION}

    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors; or `torchvision:deeplabv3_resnet101` and the like, from torch
    hub's cache or as `torchvision:NAME=FILE`. Must be given."""
    input: tuple[str, ...] = ()
    """Pictures, folders (with all subfolders), patterns such as 'photos/**/*.jpg', or addresses (https://..., of 25 MB
    at most); several may follow each other."""
    output_dir: Path = Path("predictions")
    """Where masks, overlays, figures and the tables go."""
    write: str | None = None
    """Formats of labelling tools to write the masks in too, as pre-annotations to correct: coco, labelme, label_studio
    and yolo, with commas between several."""
    figures: bool = True
    """Draw an overlay and a figure picture | mask | overlay of each picture. --no_figures: masks and tables alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.write is not None:
            formats_of(self.write)
