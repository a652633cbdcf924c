"""Which settings of a run have a say in it: two runs that differ in the others are the same run."""

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan, plain
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig


def without_effect(plan: Plan) -> Iterator[str]:
    """Yield a line for each variant that a call trains, and each pretraining of one, that sets what has no say."""
    for name in plan.begun_with:
        yield from _idle(
            f"ablation.pretraining.{name}", plan.pretrainings[name].config, plan.config.pretraining[name] or {}
        )
    for variant in plan.trained:
        yield from _idle(f"ablation.variants.{variant.name}", variant.config, variant.own)


def never_reached(plan: Plan, data: GridData) -> Iterator[str]:
    """Yield a line for each of them that is over before its learning rate is what was asked for."""
    for name in plan.begun_with:
        config = plan.pretrainings[name].config
        lines = config.never_reached(-(-data.pool_size(config.pictures) // config.batch_size))
        yield from (f"ablation.pretraining.{name}: {line}" for line in lines)
    for variant in plan.trained:
        lines = variant.config.never_reached(1)  # its length is in steps in every grid
        yield from (f"ablation.variants.{variant.name}: {line}" for line in lines)


def _idle(where: str, config: ReconstructionConfig | SegmentationConfig, own: Mapping[str, Any]) -> Iterator[str]:
    # What turns something off is obeyed, as in the commands.
    idle = config.idle()
    told = [f"{name} {idle[name]}" for name, value in own.items() if name in idle and value != 0]
    if told:
        yield f"{where}: without effect: {'; '.join(told)}"


def with_effect(config: ReconstructionConfig | SegmentationConfig) -> dict[str, Any]:
    """Return the settings that have a say in a run, as plain JSON values; equal ones mean the same run."""
    idle = config.idle()
    values = {name: value for name, value in plain(config).items() if name not in idle}
    if values.get("freeze") == 0:
        values["freeze"] = "never"
    return values
