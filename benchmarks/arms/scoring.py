"""What the throughput benchmark times of evaluation and prediction, with a trained network.

Twice: with originals as small as the network sees them, where little is left to score, and with those of photographs.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.arms.training import WORKERS, Arms, has_bf16, plain_network
from benchmarks.config import ThroughputConfig
from benchmarks.loops import scoring
from benchmarks.sources import exported, photographs, pictures_of, prepared, trained
from benchmarks.timing import OfOthers
from core.machine.fabric import Fabric
from core.machine.threads import threaded
from core.train_config import Amp
from data.split import Split
from transfer_learning.inference.backends import load_network
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.segmenter import Segmenter, segmentation
from transfer_learning.predict_config import InferenceOptions
from transfer_learning.scores.results import results_of
from transfer_learning.scores.split import scores_of_split

OURS, PREDICTION, COUNTING, EVERYTHING = "ours", "prediction", "plain loop, pixels alone", "plain loop, all scores"
IN_BF16 = ", bf16"
READ_AHEAD = 2  # pictures, as `transfer_learning.predict` reads them


class Scoring(NamedTuple):
    """The arms over the same pictures, and how many those are."""

    arms: Arms
    images: int


def scoring_arms(config: ThroughputConfig, fabric: Fabric) -> dict[str, Scoring]:
    """Return the arms for originals of the network's `drawn` size and of `photographs`."""
    drawn = prepared(config.work_dir, config.size, config.images)
    photos = photographs(config.work_dir, config.size, config.images)
    small = exported(drawn, "Test", config.work_dir / f"test-{config.size}-{config.images}")
    weights = trained(
        config.work_dir, photos.data_dir, config.train_steps, width=config.width, batch_size=config.batch_size
    )
    arms = partial(_arms, config, fabric, weights)
    return {
        "drawn": arms(pictures_of(drawn, "Test"), sorted((small / "images").glob("*.jpg"))),
        "photographs": arms(pictures_of(photos.data_dir, "Test"), photos.of_split("Test")),
    }


def _arms(config: ThroughputConfig, fabric: Fabric, weights: Path, split: Split, files: list[Path]) -> Scoring:
    device, plain = fabric.device, plain_network(config.width)
    arms: Arms = {}
    precisions: dict[str, Amp] = {"": "off", **({IN_BF16: "bf16"} if has_bf16(device) else {})}
    for name, amp in precisions.items():
        options = InferenceOptions(batch_size=config.batch_size, amp=amp)
        loaded = load_network(weights, options, str(device))
        readout = Readout(loaded.network, split.size, split.manifest.resize_mode, options, config.batch_size)
        arms[OURS + name] = partial(_evaluate, readout, split)
        arms[PREDICTION + name] = partial(predict, Segmenter(readout, loaded.header), files)
        assert loaded.model is not None  # as for what was exported
        plain.load_state_dict(loaded.model.state_dict())
    loop = partial(scoring.evaluation, plain, files, config.size, device, WORKERS)
    arms[COUNTING] = OfOthers(loop(everything=False))
    arms[EVERYTHING] = OfOthers(loop(everything=True))
    return Scoring(arms, len(files))


def _evaluate(readout: Readout, split: Split) -> dict[str, Any]:
    return results_of(scores_of_split(readout, split))


def predict(segmenter: Segmenter, files: Sequence[Path]) -> list[np.ndarray]:
    """Return the masks of picture files, read and brought back in threads as `transfer_learning.predict` does it."""
    pictures = threaded(lambda file: segmenter.read(file)[0], _chunks(files, READ_AHEAD))
    seen = map(segmenter.see, _chunks(pictures, segmenter.readout.batch_size))
    return list(threaded(lambda one: segmentation(one).mask, seen))


def _chunks(items: Any, size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
