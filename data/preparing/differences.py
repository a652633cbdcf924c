"""Which settings differ between two preparations, as they are written on the command line."""

from collections.abc import Mapping
from typing import Any

_SHOWN_AT_MOST = 8  # of a list


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Name the settings that differ, as "--size 128 there, 256 asked"; empty when none do.

    Args:
        before, now: as of `PrepareConfig.settings`.
    """
    if before.get("dataset") != now.get("dataset"):  # another has other settings
        before, now = ({"dataset": each.get("dataset")} for each in (before, now))
    there, asked = _flags(before), _flags(now)
    changed = [flag for flag in {**asked, **there} if there.get(flag) != asked.get(flag)]
    return "; ".join(f"--{flag} {_shown(there.get(flag))} there, {_shown(asked.get(flag))} asked" for flag in changed)


def _flags(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by their flags."""
    flags: dict[str, Any] = {}
    for key, value in settings.items():
        if key == "source" and isinstance(value, Mapping):
            flags |= value
        elif key == "ratios" and isinstance(value, Mapping):
            flags |= {f"{name}_ratio": ratio for name, ratio in value.items()}
        elif key == "size" and isinstance(value, list) and len(value) == 2:
            flags[key] = value[0] if value[0] == value[1] else f"{value[0]}x{value[1]}"
        else:
            flags[key] = value
    return flags


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "not given"
    if isinstance(value, list):
        return " ".join(map(str, value[:_SHOWN_AT_MOST])) + (" ..." if len(value) > _SHOWN_AT_MOST else "")
    return str(value)
