"""Follow a recipe: one file that prepares pictures, trains, scores and draws, each step a command that is shown.

NAME is a file of config/ with a section `recipe` (--list names them) or a path to one of your own. Everything goes on
where it stopped: what is done is not done again. Steps can be given in the file; without them its other sections say
what there is to do (docs/recipes.md).

    ae-pretrained recipe shapes_unet
    ae-pretrained recipe msrc_mobilenet --archives path/to/msrc-v2
"""

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar, get_type_hints

import yaml
from tyro.conf import Positional, Suppress, arg

from core.calling import commands_called, module_called
from core.cli import called_as
from core.command import run_command
from core.config import DEFAULT_CONFIG, from_mapping, read_section
from core.errors import UserError
from core.files import atomic_path
from core.filing.kinds import FOLDERS
from core.filing.paths import expanded
from core.filing.words import nearest
from core.filing.writing import leaving_nothing_empty, lock
from core.filing.yaml_file import read_yaml
from core.run.signals import Terminated
from core.terminal.progress import duration
from core.train_config import Normalisation
from experiments.recipe_steps import FILE, settings_of, steps_of

CONFIGS = DEFAULT_CONFIG.parent
STOPS: dict[int, type[BaseException]] = {130: KeyboardInterrupt, 143: Terminated}  # exit code -> what stopped a step


LOCK = ".recipe.lock"
REFUSED = 2  # the exit code of a step that settings or data do not let begin


@dataclass(frozen=True)
class RecipeConfig:
    """A recipe, and where it is followed."""

    goes_on: ClassVar[bool] = True
    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS}

    name: Positional[Annotated[str, arg(metavar="NAME")]] = ""
    """A file of config/ without its .yaml, or the path of one of your own."""
    list: bool = False
    """Say which recipes there are, what each needs and how long it takes."""
    quick: bool = False
    """Take the few steps and pictures of the file's `shortened`: to see that everything runs, in a minute or two."""
    archives: Path | None = None
    """The folder where the data set lies (docs/data_sets.md); drawn ones need none."""
    download: bool = False
    """Or fetch it, where that is possible."""
    weights: str = "imagenet"
    """Of recipes with outside weights: imagenet, from a package or timm's hub, or a file (docs/weights.md). {weights}
    in the recipe, which may name its own."""
    normalisation: Normalisation = "imagenet"
    """What these weights were trained with; {normalisation} in the recipe."""
    input: str | None = None
    """Of recipes for pictures of one's own: a picture, a folder or an address; {input} in the recipe."""
    output_dir: Path | None = None
    """Data, runs and results of the recipe. Without it: runs/NAME, or runs/NAME_quick."""
    title: Suppress[str] = ""
    """What it shows, in a line."""
    pictures: Suppress[str] = "drawn"
    """What has to be at hand."""
    time: Suppress[str] = "?"
    """How long it takes, and on what."""
    steps: Suppress[tuple[str, ...]] = ()
    """Commands as behind `ae-pretrained`, {here} for the recipe's folder; each reads its section of the file."""
    shortened: Suppress[dict[str, dict[str, Any]] | None] = None
    """Section -> the settings that --quick replaces."""


def follow(config: RecipeConfig) -> None:
    """Take the steps of a recipe, or list all."""
    if config.list:
        print("\n".join(listed()))
        return
    if not config.name:
        raise UserError("name a recipe: ae-pretrained recipe shapes_unet (--list says which there are)")
    path = file_of(config.name)
    if not config.title:
        raise UserError(f"{path} has no section recipe with a title: it is no recipe (--list says which there are)")
    here = config.output_dir or Path("runs") / f"{path.stem}{'_quick' if config.quick else ''}"
    content = settings_of(path, config)
    begun = time.monotonic()
    with held(here, "recipe"):
        keep(here / FILE, content)
        steps = list(steps_of(config, content, here))
        _tell_unread(content, steps)
        take_all(steps)
    print(f"\n{config.title}: done in {duration(time.monotonic() - begun)}, in {here}")


