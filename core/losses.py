"""What the losses of both phases have in common."""

from typing import TYPE_CHECKING

from core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def ratio(numerator: "Tensor", denominator: "Tensor") -> "Tensor":
    """Divide two sums; 0 where there was nothing to sum."""
    return numerator / denominator.where(denominator > 0, 1)


def check_weights(weights: dict[str, float]) -> None:
    """Raise `UserError` for a negative weight or where all of them are zero."""
    for name, weight in weights.items():
        if not 0 <= weight < float("inf"):
            raise UserError(f"{name} {weight}: a loss weight is a number from 0 (off) upwards")
    if not any(weights.values()):
        raise UserError(f"{', '.join(weights)} are all 0: give one of them a positive weight, or nothing is learned")
