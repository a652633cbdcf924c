"""Folds of a public data set, for cross-validation."""

from collections.abc import Mapping
from dataclasses import replace

from core.errors import UserError
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.layout.division import divide_folds
from data.sources.source import Source


def in_folds(source: Source, config: PrepareConfig) -> Source:
    """Return a source whose labelled pictures are divided by --folds, groups of --group_by whole.

    A Test that its publisher, or a list, holds back is in no fold: it stays for the one score at the end.

    Raises:
        UserError: no picture has the tag to group by, or there are too few pictures for so many folds.
    """
    official = config.archives is not None or config.download  # drawings have nothing to hold back
    held_back = [
        sample for sample in source.samples if official and sample.split == "Test" and "Test" not in source.drawn
    ]
    out = {sample.name for sample in held_back}
    samples = [sample for sample in source.samples if sample.name not in out]
    labelled = [sample.name for sample in samples if sample.label is not None]
    tags = {sample.name: sample.tags.get(config.group_by or "") for sample in samples}
    if config.group_by and not any(tags.values()):
        raise UserError(f"--group_by {config.group_by}: no picture of {config.dataset} has that tag")

    def divided(groups: Mapping[str, str]) -> dict[str, str]:
        among = [name for name in labelled if name in groups]
        return divide_folds(groups, among, config.folds, config.fold, config.val_ratio, config.seed)

    # A value must not be taken for a picture's name.
    splits = divided({name: name if value is None else f"={value}" for name, value in tags.items()})
    count = sum(splits[name] == "Test" for name in labelled)
    notes = [f"fold {config.fold} of {config.folds}: {count} of {len(labelled)} labelled pictures are Test"]
    if held_back:
        notes.append(f"{len(held_back)} pictures of the Test that is held back are in no fold")
    return replace(
        source,
        samples=[replace(sample, split=splits[sample.name]) for sample in samples],
        drawn=SPLITS,
        group=config.group_by,
        redivide=divided,
        passed_over=[*source.passed_over, *((sample.file, "of the Test that is held back") for sample in held_back)],
        notes=[*source.notes, *notes],
    )
