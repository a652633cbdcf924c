"""Cross-validate: a recipe's data in folds, each held out once, trained and scored as its sections say; one table.

NAME is a recipe (`ae-pretrained recipe --list`) or a file of your own with the sections `data` and `transfer_learning`;
with a section `reconstruction` each fold begins with phase 1 on its own pictures. Every step is a command that is
shown; what is done is not done again. Writes crossval.json and crossval.md: the folds' scores, their mean and standard
deviation, and the scores over all pictures, each by the network that never saw it, with intervals over pictures.

    ae-pretrained crossval medical_em --archives path/to/isbi-em --folds 5
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from core.command import run_command
from core.config import from_mapping, read_section
from core.errors import UserError
from core.files import atomic_path, write_json
from core.filing.kinds import FOLDERS
from core.terminal.progress import duration
from experiments.fold_scores import content_of, table_of
from experiments.recipe import RecipeConfig, file_of, held, keep, take_all
from experiments.recipe_steps import FILE, settings_of, steps_of
from experiments.table_formats import markdown


@dataclass(frozen=True)
class CrossvalConfig:
    """What is cross-validated, and in how many folds."""

    goes_on: ClassVar[bool] = True
    writes: ClassVar[dict[str, str]] = {"output_dir": FOLDERS}

    name: Positional[Annotated[str, arg(metavar="NAME")]] = ""
    """A recipe, or the path of a file of your own."""
    folds: int = 5
    """Into how many folds the labelled pictures are divided, by the seed and by groups of --group_by of the data."""
    only: tuple[int, ...] = ()
    """Train and score these folds alone, counted from 0; the table holds all that are done. Left out: all."""
    scratch: bool = False
    """Leave phase 1 out, where the file has one."""
    quick: bool = False
    """Take the few steps and pictures of the file's `shortened`: to see that everything runs."""
    archives: Path | None = None
    """The folder where the data set lies (docs/data_sets.md); drawn ones need none."""
    download: bool = False
    """Or fetch it, where that is possible."""
    output_dir: Path | None = None
    """Folds and table. Without it: runs/NAME_crossval, or runs/NAME_crossval_quick."""

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise UserError(f"folds {self.folds}: one is held out at a time, so there must be 2 or more")
        if wrong := [fold for fold in self.only if not 0 <= fold < self.folds]:
            raise UserError(f"only {wrong[0]}: the {self.folds} folds are 0 to {self.folds - 1}")


def cross_validate(config: CrossvalConfig) -> dict[str, Any]:
    """Train and score the folds; returns the content of crossval.json."""
    if not config.name:
        raise UserError("name what is cross-validated: ae-pretrained crossval medical_em --archives DIR")
    path = file_of(config.name)
    recipe = replace(
        from_mapping(RecipeConfig, read_section(path, "recipe"), str(path)),
        quick=config.quick,
        archives=config.archives,
        download=config.download,
    )
    content = settings_of(path, recipe)
    _require_usable(content, path)
    if config.scratch:
        content.pop("reconstruction", None)
    here = config.output_dir or Path("runs") / f"{path.stem}_crossval{'_quick' if config.quick else ''}"
    begun = time.monotonic()
    with held(here, "cross-validation"):
        _follow(config, replace(recipe, steps=tuple(_steps(config, content))), content, here)
        found = _write(here, config.folds)
    print(f"\n{config.name}: done in {duration(time.monotonic() - begun)}: {here / 'crossval.md'}")
    return found


def _require_usable(content: Mapping[str, Any], path: Path) -> None:
    if "data" not in content:
        raise UserError(f"{path} has no section data: it says what is divided into folds")
    if "ablation" in content:
        raise UserError(f"{path} is a grid (section ablation): cross-validate one variant, as transfer_learning")
    if clash := [name for name in ("folds", "fold") if content["data"].get(name)]:
        raise UserError(f"{path} says {clash[0]} of the data: leave it out, crossval divides them by --folds")


def _steps(config: CrossvalConfig, content: Mapping[str, Any]) -> Iterator[str]:
    for fold in config.only or range(config.folds):
        here = f"{{here}}/fold_{fold}"
        yield f"prepare --folds {config.folds} --fold {fold} --output_dir {here}/data"
        pretrained = ""
        if "reconstruction" in content:
            yield f"pretrain --data_dir {here}/data --output_dir {here}/autoencoder"
            pretrained = f" --pretrained_encoder {here}/autoencoder/best_model.safetensors --transfer all"
        yield f"train --data_dir {here}/data --output_dir {here}/training{pretrained}"
        weights = f"{here}/training/best_model.safetensors"
        yield f"evaluate --model_path {weights} --data_dir {here}/data --output_dir {here}/results"


def _follow(config: CrossvalConfig, recipe: RecipeConfig, content: dict[str, Any], here: Path) -> None:
    keep(here / FILE, {**content, "crossval": {"folds": config.folds}})
    take_all(list(steps_of(recipe, content, here)))


def _write(here: Path, folds: int) -> dict[str, Any]:
    content = content_of(here, folds)
    write_json(here / "crossval.json", content)
    text = markdown(table_of(content))
    with atomic_path(here / "crossval.md") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")
    print(f"\n{text}")
    return content


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command(
        "experiments.crossval", CrossvalConfig, cross_validate, argv, section="crossval", description=__doc__
    )


if __name__ == "__main__":
    sys.exit(main())
