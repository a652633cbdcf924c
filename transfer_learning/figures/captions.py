"""What the figures of `transfer_learning.evaluate` say, for the report too."""

from collections.abc import Collection

# Panels of the training curves: title -> columns of training_log.csv.
CURVES = {
    "loss": ("train_loss", "val_loss"),
    "Val scores": ("mean_iou", "dice_mean_foreground", "dice_*"),
}

_PANELS = "Each row: the picture, its true mask, the predicted mask, and the prediction laid over the picture."
# What a caption adds where its figure shows such pixels.
UNSCORED = "Grey: what is not scored."
RANKED = "The number is the mean IoU over the classes that the picture holds."

# File name -> title and caption.
CAPTIONS: dict[str, tuple[str, str]] = {
    "predictions": ("Predictions", f"Pictures spread evenly over the labelled pictures of the split. {_PANELS}"),
    "best": ("The best dozen", f"The pictures with the highest mean IoU, best first. {RANKED} {_PANELS}"),
    "worst": ("The worst dozen", f"The pictures with the lowest mean IoU, worst first. {RANKED} {_PANELS}"),
    "random": (
        "A random dozen",
        f"Drawn from all labelled pictures with a fixed seed, so that nobody chose them. {_PANELS}",
    ),
    "confidence": (
        "Confidence of each class",
        "The probability (softmax) that the network gives to each class, on one scale from 0 to 1. The maps of all "
        "classes add up to 1 at every pixel; what is neither dark nor bright is a place where the network is in doubt. "
        "Of many classes those are drawn that are predicted most in these pictures, and the highest of all "
        "probabilities beside them.",
    ),
    "confusion_matrix": (
        "Confusion matrix",
        "Scored pixels of all labelled pictures at their original size: rows are the true class, columns the "
        "predicted one, as shares of each row, whose diagonal is the recall, and of few classes as counts too; "
        '"-": the class does not occur. Of many classes the pairs are named that are confused in most pixels.',
    ),
    "class_distribution": (
        "Classes in truth and prediction",
        "Share of each class among the scored pixels, in the truth (plain) and in the prediction (hatched). "
        "A hatched bar that is longer than its neighbour belongs to a class that is predicted too often.",
    ),
    "reliability": (
        "Reliability",
        "Scored pixels grouped by confidence, the highest of their probabilities. Blue: how many of a group are "
        "right; hatched: how far that is from their mean confidence. Where the blue ends below the dashed line, the "
        "network is more confident than right. ECE, the expected calibration error, is the mean gap over all pixels. "
        "Below: how many pixels each group holds.",
    ),
    "gradcam": (
        "Grad-CAM",
        "Where the features lie that speak for a class: Grad-CAM of the sum of its logits over the pixels predicted as "
        "that class, at the bottleneck (1/32 of the side, so coarse) and at a decoder stage (1/4 of the side). Each "
        "map is scaled to its own maximum, so brightness cannot be compared between maps; a dark map says that nothing "
        'at that depth speaks for the class. "Not present": no pixel was predicted as that class. Of many classes '
        "those six are drawn that are predicted most in these pictures. Read it with care: "
        "the instance norm behind the next convolution cancels the mean gradient by which Grad-CAM weighs its "
        "channels, all but what the padding at the edges leaves of it.",
    ),
    "training_curves": (
        "Training",
        "Loss on Train and Val, and scores on Val, a point for each row of the log; dotted: the epoch that was kept.",
    ),
    "hirescam": (
        "HiResCAM",
        "As Grad-CAM, but gradient and feature are multiplied place by place before they are summed, so that the "
        "instance norm cancels nothing.",
    ),
}
# What can have become of a pixel (`pictures.outcomes`) -> its colour in words.
OUTCOMES = {
    "right class": "Green: a class found as such.",
    "false alarm": "Red: false alarm, background taken for a class.",
    "missed": "Blue: missed, a class taken for background.",
    "wrong class": "Yellow: wrong class, one taken for another.",
    "background, right": "Nearly white: background found as such.",
    "right": "Green: the right class.",
    "wrong": "Red: a wrong one.",
    "not scored": "Grey: not scored.",
}


def errors_caption(shown: Collection[str]) -> tuple[str, str]:
    """Return title and caption of the figure of errors that shows these outcomes."""
    return "Where the errors are", " ".join(words for outcome, words in OUTCOMES.items() if outcome in shown)


def panels_caption(name: str, unscored: bool) -> tuple[str, str]:
    """Return title and caption of a figure of predictions; `unscored` says that some pixels are drawn grey."""
    title, caption = CAPTIONS[name]
    return title, f"{caption} {UNSCORED}" if unscored else caption


def tag_caption(tag: str, pale: bool) -> tuple[str, str]:
    """Return title and caption of the figure of a tag; `pale` says that some bars are drawn so."""
    few = " Pale: fewer than five, which says little." if pale else ""
    return (
        f"Mean IoU by {tag}",
        f"From the pixels of all pictures of the same {tag}; n is their number.{few} The mean is over the classes that "
        "their masks hold. Of many values the best and the worst are drawn.",
    )
