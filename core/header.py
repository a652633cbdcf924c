"""The header of weights, read without their tensors and without torch."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from core.errors import UserError

HEADER_KEY = "ae_pretrained"
FORMAT_VERSION = 1


def read_header(path: Path) -> dict[str, Any]:
    """Return what a weights file of ours says about itself.

    Raises:
        UserError: no such file, not safetensors, cut short, not ours, or of another format version.
    """
    if not path.is_file():
        raise UserError(f"no weights at {path}: a training run leaves them as best_model.safetensors in its folder")
    try:
        with safe_open(path, framework="np") as file:
            header = json.loads((file.metadata() or {}).get(HEADER_KEY, "null"))
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path} is not a whole safetensors file ({error}): train again or copy it anew") from None
    if not isinstance(header, dict) or "format_version" not in header:
        raise UserError(f"{path} was not written by this project: its header lacks {HEADER_KEY!r}")
    if header["format_version"] != FORMAT_VERSION:
        raise UserError(f"{path} has format version {header['format_version']}, this code reads {FORMAT_VERSION}")
    return header