def file_of(name: str) -> Path:
    """Return the file of a recipe's name. Raises UserError where there is none, with the nearest name."""
    own = Path(expanded(name))
    known = sorted(path.stem for path in CONFIGS.glob("*.yaml"))
    if own.suffix in (".yaml", ".yml") and (own.exists() or own.stem not in known):
        return own
    if name not in known:
        beside = own.with_name(f"{own.name}.yaml")
        near = f"; did you mean {beside}?" if beside.is_file() else nearest(own.stem, known)
        raise UserError(f"unknown recipe {name}{near} (--list says which there are)")
    return CONFIGS / f"{name}.yaml"


def listed() -> Iterator[str]:
    """Yield a line a recipe: name, title, what it needs, how long it takes."""
    found = {path.stem: read_section(path, "recipe") for path in sorted(CONFIGS.glob("*.yaml"))}
    for name, section in found.items():
        if section:
            recipe = from_mapping(RecipeConfig, section, name)
            yield f"{name:<22} {recipe.title} ({recipe.pictures}; {recipe.time})"


def _tell_unread(content: Mapping[str, Any], steps: Sequence[Sequence[str]]) -> None:
    """Print a note of the sections that no step reads."""
    read = {command.section for name, *_ in steps for command in commands_called(name)}
    if unread := [section for section in content if section not in read]:
        print(f"note: without effect: {', '.join(unread)}: no step reads what stands there", file=sys.stderr)


@contextmanager
def held(here: Path, by: str) -> Iterator[None]:
    """Hold a recipe's folder; of one whose first step was refused nothing is left."""
    with leaving_nothing_empty(here):
        own = lock(here, "--output_dir", by, LOCK)
        begun, refused = (here / FILE).exists(), False
        try:
            yield
        except (UserError, SystemExit) as error:
            refused = not isinstance(error, SystemExit) or error.code == REFUSED
            raise
        finally:
            own.release()
            if refused and not begun and {path.name for path in here.iterdir()} <= {FILE, LOCK}:
                for name in (FILE, LOCK):
                    (here / name).unlink(missing_ok=True)


def keep(file: Path, content: Mapping[str, Any]) -> None:
    """Write the settings of the steps, or see that they are those of before."""
    if file.exists() and read_yaml(file) != content:
        raise UserError(f"{file.parent} holds the recipe with other settings: give another --output_dir, or remove it")
    if not file.exists():
        with atomic_path(file) as temporary:
            temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8")


def take_all(steps: Sequence[Sequence[str]]) -> None:
    """Run commands one after another, each shown. Leaves with the exit code of one that does not end well."""
    for number, words in enumerate(steps, start=1):
        print(f"\nstep {number} of {len(steps)}: ae-pretrained {shlex.join(words)}", flush=True)
        _take(words)


def _take(words: Sequence[str]) -> None:
    name, *arguments = words
    before = called_as.set(f"ae-pretrained {name}")
    try:
        code = import_module(module_called(name, arguments)).main(arguments)
    finally:
        called_as.reset(before)
    if code in STOPS:
        raise STOPS[code]("the same recipe goes on there")
    if code:
        # The step has said what is wrong, in the one line that begins with `error:`.
        print(f"stopped in the step {name}: the same recipe goes on there", file=sys.stderr)
        raise SystemExit(code)


def _name_in(words: Sequence[str]) -> str | None:
    """Return the recipe's name among the arguments, wherever it stands."""
    alone = {"--debug", *(f"--{name}" for name, kind in get_type_hints(RecipeConfig).items() if kind is bool)}
    for before, word in zip(["", *words], words, strict=False):
        takes_it = before.startswith("-") and before not in alone and "=" not in before
        if not word.startswith("-") and not takes_it:
            return word
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if name := _name_in(words):
        with suppress(UserError):  # which `follow` tells
            words += ["--config", str(file_of(name))]
    return run_command("experiments.recipe", RecipeConfig, follow, words, section="recipe", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
