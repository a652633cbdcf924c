"""Where a number comes from: code, weights, data, versions, machine."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from core.machine.processor import processor

PACKAGES = ("torch", "torchvision", "lightning-fabric", "numpy", "opencv-python-headless")


def versions(*more: str) -> dict[str, str]:
    """Return the versions of Python and of the libraries that can move a number, and of more packages."""
    return {"python": platform.python_version(), **{package: version(package) for package in (*PACKAGES, *more)}}


def commit() -> str | None:
    """Return the commit of this code, with "+changes" where files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def device_name(device: torch.device) -> str:
    """Return what computes, in words."""
    name = processor(device).name
    return name if device.type == "cuda" else f"{device.type} ({name}, {torch.get_num_threads()} threads)"


def machine(device: torch.device) -> dict[str, Any]:
    """Return what a run ran on."""
    return {"device": device_name(device), "system": platform.system(), "machine": platform.machine()}
