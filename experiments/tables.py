"""Write the reported tables again, from the JSON files of a results folder alone.

Every reconstruction_metrics JSON below the folder becomes a row of the reconstruction table, every segmentation JSON
one of the segmentation table of its classes; a row is named after its file. Rows of several data sets or splits are
refused without --mix. Prints Markdown and writes it to tables.md in the folder.

A folder of `experiments.ablate` (plan.json, arms) gives the tables of the ablation: scores, differences from the
baseline with 95 % intervals, label savings, learning rates, compute, and the public results beside them, in tables.md,
tables.csv and tables.tex; summary.json; and the label-efficiency curve, label_efficiency.png. Where its plan has
budgets of picture passes: what is best within each, and compute.png. Where pretrainings differ in nothing but
`max_steps`, the scores over that length have a table too, and a curve in pretraining_length.png.

    python -m experiments.tables --results evaluation_results/pets128
    python -m experiments.tables --results evaluation_results/ablation
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from core.command import run_command
from core.errors import UserError
from core.files import atomic_path, read_text
from core.filing.kinds import FOLDERS
from core.filing.paths import readable
from core.filing.seal import Seal, files_in, seal_of
from core.filing.writing import replacing, sole_writer
from experiments.result_files import evaluations_below, files_below
from experiments.score_tables import by_classes, reconstruction_table, require_one_origin, segmentation_tables
from experiments.table_formats import markdown, markdown_untitled

FILE = "tables.md"
UNCHANGED = "holds these tables already, and nothing changed since: nothing to do"
GENERIC = ("evaluation_results", "reconstruction_metrics")


@dataclass(frozen=True)
class TablesConfig:
    """Settings of `experiments.tables`."""

    writes: ClassVar[dict[str, str]] = {"results": FOLDERS}

    results: Path = Path("evaluation_results/pets128")
    """Folder with the JSON files of the evaluation commands, in any subfolders, or of an ablation."""
    mix: bool = False
    """Put results of several data sets or splits into one table, with a column that says of which each row is."""


def tables(config: TablesConfig) -> str:
    """Write and print the tables; returns the Markdown."""
    if not config.results.is_dir():
        raise UserError(f"{config.results} is not a folder: the evaluation commands' --output_dir makes one")
    with sole_writer(config.results, "--results", FILE):
        seal = _seal(config)
        if said := seal.said():
            text = read_text(config.results / FILE)
            print(f"{text}\n{config.results / FILE} {said}")
            return text
        return _write(config, seal)


def _seal(config: TablesConfig) -> Seal:
    from experiments.ablation.outputs import SUMMARY
    from experiments.ablation.results import is_ablation

    own = {config.results / SUMMARY} if is_ablation(config.results) else {}
    read = {str(path): path for path in files_below(config.results, "*.json") if path not in own}
    return seal_of(config.results, FILE, config, read)


def _write(config: TablesConfig, seal: Seal) -> str:
    from experiments.ablation.results import is_ablation

    notes: list[str] = []
    parts, files = evaluation_tables(config.results, config.mix, notes)
    sealed = None if notes else seal  # which are to be told again
    if is_ablation(config.results):
        text = _publish_ablation(config.results, parts, sealed)
    elif parts:
        text = _published(config.results, parts)
        if sealed:
            sealed.write(UNCHANGED, [config.results / FILE])
    else:
        raise UserError(
            f"{config.results} holds no results: run the evaluation commands with --output_dir there, or the ablation"
        )
    sources = [str(path) for path in files]
    sources += [f"{config.results / 'arms'} and the folders beside it"] * is_ablation(config.results)
    listing = "\n".join(f"  {source}" for source in sources)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    print(f"{text}\nfrom\n{listing}\nwritten to {config.results / FILE}")
    return text


def _publish_ablation(folder: Path, parts: Sequence[str], seal: Seal | None) -> str:
    from experiments.ablation.outputs import write_ablation

    # An evaluation may write here too; runs of the ablation may be writing below.
    with sole_writer(folder, "--results", sweeps=False), replacing(folder) as staged:
        text = _published(staged, [write_ablation(folder, staged), *parts])
        if seal:
            seal.write(UNCHANGED, files_in(staged), staged)
        return text


def _published(folder: Path, parts: Sequence[str]) -> str:
    text = readable("\n\n".join(parts) + "\n")
    with atomic_path(folder / FILE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def evaluation_tables(folder: Path, mix: bool, notes: list[str]) -> tuple[list[str], list[Path]]:
    """Return the tables of the evaluation commands' JSON files below a folder, and those files.

    Where pictures of several class sets are scored each table says above it which classes are its own.

    Args:
        folder: searched at any depth.
        mix: allows rows of several data sets or splits in one table.
        notes: as of `evaluations_below`.

    Raises:
        UserError: rows of one table are of several data sets or splits, or a file is damaged.
    """
    found = evaluations_below(folder, notes)
    restored = {_name(path, folder): known for path, known in found.items() if known.scores.keys() >= {"psnr", "ssim"}}
    segmented = {_name(path, folder): known for path, known in found.items() if known.class_set}
    if not mix:
        require_one_origin([restored, *(rows for _, rows in by_classes(segmented))])
    tables = segmentation_tables(segmented)
    parts = [markdown_untitled(reconstruction_table(restored))] if restored else []
    parts += map(markdown if len(tables) > 1 else markdown_untitled, tables)
    named = (*restored, *segmented)
    return parts, [path for path in found if _name(path, folder) in named]


def _name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    named = [part for part in parts if part not in GENERIC]
    return " / ".join(named or parts).replace("_", " ")


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("experiments.tables", TablesConfig, tables, argv, section="tables", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
