"""The training loop of both phases: steps, validation, the best weights, the log, and a state to go on from."""

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, NoReturn

import torch
from torch import Tensor

from core.errors import require_finite
from core.machine.device import lay_out
from core.machine.machine import Machine
from core.networks.dropout import share_of_batch
from core.networks.kernels import use_kernels
from core.randomness import seed_of
from core.run.console import Console
from core.run.epoch_sums import EpochSums
from core.run.folder import RunFolder
from core.run.learning.average import Average
from core.run.outputs import draw, require_best, write_best, write_checkpoint
from core.run.schedule import learning_rate_factor, plateau_factor
from core.run.signals import STOPS, StopSignals, Terminated
from core.run.state import Best, load_state, save_state
from core.run.task import Task
from core.run.trackers.following import NO_TRACKERS, Trackers
from core.train_config import TrainConfig

# Looking at a number on the device makes the host wait for it, so losses are looked at every so many steps.
LOOK_EVERY = 20


class Loop:
    """Train a task to its end, or on from where it stopped.

    An "epoch" is a row of the log: a pass over the training pictures, or `val_every` steps when `max_steps` is given.
    The state is saved after each, every `save_every_steps` steps, and when Ctrl-C or SIGTERM arrives.
    """

    def __init__(
        self, task: Task, config: TrainConfig, machine: Machine, folder: RunFolder, trackers: Trackers = NO_TRACKERS
    ) -> None:
        self.task, self.config, self.folder, self.trackers = task, config, folder, trackers
        self.machine, self.fabric, self.processes = machine, machine.fabric, machine.processes
        per_pass = task.draws.steps_per_pass
        self.steps_per_epoch = config.val_every if config.max_steps else per_pass
        self.total_steps = config.length if config.max_steps else config.length * per_pass
        self.epochs = -(-self.total_steps // self.steps_per_epoch)
        self.patient_since = 0  # the epoch from which patience counts
        self.step = 0  # the next one
        self.sums = EpochSums()
        self.rows: list[dict[str, Any]] = []
        self.left_of_rate = 1.0  # by the rows so far, with a plateau
        self.best: Best | None = None
        self.finished = False
        use_kernels(task.model, machine.kernels)
        lay_out(task.model, machine.layout)
        task.model, task.optimizer = self.fabric.setup(task.model, task.optimizer)
        self.average = Average(task.model, config.ema) if config.ema else None
        self.processes.require_enough(config.batch_size, "the pictures of a step")

    def run(self) -> None:
        """Train.

        Raises:
            RunError: if a loss, a gradient or a score is not finite; names the step and the settings.
            KeyboardInterrupt, Terminated: Ctrl-C or SIGTERM, after the step has ended and its state is saved.
        """
        self._restore()
        self.processes.require_equal(
            self.step, self.fabric.device, f"{self.folder.path} is not the same for all processes: use a shared disk"
        )
        self.trackers.begin(self.rows)
        if self.finished:
            self.trackers.finish(self._best_row())
            self.processes.say(f"{self.folder.path} is finished: {self.best_text()}. Nothing to do.")
            return
        epoch = len(self.rows) + 1
        if self.step:
            self.processes.say(f"going on from epoch {epoch} of {self.epochs}, step {self.step} of {self.total_steps}")
        self._started = time.perf_counter() - self.sums.seconds
        quiet = not self.processes.is_first
        seen = "patches" if self.config.dims == 3 else "images"
        console = Console(self.epochs, self.steps_per_epoch, self.total_steps, epoch, self.step, quiet, seen)
        with console, StopSignals() as signals:
            while not self.finished:
                self._epoch(console, signals)
        self.trackers.finish(self._best_row())
        self.processes.say(f"finished: {self.best_text()}; weights and log in {self.folder.path}")

    def _epoch(self, console: Console, signals: StopSignals) -> None:
        epoch = len(self.rows) + 1
        self.task.begin_epoch(epoch)
        self.train_until(min(epoch * self.steps_per_epoch, self.total_steps), console, signals)
        scores = self._validate(signals)
        known = {"epoch": epoch, **self.sums.means(), **scores, **self.task.training_scores()}
        known["learning_rate"] = self.config.lr * self._factor(self.step - 1)
        known["epoch_time"] = round(time.perf_counter() - self._started, 3)
        self.rows.append({name: known.get(name) for name in self.task.log_columns})
        self._look_at_rows()
        self.sums, self._started = EpochSums(), time.perf_counter()
        self._keep(epoch, scores)
        self.trackers.log(self.rows[-1])
        console.epoch_done(self.rows[-1], self._is_best(epoch))

    def train_until(self, end: int, console: Console, signals: StopSignals) -> None:
        """Take steps until `end` (exclusive) of the whole run; stops in between if a signal came."""
        every = self.config.save_every_steps
        while self.step < end:
            self._heed(signals)
            losses, size = self._step(self.step)
            self.sums.add(self._where(self.step), size, losses)
            self.step += 1
            if len(self.sums) == LOOK_EVERY or self.step == end:
                self.sums.collect()
            if every and self.step % every == 0:
                self._save()
            console.step_done(size, self.sums.mean("loss"))
        self._heed(signals)

    def _validate(self, signals: StopSignals) -> dict[str, float | None]:
        self.task.model.eval()
        alone = self.processes.count == 1  # others would wait for one that leaves
        try:
            with self._averaged(), signals.at_once() if alone else nullcontext(), torch.inference_mode():
                scores = self.task.validate()
        except (KeyboardInterrupt, Terminated) as stop:
            self._stop(type(stop))
        require_finite(scores, self._where(self.step - 1))
        return scores

    def _heed(self, signals: StopSignals) -> None:
        """Stop if a signal came. Several processes agree on the step: on GPUs when they look at their losses anyway."""
        if len(self.sums) and self.processes.count > 1 and self.fabric.device.type != "cpu":
            return
        kind = STOPS.get(self.processes.highest(signals.number, self.fabric.device))
        if kind:
            self._stop(kind)

    def _stop(self, kind: type[BaseException]) -> NoReturn:
        self._save()
        raise kind(f"saved at step {self.step} of {self.total_steps}; the same command goes on")

    def _step(self, step: int) -> tuple[dict[str, Tensor], int]:
        task = self.task
        for group in task.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._factor(step)
        torch.manual_seed(seed_of(self.config.seed, step))  # dropout
        size = task.draws.pictures_in(step)
        with share_of_batch(self.processes.share(size).start, size):
            losses = task.training_losses(step)
        loss = losses["loss"]
        assert loss is not None
        task.optimizer.zero_grad(set_to_none=True)
        # Processes average their gradients; those of sums over all of them are to be added.
        self.fabric.backward(loss * self.processes.count)
        kept = {name: loss.detach() for name, loss in losses.items() if loss is not None}
        if self.config.clip:
            norm = self.fabric.clip_gradients(
                task.model, task.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
            # fp16 skips steps whose scaled gradients overflow: those are no failure.
            if norm is not None and not self.machine.scales_gradients:
                kept["gradient_norm"] = norm
        task.optimizer.step()
        if self.average:
            self.average.update()
        return kept, size

    def _where(self, step: int) -> str:
        settings = ", ".join(f"{name} {getattr(self.config, name)}" for name in ("lr", "clip", "amp", "seed"))
        return (
            f"at step {step} ({settings}): lower --lr, keep --clip above 0, or use --amp off; "
            f"the last good state is kept in {self.folder.path}"
        )

    def _factor(self, step: int) -> float:
        factor = learning_rate_factor(step, self.total_steps, self.config.schedule, self.config.warmup_steps)
        return factor * self.left_of_rate

    def _look_at_rows(self) -> None:
        """Find out what a plateau leaves of the rate."""
        config, task = self.config, self.task
        if config.schedule == "plateau":
            scores = [row[task.select] for row in self.rows]
            self.left_of_rate = plateau_factor(scores, task.maximise, config.plateau_factor, config.plateau_patience)

    def _averaged(self) -> AbstractContextManager[None]:
        """Compute with the averaged weights within, where there are any."""
        return self.average.in_place() if self.average else nullcontext()

    def _keep(self, epoch: int, scores: dict[str, float | None]) -> None:
        """Write everything that this epoch leaves, then draw what may fail without loss.

        The state comes last of what must be whole, so that it never promises missing files.
        """
        config = self.config
        score = scores[self.task.select]
        better = score is not None and self._is_to_be_kept(score)
        if score is not None and better:
            self.best = Best(score, epoch)
        best_epoch = max(self.best.epoch if self.best else 0, self.patient_since)
        stops_early = config.patience and not (config.max_steps or self.task.keeps_last)
        self.finished = self.step == self.total_steps or bool(stops_early and epoch - best_epoch >= config.patience)
        kept = bool(config.save_every) and epoch % config.save_every == 0
        if self.processes.is_first:
            header = {**self.task.header(), "epoch": epoch, "metrics": scores, "config": self.folder.identity}
            with self._averaged():
                if better:
                    write_best(self.folder.path, self.task, self.rows[-1], header)
                if kept:
                    write_checkpoint(self.folder.path, self.task, header)
            self.folder.write_log(self.rows)
        self._save()
        if self.processes.is_first and kept:
            with self._averaged():
                draw(self.folder.path, self.task, epoch)

    def _is_to_be_kept(self, score: float) -> bool:
        if self.task.keeps_last:
            return self.step == self.total_steps
        if self.best is None:
            return True
        return score > self.best.score if self.task.maximise else score < self.best.score

    def _save(self) -> None:
        # With clipping off nothing else would notice a gradient that broke the weights under a finite loss.
        finite = torch.stack([parameter.isfinite().all() for parameter in self.task.model.parameters()]).all()
        require_finite({"weights": 0.0 if finite else math.nan}, self._where(self.step - 1))
        self.sums.seconds = time.perf_counter() - self._started
        state = self._state()
        if self.processes.is_first:
            save_state(self.folder.path, state)

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.task.model.state_dict(),
            "optimizer": self.task.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "step": self.step,
            "sums": self.sums.state(),
            "rows": self.rows,
            "best": self.best and asdict(self.best),
            "finished": self.finished,
            "extended_to": self.config.extend_to,
            "patient_since": self.patient_since,
            "carried": self.task.carried(),
            "average": self.average.state() if self.average else {},
        }

    def _restore(self) -> None:
        path = self.folder.path
        state = load_state(path, writes=self.processes.is_first)
        if state is None:
            return
        state.require_length(self.total_steps, self.steps_per_epoch, path)
        require_best(path, state.best)
        state.load_into(self.task, self.fabric.strategy.precision.load_state_dict, path)
        state.hand_on(self.task, self.average, path)
        self.step, self.sums, self.rows = state.step, state.sums, state.rows
        self._look_at_rows()
        self.best, self.finished, self.patient_since = state.best, state.finished, state.patient_since
        if self.config.extend_to != state.extended_to:
            self._extend()
        self.epochs = max(self.epochs, len(self.rows) + (not self.finished))
        if self.processes.is_first:
            self.folder.write_log(self.rows)

    def _extend(self) -> None:
        """Go on with a finished run; see `TrainConfig.extend_to`."""
        before = self.rows[-1]["learning_rate"]
        now = self.config.lr * self._factor(self.step)
        self.finished, self.patient_since = False, len(self.rows)
        self.processes.say(
            f"note: extended to {self.config.length} {'steps' if self.config.max_steps else 'epochs'}: the schedule "
            f"({self.config.schedule}) is recomputed over the new length and goes on from step {self.step}, where the "
            f"learning rate changes from {before:.3g} to {now:.3g}"
        )

    def _is_best(self, epoch: int) -> bool:
        return self.best is not None and self.best.epoch == epoch

    def _best_row(self) -> dict[str, Any] | None:
        return self.rows[self.best.epoch - 1] if self.best else None

    def best_text(self) -> str:
        """Return in words which epoch was best."""
        if self.best is None:
            return "no epoch could be scored"
        if self.task.keeps_last:
            return f"the last weights, {self.task.select} {self.best.score:.4f}, of epoch {self.best.epoch}"
        return f"best {self.task.select} {self.best.score:.4f} at epoch {self.best.epoch} of {len(self.rows)}"
