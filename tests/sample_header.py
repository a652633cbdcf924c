"""Headers of weights that were never trained, for tests that write such files."""

from typing import Any


def sample_header(phase: str = "reconstruction", **fields: Any) -> dict[str, Any]:
    """Return a whole header; `fields` replace its own or come to them."""
    header: dict[str, Any] = {"phase": phase, "architecture": {"width": 2}, "config": {"seed": 3}}
    if phase == "transfer_learning":
        names = ["background", "cat", "dog"]
        header["class_set"] = {"names": names, "background": 0, "ignored_is": "border", "colours": []}
    return {**header, "epoch": 2, "metrics": {}, **fields}
