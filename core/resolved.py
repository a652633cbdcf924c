"""The settings that a command would run with, as a YAML file that `--config` reads back: `--print_config`."""

import dataclasses
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.cli import called_as
from core.filing.yaml_file import yaml_text
from core.settings_page import default_of, field_docs

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

LINE = 100


def as_yaml(config: "DataclassInstance", command: str, section: str) -> str:
    """Return every setting, those first that are not the code's defaults, each under what it means.

    Args:
        config: the settings.
        command: the module's name.
        section: of the file.
    """
    fields = dataclasses.fields(config)
    own = [field for field in fields if _plain(getattr(config, field.name)) != _plain(_default(field))]
    rest = [field for field in fields if field not in own]
    meanings = field_docs(type(config))
    lines = [
        f"# All settings of {called_as.get() or f'python -m {command}'}, as files and flags made them.",
        f"{section}:",
    ]
    for title, some in (("Other than the defaults of the code", own), ("As by default", rest)):
        if some:
            lines += ["", f"  # ---- {title} ----"]
        for field in some:
            what = meanings.get(field.name, "")
            default = f" (default: {default_of(field)})" if field in own else ""
            lines += ["", *_comment(f"{what}{default}"), *_setting(section, field.name, getattr(config, field.name))]
    return "\n".join(lines) if fields else f"{lines[0]}\n{section}: {{}}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False):
        yield f"  # {line}"


def _setting(section: str, name: str, value: Any) -> list[str]:
    if value == "":  # nothing was given, which a file cannot say
        return [f"  # {name}:"]
    return yaml_text({section: {name: _plain(value)}}).splitlines()[1:]


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value
