"""The Test of --splits, which is in no fold: the final model is scored on it, once."""

from pathlib import Path
from typing import Any

from experiments.advice.places import Places, weights
from experiments.advice.running import Chain
from experiments.advice.work import SCORED, words_of
from experiments.evaluations import Evaluation
from experiments.result_files import read_evaluation


def scoring(places: Places) -> Chain:
    """Return the evaluation of the final model on Test."""
    words = words_of(
        {"figures": False}, model_path=weights(places.final), data_dir=places.whole, output_dir=places.test
    )
    said = places.here / "test.txt"
    return Chain(
        "its score on Test", (["transfer_learning.evaluate", words],), said, _leaves(places), 10.0, places.test
    )


def with_test(content: dict[str, Any], places: Places) -> dict[str, Any]:
    """Return an advice with the final model's score on Test: `test`, and a sentence before what to do."""
    name, found = content["score"], read_evaluation(_leaves(places))
    *lines, action = content["says"]
    said = sentence(found, name, content["score_title"])
    low, high = found.intervals.get(name) or (None, None)
    test = {"pictures": found.num_images, "value": found.scores[name], "low": low, "high": high, "says": said}
    return {**content, "test": test, "says": [*lines, said, action]}


def sentence(found: Evaluation, name: str, title: str) -> str:
    """Return what an evaluation says of a score."""
    where = f"The final model on the {found.num_images} pictures of Test, which nothing of this has looked at: "
    value, limits = found.scores[name], found.intervals.get(name)
    if value is None:
        return f"{where}nothing to score, neither masks nor predictions show anything but background."
    interval = f" ({limits[0]:.2f} to {limits[1]:.2f})" if limits else ""
    return f"{where}{title} {value:.2f}{interval}."


def _leaves(places: Places) -> Path:
    return places.test / SCORED
