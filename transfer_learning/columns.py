"""What the log of phase 2 says of an epoch, column by column."""

from typing import Any

from core.classes import ClassSet
from core.errors import UserError
from core.evaluation import MANY_CLASSES
from transfer_learning.config import SegmentationConfig

MEAN_DICE = "dice_mean_foreground"
# Where the log has another name for a score; the last weights, which none chooses, are told by one all the same.
COLUMNS = {"mean_foreground_dice": MEAN_DICE, "last": "mean_iou"}


def selected(config: SegmentationConfig, class_set: ClassSet) -> str:
    """Return the log's column that chooses the best epoch.

    Raises:
        UserError: it asks for foreground where no class is the background.
    """
    if config.select == "mean_foreground_dice" and class_set.background is None:
        raise UserError("select mean_foreground_dice: these data have no background class; give --select mean_iou")
    return COLUMNS.get(config.select, config.select)


def dice_columns(class_set: ClassSet) -> dict[str, str]:
    """Return the log's column for the Dice of each class; with more than 25 there are none.

    A class whose column would be called like that of the mean gets a _ behind it.
    """
    columns: dict[str, str] = {}
    for name in class_set.names if len(class_set) <= MANY_CLASSES else ():
        column = f"dice_{name}"
        while column == MEAN_DICE or column in columns.values():
            column += "_"
        columns[name] = column
    return columns


def log_columns(class_set: ClassSet, chosen_by: str) -> tuple[str, ...]:
    """Return the columns of `training_log.csv`; `chosen_by` is that of the score that chooses the best epoch."""
    mean = () if class_set.background is None else (MEAN_DICE,)
    scores = (*dice_columns(class_set).values(), *mean, "mean_iou")
    further = () if chosen_by in scores else (chosen_by,)
    return ("epoch", "train_loss", "val_loss", *scores, "learning_rate", "epoch_time", *further, "train_mean_iou")


def score_columns(scores: dict[str, Any], class_set: ClassSet, chosen_by: str) -> dict[str, float | None]:
    """Return the columns of Val's scores (`segmentation_scores`)."""
    columns = {column: scores["classes"][name]["dice"] for name, column in dice_columns(class_set).items()}
    columns["mean_iou"] = scores["mean_iou"]
    if class_set.background is not None:
        columns[MEAN_DICE] = scores["mean_foreground_dice"]
    if chosen_by not in columns:
        columns[chosen_by] = scores[chosen_by]
    return columns
