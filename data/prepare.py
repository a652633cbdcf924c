"""Prepare pictures for both phases: archives, drawings or your own folder in; square images, labels and splits out.

Everything is written to OUTPUT_DIR.partial, which becomes OUTPUT_DIR when whole. The same command again does nothing,
or goes on where it was interrupted.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from core.command import run_command
from core.errors import UserError
from core.files import write_json
from data.manifest import CLASS_NAMES, FORMAT_VERSION, SPLITS, read_manifest
from data.on_disk import sorted_rows
from data.prepare_config import PrepareConfig
from data.preparing.journal import Journal, differences
from data.preparing.processing import Job, bounded_map, process
from data.sources.source import Sample, Samples, Source
from data.sources.table import open_source

NAMED_AT_MOST = 5
Note = Sequence[str]  # file, action, reason


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("data.prepare", PrepareConfig, prepare, argv, section="data", description=__doc__)


def prepare(config: PrepareConfig) -> None:
    """Prepare a data set as the settings say.

    Raises:
        UserError: the source or the settings are wrong, masks do not fit their images, or `output_dir` holds
            something else.
    """
    config.check_source()
    if _is_done(config):
        Console().print(f"{config.output_dir} is already prepared with these settings: nothing to do", soft_wrap=True)
        return
    began = time.perf_counter()
    # The report says what is wrong with a file; OpenCV's own warnings would only tear the progress bar.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    source = open_source(config)
    unfinished = Path(f"{config.output_dir.absolute()}.partial")
    unfinished.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(unfinished / ".lock", timeout=0):
            counts, noted = _prepare_into(unfinished, source, config)
            (unfinished / ".lock").unlink(missing_ok=True)
            os.replace(unfinished, config.output_dir)
    except Timeout:
        raise UserError(f"{unfinished} is being written by another call: wait for it") from None
    _print_summary(config.output_dir, counts, noted, time.perf_counter() - began)


def _is_done(config: PrepareConfig) -> bool:
    output = config.output_dir
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return False
    if not (output / "manifest.json").exists():
        raise UserError(f"{output} holds something else than prepared data: give another --output_dir")
    manifest = read_manifest(output)
    remedy = "give another --output_dir, or delete that one first"
    if difference := differences(manifest, config.settings()):
        raise UserError(f"{output} was prepared with other settings ({difference}): {remedy}")
    if config.dataset == "folder" and open_source(config).details["listing"] != manifest["listing"]:
        raise UserError(f"{output} was prepared before files in {config.images} or its masks changed: {remedy}")
    return True


def _prepare_into(root: Path, source: Source, config: PrepareConfig) -> tuple[dict[str, Any], Counter]:
    """Write everything; returns how many pictures each split holds, and how often the report tells of what."""
    job = Job(root, config.dataset, config.size, config.resize_mode, source.mask_values, config.bad_masks)
    unusable = [(file, "passed over", reason) for file, reason in source.passed_over]
    with Journal(root, config.settings()) as journal:
        unusable += _process_all(source.samples, job, journal, config.workers)
        if not journal.keep(source.samples):
            raise UserError(f"none of the {len(source.samples)} pictures can be used; the first: {unusable[-1]}")

        def notes() -> Iterator[Note]:
            return chain(unusable, (note for entry in journal.entries(noted=True) for note in entry["notes"]))

        manifest = _manifest(config, source, journal)
        noted = Counter(action for _, action, _ in notes())
        write_json(root / "splits.json", {split: journal.names(split) for split in SPLITS})
        write_json(root / "prepare_report.json", {"counts": noted, "files": _report(notes())})
        write_json(root / "manifest.json", manifest)
        journal.close_folder(config.dataset)
    return manifest["counts"], noted


def _process_all(samples: Samples, job: Job, journal: Journal, workers: int) -> list[Note]:
    left_out, refused = [], []
    done = journal.count_finished(samples)
    with _progress() as progress:
        task = progress.add_task("preparing", total=len(samples), completed=done)
        todo = _unfinished(samples, journal)
        for outcome in bounded_map(partial(process, job=job), todo, workers or _processors()):
            if outcome.refused:
                refused.append(outcome.refused)
                if len(refused) == NAMED_AT_MOST:
                    break
            elif outcome.record:
                journal.append(outcome)
            else:
                left_out += outcome.notes
            progress.advance(task)
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
            if (sample.mask is None) == without and not journal.is_finished(sample):
                yield sample


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _manifest(config: PrepareConfig, source: Source, journal: Journal) -> dict[str, Any]:
    settings = config.settings()
    return {
        "format_version": FORMAT_VERSION,
        **settings,
        **source.details,
        "class_names": CLASS_NAMES,
        "counts": {split: journal.counts(split) for split in SPLITS},
        "fingerprint": _fingerprint(settings, journal.entries()),
        "images": (entry["record"] for entry in journal.entries()),
    }


def _fingerprint(settings: dict[str, Any], entries: Iterator[dict[str, Any]]) -> str:
    # Neither paths nor times: the same data prepared elsewhere have the same fingerprint.
    portable = {key: value for key, value in settings.items() if key != "source"}
    contents = sorted_rows(((json.dumps([entry["record"], entry["digest"]], sort_keys=True),) for entry in entries), 1)
    # The digest of json.dumps([FORMAT_VERSION, portable, [text, …]], sort_keys=True), piece by piece.
    digest = sha256(json.dumps([FORMAT_VERSION, portable, []], sort_keys=True).removesuffix("]]").encode())
    separator = ""
    for (text,) in contents:
        digest.update(f"{separator}{json.dumps(text)}".encode())
        separator = ", "
    digest.update(b"]]")
    return digest.hexdigest()


def _report(notes: Iterator[Note]) -> Iterator[dict[str, str]]:
    return (dict(zip(("file", "action", "reason"), note, strict=True)) for note in sorted_rows(notes, 3))


def _print_summary(output: Path, counts: dict[str, Any], noted: Counter, seconds: float) -> None:
    splits = ", ".join(f"{split} {counts[split]['images']} ({counts[split]['labelled']} labelled)" for split in SPLITS)
    total = sum(members["images"] for members in counts.values())
    Console().print(f"{output}: {total} images in {seconds:.1f} s: {splits}", soft_wrap=True, highlight=False)
    if noted:
        told = ", ".join(f"{count} {action}" for action, count in noted.items())
        Console().print(f"{told}: see {output / 'prepare_report.json'}", soft_wrap=True, highlight=False)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.0f} images/s")


def _progress() -> Progress:
    text = TextColumn("[progress.description]{task.description}")
    return Progress(text, BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())


if __name__ == "__main__":
    sys.exit(main())
