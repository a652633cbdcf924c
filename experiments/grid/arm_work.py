"""What the phase 2 runs of an ablation have in common, those of tuning and those that are arms."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.files import file_sha256
from experiments.ablation.costs import Teacher
from experiments.ablation.format import ArmContent, ArmName, read
from experiments.grid.jobs import Command, PretrainingWork, Work
from experiments.grid.passes import with_passes
from experiments.grid.planning.variants import Variant, plain
from experiments.grid.run_folder import WEIGHTS, Training


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
    def teacher(self) -> "ArmWork | None":
        """The arm that labels unlabelled pictures for it."""
        return next((work for work in self.needs if isinstance(work, ArmWork) and work.leaves is ArmContent), None)

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

    @property
    def weights(self) -> Path:
        """What arms that it teaches learn from."""
        return self.folder / WEIGHTS

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
        known = (self.weights, self.data.resolution, teacher, self.passes_before)
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

    def as_teacher(self) -> Teacher:
        """Return what arms that it teaches say of it, once it is tested."""
        content = read(self.file, ArmContent)
        return Teacher(
            variant=self.variant.name,
            sha256=file_sha256(self.weights),
            passes=content.phase_2_passes,
            multiply_adds=content.phase_2_multiply_adds,
            pretrained=content.pretrained,
        )
