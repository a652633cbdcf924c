"""How a run learns, in both phases."""

from dataclasses import dataclass

from core.errors import UserError


@dataclass(frozen=True)
class LearningConfig:
    """What goes by the run's own scores, and the average of its weights."""

    plateau_factor: float = 0.5
    """With --schedule plateau: what the learning rate is multiplied by each time."""
    plateau_patience: int = 5
    """With --schedule plateau: how many epochs (rows of the log) in a row may be no better before the rate falls."""
    ema: float = 0.0
    """Average the weights as they go: each step keeps this share of the average, so 0.999 reaches back about 1,000
    steps. The averaged weights are what is validated, chosen and saved (best_model.safetensors, checkpoints/); training
    goes on from its own. 0: off."""

    def __post_init__(self) -> None:
        if not 0 < self.plateau_factor < 1:
            raise UserError(f"plateau_factor {self.plateau_factor} is outside (0, 1): 0.5 halves the rate")
        if self.plateau_patience < 0:
            raise UserError(f"plateau_patience {self.plateau_patience} must be at least 0")
        if not 0 <= self.ema < 1:
            raise UserError(f"ema {self.ema} is outside [0, 1): 0.999 reaches back about 1,000 steps, 0 turns it off")
