"""What networks take: images a second in turns, the peak of memory each in a process of its own."""

import dataclasses
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

import torch

from core.errors import RunError
from core.machine.device import resolve_device
from core.machine.memory import give_back_at_once
from core.machine.peak import Peak
from core.machine.timing import interleaved, rates
from experiments.architectures.at_work import WORKS, Work, at_work
from experiments.architectures.drawn import Pictures
from transfer_learning.config import SegmentationConfig

# The first step makes what the optimiser keeps, so that the second is the highest.
TURNS = 3
# With several sizes of which each step draws one: enough that the largest is among them.
STEPS_A_SCALE = 6
SMALL = Pictures((64, 64), 2, 3)

Measured = dict[str, dict[str, Any]]  # forward, step -> what it takes


def measured(configs: Mapping[str, SegmentationConfig], pictures: Pictures, rounds: int) -> dict[str, Measured]:
    """Return what each network takes, `images_per_second` and `processor_milliseconds` as summaries over the rounds,
    `peak_mebibytes`, and how it computed; says on stderr how far it is.

    Args:
        configs: name -> settings, all of `measured_as` and for one device.
        pictures: what they see.
        rounds: turns of each network that are timed, after one that is not.

    Raises:
        UserError: pictures or settings do not fit.
        RunError: a process that measured memory was ended.
    """
    found = _speeds(configs, pictures, rounds)
    total = len(configs) * len(WORKS)
    for number, (name, work) in enumerate(((name, work) for name in configs for work in WORKS), start=1):
        _tell(f"memory: {name}, {WORKS[work]} ({number} of {total})")
        found[name][work]["peak_mebibytes"] = _in_own_process(name, configs[name], pictures, work)
    return found


def _speeds(configs: Mapping[str, SegmentationConfig], pictures: Pictures, rounds: int) -> dict[str, Measured]:
    arms, found = {}, {name: dict[str, dict[str, Any]]() for name in configs}
    for name, config in configs.items():
        for work in WORKS:
            arms[name, work], how = at_work(config, pictures, work)
            found[name][work] = {"how": how}
    device = resolve_device(next(iter(configs.values())).device)
    done = iter(range(rounds + 1))

    def told() -> None:
        number = next(done)
        _tell(f"speed: {f'round {number} of {rounds}' if number else 'all have warmed up'}")

    _tell(f"speed: {len(configs)} networks, forward passes and training steps")
    named = {f"{name} {work}": arm for (name, work), arm in arms.items()}
    times = interleaved(named, rounds, device, told)
    for name, work in arms:
        key = f"{name} {work}"
        found[name][work] |= rates({key: times[key]}, configs[name].batch_size)[key]
    return found


def _in_own_process(name: str, config: SegmentationConfig, pictures: Pictures, work: Work) -> float:
    """Return `peak` as a new process finds it: in one that computed before, what it kept hides what is taken."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(peak, config, pictures, work, torch.get_num_threads()).result()
        except BrokenProcessPool:
            raise RunError(
                f"{name}: the process that measured the memory of a {WORKS[work]} was ended, as a system does that "
                "has no more: lower batch_size in the file"
            ) from None


def peak(config: SegmentationConfig, pictures: Pictures, work: Work, threads: int) -> float:
    """Return the most memory in MiB that a network and its work hold at a time: weights, batch, activations, and in a
    step gradients and what the optimiser keeps.

    Args:
        config, pictures, work: as of `at_work`.
        threads: to compute with.
    """
    torch.set_num_threads(threads)
    device = resolve_device(config.device)
    at_work(*_small(config, pictures), work)[0]()  # loads what libraries load at their first use
    turns = max(TURNS, STEPS_A_SCALE * len(config.scales)) if work == "step" else TURNS
    with Peak(device) as found:
        compute, _ = at_work(config, pictures, work)
        give_back_at_once()
        found.forget()  # what making the batch took for a while
        for _ in range(turns):
            compute()
    return found.mebibytes


def _small(config: SegmentationConfig, pictures: Pictures) -> tuple[SegmentationConfig, Pictures]:
    small = dataclasses.replace(config, batch_size=2, train_crop=None, train_scales=None)
    return small, dataclasses.replace(SMALL, classes=pictures.classes, channels=pictures.channels)


def _tell(what: str) -> None:
    print(f"measuring {what}", file=sys.stderr, flush=True)
