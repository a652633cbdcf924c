"""docs/settings.md: every command's settings, from the code.

python -m core.settings_page     # `make docs`; a test sees that the page and the code agree
"""

import ast
import dataclasses
import inspect
import textwrap
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import tyro

from core.cli import COMMANDS, Command
from core.config import kind_of
from core.files import atomic_path

POSITIONAL, SUPPRESSED = (get_args(marker[int])[1] for marker in (tyro.conf.Positional, tyro.conf.Suppress))
PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = """# Settings

Every command takes a flag for each of its settings, and `--config FILE.yaml` with the same keys in the command's
section; flags win over the file. Of several files, `--config a.yaml b.yaml`, the later win, name by name. With
`--print_config` a command shows what files and flags come to, as such a file with comments, and does nothing else;
`ae-pretrained config diff A B` shows where two files, or runs, differ. What is `yes or no` has two flags: `--figures`
and `--no_figures`; `--no_NAME` takes back what else may be none. Defaults are those of the code;
`config/model_config.yaml` holds them for both phases. This page is made from the code: `make docs`.
"""


def page() -> str:
    """Return the whole page."""
    return "\n".join((HEAD, *(section(command) for command in COMMANDS)))


def section(command: Command) -> str:
    """Return a command's heading, what it does, and the table of its settings."""
    module = import_module(command.module)
    called = f"`ae-pretrained {command.name}`, " if command.name else ""
    about = inspect.getdoc(module) or ""
    rows = [f"| {' | '.join(cells)} |" for cells in settings(getattr(module, command.settings))]
    return "\n".join(
        (
            f"## {command.module}\n",
            f"{called}`python -m {command.module}`; section `{command.section}`. {first_paragraph(about)}\n",
            "| setting | values | default | |\n|---|---|---|---|",
            *rows,
            "",
        )
    )


def settings(config_type: type) -> list[tuple[str, str, str, str]]:
    """Return the cells of each setting's row: how it is given, its kind of values, its default, what it means."""
    hints, marked = get_type_hints(config_type), get_type_hints(config_type, include_extras=True)
    meanings = field_docs(config_type)
    rows = []
    for field in dataclasses.fields(config_type):
        given = given_as(field.name, marked[field.name])
        meaning = meanings.get(field.name, "").replace("|", "\\|")
        rows.append((given, kind_of(hints[field.name]), default_of(field), meaning))
    return rows


def given_as(name: str, hint: Any) -> str:
    """Return the flag of a setting, or how else it is given."""
    marks = getattr(hint, "__metadata__", ())
    if SUPPRESSED in marks:
        return f"`{name}`, in a file alone"
    if POSITIONAL in marks:
        return f"`{name.upper()}`, without a flag"
    flag = next((mark.name for mark in marks if getattr(mark, "name", None)), name)
    return f"`--{flag}`" if flag == name else f"`--{flag}`, in a file `{name}`"


def field_docs(config_type: type) -> dict[str, str]:
    """Return the string that stands behind each field, in its class or the nearest above it."""
    docs: dict[str, str] = {}
    for owner in reversed(config_type.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for statement, following in zip(body.body, body.body[1:], strict=False):
            if not (isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)):
                continue
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                docs[statement.target.id] = " ".join(str(following.value.value).split())
    return docs


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return a field's default as a flag takes it; "none" where nothing is set."""
    value = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    if value is dataclasses.MISSING:
        return "must be given"
    if value is None or value in ((), [], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return f"`{' '.join(str(part) for part in value)}`"
    return f"`{value}`"


def first_paragraph(text: str) -> str:
    """Return the first paragraph on one line."""
    return " ".join(text.split("\n\n")[0].split())


if __name__ == "__main__":
    with atomic_path(PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
