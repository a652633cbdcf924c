"""The settings of a suggestion."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from core.errors import UserError
from core.filing.data_config import DataConfig
from core.filing.kinds import SUGGESTION
from transfer_learning.inference.annotations import formats_of

Way = Literal["typical", "uncertain", "random"]
# The interval of a replay rests on so many repetitions at least; one says nothing of chance.
FEWEST_REPLAYS = 2


@dataclass(frozen=True)
class SuggestConfig(DataConfig):
    """Of which pictures to choose, how many, and how."""

    goes_on: ClassVar[bool] = True
    writes: ClassVar[dict[str, str]] = {"output_dir": SUGGESTION}

    model_path: Path | None = None
    """Weights of either phase: a run's best_model.safetensors. Must be given, unless --way random."""
    number: int = 20
    """How many pictures to suggest."""
    way: Literal["auto", "typical", "uncertain", "random"] = "auto"
    """typical: from each cluster of the encoder's features the picture nearest to its middle; uncertain: where the
    classes that the network predicts are least sure, each class in turn; random: by chance, half of them among those
    in which weights of phase 2 see foreground. auto: typical with weights of phase 1, uncertain with those of phase 2,
    and random where --replay finds them no better."""
    beta: float = 1.0
    """uncertain: the power of the entropy by which pictures are drawn. 0 is chance alone, inf takes the most uncertain,
    which are often alike."""
    seed: int = 42
    """Which of the possible draws and clusters."""
    output_dir: Path = Path("suggestion")
    """Where the list, the contact sheet and pre-annotations go."""
    write: str | None = None
    """Formats of pre-annotations to correct, with weights of phase 2: coco, labelme, label_studio and yolo, with commas
    between several."""
    replay: bool = False
    """Measure first whether the way beats random: choose again among your labelled pictures, train with both choices,
    score on Val. It takes some trainings; the same command goes on."""
    replay_seeds: int = 5
    """With --replay: how often."""
    replay_steps: int = 300
    """With --replay: steps of each training, of 8 pictures."""
    jobs: int = 0
    """With --replay: trainings side by side. 0: one a core, or one where they share a GPU."""
    batch_size: int = 8
    """Pictures at a time when the weights look at them."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps, for the weights; trainings of a replay choose by themselves."""

    def __post_init__(self) -> None:
        for name, least in (("number", 1), ("batch_size", 1), ("replay_steps", 1), ("jobs", 0)):
            if getattr(self, name) < least:
                raise UserError(f"{name} {getattr(self, name)} must be at least {least}")
        if self.replay_seeds < FEWEST_REPLAYS:
            raise UserError(f"replay_seeds {self.replay_seeds}: {FEWEST_REPLAYS} or more, one says nothing of chance")
        if not self.beta >= 0:  # catches NaN as well
            raise UserError(f"beta {self.beta} must be at least 0 (chance alone); inf takes the most uncertain")
        if self.replay and self.way == "random":
            raise UserError("--replay compares a way with random: give --way typical or uncertain, or leave --way out")
        if self.write is not None:
            formats_of(self.write)

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        found = {} if self.replay else dict.fromkeys(("replay_seeds", "replay_steps", "jobs"), "without --replay")
        return {**found, "beta": f"with --way {self.way}"} if self.way in ("typical", "random") else found
