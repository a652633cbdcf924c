"""How pictures go through a network: the same settings for evaluation and prediction."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from core.errors import UserError
from core.filing.words import nearest
from core.sides import MAX_SIZE, sides_of
from core.train_config import Amp
from transfer_learning.inference.postprocessing.steps import Step, parse_steps

Backend = Literal["auto", "torch", "onnxruntime", "openvino"]

# Beyond these a picture is a few pixels, or takes a hundred times the memory; with more overlap it takes for ever.
SMALLEST_SCALE, LARGEST_SCALE = 0.1, 4.0
LARGEST_OVERLAP = 0.9
FLIPS = "flips"


@dataclass(frozen=True)
class ReadoutOptions:
    """Which views of a picture the network gets, and what computes them."""

    bare_flags: ClassVar[dict[str, str]] = {"amp": "auto", "tta": "True"}

    tta: bool | str | None = False
    """Test-time augmentation: average the class probabilities over views. `flips,0.75,1,1.25` names them: at these
    shares of the usual size, 0.1 to 4, each also mirrored left to right; `flips` mirrors alone, `0.75,1` never. Bare
    it mirrors, at --tta_scales."""
    tta_scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    """With a bare --tta: the sizes at which the picture is seen, as shares of the usual one, 0.1 to 4."""
    tile: bool = False
    """Go over a picture that is larger than --size in overlapping windows of that size, instead of shrinking it whole.
    Worth it where what is looked for is about as large in pixels as it was in training."""
    tile_scale: float = 1.0
    """With --tile: resize the picture by this factor first. 0.5 halves its sides, so that a window holds more of it.
    0.1 to 4."""
    tile_overlap: float = 0.5
    """With --tile: share of a window's side that its neighbour covers too, at least. 0 to 0.9."""
    postprocess: str | None = None
    """What is done to the result at the picture's own size, in this order: `crf:5` (iterations) and `guided:8` (radius)
    on the probabilities; `median:5`, `open:3`, `close:3` (windows in pixels), `largest`, `fill` and `min_area:50`
    (pixels) on the classes, of one alone as in `largest[cat]`."""
    ensemble: tuple[Path, ...] = ()
    """Further weights: class probabilities are averaged over all networks, each of which sees pictures as in its own
    training. They may differ in everything but their classes."""
    backend: Backend = "auto"
    """What computes: torch (weights), onnxruntime or openvino (what `ae-pretrained export` wrote); auto goes by the
    file."""
    amp: Amp = "off"
    """Precision: off (fp32), bf16, fp16 (a GPU's), or auto: what the hardware computes natively. Scores may differ in
    the third digit."""
    size: int | str | None = None
    """What the network sees: 128 is a square, 360x480 is height x width. Left out: that of the training, which the
    weights name."""

    def __post_init__(self) -> None:
        if not self.tta_scales:
            raise UserError("tta_scales is empty: 0.75 1 1.25 sees three sizes, 1 only mirrors")
        if not self.scales:
            raise UserError(f"tta {self.tta!r} names no view: flips,0.75,1,1.25 mirrors and sees three sizes")
        named = self.scales if isinstance(self.tta, str) else ()
        if twice := next((scale for scale in named if named.count(scale) > 1), None):
            raise UserError(f"tta {self.tta}: {twice:g} stands there twice: every view has one vote")
        for scale in (*self.tta_scales, *self.scales, self.tile_scale):
            if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:  # catches NaN as well
                raise UserError(
                    f"a scale of {scale:g} is out of range: those of --tta and --tile_scale are {SMALLEST_SCALE:g} to "
                    f"{LARGEST_SCALE:g} times the usual size"
                )
        if not 0 <= self.tile_overlap <= LARGEST_OVERLAP:
            raise UserError(
                f"tile_overlap {self.tile_overlap} is outside [0, {LARGEST_OVERLAP}]: 0.5 covers half of each window "
                "twice"
            )
        if not self.tile and self.tile_scale != 1:
            raise UserError(f"tile_scale {self.tile_scale} does nothing without --tile")
        sides = (1,) if self.size is None else sides_of(self.size)
        if not 1 <= min(sides) <= max(sides) <= MAX_SIZE:
            raise UserError(f"size {self.size} is outside 1 to {MAX_SIZE} pixels")

        self.steps  # noqa: B018 - raises where they are wrong

    @property
    def scales(self) -> tuple[float, ...]:
        """At which shares of the usual size a picture is seen."""
        if not isinstance(self.tta, str):
            return self.tta_scales if self.tta else (1.0,)
        words = [word for word in self._words if word != FLIPS]
        return tuple(map(_scale, words)) or ((1.0,) if self._words else ())

    @property
    def mirrors(self) -> bool:
        """Whether a picture is also seen mirrored at each of them."""
        return FLIPS in self._words if isinstance(self.tta, str) else bool(self.tta)

    @property
    def _words(self) -> list[str]:
        return [word.strip() for word in str(self.tta).split(",") if word.strip()]

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done to the result."""
        return parse_steps(self.postprocess) if self.postprocess is not None else ()

    def members(self, model_path: Path | None) -> tuple[Path, ...]:
        """Return the weights that are to read, those of --model_path first.

        Raises:
            UserError: none are given, or some of them twice.
        """
        found = (*(() if model_path is None else (model_path,)), *self.ensemble)
        if not found:
            raise UserError("give the weights of a training run: --model_path runs/.../best_model.safetensors")
        if twice := next((path for path in found if found.count(path) > 1), None):
            raise UserError(f"{twice} is in the ensemble twice: every network has one vote")
        return found

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = (
            {}
            if self.tta is True
            else {"tta_scales": "beside a --tta that names its own" if self.tta else "without --tta"}
        )
        return found if self.tile else {**found, "tile_overlap": "without --tile"}

    @property
    def views(self) -> dict[str, Any]:
        """The settings of how a picture is seen, for JSON; `tta_flips` says whether it is mirrored."""
        found = {name: getattr(self, name) for name in ("tile", "tile_scale", "tile_overlap")}
        seen = {"tta": bool(self.tta), "tta_scales": self.scales if self.tta else self.tta_scales}
        return {**seen, "tta_flips": self.mirrors, **found, "postprocess": [str(step) for step in self.steps]}

    @property
    def views_in_words(self) -> str:
        """How a picture is seen, for tables: `whole` unless something was asked for."""
        words = f"in windows, {self.tile_overlap:g} overlapping" if self.tile else "whole"
        words += f", at {self.tile_scale:g} of their size" if self.tile_scale != 1 else ""
        words += ", also mirrored" if self.mirrors else ""
        if self.tta and (self.tta is True or self.scales != (1.0,)):
            words += f", at scales {' '.join(f'{scale:g}' for scale in self.scales)}"
        words += f", by {1 + len(self.ensemble)} networks" if self.ensemble else ""
        return f"{words}, then {', '.join(map(str, self.steps))}" if self.steps else words


def _scale(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        near = nearest(word, (FLIPS,))
        raise UserError(f"tta {word!r} is neither {FLIPS} nor a scale{near}: write flips,0.75,1,1.25") from None
