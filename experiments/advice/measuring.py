"""How long a step of each arm takes on this machine, by a few of them.

A network with an encoder from a library is tried in fp32 too: depthwise convolutions, which many have, are slower in
bf16 on processors without AMX (EfficientNet-Lite0 at 64 px on an AMD EPYC with avx512_bf16: 0.14 s a step, 0.19).
"""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from core.files import write_json
from core.filing.json_file import read_json
from experiments.advice.arms import Arm
from experiments.advice.choices import Lengths, Sized
from experiments.advice.places import Places
from experiments.advice.running import Chain, run_all
from experiments.advice.work import Work
from experiments.grid.run_folder import log_rows

STEPS = 32  # a run of four rows: the first warms up
ROUNDS = 2  # whoever measures one way while others have the machine would make it the loser
_ROWS = 4
FP32: dict[str, Any] = {"amp": "off", "memory_format": "channels_last"}


def fastest(
    places: Places, data: Path, arms: Sequence[Arm], sized: Sized, seed: int, slots: int, threads: int
) -> tuple[list[Arm], dict[str, float]]:
    """Return the arms as they are fastest, and the seconds of their steps: arm -> seconds.

    That of phase 1, where an arm has one, is called `phase 1`.
    """
    others = {arm.name: replace(arm, name=f"{arm.name}_fp32", settings={**arm.settings, **FP32}) for arm in arms}
    others = {name: arm for name, arm in others.items() if "encoder" in arm.settings}
    seconds = _step_seconds(places, data, [*arms, *others.values()], sized, seed, slots, threads)
    found = list(arms)
    for name, other in others.items():
        if (in_fp32 := seconds.pop(other.name)) < seconds[name]:
            seconds[name] = in_fp32
            found = [replace(other, name=name) if arm.name == name else arm for arm in found]
    return found, seconds


def _step_seconds(
    places: Places, data: Path, arms: list[Arm], sized: Sized, seed: int, slots: int, threads: int
) -> dict[str, float]:
    """Return the seconds of a step.

    Measured in rounds, one after the other, each as trainings will be: as many side by side, with as many threads. The
    quicker round counts, and is kept in a file; the runs are not.
    """
    kept = places.here / "speed" / f"{sized.size}_{sized.width}.json"
    known: dict[str, float] = read_json(kept) if kept.is_file() else {}
    found: dict[str, list[float]] = {}
    for turn in range(ROUNDS):
        here = [kept.with_suffix("") / f"{turn}_{slot}" for slot in range(slots)]
        beside = [_chains(places, folder, data, arms, sized, seed) for folder in here]
        for name in [name for name in beside[0] if name not in known]:
            chains = [of_slot[name] for of_slot in beside]
            run_all(chains, f"measuring a step, {turn + 1} of {ROUNDS}: {name}", slots, threads)
            row_seconds = float(np.mean([_row_seconds(chain) for chain in chains]))
            found.setdefault(name, []).append(row_seconds / (STEPS / _ROWS))
    known |= {name: min(seconds) for name, seconds in found.items()}
    write_json(kept, known)
    shutil.rmtree(kept.with_suffix(""), ignore_errors=True)
    return {name: known[name] for name in beside[0]}  # an earlier call may have measured others


def _row_seconds(chain: Chain) -> float:
    return min(row.epoch_time for row in log_rows(chain.leaves.parent)[1:])


def _chains(places: Places, here: Path, data: Path, arms: list[Arm], sized: Sized, seed: int) -> dict[str, Chain]:
    """Return a short run of each arm, of one with phase 1 as it is without, and of phase 1."""
    found = {}
    lengths = Lengths(0.0, {arm.name: STEPS for arm in arms}, STEPS)
    work = Work(Places(here), tuple(arms), 0, sized, lengths, seed)
    for arm in arms:
        run = here / arm.name
        plain = Arm(arm.name, arm.title, {**arm.settings, "transfer": "encoder"}) if arm.pretrained else arm
        command = work.training(plain, data, run, STEPS)
        found[arm.name] = Chain(arm.name, (command,), run / "console.txt", run / "metrics.json", 10.0, run)
        if arm.pretrained:
            found["phase 1"] = replace(work.phase_1_on(places.with_val), leaves=here / "phase_1" / "metrics.json")
    return found
