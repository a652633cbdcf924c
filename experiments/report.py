"""Show runs on one page: scores with intervals, figures, settings, and several runs side by side.

RUN is a run folder, a folder of results, anything above them, or an evaluation's JSON. Writes a single HTML file that
needs nothing beside it. Runs of one phase are compared in the order given, in pairs with the first. With --data_dir the
runs that were not evaluated yet are first scored on Test, into RUN/results.

    python -m experiments.report runs/scratch runs/pretrained --data_dir data/mine --output report.html
"""

import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, ClassVar

from tyro.conf import Positional, arg

from core.command import run_command
from core.errors import RunError, UserError
from core.files import atomic_path, open_bytes
from core.filing.data_config import DataConfig
from core.filing.kinds import A_FILE
from core.filing.paths import readable
from core.filing.seal import Seal, seal_of
from core.filing.writing import sole_writer
from experiments.page.command_lines import flag
from experiments.runs import Run, find_runs

PAGE = Path(__file__).parent / "page"
SLICES = "figures/slices_"


@dataclass(frozen=True)
class ReportConfig(DataConfig):
    """Settings of `experiments.report`."""

    writes: ClassVar[dict[str, str]] = {"output": A_FILE}

    runs: Positional[Annotated[tuple[Path, ...], arg(metavar="RUN [RUN ...]")]] = ()
    """Run folders or results folders, at least one."""
    output: Path | None = None
    """The HTML file. Without it: report.html in the first RUN."""
    data_dir: Path | None = None  # type: ignore[assignment]
    """Prepared data: runs without results are first evaluated on their Test. Without it they are shown as they are."""

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        return {} if self.data_dir else dict.fromkeys(("cache_dir", "allow_seen"), "without --data_dir")


def report(config: ReportConfig) -> Path:
    """Write the page; returns its path."""
    if not config.runs:
        raise UserError("name the runs to show: python -m experiments.report runs/scratch runs/pretrained")
    first = config.runs[0]
    output = config.output or (first.parent if first.is_file() else first) / "report.html"
    if output.is_dir():
        raise UserError(f"--output {output} is a folder: name the HTML file")
    _require_page(output)
    find_runs(config.runs)  # which says what is wrong with those named
    with sole_writer(output.parent, "--output", output.name):
        if config.data_dir:
            evaluate_missing(config.runs, config)
        passed_over: list[str] = []
        runs = find_runs(config.runs, passed_over)
        seal = _seal(config, output, runs)
        if not passed_over and (said := seal.said()):
            print(f"{output} {said}")
            return output
        page, notes = render(runs)
        with atomic_path(output) as temporary:
            temporary.write_text(readable(page), encoding="utf-8")
        if not notes:  # which are to be told again
            seal.write("shows all this already, and nothing changed since: nothing to do", [output])
    for note in dict.fromkeys([*passed_over, *notes]):
        print(f"note: {note}", file=sys.stderr)
    print(f"written to {output} ({output.stat().st_size / 1e6:.1f} MB)")
    return output


def _require_page(output: Path) -> None:
    """Raise UserError where the page would replace anything but a page: a run's weights, its log, its results."""
    if output.is_file():
        with open_bytes(output) as file:
            if not file.read(64).lstrip().lower().startswith(b"<!doctype html"):
                raise UserError(f"{output} is there, and no HTML page: choose another --output")


def _seal(config: ReportConfig, output: Path, runs: Sequence[Run]) -> Seal:
    read = {str(path): path for run in runs for path in run.files()}
    named = [[run.phase, run.name, run.file, run.folder] for run in runs]
    return seal_of(output.parent, output.name, config, read, apart=("output",), runs=named)


def evaluate_missing(places: Sequence[Path], on: DataConfig) -> None:
    """Evaluate the trained runs in or below the places that have no results yet, on Test, into RUN/results.

    Raises:
        RunError: an evaluation failed, and has said why.
    """
    for run in find_runs(places):
        if (
            run.file
            or not run.is_scored
            or not run.folder
            or not (weights := run.folder / "best_model.safetensors").is_file()
        ):
            continue
        print(f"{run.name} was not evaluated yet: scoring it on the Test of {on.data_dir}", flush=True)
        settings = {"model_path": weights, **on.data_settings(), "output_dir": run.folder / "results"}
        command = import_module(f"{run.phase}.evaluate")
        if command.main([word for name, value in settings.items() for word in flag(name, value)]):
            raise RunError(f"{run.folder} could not be evaluated (the line above says why)")


def render(runs: Sequence[Run], advice: Mapping[str, Any] | None = None) -> tuple[str, list[str]]:
    """Return the page and what is missing in it, in words. Equal inputs give equal pages.

    Args:
        runs: what is shown, in this order.
        advice: the content of an advice.json, which then is the first screen.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from experiments.page.advice import advice_screen
    from experiments.page.opening import opening

    phases = _phases(runs)
    notes = [note for phase in phases for part in phase["parts"] for note in part.notes]
    environment = Environment(
        loader=FileSystemLoader(PAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    script = (PAGE / "report.js").read_text(encoding="utf-8")
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    page = environment.get_template("report.html.j2").render(
        opening=opening(runs),
        advice=advice_screen(advice) if advice else None,
        phases=phases,
        notes=notes,
        script=Markup(script),
        style=Markup(style),
        script_hash=_hash(script),
        style_hash=_hash(style),
    )
    return page.lstrip() + "\n", notes


def _phases(runs: Sequence[Run]) -> list[dict[str, Any]]:
    from experiments.page.comparison import comparison
    from experiments.page.content import run_part
    from experiments.page.opening import PHASES
    from experiments.page.strip import strip

    parts = [run_part(run, number) for number, run in enumerate(runs, 1)]
    return [
        {
            "id": phase,
            "title": title,
            "parts": chosen,
            "evaluated": any(part.run.file for part in chosen),
            "strip": strip([part.run for part in chosen]),
            "slices": any(figure.key.startswith(SLICES) for part in chosen for figure in part.figures),
            "comparison": comparison([part.run for part in chosen]),
        }
        for phase, title in PHASES.items()
        if (chosen := [part for part in parts if part.run.phase == phase])
    ]


def _hash(content: str) -> str:
    # The page's policy lets only this very script run, so a name in a result can do nothing.
    return "sha256-" + b64encode(sha256(content.encode()).digest()).decode()


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.report", ReportConfig, report, argv, section="report", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
