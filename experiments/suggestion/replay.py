"""Whether a way of choosing beats chance on the user's pictures, measured by choosing again among those with a label.

Each repetition begins with a few of the labels, lets the way and chance choose the next among the others, trains from
scratch with both choices and scores on Val. Test stays untouched.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.evaluation import RESULT_FILES
from core.files import file_sha256
from core.filing.json_file import read_json
from data.opened import Data
from data.prepared.part import write_part
from data.split import Split
from data.subsets import some_labels
from experiments.advice.arms import ARMS, COMMON
from experiments.advice.evidence.estimates import Estimate, Pooled, estimate
from experiments.advice.evidence.reading import Measure
from experiments.advice.keeping import RECIPE
from experiments.advice.places import weights as weights_of
from experiments.advice.running import Chain, run_all
from experiments.advice.work import averaged_over, length_of, words_of
from experiments.grid.runners.local import side_by_side, threads_of
from experiments.suggestion.choosing import Among
from experiments.suggestion.config import SuggestConfig, Way

SHARE_TO_BEGIN, FEWEST_TO_BEGIN = 0.2, 4
MOST_ADDED = 0.25  # of the labels: choices of most of the rest would hardly differ
SECONDS_A_STEP = 0.1  # only says how far it is


@dataclass(frozen=True)
class Replayed:
    """What a replay found.

    Args:
        way: what was compared with chance.
        measure: the score.
        labels, begun_with, added: labelled pictures, how many of them a repetition began with, and how many it added.
        scores: choice -> [K] its scores, NaN where there was nothing to score.
        difference: of the way from chance; None without a score.
    """

    way: Way
    measure: Measure
    labels: int
    begun_with: int
    added: int
    steps: int
    scores: dict[str, np.ndarray]
    difference: Estimate | None

    @property
    def beats(self) -> bool:
        """Whether the whole interval of the difference is above 0."""
        return self.difference is not None and self.difference.tells > 0

    def in_words(self) -> str:
        """Return what was found, in sentences."""
        count = len(self.scores["random"])
        what = (
            f"Replayed {count} times on your {self.labels} labelled pictures, from {self.begun_with} to "
            f"{self.begun_with + self.added}, {self.steps} steps each: "
        )
        if self.difference is None or self.difference.low is None or self.difference.high is None:
            return f"{what}too few trainings have a score, so nothing is known of the gain."
        means = {name: float(np.nanmean(scores)) for name, scores in self.scores.items()}
        found = (
            f"{self.measure.title} on Val {means[self.way]:.3f} by {self.way}, {means['random']:.3f} at random, "
            f"difference {self.difference.value:+.3f} (95 % interval {self.difference.low:+.3f} to "
            f"{self.difference.high:+.3f})."
        )
        verdict = {1: "beats random here", 0: "cannot be told from random here", -1: "is worse than random here"}
        return f"{what}{found} {self.way} {verdict[self.difference.tells]}."

    def content(self) -> dict[str, Any]:
        """Return it as plain values."""
        scores = {name: [None if np.isnan(one) else float(one) for one in own] for name, own in self.scores.items()}
        return {
            "way": self.way,
            "score": self.measure.name,
            "labels": self.labels,
            "begun_with": self.begun_with,
            "added": self.added,
            "steps": self.steps,
            "scores": scores,
            "difference": None if self.difference is None else vars(self.difference),
            "beats_random": self.beats,
        }


@dataclass(frozen=True)
class Replay:
    """A replay in its folder, which holds what is done already.

    Args:
        config: what was asked.
        way: what is compared with chance.
        data: prepared pictures.
        split: their Train.
        folder: where trainings go.
        width: of the network that is trained.
        features: as of `Among`, for `typical`.
    """

    config: SuggestConfig
    way: Way
    data: Data
    split: Split
    folder: Path
    width: int
    features: np.ndarray | None

    def require_possible(self) -> None:
        """Raise UserError where there are too few labels to choose among, or none to score on."""
        labels = len(self.split.labelled)
        if labels < 2 * FEWEST_TO_BEGIN:
            raise UserError(
                f"--replay chooses among the labelled pictures of Train, and {labels} are too few: leave it out until "
                f"there are {2 * FEWEST_TO_BEGIN}"
            )
        if not self.data.manifest.counts["Val"].labelled:
            raise UserError(
                f"--replay scores on Val, of which no picture of {self.data.data_dir} has a mask: prepare with a "
                "larger --val_ratio, or leave it out"
            )

    def run(self) -> Replayed:
        """Train and score what is not yet, and say what all of it says."""
        everything = range(self.config.replay_seeds)
        if self.way == "uncertain":
            self._run_all([self._training(seed, "start") for seed in everything], "replay, what it begins with")
        self._run_all([chain for seed in everything for chain in self._compared(seed)], "replay, both choices")
        measure = Measure.of(self.data.class_set)
        names: tuple[str, str] = (self.way, "random")
        scores = {name: np.array([self._score(seed, name, measure) for seed in everything]) for name in names}
        counts = (self.labels, self.begun_with, self.added, self.config.replay_steps)
        return Replayed(self.way, measure, *counts, scores, self.difference(scores[self.way] - scores["random"]))

    def difference(self, of_seeds: np.ndarray) -> Estimate | None:
        """Return the mean of the repetitions' differences [S], NaN of those without one, and its interval."""
        learned = self.begun_with + self.added
        # Draws from one pool share pictures, so that their scores differ less than those of new pools would: as much
        # less as a jackknife's that leaves so many out (Shao and Wu 1989).
        return estimate(Pooled.of_mean(of_seeds), learned / (self.labels - learned))

    @property
    def labels(self) -> int:
        """How many pictures of Train are labelled."""
        return len(self.split.labelled)

    @property
    def begun_with(self) -> int:
        """How many of them a repetition begins with."""
        return max(FEWEST_TO_BEGIN, round(SHARE_TO_BEGIN * self.labels))

    @property
    def added(self) -> int:
        """How many each choice adds."""
        most = min(int(MOST_ADDED * self.labels), (self.labels - self.begun_with) // 2)
        return max(1, min(self.config.number, most))

    @cached_property
    def _judged_by(self) -> list[str]:
        return [record.name for record in self.data.records("Val")["Val"] if record.labelled]

    def _start(self, seed: int) -> list[int]:
        """Return the indices that a repetition begins with: of every stratum its share."""
        names = [self.split.names[index] for index in self.split.labelled]
        strata = [self.split.strata[index] or "" for index in self.split.labelled]
        chosen = set(some_labels(names, strata, self.begun_with, seed))
        return [index for index in self.split.labelled.tolist() if self.split.names[index] in chosen]

    def _compared(self, seed: int) -> Iterator[Chain]:
        """Let the way and chance choose; yield the training with each choice."""
        start = self._start(seed)
        rest = [index for index in self.split.labelled.tolist() if index not in set(start)]
        if all(self._results(seed, name).is_file() for name in (self.way, "random")):
            choices: dict[str, list[int]] = {self.way: [], "random": []}  # done, and not chosen again
        else:
            among = Among(self.split, start, rest, self.features, self._predicted(seed, rest))
            ways: tuple[Way, Way] = (self.way, "random")
            choices = {
                name: [one.index for one in among.choose(name, self.added, self.config.beta, seed)] for name in ways
            }
        for name, chosen in choices.items():
            yield self._training(seed, name, [*start, *chosen])

    def _predicted(self, seed: int, rest: Sequence[int]) -> Any:
        """Return what the network that learned from the first labels predicts in the others; None for `typical`."""
        if self.way != "uncertain":
            return None
        from experiments.suggestion.weights import load, predicted_of

        weights = load(weights_of(self._here(seed, "start") / "training"), self.split, self.config.device)
        assert weights.network is not None, "of phase 2"
        return predicted_of(weights.network, self.split, rest, self.config.batch_size, f"replay {seed}")

    def _training(self, seed: int, name: str, indices: Sequence[int] = ()) -> Chain:
        """Return the training with some labels, and its scoring on Val where it is one of the two choices."""
        here = self._here(seed, name)
        data, run, results = here / "data", here / "training", here / "results"
        leaves = weights_of(run) if name == "start" else self._results(seed, name)
        if not leaves.is_file() and not data.exists():
            chosen = indices or self._start(seed)
            write_part(
                self.data.data_dir,
                data,
                {"Train": {self.split.names[index] for index in chosen}, "Val": set(self._judged_by)},
            )
        steps = self.config.replay_steps
        length = {**length_of(steps), **averaged_over(steps)}
        settings = {**COMMON, **ARMS["scratch"].settings, **length, "seed": seed, "width": self.width}
        commands = [["transfer_learning.train", words_of(settings, data_dir=data, output_dir=run)]]
        if name != "start":
            scoring = words_of({"figures": False, "split": "Val"}, model_path=weights_of(run), data_dir=data)
            commands.append(["transfer_learning.evaluate", [*scoring, "--output_dir", str(results)]])
        what = f"replay {seed + 1} of {self.config.replay_seeds}, {name}"
        return Chain(what, tuple(commands), here / "console.txt", leaves, steps * SECONDS_A_STEP, run)

    def _here(self, seed: int, name: str) -> Path:
        return self.folder / f"{seed}_{name}"

    def _results(self, seed: int, name: str) -> Path:
        return self._here(seed, name) / "results" / RESULT_FILES["transfer_learning"]

    def _score(self, seed: int, name: str, measure: Measure) -> float:
        found = read_json(self._results(seed, name))[measure.name]
        return float("nan") if found is None else float(found)

    def _run_all(self, chains: list[Chain], what: str) -> None:
        slots = self.config.jobs or side_by_side()
        run_all(chains, what, slots, threads_of(slots))


def folder_of(config: SuggestConfig, way: Way, fingerprint: str, weights: Path) -> Path:
    """Return the folder of a replay: another one for whatever makes other trainings."""
    looks = file_sha256(weights) if way == "typical" else ""  # others learn themselves what they choose by
    what = [way, config.number, config.beta, config.replay_steps, fingerprint, looks, RECIPE]
    digest = sha256(json.dumps(what).encode()).hexdigest()
    return config.output_dir / "replay" / f"{way}_{digest[:12]}"
