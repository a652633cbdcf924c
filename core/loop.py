"""The training loop of both phases: steps, validation, the best weights, the log, and a state to go on from."""

import time
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from core.checkpoint import load_state, save_state, save_weights
from core.errors import require_finite
from core.files import write_json
from core.randomness import seed_of
from core.runfolder import RunFolder
from core.runlog import Console
from core.schedule import learning_rate_factor
from core.task import Task
from core.train_config import TrainConfig

# Looking at a number on the device makes the host wait for it, so losses are looked at every so many steps.
LOOK_EVERY = 20


class Loop:
    """Train a task to its end, or on from where it stopped.

    An "epoch" is a row of the log: a pass over the training pictures, or `val_every` steps when `max_steps` is given.
    """

    def __init__(self, task: Task, config: TrainConfig, fabric: Fabric, folder: RunFolder) -> None:
        self.task, self.config, self.fabric, self.folder = task, config, fabric, folder
        per_pass = task.draws.steps_per_pass
        self.steps_per_epoch = config.val_every if config.max_steps else per_pass
        self.total_steps = config.max_steps or config.epochs * per_pass
        self.epochs = -(-self.total_steps // self.steps_per_epoch)
        self.rows: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.finished = False
        # fp16 scales its losses and skips steps whose scaled gradients overflow: those are no failure.
        self._scaled = fabric.strategy.precision.precision == "16-mixed"
        task.model, task.optimizer = fabric.setup(task.model, task.optimizer)

    def run(self) -> None:
        """Train.

        Raises:
            RunError: if a loss, a gradient or a score is not finite; names the step and the settings.
        """
        self._restore()
        if self.finished:
            print(f"{self.folder.path} is finished: {self._best_text()}. Nothing to do.")
            return
        first = len(self.rows) + 1
        if first > 1:
            print(f"going on from epoch {first} of {self.epochs}")
        with Console(self.epochs, self.steps_per_epoch, first, self.total_steps) as console:
            for epoch in range(first, self.epochs + 1):
                self._epoch(epoch, console)
                console.epoch_done(self.rows[-1], self._is_best(epoch))
                if self.finished:
                    break
        print(f"finished: {self._best_text()}; weights and log in {self.folder.path}")

    def _epoch(self, epoch: int, console: Console) -> None:
        started = time.perf_counter()
        self.task.begin_epoch(epoch)
        first = (epoch - 1) * self.steps_per_epoch
        steps = range(first, min(first + self.steps_per_epoch, self.total_steps))
        means = self._train(steps, console)
        self.task.model.eval()
        with torch.inference_mode():
            scores = self.task.validate()
        require_finite(scores, self._where(steps[-1]))
        known = {"epoch": epoch, **means, **scores}
        known["learning_rate"] = self.config.lr * self._factor(steps[-1])
        known["epoch_time"] = round(time.perf_counter() - started, 3)
        self.rows.append({name: known.get(name) for name in self.task.log_columns})
        self._keep(epoch, scores)

    def _train(self, steps: range, console: Console) -> dict[str, float]:
        totals: dict[str, float] = {}
        pictures = collected = 0
        pending: list[tuple[int, int, dict[str, Tensor]]] = []
        for step in steps:
            losses, size = self._step(step)
            pending.append((step, size, losses))
            pictures += size
            if len(pending) == LOOK_EVERY or step == steps[-1]:
                self._collect(pending, totals)
                pending.clear()
                collected = pictures
            console.step_done(size, totals["loss"] / collected if collected else None)
        return {f"train_{name}": total / pictures for name, total in totals.items()}

    def _step(self, step: int) -> tuple[dict[str, Tensor], int]:
        task = self.task
        for group in task.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self._factor(step)
        torch.manual_seed(seed_of(self.config.seed, step))  # dropout
        losses = task.training_losses(step)
        task.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(losses["loss"])
        kept = {name: loss.detach() for name, loss in losses.items() if loss is not None}
        if self.config.clip:
            norm = self.fabric.clip_gradients(
                task.model, task.optimizer, max_norm=self.config.clip, error_if_nonfinite=False
            )
            if not self._scaled:
                kept["gradient_norm"] = norm
        task.optimizer.step()
        return kept, len(task.draws.batch(step)[0])

    def _collect(self, pending: list[tuple[int, int, dict[str, Tensor]]], totals: dict[str, float]) -> None:
        names = list(pending[0][2])
        values = torch.stack([torch.stack([losses[name] for name in names]) for _, _, losses in pending]).tolist()
        for (step, size, _), row in zip(pending, values, strict=True):
            parts = dict(zip(names, row, strict=True))
            require_finite(parts, self._where(step))
            for name, value in parts.items():
                totals[name] = totals.get(name, 0.0) + value * size

    def _where(self, step: int) -> str:
        settings = ", ".join(f"{name} {getattr(self.config, name)}" for name in ("lr", "clip", "amp", "seed"))
        return (
            f"at step {step} ({settings}): lower --lr, keep --clip above 0, or use --amp off; "
            f"the last good state is kept in {self.folder.path}"
        )

    def _factor(self, step: int) -> float:
        return learning_rate_factor(step, self.total_steps, self.config.schedule, self.config.warmup_steps)

    def _keep(self, epoch: int, scores: dict[str, float | None]) -> None:
        """Write everything that this epoch leaves; the state comes last, so that it never promises missing files."""
        config, task, folder = self.config, self.task, self.folder.path
        score = scores[task.select]
        if score is not None and self._beats_best(score):
            self.best = {"score": score, "epoch": epoch}
            write_json(folder / "metrics.json", self.rows[-1])
            save_weights(folder / "best_model.safetensors", task.model.state_dict(), self._header(epoch, scores))
        if config.save_every and epoch % config.save_every == 0:
            kept = folder / "checkpoints" / f"epoch_{epoch}.safetensors"
            save_weights(kept, task.model.state_dict(), self._header(epoch, scores))
            task.save_pictures(folder / "figures" / f"epoch_{epoch:04d}.png")
        best_epoch = self.best["epoch"] if self.best else 0
        patient = config.max_steps or not config.patience or epoch - best_epoch < config.patience
        self.finished = epoch == self.epochs or not patient
        self.folder.write_log(self.rows)
        save_state(folder, self._state())

    def _beats_best(self, score: float) -> bool:
        if self.best is None:
            return True
        return score > self.best["score"] if self.task.maximise else score < self.best["score"]

    def _header(self, epoch: int, scores: dict[str, float | None]) -> dict[str, Any]:
        return {**self.task.header(), "epoch": epoch, "metrics": scores, "config": self.folder.identity}

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.task.model.state_dict(),
            "optimizer": self.task.optimizer.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "rows": self.rows,
            "best": self.best,
            "finished": self.finished,
        }

    def _restore(self) -> None:
        state = load_state(self.folder.path)
        if state is None:
            return
        self.task.model.load_state_dict(state["model"])
        self.task.optimizer.load_state_dict(state["optimizer"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        self.rows, self.best, self.finished = state["rows"], state["best"], state["finished"]
        self.folder.write_log(self.rows)

    def _is_best(self, epoch: int) -> bool:
        return bool(self.best) and self.best["epoch"] == epoch

    def _best_text(self) -> str:
        if self.best is None:
            return "no epoch could be scored"
        return f"best {self.task.select} {self.best['score']:.4f} at epoch {self.best['epoch']} of {len(self.rows)}"
