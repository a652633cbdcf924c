"""The phase 2 runs of an ablation."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256
from experiments.ablation.costs import Teacher
from experiments.ablation.format import ArmContent, ArmName, Trial, read
from experiments.grid.jobs import Command, PretrainingWork, Work
from experiments.grid.passes import with_passes
from experiments.grid.planning.variants import Variant, plain
from experiments.grid.run_folder import (
    WEIGHTS,
    Training,
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
class ArmWork(Work):
    """A phase 2 run of a variant. Trained for tuning it is judged by Val alone; as an arm it is scored on Test too."""

    variant: Variant
    fraction: float
    seed: int

    phase = "transfer_learning"

    @property
    def untransferred(self) -> dict[str, Any]:
        """The settings with which a few steps of it can be tried without its pretraining, and as most of it goes.

        A teacher that stands still takes what one that follows takes.
        """
        released = {"freeze": "never"} if isinstance(self.config.freeze, int) else {}
        taught = {"unlabelled": "consistency", "stable": 1.0} if self.config.unlabelled == "self_training" else {}
        return {"transfer": "encoder", **released, **taught}

    @property
    def config(self) -> Any:
        """Its settings, those that the grid sets aside."""
        return self.variant.config

    @property
    def pretraining(self) -> PretrainingWork | None:
        """The phase 1 run that it begins with."""
        return next((work for work in self.needs if isinstance(work, PretrainingWork)), None)

    @property
    def teacher(self) -> "TestedArm | None":
        """The arm that labels unlabelled pictures for it."""
        return next((work for work in self.needs if isinstance(work, TestedArm)), None)

    @property
    def passes(self) -> int:
        """Picture passes that it will take, those that find stable pictures among them."""
        return super().passes + self.passes_before

    @property
    def passes_before(self) -> int:
        """Those of them that find stable pictures, of the pool that it learns from."""
        if self.config.stable == 1:
            return 0
        return self.config.passes_before(self.data.pool_size(self.config.unlabelled_pictures))

    @property
    @abstractmethod
    def rate(self) -> float:
        """The learning rate."""

    @property
    def possible_rates(self) -> Sequence[float]:
        """The learning rates that it may come to have."""
        return self.plan.rates_of(self.variant)

    @property
    def folder(self) -> Path:
        """The same for a tuning run and for the arm that takes its rate, so that nothing is trained twice."""
        return self._folder_at(self.rate)

    def _folder_at(self, rate: float) -> Path:
        run = f"{self.variant.name}__{self.fraction:g}__seed_{self.seed}__lr_{rate:g}"
        return self.plan.config.output_dir / "runs" / run

    def run_folders(self) -> list[tuple[Path, dict[str, Any]]]:
        """Return the run folders that it may go on in, one a rate, each with the settings of the run there."""
        settings = {**plain(self.config), "label_fraction": self.fraction, "seed": self.seed}
        return [(self._folder_at(rate), {**settings, "lr": rate}) for rate in self.possible_rates]

    def training_command(self) -> Command:
        """Return the command that trains it, with what the grid sets."""
        settings: dict[str, Any] = {"label_fraction": self.fraction, "seed": self.seed, "lr": self.rate}
        if self.pretraining:
            settings["pretrained_encoder"] = str(self.pretraining.weights)
        if self.teacher:
            settings["teacher_weights"] = str(self.teacher.weights)
        return self.command_at(self.folder, **settings)

    def described(self, training: Training) -> dict[str, Any]:
        """Return what its JSON says whether it was tested or not: the fields of `PhaseTwo`."""
        teacher = self.teacher.weights if self.teacher else None
        known = (self.folder / WEIGHTS, self.data.resolution, teacher, self.passes_before)
        compute = with_passes(training.compute, self.config, *known)
        return {
            "arm": ArmName(variant=self.variant.name, fraction=self.fraction, seed=self.seed, learning_rate=self.rate),
            "num_labels": self.data.num_labels[self.fraction, self.seed],
            "val_mean_iou": training.val_mean_iou,
            "best_step": training.best_step,
            "log": training.log,
            "settings": training.settings,
            "pretraining": self.pretraining.content().encoder if self.pretraining else None,
            "resolution": self.data.resolution,
            "data_sha256": self.data.sha256,
            "compute": compute,
            "teacher": self.teacher.as_teacher() if self.teacher else None,
            "num_val_labels": self.config.judging(self.data.val_labels),
        }


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
    def weights(self) -> Path:
        """What arms that it teaches learn from."""
        return self.folder / WEIGHTS

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

    def as_teacher(self) -> Teacher:
        """Return what arms that it teaches say of it."""
        content = read(self.file, ArmContent)
        return Teacher(
            variant=self.variant.name,
            sha256=file_sha256(self.weights),
            passes=content.phase_2_passes,
            multiply_adds=content.phase_2_multiply_adds,
            pretrained=content.pretrained,
        )

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
        settings: dict[str, Any] = {"model_path": self.folder / WEIGHTS, "output_dir": self.folder / "results"}
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
