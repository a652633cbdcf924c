"""How fast runs are by what decides it, and what the time of one kind of run says of another's.

Times are kept by processor in the user's cache, so that a new grid can say how long it will take before anything ran.
"""

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from core.errors import UserError
from core.files import write_json
from core.filing.json_file import parse_json, read_json
from core.filing.paths import user_cache
from core.train_config import OWN_ENCODER
from data.volumes.settings import triple_of
from experiments.evaluations import Resolution, is_number, is_of_volumes
from experiments.page.command_lines import defaults

FILE = "speeds.json"
# What moves the time of a step much; other settings do not.
LIKE = ("width", "batch_size", "encoder", "decoder", "freeze", "perceptual_network", "perceptual_weight", "teacher")
# Of these the time of a picture is known to follow: they may differ between a run and the one that it is judged by.
SCALED = ("width", "batch_size")
SLOWEST = 3600.0  # seconds a picture: what says more was not measured
# A step of our own network takes as long a pixel as width * (width + 10): convolutions grow with the square of the
# width, all else with the width. Within a fifth of what 8, 16 and 32 took at 64, 128 and 256 px (AMD EPYC, fp32).
LINEAR_SHARE = 10

Speeds = dict[str, float]  # kind of run -> seconds a training picture


def kind_of(phase: str, settings: Mapping[str, Any], resolution: Resolution) -> str:
    """Return what runs of about the same speed have in common.

    Args:
        phase: "reconstruction" or "transfer_learning".
        settings: of the run; those that it does not name are the phase's defaults.
        resolution: of its pictures, a side or height and width; of volumes the patch decides.
    """
    known = defaults(phase)
    values = {name: settings.get(name, known[name]) for name in LIKE if name in known}
    if "freeze" in values:
        values["freeze"] = values["freeze"] == "always"
    if not values.get("perceptual_weight"):
        values.pop("perceptual_network", None)
    if settings.get("pretext") != "distil":
        values.pop("teacher", None)
    return json.dumps([phase, values, _patch(settings) or resolution], default=str)


def _patch(settings: Mapping[str, Any]) -> list[int] | None:
    patch = settings.get("patch")
    return list(triple_of(patch, "patch")) if patch else None


def scaled(known: Mapping[str, float], kind: str) -> float | None:
    """Return the seconds a picture of a kind of run, by those of the nearest kind that tells; None where none does."""
    factors = {other: factor for other in known if (factor := _factor(other, kind)) is not None}
    if not factors:
        return None
    nearest = min(factors, key=lambda other: abs(math.log(factors[other])))
    return known[nearest] * factors[nearest]


def _factor(known: str, wanted: str) -> float | None:
    """Return how many times as long a picture takes in one kind of run as in another; None where that is not known."""
    (phase, there, size), (other_phase, here, other_size) = (parse_json(kind, FILE) for kind in (known, wanted))
    alike = {name: value for name, value in there.items() if name not in SCALED}
    if phase != other_phase or alike != {name: value for name, value in here.items() if name not in SCALED}:
        return None
    if is_of_volumes(size) != is_of_volumes(other_size):
        return None
    factor, wider = _pixels(other_size) / _pixels(size), _cost(here["width"]) / _cost(there["width"])
    if there["width"] == here["width"]:
        return factor
    others = here.get("perceptual_weight") or here.get("teacher")
    if here["encoder"] != OWN_ENCODER or others:  # what else is computed does not grow with it
        return None
    return factor * wider


def _cost(width: int) -> int:
    return width * (width + LINEAR_SHARE)


def _pixels(resolution: Resolution) -> int:
    return resolution**2 if isinstance(resolution, int) else math.prod(resolution)


def kept(is_here: Callable[[str], bool]) -> Speeds:
    """Return what is kept of the devices that are here."""
    found: Speeds = {}
    for device, speeds in sorted(_read().items()):
        found |= speeds if is_here(device) else {}
    return found


def keep(device: str, kind: str, seconds: float) -> None:
    """Keep the seconds a picture of a kind of run took; where nothing can be written it is forgotten."""
    everything = _read()
    everything.setdefault(device, {})[kind] = seconds
    with suppress(OSError):
        write_json(user_cache() / FILE, everything)


def _read() -> dict[str, Speeds]:
    """Return device -> speeds, without what is damaged."""
    try:
        content = read_json(user_cache() / FILE)
    except (OSError, UserError):
        return {}
    devices = content if isinstance(content, dict) else {}
    return {
        device: {kind: speed for kind, speed in speeds.items() if _is_speed(kind, speed)}
        for device, speeds in devices.items()
        if isinstance(speeds, dict)
    }


def _is_speed(kind: str, speed: object) -> bool:
    if not (is_number(speed) and 0 < speed < SLOWEST):
        return False
    try:
        _factor(kind, kind)
    except (UserError, ValueError, TypeError, KeyError, AttributeError, ArithmeticError):
        return False
    return True
