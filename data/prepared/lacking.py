"""What is said where a split has no mask: what follows from it, and what would help."""

from collections.abc import Mapping

from data.manifest import SPLITS

_CONSEQUENCES = {
    "Train": "phase 2 can learn nothing",
    "Val": "phase 2 cannot choose its weights",
    "Test": "nothing is scored",
}


def without_masks(split: str, labelled: Mapping[str, int], dataset: str) -> str:
    """Say that a split has no mask and what would give it some.

    Args:
        labelled: split -> how many of its pictures have a mask.
        dataset: its name; one's own pictures can be divided otherwise, public ones in part.
    """
    masks = sum(labelled.values())
    if not masks:
        return f"no picture has a mask, so {_CONSEQUENCES[split]}: prepare again with masks"
    held = ", ".join(f"{name} {labelled[name]}" for name in SPLITS)
    told = f"none of the {masks} masks lies in {split} ({held}), so {_CONSEQUENCES[split]}"
    if dataset != "folder":
        return f"{told}: another --val_ratio or --seed, or lists (train.txt, val.txt, test.txt) put some there"
    ratio = "--val_ratio and --test_ratio" if split == "Train" else f"--{split.lower()}_ratio"
    enough = masks >= 3  # one each for Train, Val and Test
    folds = f"--folds {min(masks, 5)} (every mask is then in Test once), " if enough else ""
    more = "" if enough else f", or more masks: {masks} {'are' if masks > 1 else 'is'} too few for three splits"
    return f"{told}: prepare again with {folds}another {ratio} or --seed, or --splits{more}"
