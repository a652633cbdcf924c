"""The two splits that training reads."""

from pathlib import Path

from core.networks.unet import require_sides
from data.augment.settings import AugmentConfig
from data.split import Split, open_split


def open_training(data_dir: Path, augment: AugmentConfig) -> tuple[Split, Split]:
    """Return Train and Val of a processed folder.

    Raises:
        UserError: a split cannot be opened, or the pictures or their training windows are too small for a network.
    """
    train, val = (open_split(data_dir, name) for name in ("Train", "Val"))
    for sides in (train.size, augment.window):
        if sides:
            require_sides(*sides)
    return train, val
