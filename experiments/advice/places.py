"""Where an advice keeps what: everything lies in its folder, so that the same command goes on."""

from dataclasses import dataclass
from pathlib import Path

from experiments.grid.run_folder import WEIGHTS


@dataclass(frozen=True)
class Places:
    """The folder of an advice."""

    here: Path

    def fold(self, fold: int) -> Path:
        """Prepared data in which this fold is Test; every unlabelled picture is Train."""
        return self.here / "data" / f"fold_{fold}"

    @property
    def look(self) -> Path:
        """Prepared data at a small size, to measure a step with."""
        return self.here / "data" / "look"

    @property
    def with_val(self) -> Path:
        """Prepared data with a few pictures of Val, by which phase 1 is judged."""
        return self.here / "data" / "with_val"

    @property
    def whole(self) -> Path:
        """Prepared data in which everything is Train but what --splits holds back."""
        return self.here / "data" / "all"

    @property
    def phase_1(self) -> Path:
        """The run folder of phase 1, which all folds share."""
        return self.here / "phase_1"

    def arm(self, name: str) -> Path:
        """The folds of an arm, laid as those of a cross-validation."""
        return self.here / "arms" / name

    def share(self, name: str, share: float) -> Path:
        """The folds of an arm with a share of the labels, likewise."""
        return self.here / "fewer_labels" / f"{name}_{share:g}"

    @property
    def final(self) -> Path:
        """The run folder of the final model."""
        return self.here / "final"

    @property
    def test(self) -> Path:
        """The final model's results on the Test of --splits."""
        return self.here / "test"

    @property
    def predictions(self) -> Path:
        """Masks of all pictures by the final model."""
        return self.here / "predictions"


def weights(run: Path) -> Path:
    """Return where a finished run keeps its weights."""
    return run / WEIGHTS
