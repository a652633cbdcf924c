"""What an advice has chosen, kept in its folder: the same command goes on with it, another is refused."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.errors import UserError, first_problem
from core.files import write_json
from core.filing.json_file import read_json
from data.preparing.differences import differences
from experiments.advice.choices import Lengths, Sized
from experiments.advice.config import AdviseConfig

FILE = "chosen.json"
# Of how arms are trained: raised when that changes, so that no advice is half of one and half of another.
RECIPE = 2
# Settings that change what is said, and nothing of what was trained.
SAID = ("more", "goal", "minutes_per_mask", "output_dir", "final_model", "workers")


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Args:
        asked: the settings that it was chosen by.
        listing: digest of the pictures and masks.
        slots: trainings side by side.
        threads: of each.
        sized: size and width.
        lengths: of the trainings; None until a step of each way was measured.
        recipe: `RECIPE` of the program that chose it.
    """

    asked: dict[str, Any]
    listing: str
    slots: int
    threads: int
    sized: Sized
    lengths: Lengths | None = None
    recipe: int = 1

    def keep(self, here: Path) -> None:
        """Write it into the folder of the advice."""
        write_json(here / FILE, asdict(self))


def asked_of(config: AdviseConfig) -> dict[str, Any]:
    """Return the settings that decide what is trained, as plain values."""
    values = json.loads(json.dumps(asdict(config), default=str))
    return {name: value for name, value in values.items() if name not in SAID}


def kept_in(here: Path, config: AdviseConfig, listing: str) -> Chosen | None:
    """Return what an earlier call chose; None where there was none, or none that came to trainings.

    Raises:
        UserError: it was asked something else, the pictures or masks have changed since, or the file is damaged.
    """
    path = here / FILE
    if not path.is_file():
        return None
    try:
        chosen = TypeAdapter(Chosen).validate_python(read_json(path))
    except ValidationError as errors:
        raise UserError(f"{path} is damaged ({first_problem(errors)}): give another --output_dir") from None
    if chosen.lengths is None:  # it was refused, for too little time say, before anything was trained
        return None
    if chosen.recipe != RECIPE:
        raise UserError(f"{here} was begun by a version that trains otherwise: give another --output_dir")
    # What an earlier version did not ask was as it is by itself.
    if difference := differences({**asked_of(AdviseConfig()), **chosen.asked}, asked_of(config)):
        raise UserError(f"{here} holds an advice with other settings ({difference}): give another --output_dir")
    if chosen.listing != listing:
        raise UserError(f"{here} holds an advice of before pictures or masks changed: give another --output_dir")
    return chosen
