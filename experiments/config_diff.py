"""Show where the settings of two files, or of two runs, differ: `ae-pretrained config diff A B`.

A and B are YAML files, recipes by their name, or run folders. Of a file every section counts as its command would read
it, defaults filled in; of a run what it was trained with, and of two runs also what they read and what their settings
came to on their machines.

    ae-pretrained config diff config/pets64.yaml config/pets128.yaml
    ae-pretrained config diff runs/scratch runs/pretrained
"""

import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from core.cli import COMMANDS
from core.command import run_command
from core.config import from_mapping, read_section
from core.errors import UserError
from core.train_config import BEFORE_CHOICE
from experiments.page.command_lines import defaults
from experiments.recipe import RecipeConfig, file_of
from experiments.recipe_steps import settings_of
from experiments.runs import DESCRIPTION, read_folder
from experiments.table_formats import UNKNOWN, Table, markdown

Settings = Mapping[str, Any]
CAME_TO = "what the runs read and came to"
MISSING = object()


@dataclass(frozen=True)
class ConfigDiffConfig:
    """What is compared."""

    action: Positional[Literal["diff"]] = "diff"
    """Show the differences."""
    places: Positional[tuple[Path, ...]] = ()
    """A and B: YAML files, recipes by their name, or run folders."""


@dataclass(frozen=True)
class Source:
    """Settings of one side.

    Attributes:
        name: as it was given.
        sections: of a file, as they are written; of a run its phase's, whole.
        identity: of a run: what makes it what it is, among that what it read. None of a file.
    """

    name: str
    sections: dict[str, Settings]
    identity: Settings | None = field(default=None)


def config_diff(config: ConfigDiffConfig) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Print the differences; returns them: section -> setting -> what A and B have.

    Raises:
        UserError: not two were given, one of them is none of ours, or they are runs of both phases.
    """
    if len(config.places) != 2:
        raise UserError(f"two are compared, {len(config.places)} given: ae-pretrained config diff A.yaml B.yaml")
    first, second = (_source(place) for place in config.places)
    found = {}
    for section in _compared(first, second):
        for source in (first, second):
            if section not in source.sections:
                print(f"note: {source.name} has no section {section}; its defaults are compared", file=sys.stderr)
        found[section] = _differing(_resolved(first, section), _resolved(second, section))
    if first.identity is not None and second.identity is not None:
        told = {name for settings in found.values() for name in settings}
        came_to = _differing(first.identity, second.identity)
        found[CAME_TO] = {name: values for name, values in came_to.items() if name not in told}
    found = {section: settings for section, settings in found.items() if settings}
    print("\n\n".join(_tables(found, first.name, second.name)) or f"{first.name} and {second.name} say the same")
    return found


def _source(place: Path) -> Source:
    folder = place.parent if place.name == DESCRIPTION else place
    if folder.is_dir():
        return _of_run(folder)
    try:
        path = file_of(str(place))
    except UserError:
        raise UserError(f"{place} is neither a YAML file nor a run folder, nor a recipe's name") from None
    if recipe := read_section(path, "recipe"):
        return Source(
            str(place), {**settings_of(path, from_mapping(RecipeConfig, recipe, str(path))), "recipe": recipe}
        )
    sections = {command.section: read_section(path, command.section) for command in COMMANDS}
    return Source(str(place), {name: values for name, values in sections.items() if values})


def _of_run(folder: Path) -> Source:
    if not (folder / DESCRIPTION).is_file():
        raise UserError(f"{folder} is no run folder (it has no {DESCRIPTION}): name a run folder or a YAML file")
    run = read_folder(folder)
    settings = run.description.get("settings")
    if not isinstance(settings, dict):
        raise UserError(f"{folder / DESCRIPTION} is not one of ours")
    # What its version did not have yet counts as it was before.
    return Source(str(folder), {run.phase: {**defaults(run.phase), **BEFORE_CHOICE, **settings}}, run.training)


def _compared(first: Source, second: Source) -> list[str]:
    """Return the sections that are compared, in the order of the commands: of a run there is one alone."""
    of_runs = {section for source in (first, second) if source.identity is not None for section in source.sections}
    if len(of_runs) > 1:
        phases = " and ".join(f"{source.name} is one of {next(iter(source.sections))}" for source in (first, second))
        raise UserError(f"{phases}: runs of one phase are compared")
    known = of_runs or {*first.sections, *second.sections}
    return [command.section for command in COMMANDS if command.section in known]


def _resolved(source: Source, section: str) -> Settings:
    """Return the settings of a section, defaults filled in, as plain JSON values; mappings are taken apart."""
    values = source.sections.get(section, {})
    if source.identity is None:
        command = next(command for command in COMMANDS if command.section == section)
        kind = getattr(import_module(command.module), command.settings)
        values = dataclasses.asdict(from_mapping(kind, dict(values), f"{source.name}: {section}"))
    return dict(_leaves(json.loads(json.dumps(values, default=str))))


def _leaves(values: Settings, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _differing(first: Settings, second: Settings) -> dict[str, tuple[Any, Any]]:
    pairs = {name: (first.get(name, MISSING), second.get(name, MISSING)) for name in {**first, **second}}
    return {name: (one, other) for name, (one, other) in pairs.items() if one != other}


def _tables(found: Mapping[str, Mapping[str, tuple[Any, Any]]], first: str, second: str) -> Iterator[str]:
    for section, settings in found.items():
        columns = ["setting", first, second]
        rows = [[name, *map(_said, values)] for name, values in settings.items()]
        yield markdown(Table(section, columns, rows, columns))


def _said(value: Any) -> str:
    """Return a value as a flag takes it; none where nothing is set."""
    if value is MISSING:
        return UNKNOWN
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "experiments.config_diff", ConfigDiffConfig, config_diff, argv, section="config_diff", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())
