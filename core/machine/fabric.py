"""Lightning Fabric, without what its import would bring along and without what it says besides.

Where torchmetrics is installed, Fabric imports all of it to compare its version, and does nothing with it: four
seconds at every start of a command. A module that is None in `sys.modules` counts as not installed.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _hidden(module: str) -> Iterator[None]:
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]


with _hidden("torchmetrics"):
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import SLURMEnvironment
    from lightning_fabric.strategies import DDPStrategy

# What it came to is said by us, in a line of our own ("precision bf16").
logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

__all__ = ["DDPStrategy", "Fabric", "SLURMEnvironment"]
