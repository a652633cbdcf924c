"""From a recipe's file to the settings that its steps read, and to the words of each step."""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.calling import commands_called
from core.config import merged
from core.errors import UserError
from core.filing.paths import expanded
from core.filing.words import nearest
from core.filing.yaml_file import read_yaml

if TYPE_CHECKING:
    from experiments.recipe import RecipeConfig

FILE = "recipe.yaml"  # in a recipe's folder: the file that its commands read


def settings_of(path: Path, config: "RecipeConfig") -> dict[str, Any]:
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


def steps_of(config: "RecipeConfig", content: Mapping[str, Any], here: Path) -> Iterator[list[str]]:
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


def named(config: "RecipeConfig") -> dict[str, str]:
    """Return what stands for the words in braces that a recipe may use anywhere."""
    weights = config.weights if config.weights.startswith("torchvision:") else expanded(config.weights)
    return {"{weights}": weights, "{normalisation}": config.normalisation, "{input}": config.input or ""}


def _require_words(text: str, known: Iterable[str], where: str) -> None:
    """Raise UserError where a text has a word in braces that stands for nothing."""
    for word in re.findall(r"\{\w+\}", text):
        if word not in known:
            near = nearest(word, list(known))
            raise UserError(f"{where}: {word} stands for nothing{near} (there are {', '.join(known)})")


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
    # Pretraining on volumes is scored by its log, and by what it is worth.
    of_volumes = bool(content.get("reconstruction", {}).get("patch"))
    for run in arms if of_volumes else runs:
        yield (
            f"evaluate --model_path {{here}}/{run}/best_model.safetensors --data_dir {{here}}/data "
            f"--output_dir {{here}}/{run}/results"
        )
    yield f"report {' '.join(f'{{here}}/{run}' for run in runs)} --output {{here}}/report.html"
