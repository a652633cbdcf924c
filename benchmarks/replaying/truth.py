"""Whether an advice was right: every way trained on all of the user's masks, and scored on pictures nobody showed."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.replaying.users import User
from experiments.advice.arms import ARMS, Arm
from experiments.advice.choices import Lengths, Sized
from experiments.advice.measuring import fastest
from experiments.advice.places import Places, weights
from experiments.advice.running import Chain, run_all
from experiments.advice.work import SCORED, Work
from experiments.result_files import read_evaluation

# What few masks train wobbles from seed to seed by more than ways differ.
SEEDS = 2


def truth_of(user: User, advice: dict[str, Any], slots: int, seed: int) -> dict[str, Any]:
    """Return what each arm scores on Test with the user's masks, and the best one's with twice as many.

    Each is the mean over so many trainings as `SEEDS` says, with seeds from `seed` upwards.
    """
    sized = Sized(advice["size"], advice["width"])
    lengths = Lengths(advice["seconds_a_training"], advice["steps"], 0)
    places = Places(user.folder / "advice")
    arms, _ = fastest(places, places.whole, [ARMS[name] for name in advice["arms"]], sized, seed, 1, 1)  # as measured
    work = Work(places, tuple(arms), 0, sized, lengths, seed)
    run_all([_prepared(user, number, sized.size) for number in (1, 2)], "preparing the truth", slots, 1)
    asked = {arm.name: (arm, 1) for arm in arms}
    asked["twice"] = (asked[advice["best"]][0], 2)
    works = [replace(work, seed=seed + number) for number in range(SEEDS)]
    chains = {name: [_chain(user, one, *what) for one in works] for name, what in asked.items()}
    run_all([chain for of_seeds in chains.values() for chain in of_seeds], "the truth", slots, 1)
    return {
        name: float(np.mean([read_evaluation(chain.leaves).scores[advice["score"]] for chain in of_seeds]))
        for name, of_seeds in chains.items()
    }


def _data(user: User, number: int) -> Path:
    return user.folder / f"truth_{number}"


def _prepared(user: User, number: int, size: int) -> Chain:
    folder = _data(user, number)
    words = [*user.words("truth"), "--splits", str(user.folder / f"split_{number}.json"), "--val_ratio", "0"]
    words += ["--dataset", "folder", "--size", str(size), "--output_dir", str(folder)]
    said = user.folder / f"truth_{number}.txt"
    return Chain(folder.name, (["data.prepare", words],), said, folder / "manifest.json", 5.0, folder)


def _chain(user: User, work: Work, arm: Arm, number: int) -> Chain:
    run = user.folder / "truth_runs" / f"{arm.name}_{number}_seed_{work.seed}"
    training = work.training(arm, _data(user, number), run / "training", work.lengths.steps[arm.name])
    places = ["--model_path", str(weights(run / "training")), "--data_dir", str(_data(user, number))]
    scoring = ["transfer_learning.evaluate", [*places, "--output_dir", str(run / "results"), "--no_figures"]]
    name = f"{arm.name} with {'all' if number == 1 else 'twice the'} masks"
    said, leaves = run / "console.txt", run / "results" / SCORED
    return Chain(name, (training, scoring), said, leaves, work.lengths.seconds, run / "training")
