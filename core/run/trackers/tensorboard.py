"""TensorBoard: event files in the run folder, `trackers/tensorboard` (tensorboard --logdir RUN_FOLDER)."""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from core.files import read_bytes
from core.run.trackers.tracker import Followed


class Adapter:
    """A `core.run.trackers.tracker.Tracker`; the settings stand under Text, beside the final scores under HParams."""

    def begin(self, run: Followed) -> str:
        """Write event files anew, behind those there; what they hold from the next epoch on is taken back."""
        self._writer = SummaryWriter(str(run.place), purge_step=run.next_epoch)
        self._settings = {name: _plain(value) for name, value in run.settings.items()} | {"commit": run.commit or ""}
        table = "\n".join(f"| {name} | {str(value).replace('|', '&#124;')} |" for name, value in self._settings.items())
        self._writer.add_text("settings", f"| setting | value |\n|---|---|\n{table}")
        self._writer.add_text("commit", run.commit or "unknown")
        return "tensorboard"

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Add a point to each curve; the file has them all then."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def picture(self, epoch: int, path: Path) -> None:
        """Add a picture."""
        pixels = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR_RGB)
        self._writer.add_image("pictures", pixels, epoch, dataformats="HWC")

    def best(self, epoch: int, row: Mapping[str, float]) -> None:
        """Add the scores of the best epoch, and the row of the table of runs (HParams)."""
        scores = {f"best/{name}": value for name, value in row.items()}
        writer = self._writer.file_writer
        assert writer is not None, "it is closed last"
        for summary in hparams(self._settings, scores):
            writer.add_summary(summary)
        for name, value in scores.items():
            self._writer.add_scalar(name, value, epoch)

    def close(self, finished: bool) -> None:
        """Close the event file."""
        self._writer.close()


def _plain(value: object) -> bool | int | float | str:
    return value if isinstance(value, bool | int | float | str) else "none" if value is None else str(value)
