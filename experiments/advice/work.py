"""The trainings of an advice as chains of commands, every setting in their words: each can be run again by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.evaluation import RESULT_FILES
from experiments.advice.arms import COMMON, PRETRAINING, Arm
from experiments.advice.choices import PRETRAINING_RUNS, SHARES, Lengths, Sized
from experiments.advice.places import Places, weights
from experiments.advice.running import Chain
from experiments.grid.workers import Command
from experiments.page.command_lines import flag

SCORED = RESULT_FILES["transfer_learning"]


@dataclass(frozen=True)
class Work:
    """What is trained, how long, and where."""

    places: Places
    arms: tuple[Arm, ...]
    folds: int
    sized: Sized
    lengths: Lengths
    seed: int

    def phase_1(self) -> Chain:
        """Return phase 1 on the pictures without a mask, which are Train in every fold."""
        return self.phase_1_on(self.places.with_val)

    def phase_1_on(self, data: Path) -> Chain:
        """Return phase 1 on the unlabelled pictures of prepared data."""
        own = self._of_phase_1()
        words = words_of(own, data_dir=data, output_dir=self.places.phase_1)
        command: Command = ["reconstruction.train", words]
        run, seconds = self.places.phase_1, self.lengths.seconds * PRETRAINING_RUNS
        return Chain("phase 1", (command,), run / "console.txt", weights(run), seconds, run)

    def _of_phase_1(self) -> dict[str, Any]:
        # What is hidden at a time: an eighth of the picture, 8 to 32 pixels.
        patch = max(8, min(32, self.sized.size // 8))
        own = {"pictures": "unlabelled", "seed": self.seed, "width": self.sized.width, "mask_patch": patch}
        return {**PRETRAINING, **length_of(self.lengths.pretraining_steps), **own}

    def of_arms(self) -> Iterator[Chain]:
        """Yield the folds, all arms of one before the next."""
        for fold in range(self.folds):
            for arm in self.arms:
                yield self._fold(arm, fold, self.places.arm(arm.name), 1.0)

    def with_fewer_labels(self, arm: Arm) -> Iterator[Chain]:
        """Yield an arm's folds with shares of their labels, the smaller ones inside the larger."""
        for share in SHARES:
            for fold in range(self.folds):
                yield self._fold(arm, fold, self.places.share(arm.name, share), share)

    def _fold(self, arm: Arm, fold: int, folder: Path, share: float) -> Chain:
        here = folder / f"fold_{fold}"
        data, run, results = self.places.fold(fold), here / "training", here / "results"
        training = self.training(arm, data, run, self.lengths.steps[arm.name], label_fraction=share)
        scoring = words_of({"figures": False}, model_path=weights(run), data_dir=data, output_dir=results)
        name = f"{arm.name}, fold {fold + 1} of {self.folds}" + ("" if share == 1 else f", {share:.0%} of the labels")
        commands: tuple[Command, ...] = (training, ["transfer_learning.evaluate", scoring])
        return Chain(name, commands, here / "console.txt", results / SCORED, self.lengths.seconds, run)

    def settings(self, arm: Arm) -> dict[str, dict[str, Any]]:
        """Return the sections of a file with which an arm can be trained again, without the places."""
        own = {**self._of(arm, self.lengths.steps[arm.name]), "width": self.sized.width}
        sections = {"transfer_learning": own}
        if arm.pretrained:
            sections["reconstruction"] = self._of_phase_1()
        return {name: {key: _plain(value) for key, value in section.items()} for name, section in sections.items()}

    def _of(self, arm: Arm, steps: int) -> dict[str, Any]:
        return {**COMMON, **arm.settings, **length_of(steps), **averaged_over(steps), "seed": self.seed}

    def training(self, arm: Arm, data: Path, run: Path, steps: int, **settings: Any) -> Command:
        """Return the command that trains an arm on prepared data."""
        own = {**self._of(arm, steps), **settings}
        if arm.pretrained:
            own["pretrained_encoder"] = weights(self.places.phase_1)
        return ["transfer_learning.train", words_of(own, data_dir=data, output_dir=run, width=self.sized.width)]


def length_of(steps: int) -> dict[str, int]:
    """Return the settings by which a training has so many steps: nothing is chosen by the rows of its log."""
    return {"max_steps": steps, "val_every": max(1, -(-steps // 4)), "warmup_steps": min(100, steps // 10)}


def averaged_over(steps: int) -> dict[str, float]:
    """Return by which decay phase 2's weights are averaged: about the last tenth of the steps, a hundred at most.

    Over a hundred of a hundred steps more than a third of the average would be the first step's weights.
    """
    return {"ema": round(1 - 1 / min(100, max(2.0, steps / 10)), 4)}


def words_of(settings: Mapping[str, Any], **places: Any) -> list[str]:
    """Return settings as the words of a command line, places first."""
    words = []
    for name, value in {**places, **settings}.items():
        words += flag(name, _plain(value))
    return words


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
