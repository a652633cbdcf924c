"""Look at your own pictures and masks, change nothing, and say what was understood: what data.prepare --dataset folder
would make of them, what is odd, and a preview with the masks laid over twelve pictures.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from core.command import run_command
from core.errors import UserError
from core.filing.kinds import A_FILE
from core.filing.paths import real
from data.sources.own.config import ReadingConfig

if TYPE_CHECKING:
    import numpy as np

    from data.sources.folder import Understood
    from data.sources.source import Source


@dataclass(frozen=True)
class InspectConfig(ReadingConfig):
    """What to look at, and how it would be read."""

    writes: ClassVar[dict[str, str]] = {"preview": A_FILE}

    preview: Path | None = Path("inspect.png")
    """Where the preview goes: a PNG of twelve pictures with their masks over them. --no_preview: nowhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.preview and self.preview.suffix.lower() != ".png":
            raise UserError(f"preview {self.preview}: the preview is a PNG, such as inspect.png")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("data.inspect", InspectConfig, inspect, argv, section="inspect", description=__doc__)


def inspect(config: InspectConfig) -> None:
    """Look, and print what was seen as soon as it was, then what was understood.

    Raises:
        UserError: `data.prepare` would refuse this, with the same words.
    """
    from core.filing.writing import leaving_nothing_empty

    config.require_images()
    if not config.preview:
        _look(config)
        return
    _require_apart(config.preview, config)
    with leaving_nothing_empty(config.preview.parent):
        _require_place(config.preview)
        _look(config)


def _look(config: InspectConfig) -> None:
    from data.sources.folder import understand
    from data.sources.own.survey import Watcher
    from data.sources.own.telling import decision_lines, held_lines, mask_lines, odd_lines, picture_lines, split_lines

    watcher = Watcher(
        lambda listing: _say(picture_lines(listing)),
        lambda listing: _say(mask_lines(listing)),
        lambda tally: _say(held_lines(tally)),
    )
    seen = understand(config, watcher)
    if config.preview and config.preview.exists():
        _require_none_of(config.preview, seen.source)
    _say((*decision_lines(seen), *split_lines(seen), *odd_lines(seen)))
    _require_trainable(seen)
    if config.preview:
        from data.preview import write_preview

        write_preview(config.preview, seen.source)
        _say([f"preview: {config.preview}"])


def _require_apart(preview: Path, config: InspectConfig) -> None:
    """Raise where the preview would lie among what is looked at: over one of its files, or as one more picture."""
    for folder in filter(None, (config.images, config.masks)):
        if real(preview).is_relative_to(real(folder)):
            raise UserError(
                f"the preview {preview} would lie in {folder}, which is not changed: give --preview a path "
                "elsewhere, or --no_preview"
            )


def _require_none_of(preview: Path, source: "Source") -> None:
    """Raise where the preview would replace a file that a link in the folders leads to."""
    for sample in source.samples:
        for file in sample.files:
            if os.path.realpath(file) == os.path.realpath(preview):
                raise UserError(f"the preview {preview} would replace what {file} leads to: choose another --preview")


def _require_place(preview: Path) -> None:
    """Raise where the preview could not be written, which would else come out last."""
    from core.filing.writing import require_writable

    if preview.is_dir():
        raise UserError(f"{preview} is a folder: choose another --preview")
    require_writable(preview.parent, "--preview")


def _say(lines: Iterable[str]) -> None:
    from core.terminal.screen import say

    for line in lines:
        say(line)


def _require_trainable(seen: "Understood") -> None:
    """Raise what a preparation raises where the masks of Train hold fewer than two classes."""
    from core.classes import IGNORED
    from data.manifest import SPLITS
    from data.preparing.contents import require_classes

    held: dict[str, set[int]] = {split: set() for split in SPLITS}
    labelled = 0
    for sample in seen.source.samples:
        if sample.label is None:
            continue
        labelled += sample.split == "Train"
        held[sample.split] |= _classes_in(sample.label) - {IGNORED}
        if len(held["Train"]) > 1:
            return
    pictures = {split: [int(c in found) for c in range(len(seen.source.classes))] for split, found in held.items()}
    require_classes(seen.source, {"counts": {"Train": {"labelled": labelled}}, "pictures_of_classes": pictures})


def _classes_in(label: Callable[[], "np.ndarray"]) -> set[int]:
    import numpy as np

    from data.pictures import PictureError

    try:
        return set(np.unique(label()).tolist())
    except PictureError:  # left out, as --bad_masks says
        return set()


if __name__ == "__main__":
    sys.exit(main())
