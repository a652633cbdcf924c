"""docs/settings.md says what the code says."""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import pytest
import tyro

from core.cli import COMMANDS
from core.settings_page import PAGE, page, settings


@dataclass(frozen=True)
class Above:
    """Settings of several commands."""

    size: int = 3
    """How large,
    in pixels."""
    rates: tuple[float, float] = (0.5, 1e-05)
    """Two rates."""


@dataclass(frozen=True)
class Own(Above):
    """Settings of one of them."""

    size: int = 5
    until: int | Literal["dawn", "dusk"] | None = None
    """N | always."""
    draw: bool = False
    """Draw."""
    files: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Files."""
    only: Annotated[list[str] | None, tyro.conf.arg(name="variants")] = None
    """A part."""
    common: tyro.conf.Suppress[dict[str, int] | None] = None
    """Of all."""


def test_a_row_says_how_a_setting_is_given_and_what_it_takes():
    assert settings(Own) == [
        ("`--size`", "whole number", "`5`", "How large, in pixels."),
        ("`--rates`", "2 numbers", "`0.5 1e-05`", "Two rates."),
        ("`--until`", "whole number, `dawn`, `dusk`", "none", "N \\| always."),
        ("`--draw`", "yes or no", "no", "Draw."),
        ("`FILES`, without a flag", "some paths", "none", "Files."),
        ("`--variants`, in a file `only`", "some texts", "none", "A part."),
        ("`common`, in a file alone", "name: value, …", "none", "Of all."),
    ]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.module)
def test_every_setting_is_explained(command):
    module = import_module(command.module)
    unexplained = [given for given, _, _, meaning in settings(getattr(module, command.settings)) if not meaning]
    assert unexplained == []


def test_the_page_is_the_one_that_the_code_makes():
    assert PAGE.read_text(encoding="utf-8") == page(), "make docs writes it anew"
