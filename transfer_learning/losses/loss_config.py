"""The settings of phase 2's loss."""

from dataclasses import dataclass
from typing import Literal

from core.errors import UserError
from transfer_learning.losses.expression import Part, parts_of
from transfer_learning.losses.terms import PIXELWISE

ClassWeights = Literal["static", "log", "batch", "off"]
DEFAULT_LOSS = "dice + ce"


@dataclass(frozen=True)
class LossConfig:
    """What the network is judged by as it learns."""

    loss: str = DEFAULT_LOSS
    """A weighted sum of terms, such as "0.5*focal(gamma=2) + dice + 0.1*boundary". Terms: ce, focal(gamma),
    ohem(threshold, share), label_smoothing(share), border_weight(w0, sigma), dice, tversky(alpha, beta), jaccard,
    lovasz, boundary; docs/losses.md says what each is."""
    dice_weight: float = 1.0
    """With the default --loss: weight of the Dice loss. 0 leaves it out."""
    ce_weight: float = 1.0
    """With the default --loss: weight of the cross-entropy. 0 leaves it out."""
    weighted_ce: ClassWeights = "static"
    """Class weights of the cross-entropy and its kin (focal, ohem, label_smoothing, border_weight): the inverse
    frequency of the training labels' pixels (static), or of each batch's; log: 1 / ln(1.02 + share) of the training
    labels (ENet), milder on common classes; off: all one."""

    def __post_init__(self) -> None:
        default = self._is_default
        weights = {"dice_weight": self.dice_weight, "ce_weight": self.ce_weight}
        for name, weight in weights.items():
            if not weight >= 0:
                raise UserError(f"{name} {weight} must be at least 0")
            if weight != 1 and not default:
                term = name.removesuffix("_weight")
                raise UserError(f"--{name} is of the default loss: write {weight:g}*{term} into --loss instead")
        if not any(weights.values()):
            raise UserError("dice_weight and ce_weight are both 0: there is nothing to learn")

    @property
    def loss_parts(self) -> dict[str, Part]:
        """The terms with their weights, by name."""
        parts = parts_of(self.loss)
        if not self._is_default:
            return parts
        weights = {"dice": self.dice_weight, "ce": self.ce_weight}
        return {name: Part(weights[name], part.term) for name, part in parts.items() if weights[name]}

    @property
    def _is_default(self) -> bool:
        return parts_of(self.loss) == parts_of(DEFAULT_LOSS)

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        if not self.ce_weight:
            return {"weighted_ce": "with --ce_weight 0"}
        return (
            {} if any(name in PIXELWISE for name in self.loss_parts) else {"weighted_ce": f"with --loss {self.loss!r}"}
        )
