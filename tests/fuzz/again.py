"""The same command again: on what it has prepared, and on what it was stopped in."""

import contextlib
import io
from itertools import count
from pathlib import Path
from random import Random
from unittest.mock import patch

from data import prepare
from data.preparing.processing import Job, Outcome
from data.sources.source import Sample
from fuzz.scenes import Place, Scene, prepare_own

DONE_BEFORE = 6  # pictures, when it is stopped


def prepared(place: Place, random: Random) -> Scene:
    scene = prepare_own(place)
    _call(scene)
    scene.victims = [scene.output / name for name in ("inputs.json", "manifest.json", "splits.json")]
    return scene


def stopped(place: Place, random: Random) -> Scene:
    scene, real, done = prepare_own(place), prepare.process, count()

    def process(sample: Sample, job: Job) -> Outcome:
        if next(done) == DONE_BEFORE:
            raise KeyboardInterrupt
        return real(sample, job)

    with patch.object(prepare, "process", process):
        _call(scene)
    scene.victims = [Path(f"{scene.output}.partial", name) for name in ("journal.jsonl", "settings.json")]
    return scene


def _call(scene: Scene) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        prepare.main(scene.argv)
