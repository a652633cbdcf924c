"""Follow a recipe: one file that prepares pictures, trains, scores and draws, each step a command that is shown.

NAME is a file of config/ with a section `recipe` (--list names them) or a path to one of your own. Everything goes on
where it stopped: what is done is not done again. Steps can be given in the file; without them its other sections say
what there is to do (docs/recipes.md).

    ae-pretrained recipe shapes_unet
    ae-pretrained recipe msrc_mobilenet --archives path/to/msrc-v2
"""

import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
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
from core.errors import RunError, UserError
from core.files import atomic_path
from core.filing.kinds import FOLDERS
from core.filing.paths import expanded
from core.filing.words import nearest
from core.filing.writing import lock
from core.filing.yaml_file import read_yaml
from core.run.signals import Terminated
from core.terminal.progress import duration
from core.train_config import Normalisation

CONFIGS = DEFAULT_CONFIG.parent
STOPS: dict[int, type[BaseException]] = {130: KeyboardInterrupt, 143: Terminated}  # exit code -> what stopped a step
FILE = "recipe.yaml"  # in a recipe's folder: the file that its commands read


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
    held = lock(here, "--output_dir", "recipe", ".recipe.lock")
    try:
        _keep(here / FILE, content)
        steps = list(steps_of(config, content, here))
        _tell_unread(content, steps)
        for number, words in enumerate(steps, start=1):
            print(f"\nstep {number} of {len(steps)}: ae-pretrained {shlex.join(words)}", flush=True)
            _take(words)
    finally:
        held.release()
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


def settings_of(path: Path, config: RecipeConfig) -> dict[str, Any]:
    """Return what the steps read: the file's sections, for --quick with their `shortened` settings."""
    sections = {name: values for name, values in read_yaml(path).items() if name != "recipe"}
    content: dict[str, Any] = _filled(sections, named(config))
    if not config.quick:
        return content
    if not config.shortened:
        raise UserError(f"{path} has no `shortened` settings: leave --quick out")
    if absent := sorted(set(config.shortened) - set(content)):
        raise UserError(f"{path}: `shortened` names {absent[0]}, which is no section of the file")
    return merged(content, _filled(config.shortened, named(config)))


def _filled(content: Any, given: Mapping[str, str]) -> Any:
    if isinstance(content, dict):
        return {name: _filled(value, given) for name, value in content.items()}
    if isinstance(content, list):
        return [_filled(value, given) for value in content]
    if not isinstance(content, str):
        return content
    _require_words(content, given, f"{content!r} in a section")
    return _replaced(content, given)


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping in which those of `above` have replaced values of `below`, at any depth."""
    both = dict(above)
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), Mapping):
            both[name] = merged(below[name], value)
    return {**below, **both}


def steps_of(config: RecipeConfig, content: Mapping[str, Any], here: Path) -> Iterator[list[str]]:
    """Yield the words of each command behind `ae-pretrained`.

    Raises:
        UserError: there is nothing to do, a step is no command, or it speaks of an --input that was not given.
    """
    if not config.steps and not content:
        raise UserError("the recipe has neither steps nor sections that say what there is to do (docs/recipes.md)")
    given = {**named(config), "{here}": str(here)}
    source = ["--archives", str(config.archives)] if config.archives else ["--download"] * config.download
    for step in config.steps or usual_steps(content):
        if "{input}" in step and not config.input:
            raise UserError("this recipe is for a picture of yours: --input photo.jpg, a folder or an address")
        _require_words(step, given, f"the step {step!r}")
        try:
            name, *words = [_replaced(word, given) for word in shlex.split(step)]
            commands = commands_called(name)
        except ValueError as error:  # UserError too
            raise UserError(f"the step {step!r} is no command ({error})") from None
        if name == "recipe":
            raise UserError(f"the step {step!r} is a recipe: write that one's steps here, or follow it by itself")
        reads = any(command.section in content for command in commands)
        settings = ["--config", str(here / FILE)] if reads else []
        yield [name, *settings, *words, *(source if name == "prepare" else [])]


def named(config: RecipeConfig) -> dict[str, str]:
    """Return what stands for the words in braces that a recipe may use anywhere."""
    weights = config.weights if config.weights.startswith("torchvision:") else expanded(config.weights)
    return {"{weights}": weights, "{normalisation}": config.normalisation, "{input}": config.input or ""}


def _require_words(text: str, known: Iterable[str], where: str) -> None:
    """Raise UserError where a text has a word in braces that stands for nothing."""
    for word in re.findall(r"\{\w+\}", text):
        if word not in known:
            near = nearest(word, list(known))
            raise UserError(f"{where}: {word} stands for nothing{near} (there are {', '.join(known)})")


def _tell_unread(content: Mapping[str, Any], steps: Sequence[Sequence[str]]) -> None:
    """Print a note of the sections that no step reads."""
    read = {command.section for name, *_ in steps for command in commands_called(name)}
    if unread := [section for section in content if section not in read]:
        print(f"note: without effect: {', '.join(unread)}: no step reads what stands there", file=sys.stderr)


def _replaced(text: str, given: Mapping[str, str]) -> str:
    for word, value in given.items():
        text = text.replace(word, value)
    return text


def usual_steps(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the steps of a file that gives none: a grid, or both phases from scratch and pretrained, or phase 2."""
    if "data" in content:
        yield "prepare --output_dir {here}/data"
    if "ablation" in content:
        yield "ablate --data_dir {here}/data --output_dir {here}/grid --results_dir {here}/results"
        yield "tables --results {here}/results"
        return
    arms = {"scratch": ""}
    if "reconstruction" in content:
        yield "pretrain --data_dir {here}/data --output_dir {here}/autoencoder"
        arms["pretrained"] = " --pretrained_encoder {here}/autoencoder/best_model.safetensors --transfer all"
    for arm, flags in arms.items():
        yield f"train --data_dir {{here}}/data --output_dir {{here}}/{arm}{flags}"
    runs = [*(["autoencoder"] if "reconstruction" in content else []), *arms]
    for run in runs:
        yield (
            f"evaluate --model_path {{here}}/{run}/best_model.safetensors --data_dir {{here}}/data "
            f"--output_dir {{here}}/{run}/results"
        )
    yield f"report {' '.join(f'{{here}}/{run}' for run in runs)} --output {{here}}/report.html"


def _keep(file: Path, content: Mapping[str, Any]) -> None:
    """Write the settings of the steps, or see that they are those of before."""
    if file.exists() and read_yaml(file) != content:
        raise UserError(f"{file.parent} holds the recipe with other settings: give another --output_dir, or remove it")
    if not file.exists():
        with atomic_path(file) as temporary:
            temporary.write_text(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True), encoding="utf-8")


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
        raise RunError(f"the step {name} did not end well (the line above says why); the same recipe goes on there")


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
