"""Which settings of a run have a say in it: two runs that differ in the others are the same run."""

from typing import Any

from experiments.grid.planning.variants import plain
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig


def with_effect(config: ReconstructionConfig | SegmentationConfig) -> dict[str, Any]:
    """Return the settings that have a say in a run, as plain JSON values; equal ones mean the same run."""
    idle = config.idle()
    values = {name: value for name, value in plain(config).items() if name not in idle}
    if values.get("freeze") == 0:
        values["freeze"] = "never"
    return values
