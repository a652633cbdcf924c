"""Prepare pictures for both phases: a public data set, drawings or your own folder in; pictures of one size, labels and
splits out. --list_datasets shows what there is.

Everything is written to OUTPUT_DIR.partial, which becomes OUTPUT_DIR when whole. The same command again does nothing,
or goes on where it was interrupted; after an error nothing is left.
"""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

from core.command import run_command
from core.errors import UserError
from core.files import write_json
from core.filing.writing import LOCK, followed, leaving_nothing_empty, lock, sweep
from core.terminal.progress import track
from core.terminal.screen import say
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.preparing.console import Noted, count_notes, print_data_sets, print_summary
from data.preparing.contents import (
    Note,
    classes_not_held,
    make_manifest,
    make_report,
    require_classes,
    splits_without_masks,
)
from data.preparing.earlier import build_arrays, is_prepared
from data.preparing.inputs import Row, write_inputs
from data.preparing.journal import Journal
from data.preparing.place import (
    REPORT,
    SPLITS_FILE,
    building_place,
    clear_abandoned,
    goes_on,
    require_ours,
    take_place,
)
from data.preparing.processing import Job, Outcome, bounded_map, process
from data.preparing.settling import settle
from data.sources.own.progress import processors
from data.sources.source import Sample, Samples, Source
from data.sources.table import open_source

NAMED_AT_MOST = 5
Work = Callable[[Sample], Outcome]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("data.prepare", PrepareConfig, prepare, argv, section="data", description=__doc__)


def prepare(config: PrepareConfig) -> None:
    """Prepare a data set as the settings say.

    Raises:
        UserError: the source or the settings are wrong, masks do not fit their images, or `output_dir` holds
            something else.
    """
    if config.list_datasets:
        print_data_sets()
        return
    config.check_source()
    output = followed(config.output_dir, "--output_dir")  # nothing can be renamed to a link
    with leaving_nothing_empty(output):
        _prepare(config, output)


def _prepare(config: PrepareConfig, output: Path) -> None:
    place = building_place(output)
    if goes_on(place, config.settings()):
        _finish(place, output)
    if is_prepared(config):
        say(f"{config.output_dir} is already prepared with these settings: nothing to do")
        return
    began = time.perf_counter()
    require_ours(place)
    _try(place)
    source = open_source(config)
    for note in source.notes:
        say(note)
    with _locked(place):
        manifest, noted = _prepare_or_leave_nothing(place, source, config)
        take_place(place, output)
    print_summary(config.output_dir, manifest, noted, time.perf_counter() - began)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    held = lock(place, "--output_dir", "preparation")
    try:
        yield
    finally:
        held.release()


def _try(place: Path) -> None:
    """See that a folder can be written and locked; it is not left there, perhaps among the pictures to be listed."""
    with _locked(place):
        pass
    if {path.name for path in place.iterdir()} <= {LOCK}:
        shutil.rmtree(place)


def _finish(place: Path, output: Path) -> None:
    """Let what an earlier call built whole take its place."""
    with _locked(place):
        take_place(place, output)


def _prepare_or_leave_nothing(
    root: Path, source: Source, config: PrepareConfig
) -> tuple[dict[str, Any], dict[str, Noted]]:
    """Do what `_prepare_into` does; a refusal leaves nothing, a kill what the same command goes on from."""
    if difference := clear_abandoned(root, config.settings()):
        say(f"{root} was left by a call with other settings ({difference}) that did not end: it is replaced")
    sweep(root)
    try:
        return _prepare_into(root, source, config)
    except UserError:
        shutil.rmtree(root)
        raise


def _prepare_into(root: Path, source: Source, config: PrepareConfig) -> tuple[dict[str, Any], dict[str, Noted]]:
    """Write everything; returns the manifest, and how often the report tells of what."""
    source, work = _work(root, source, config)
    unusable = [(file, "passed over", reason) for file, reason in source.passed_over]
    with Journal(root, config.settings(), 3 if source.plan else 2) as journal:
        left_out, unread = _process_all(source.samples, work, journal, config.workers)
        unusable += left_out
        if not journal.keep(source.samples):
            raise UserError(f"none of the {len(source.samples)} pictures can be used; the first: {unusable[-1]}")

        def notes() -> Iterator[Note]:
            return chain(unusable, (note for entry in journal.entries(noted=True) for note in entry["notes"]))

        settled = settle(journal, source, config.copies)
        journal.move(settled.moved)
        unread += journal.leave_out(settled.left_out)
        unusable += settled.notes
        for line in settled.lines:
            say(line)
        manifest = make_manifest(config, source, journal)
        require_classes(source, manifest)
        for note in splits_without_masks(manifest):
            say(note)
        unusable += [(name, "class without a picture", why) for name, why in classes_not_held(source, manifest)]
        noted = count_notes(notes())
        if source.classes_yaml:
            (root / "classes.yaml").write_text(source.classes_yaml, encoding="utf-8")
        rows = chain(unread, (row for entry in journal.entries() for row in entry["inputs"]))
        write_inputs(root, rows, config.archives, source.details.get("archives", {}))
        write_json(root / SPLITS_FILE, {split: journal.names(split) for split in SPLITS})
        counts = {action: count for action, (count, _) in noted.items()}
        write_json(root / REPORT, {"counts": counts, "files": make_report(notes())})
        write_json(root / "manifest.json", manifest)
        build_arrays(root)
        journal.close_folder()
    return manifest, noted


def _work(root: Path, source: Source, config: PrepareConfig) -> tuple[Source, Work]:
    """Return what is done with each sample; of volumes the source as it is once their intensities are known."""
    if source.plan is None:
        steps = config.preprocessing
        steps.require_channels(source.channels)
        job = Job(root, config.sides, config.resize_mode, source.classes, source.channels, config.bad_masks, steps)
        return source, partial(process, job=job)
    volumes = import_module("data.volumes.preparing")  # scipy, which pictures do without
    return volumes.make_work(root, source, config)


def _process_all(samples: Samples, work: Work, journal: Journal, workers: int) -> tuple[list[Note], list[Row]]:
    """Process what is not finished; returns the notes of what was left out, and which files those are."""
    left_out: list[Note] = []
    unread: list[Row] = []
    refused = []
    done = journal.count_finished(samples)
    todo = _unfinished(samples, journal)
    outcomes = bounded_map(work, todo, workers or processors())
    for outcome in track(outcomes, "preparing", len(samples), done, unit="images"):
        if outcome.refused:
            refused.append(outcome.refused)
            if len(refused) == NAMED_AT_MOST:
                break
        elif outcome.record:
            journal.append(outcome)
        else:
            left_out += outcome.notes
            unread += outcome.inputs
    if refused:
        raise UserError(
            f"masks do not fit their images: {'; '.join(refused)}. "
            f"Mend them, or leave them out with --bad_masks leave_out"
        )
    return left_out, unread


def _unfinished(samples: Samples, journal: Journal) -> Iterator[Sample]:
    """Yield those with masks first: one that does not fit is found before much work is done."""
    for without in (False, True):
        for sample in samples:
            if (sample.label is None) == without and not journal.is_finished(sample):
                yield sample


if __name__ == "__main__":
    sys.exit(main())
