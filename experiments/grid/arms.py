"""The phase 2 runs of an ablation: at the rates that are tried, and at the chosen one."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256
from experiments.ablation.format import ArmContent, Trial, read
from experiments.grid.arm_work import ArmWork
from experiments.grid.jobs import Command
from experiments.grid.run_folder import (
    broken_training_of,
    counts_by_image,
    one_object_of,
    provenance_of,
    score_on_test,
    training_of,
    write_result,
)
from experiments.page.command_lines import flag
from experiments.runs import find_runs
from experiments.table_formats import share

NOT_FINITE = "not finite at step"  # of core.errors.require_finite


@dataclass(eq=False)
class TuningWork(ArmWork):
    """A variant at one learning rate of the little grid, with the first seed."""

    tried: float

    leaves = Trial

    @property
    def name(self) -> str:
        """What it is called in progress and errors."""
        return f"tuning {self.variant.name}, {share(self.fraction)} of the labels, rate {self.rate:g}"

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.tried

    @property
    def possible_rates(self) -> Sequence[float]:
        """That rate."""
        return (self.tried,)

    @property
    def file(self) -> Path:
        """The JSON that it leaves in the results folder."""
        name = f"{self.variant.name}__{self.fraction:g}__lr_{self.rate:g}.json"
        return self.plan.config.results_dir / "tuning" / name

    @property
    def score(self) -> float:
        """The best mean IoU on Val; below any other where training broke at this rate."""
        score = read(self.file, Trial).val_mean_iou
        return -1.0 if score is None else score

    def commands(self) -> list[Command]:
        """Return what its process does."""
        return [self.training_command()]

    def finish(self) -> str:
        """Write its JSON; returns the scores in words."""
        training = training_of(self.folder)
        write_result(self.file, Trial(**self.described(training)))
        return f"Val mean IoU {training.val_mean_iou:.4f}"

    def excused(self, problem: str) -> bool:
        """A rate at which numbers stop being finite has lost, which is what tuning asks."""
        if NOT_FINITE not in problem:
            return False
        write_result(self.file, Trial(**self.described(broken_training_of(self.folder))))
        return True


@dataclass(eq=False)
class TestedArm(ArmWork):
    """An arm at the rate that tuning chose."""

    leaves = ArmContent

    @property
    def name(self) -> str:
        """What it is called in progress and errors."""
        return f"{self.variant.name}, {share(self.fraction)} of the labels, seed {self.seed}"

    @property
    def rate(self) -> float:
        """The rate with the best Val score in tuning, the smaller of two as good; known once all have been tried."""
        tuning = [work for work in self.needs if isinstance(work, TuningWork)]
        if not tuning:
            return self.possible_rates[0]
        best = max(tuning, key=lambda work: (work.score, -work.rate))
        if best.score < 0:
            raise UserError(
                f"{self.variant.name}: training broke at every rate: give smaller learning_rates and "
                "another results_dir"
            )
        return best.rate

    @property
    def has_checkpoints(self) -> bool:
        """Whether its run folder has checkpoints beside the weights (`save_every`)."""
        return any((self.folder / "checkpoints").glob("*.safetensors"))

    @property
    def at_hand(self) -> bool:
        """Whether it is finished, and the weights that its JSON speaks of lie in the run folder."""
        if not self.done or not self.can_begin or not self.weights.exists():
            return False
        return file_sha256(self.weights) == read(self.file, ArmContent).provenance.weights_sha256

    @property
    def can_begin(self) -> bool:
        """Whether its rates have been tried."""
        return all(work.done for work in self.needs if isinstance(work, TuningWork))

    @property
    def trained_before(self) -> bool:
        """Whether tuning trains with its seed at its fraction."""
        tuning = [work for work in self.needs if isinstance(work, TuningWork)]
        return any((work.fraction, work.seed) == (self.fraction, self.seed) for work in tuning)

    @property
    def problem(self) -> str | None:
        """The line with which it failed when it was last tried; none before its rate can be known."""
        if not self.can_begin:
            return None
        try:
            return super().problem
        except UserError as error:
            return str(error)

    @property
    def file(self) -> Path:
        """The JSON that it leaves in the results folder."""
        name = f"{self.variant.name}__{self.fraction:g}__seed_{self.seed}.json"
        return self.plan.config.results_dir / "arms" / name

    def commands(self) -> list[Command]:
        """Return what its process does."""
        settings: dict[str, Any] = {"model_path": self.weights, "output_dir": self.folder / "results"}
        settings |= {"device": self.config.device, "figures": False}
        # What is common to all arms, then what was given for the whole grid.
        settings |= {**self.config.data_settings(), **self.plan.config.data_settings()}
        words = [word for name, value in settings.items() for word in flag(name, value)]
        return [self.training_command(), ["transfer_learning.evaluate", words]]

    def finish(self) -> str:
        """Write its JSON; returns the scores in words."""
        training = training_of(self.folder)
        (run,) = find_runs([self.folder / "results" / "evaluation_results.json"])
        assert run.class_set, "it is of phase 2"
        score = score_on_test(run)
        content = ArmContent(
            **self.described(training),
            mean_iou=score,
            class_set=run.class_set,
            one_object=one_object_of(run),
            width=training.settings.get("width") if training.settings.get("encoder", "unet") == "unet" else None,
            provenance=provenance_of(self.folder),
            per_image=counts_by_image(run),
        )
        told = f"Val mean IoU {training.val_mean_iou:.4f}, Test {score:.4f}"
        if not self.done:
            write_result(self.file, content)
        elif content.provenance.weights_sha256 != read(self.file, ArmContent).provenance.weights_sha256:
            told += (
                f"; WARNING: its weights are others than those of {self.file} (another machine or version), which is "
                "kept: arms to come that it teaches keep the SHA-256 of these"
            )
        return told
