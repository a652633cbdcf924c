"""The settings of `python -m transfer_learning.app`."""

from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from core.errors import UserError
from transfer_learning.predict_config import DrawingOptions, InferenceOptions

HIGHEST_PORT = 2**16 - 1


@dataclass(frozen=True)
class AppConfig(DrawingOptions):
    """With which weights pictures are segmented, and where the page is served."""

    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors, or whatever `ae-pretrained predict` takes. Must be given."""
    compare_with: Path | None = None
    """Further weights, whose results stand beside those of --model_path. Their classes may be others."""
    host: str = "127.0.0.1"
    """Where the page is served: this machine alone; 0.0.0.0 to all that reach it, who may then all use it."""
    port: int = 7860
    """Of the page; 0 takes one that is free."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.port <= HIGHEST_PORT:
            raise UserError(f"port {self.port} must lie between 0 (any that is free) and {HIGHEST_PORT}")
        if self.compare_with is not None and self.compare_with == self.model_path:
            raise UserError(f"{self.compare_with} would be compared with itself: give other weights to --compare_with")

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine reaches the page."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def inference(self) -> dict[str, Any]:
        """The arguments of `Segmenter.load`, but for the weights of an ensemble."""
        return {field.name: getattr(self, field.name) for field in fields(InferenceOptions) if field.name != "ensemble"}
