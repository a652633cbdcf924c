"""What users import: `from ae_pretrained import Segmenter`. Torch is loaded when that is asked for, not before."""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transfer_learning.inference.segmenter import Segmenter

__all__ = ["Segmenter", "__version__"]

try:
    __version__ = version("ae-pretrained")
except PackageNotFoundError:  # a clone that was never installed
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    """Import what takes seconds when it is first asked for."""
    if name == "Segmenter":
        from transfer_learning.inference.segmenter import Segmenter

        return Segmenter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
