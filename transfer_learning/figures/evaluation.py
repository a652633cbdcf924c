"""All figures of an evaluation of phase 2."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import nn

from core.evaluation import EvaluationConfig, figure, spread
from core.figures.style import curves, drawable
from data.loading import plain_batches
from data.manifest import CLASS_NAMES
from data.split import Split
from transfer_learning.figures import pictures as visualize
from transfer_learning.figures import scores as score_figures
from transfer_learning.figures.captions import CAPTIONS, CURVES
from transfer_learning.figures.gradcam import foreground_activations
from transfer_learning.scores.per_image import TRUE_CLASSES
from transfer_learning.scores.split import probabilities_of, restored_scores

DOZEN = 12


def draw(
    model: nn.Module,
    split: Split,
    result: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    config: EvaluationConfig,
    device: torch.device,
) -> list[dict[str, str]]:
    """Draw every figure into `figures/` below the output folder; returns their entries for the result's `figures`.

    Args:
        model: the network, in eval mode.
        split: the labelled pictures.
        result: content of evaluation_results.json.
        rows: a row an image (`image_rows`), in the order of `split.labelled`.
        config: says where to draw, and how many pictures.
        device: where the network is.
    """
    artist = _Artist(model, split, rows, config, device)
    works = [lambda: artist.summaries(result)]
    if config.visualize_samples:
        works = [artist.samples, artist.extremes, artist.heat, *works]
    for work in track(works, "drawing"):
        work()
    return artist.entries


class _Artist:
    """Draws, and remembers what was drawn."""

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        rows: Sequence[dict[str, Any]],
        config: EvaluationConfig,
        device: torch.device,
    ) -> None:
        self.model, self.split, self.rows, self.config, self.device = model, split, rows, config, device
        self.chosen = spread(len(rows), config.visualize_samples)
        self.entries: list[dict[str, str]] = []

    def samples(self) -> None:
        """Draw predictions, confidence and errors of pictures spread over the split."""
        pictures, truths, scores = self._look_at(self.chosen)
        found = [planes.argmax(axis=0) for planes in scores]
        names = [self.rows[place]["name"] for place in self.chosen]
        visualize.save_panels(self._path("predictions"), names, pictures, truths, found)
        visualize.save_errors(self._path("errors"), names, pictures, truths, found)
        probabilities = [probabilities_of(planes) for planes in scores]
        visualize.save_confidence(self._path("confidence"), names, pictures, probabilities)

    def extremes(self) -> None:
        """Draw the best, the worst and a random dozen by the mean IoU over the classes that a picture holds."""
        scored = [place for place, row in enumerate(self.rows) if row[TRUE_CLASSES] is not None]
        ranked = sorted(scored, key=lambda place: -self.rows[place][TRUE_CLASSES])
        drawn = np.random.default_rng(0).permutation(len(self.rows))[:DOZEN]
        dozens = {"best": ranked[:DOZEN], "worst": ranked[::-1][:DOZEN], "random": sorted(drawn.tolist())}
        for name, places in dozens.items():
            if not places:  # nothing but border in every mask
                continue
            pictures, truths, scores = self._look_at(places)
            found = [planes.argmax(axis=0) for planes in scores]
            title = CAPTIONS[name][0] + ", by mean IoU over the classes that a picture holds"
            labels = [self._label(place) for place in places]
            visualize.save_panels(self._path(name), labels, pictures, truths, found, title)

    def heat(self) -> None:
        """Draw what speaks for each class, at the size that the network sees."""
        indices = self.split.labelled[self.chosen]
        names = [self.rows[place]["name"] for place in self.chosen]
        batches = list(plain_batches(self.split, indices, self.config.batch_size, self.device))
        pictures = [picture for _, batch in batches for picture in batch.clean.permute(0, 2, 3, 1).cpu().numpy()]
        for name, elementwise in (("gradcam", False), ("hirescam", True)):
            maps: dict[str, list[np.ndarray | None]] = {}
            for _, batch in batches:
                found = foreground_activations(self.model, batch.input, batch.content, CLASS_NAMES, elementwise)
                for heading, of_batch in found.items():
                    maps.setdefault(heading, []).extend(of_batch)
            title = f"{CAPTIONS[name][0]}: what speaks for each class (each map on its own scale)"
            visualize.save_activations(self._path(name), names, pictures, maps, title)

    def summaries(self, result: dict[str, Any]) -> None:
        """Draw what is said of the whole split, and how the training went."""
        matrix = np.array(result["confusion_matrix"])
        score_figures.save_confusion(self._path("confusion_matrix"), matrix, CLASS_NAMES)
        score_figures.save_distribution(self._path("class_distribution"), matrix, CLASS_NAMES)
        score_figures.save_reliability(self._path("reliability"), result["calibration"])
        if result["per_breed"]:
            score_figures.save_breeds(self._path("breeds"), result["per_breed"])
        log = self.config.model_path.parent / "training_log.csv"
        if panels := drawable(log, CURVES):
            curves(self._path("training_curves"), log, panels, best=result["provenance"]["epoch"])
        else:
            print(f"note: no training curves: {log} is not there, or not of this phase")

    def _path(self, name: str) -> Path:
        file = f"figures/{name}.png"
        self.entries.append(figure(file, *CAPTIONS[name]))
        return self.config.output_dir / file

    def _label(self, place: int) -> str:
        row = self.rows[place]
        score = row[TRUE_CLASSES]
        return f"{row['name']}\n{'–' if score is None else f'{score:.2f}'}"

    def _look_at(self, places: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Return pictures [H, W, 3], truths [H, W] and class scores [C, H, W], all at original size."""
        indices = self.split.labelled[list(places)]
        results = restored_scores(self.model, self.split, indices, self.config.batch_size, self.device)
        scores = [planes for _, planes in results]
        return [_original(self.split, index) for index in indices], [self.split.truth(i) for i in indices], scores


def _original(split: Split, index: int) -> np.ndarray:
    planes = split.images[index].transpose(2, 0, 1).astype("float32") / 255
    return split.geometries[index].restore_scores(planes).transpose(1, 2, 0)
