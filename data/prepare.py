"""Prepare pictures for both phases: a public data set, drawings or your own folder in; pictures of one size, labels and
splits out. --list_datasets shows what there is.

Everything is written to OUTPUT_DIR.partial, which becomes OUTPUT_DIR when whole. The same command again does nothing,
or goes on where it was interrupted; after an error nothing is left.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from core.command import run_command
from core.errors import UserError
from core.files import write_json
from core.terminal.progress import track
from data.manifest import SPLITS, read_manifest
from data.prepare_config import PrepareConfig
from data.preparing.console import Noted, count_notes, print_data_sets, print_summary, say
from data.preparing.contents import (
    Note,
    classes_not_held,
    make_manifest,
    make_report,
    require_classes,
    splits_without_masks,
)
from data.preparing.journal import LOCK, Journal, clear_abandoned, differences, require_ours
from data.preparing.processing import Job, bounded_map, process
from data.sources.own.progress import processors
from data.sources.source import Sample, Samples, Source
from data.sources.table import listing_of, lists_of, open_source

NAMED_AT_MOST = 5


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
    if _is_done(config):
        say(f"{config.output_dir} is already prepared with these settings: nothing to do")
        return
    began = time.perf_counter()
    source = open_source(config)
    for note in source.notes:
        say(note)
    unfinished = Path(f"{config.output_dir.absolute()}.partial")
    require_ours(unfinished)
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(unfinished / LOCK, timeout=0):
            counts, noted = _prepare_or_leave_nothing(unfinished, source, config)
            (unfinished / LOCK).unlink(missing_ok=True)
            os.replace(unfinished, config.output_dir)
    except Timeout:
        raise UserError(f"{unfinished} is being written by another call: wait for it") from None
    print_summary(config.output_dir, counts, noted, time.perf_counter() - began)


def _is_done(config: PrepareConfig) -> bool:
    output = config.output_dir
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if not (output / "manifest.json").exists():
        raise UserError(f"{output} holds something else than prepared data: give another --output_dir")
    manifest = read_manifest(output)
    remedy = "give another --output_dir, or delete that one first"
    before = manifest.settings
    if manifest.format_version == 1:  # which knew fewer settings of a source
        before["source"] = {**config.source_defaults(), **manifest.source}
    if difference := differences(before, config.settings()):
        raise UserError(f"{output} was prepared with other settings ({difference}): {remedy}")
    if manifest.listing is not None and listing_of(config) != manifest.listing:
        raise UserError(f"{output} was prepared before files in {config.images} or its masks changed: {remedy}")
    if manifest.lists is not None and lists_of(config) != manifest.lists:
        raise UserError(f"{output} was prepared before the lists in {config.archives} changed: {remedy}")
    return True


def _prepare_or_leave_nothing(
    root: Path, source: Source, config: PrepareConfig
) -> tuple[dict[str, Any], dict[str, Noted]]:
    """Do what `_prepare_into` does; a refusal leaves nothing, a kill what the same command goes on from."""
    if difference := clear_abandoned(root, config.settings()):
        say(f"{root} was left by a call with other settings ({difference}) that did not end: it is replaced")
    try:
        return _prepare_into(root, source, config)
    except UserError:
        shutil.rmtree(root)
        raise


def _prepare_into(root: Path, source: Source, config: PrepareConfig) -> tuple[dict[str, Any], dict[str, Noted]]:
    """Write everything; returns how many pictures each split holds, and how often the report tells of what."""
    job = Job(root, config.sides, config.resize_mode, source.classes, source.channels, config.bad_masks)
    unusable = [(file, "passed over", reason) for file, reason in source.passed_over]
    with Journal(root, config.settings()) as journal:
        unusable += _process_all(source.samples, job, journal, config.workers)
        if not journal.keep(source.samples):
            raise UserError(f"none of the {len(source.samples)} pictures can be used; the first: {unusable[-1]}")

        def notes() -> Iterator[Note]:
            return chain(unusable, (note for entry in journal.entries(noted=True) for note in entry["notes"]))

        manifest = make_manifest(config, source, journal)
        require_classes(source, manifest)
        for note in splits_without_masks(manifest):
            say(note)
        unusable += [(name, "class without a picture", why) for name, why in classes_not_held(source, manifest)]
        noted = count_notes(notes())
        if source.classes_yaml:
            (root / "classes.yaml").write_text(source.classes_yaml, encoding="utf-8")
        write_json(root / "splits.json", {split: journal.names(split) for split in SPLITS})
        counts = {action: count for action, (count, _) in noted.items()}
        write_json(root / "prepare_report.json", {"counts": counts, "files": make_report(notes())})
        write_json(root / "manifest.json", manifest)
        journal.close_folder()
    return manifest["counts"], noted


def _process_all(samples: Samples, job: Job, journal: Journal, workers: int) -> list[Note]:
    left_out, refused = [], []
    done = journal.count_finished(samples)
    todo = _unfinished(samples, journal)
    outcomes = bounded_map(partial(process, job=job), todo, workers or processors())
    for outcome in track(outcomes, "preparing", len(samples), done, unit="images"):
        if outcome.refused:
            refused.append(outcome.refused)
            if len(refused) == NAMED_AT_MOST:
                break
        elif outcome.record:
            journal.append(outcome)
        else:
            left_out += outcome.notes
    if refused:
        raise UserError(
            f"masks do not fit their images: {'; '.join(refused)}. "
            f"Mend them, or leave them out with --bad_masks leave_out"
        )
    return left_out


def _unfinished(samples: Samples, journal: Journal) -> Iterator[Sample]:
    """Yield those with masks first: one that does not fit is found before much work is done."""
    for without in (False, True):
        for sample in samples:
            if (sample.label is None) == without and not journal.is_finished(sample):
                yield sample


if __name__ == "__main__":
    sys.exit(main())
