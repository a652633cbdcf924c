"""What a person sees while a run trains: a bar with images/s, time left and time gone, and a line an epoch."""

import time
from collections import Counter
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from core.terminal.progress import HEARTBEAT_SECONDS, duration, time_left
from core.terminal.screen import screen

MOST_OF_A_KIND = 4


class Console:
    """Progress: a bar on a terminal, a line now and then in a file or a pipe; a line an epoch in both.

    Args:
        epochs: rows of the log in all.
        steps_per_epoch: steps between two rows.
        total_steps: of the whole run.
        epoch: the row to begin with.
        done: steps of the whole run that are done already.
        quiet: show nothing, for processes beside the first.
        seen: what a step is counted in.
    """

    def __init__(
        self,
        epochs: int,
        steps_per_epoch: int,
        total_steps: int,
        epoch: int,
        done: int,
        quiet: bool = False,
        seen: str = "images",
    ) -> None:
        self.quiet, self.seen = quiet, seen
        self.epochs, self.epoch = epochs, epoch
        self.steps_per_epoch = steps_per_epoch
        self.done, self.total = done, total_steps
        self.begun_at = done
        self.started = time.perf_counter()
        self.pictures = 0
        self.training_seconds = 0.0
        self._last = self._said = self.started
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"loss {{task.fields[loss]}}  {{task.fields[rate]:.0f}} {seen}/s{{task.fields[time]}}"),
            console=screen(),
            transient=True,
        )
        self._bar.disable = quiet or not self._bar.console.is_terminal
        fields: dict[str, Any] = {"epoch": epoch, "epochs": epochs, "loss": "", "rate": 0, "time": ""}
        # A run that was extended may have ended in the middle of an epoch.
        within = max(0, done - (epoch - 1) * steps_per_epoch)
        self._task = self._bar.add_task("", total=steps_per_epoch, completed=within, **fields)

    def __enter__(self) -> "Console":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    @property
    def rate(self) -> float:
        """Training pictures a second since the last row, validation not counted."""
        return self.pictures / self.training_seconds if self.training_seconds else 0.0

    def step_done(self, size: int, loss: float | None) -> None:
        """Count a step of `size` pictures; `loss` is the mean of the epoch so far, None while it is not known."""
        now = time.perf_counter()
        self.training_seconds += now - self._last
        self._last = now
        self.pictures += size
        self.done += 1
        shown = "  –   " if loss is None else f"{loss:.4f}"
        fields: dict[str, Any] = {"epoch": self.epoch, "loss": shown, "rate": self.rate, "time": self._time()}
        self._bar.update(self._task, advance=1, **fields)
        if self._bar.disable and now - self._said > HEARTBEAT_SECONDS:
            self._say(
                f"epoch {self.epoch}/{self.epochs}  step {self.done}/{self.total}  loss {shown}  "
                f"{self.rate:.0f} {self.seen}/s{self._time()}"
            )

    def epoch_done(self, row: dict[str, Any], best: bool) -> None:
        """Print the row's line and begin the next."""
        scores = "  ".join(
            f"{name} {value:.4f}" for name, value in row.items() if isinstance(value, float) and name in _shown(row)
        )
        mark = "  *best" if best else ""
        self._say(f"epoch {row['epoch']}/{self.epochs}  {scores}  {self.rate:.0f} {self.seen}/s{self._time()}{mark}")
        self.epoch += 1
        self.pictures, self.training_seconds, self._last = 0, 0.0, time.perf_counter()
        self._bar.reset(self._task, total=min(self.steps_per_epoch, max(1, self.total - self.done)))

    def _say(self, line: str) -> None:
        self._said = time.perf_counter()
        if self.quiet:
            return
        if self._bar.disable:
            print(line, flush=True)
        else:
            # Scores may be called after classes, whose names are no markup.
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _time(self) -> str:
        """Return what the clock says of the whole run, both times by their names; nothing while too little is done."""
        elapsed = time.perf_counter() - self.started
        left = time_left(elapsed, self.done - self.begun_at, self.total - self.done)
        return f"  {duration(elapsed)} elapsed, about {duration(left)} left" if left else ""


def _shown(row: dict[str, Any]) -> list[str]:
    """Return the columns of a row that its line has room for: of a kind (dice_...) with more than four, means alone,
    and the losses."""
    names = [name for name in row if name not in ("learning_rate", "epoch", "epoch_time")]
    kinds = Counter(name.partition("_")[0] for name in names)

    def has_room(name: str) -> bool:
        return kinds[name.partition("_")[0]] <= MOST_OF_A_KIND or "_mean_" in name or name.endswith("_loss")

    return [name for name in names if has_room(name)]
