"""All figures of an evaluation of phase 2."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch import nn

from core.classes import IGNORED
from core.evaluation import EvaluationConfig, best_and_worst, figure, spread
from core.figures.style import curves, drawable, drawn
from core.terminal.progress import track
from data.augment.batch import Batch
from data.loading import AnySplit, plain_batches
from data.split import Split
from data.volumes.geometry import resample_linearly
from data.volumes.split import VolumeSplit
from transfer_learning.figures import pictures as visualize
from transfer_learning.figures import scores as score_figures
from transfer_learning.figures.captions import CAPTIONS, CURVES, errors_caption, panels_caption, tag_caption
from transfer_learning.figures.confusion import save_confusion
from transfer_learning.figures.gradcam import METHODS, Maps, class_activations, predicted_classes
from transfer_learning.figures.strip import STRIP, save_strip, strip_content
from transfer_learning.inference.postprocessing.pipeline import Reading
from transfer_learning.inference.readout import Readout
from transfer_learning.inference.splits import readings_of_split
from transfer_learning.inference.volumes import VolumeReadout
from transfer_learning.scores.per_image import TRUE_CLASSES

DOZEN = 12
# Of more classes than this the most frequent are explained, in so many columns of maps at most.
MOST_EXPLAINED, MOST_COLUMNS = 6, 4
# Maps of probability beside a picture.
MOST_MAPS = 6


def draw(
    readout: Readout | VolumeReadout,
    model: nn.Module | None,
    split: AnySplit,
    result: dict[str, Any],
    rows: Sequence[dict[str, Any]],
    config: EvaluationConfig,
) -> dict[str, Any]:
    """Draw every figure into `figures/` below the output folder; returns the result's `figures` and `strip`.

    A figure that fails is a note, and named in `not_drawn`.

    Args:
        readout: of the network.
        model: the network, whose layers Grad-CAM looks into; None of an exported one.
        split: the labelled pictures, or volumes.
        result: content of evaluation_results.json.
        rows: a row an image (`image_rows`), in the order of `split.labelled`.
        config: says where to draw, and how many pictures.
    """
    artist = _Artist(readout, model, split, rows, config)
    works = [lambda: artist.summaries(result)]
    if isinstance(split, VolumeSplit):
        works = [*([artist.slices] if config.visualize_samples else []), *works]
    elif config.visualize_samples:
        works = [artist.samples, artist.extremes, *works]
        if reason := _unexplained(readout, model, split):
            print(f"note: no Grad-CAM: {reason}")
        else:
            works.insert(2, artist.heat)
    for work in track(works, "drawing", len(works)):
        work()
    found = {"strip": artist.strip, "not_drawn": artist.not_drawn}
    return {"figures": artist.entries, **{name: value for name, value in found.items() if value}}


class _Artist:
    """Draws, and remembers what was drawn."""

    def __init__(
        self,
        readout: Readout | VolumeReadout,
        model: nn.Module | None,
        split: AnySplit,
        rows: Sequence[dict[str, Any]],
        config: EvaluationConfig,
    ) -> None:
        self.readout, self.model, self.split, self.rows, self.config = readout, model, split, rows, config
        self.classes = split.class_set
        self.chosen = spread(len(rows), config.visualize_samples)
        self.entries: list[dict[str, str]] = []
        self.strip: dict[str, Any] | None = None
        self.not_drawn: list[str] = []

    def samples(self) -> None:
        """Draw predictions, confidence and errors of pictures spread over the split."""
        pictures, truths, found = self._look_at(self.chosen)
        names = [self.rows[place]["name"] for place in self.chosen]
        shown = (names, pictures, truths, found, self.classes)
        self._draw("predictions", visualize.save_panels, *shown, caption=panels_caption("predictions", _grey(truths)))
        caption = errors_caption(visualize.outcomes_in(truths, found, self.classes))
        self._draw("errors", visualize.save_errors, *shown, caption=caption)
        self._draw("confidence", visualize.save_confidence, names, pictures, self._probabilities(found))
        path = self.config.output_dir / STRIP
        if drawn(path, save_strip, pictures, truths, found, self.classes):
            self.strip = strip_content(names, truths, found, self.classes)
        else:
            self.not_drawn.append(STRIP)

    def slices(self) -> None:
        """Draw three orthogonal slices through the most errors of each chosen volume, the worst and the best first."""
        from transfer_learning.figures.volumes import SLICES, save_slices, slices_caption

        assert isinstance(self.split, VolumeSplit)
        places = best_and_worst([row[TRUE_CLASSES] for row in self.rows], self.config.visualize_samples)
        for place, reading in zip(places, self._read(places), strict=True):
            index, name = int(self.split.labelled[place]), self.rows[place]["name"]
            geometry = self.split.geometries[index]
            picture = resample_linearly(self.split.volume(index)[:1], geometry.original_shape)
            shown = [(picture, self.split.truth(index), reading.labels)]
            file = self._free_name(f"{SLICES}_{re.sub(r'[^0-9A-Za-z_-]+', '_', name)}")
            title = f"Slices through the most errors: {self._label(place)}".replace("\n", ", ")
            of_one = ([name], shown, [geometry.original_spacing], self.classes, title)
            self._draw(file, save_slices, *of_one, caption=slices_caption(name))

    def extremes(self) -> None:
        """Draw the best, the worst and a random dozen by the mean IoU over the classes that a picture holds."""
        scored = [place for place, row in enumerate(self.rows) if row[TRUE_CLASSES] is not None]
        ranked = sorted(scored, key=lambda place: -self.rows[place][TRUE_CLASSES])
        drawn = np.random.default_rng(0).permutation(len(self.rows))[:DOZEN]
        dozens = {"best": ranked[:DOZEN], "worst": ranked[::-1][:DOZEN], "random": sorted(drawn.tolist())}
        for name, places in dozens.items():
            if not places:  # nothing that is scored in any mask
                continue
            title = CAPTIONS[name][0] + ", by mean IoU over the classes that a picture holds"
            labels = [self._label(place) for place in places]
            shown = self._look_at(places)
            caption = panels_caption(name, _grey(shown[1]))
            self._draw(name, visualize.save_panels, labels, *shown, self.classes, title, caption=caption)

    def heat(self) -> None:
        """Draw what speaks for each class, at the size that the network sees."""
        assert self.model is not None
        indices = self.split.labelled[self.chosen]
        names = [self.rows[place]["name"] for place in self.chosen]
        batches = [
            batch
            for _, batch in plain_batches(self.split, indices, self.config.batch_size, self.readout.network.device)
        ]
        shown = np.concatenate([batch.clean.permute(0, 2, 3, 1).cpu().numpy() for batch in batches])
        pictures = visualize.as_rgb(shown)
        classes = self._explained(batches)
        found = [class_activations(self.model, batch.input, batch.content, classes) for batch in batches]
        for name in METHODS:
            maps = {key: [one for of_batch in found for one in of_batch[name][key]] for key in found[0][name]}
            title = f"{CAPTIONS[name][0]}: what speaks for each class (each map on its own scale)"
            if maps:
                self._draw(name, visualize.save_activations, *self._laid_out(names, pictures, maps), title)

    def _explained(self, batches: Sequence[Batch]) -> list[int]:
        """Return the classes to explain: of many those that are predicted most, the background not among them."""
        assert self.model is not None
        wanted = self.classes.foreground or tuple(range(len(self.classes)))
        if len(wanted) <= MOST_EXPLAINED:
            return list(wanted)
        found = [predicted_classes(self.model, batch.input, batch.content).cpu().numpy() for batch in batches]
        return sorted(visualize.frequent_classes(found, wanted)[:MOST_EXPLAINED])

    def _laid_out(
        self, names: Sequence[str], pictures: np.ndarray, maps: Maps
    ) -> tuple[list[str], list[np.ndarray], dict[str, list[np.ndarray | None]]]:
        """Return rows, pictures and columns: a column a class and layer, of many classes a row a layer."""
        headings = {c: self.classes.names[c] for c, _ in maps}
        if len(maps) <= MOST_COLUMNS:
            return list(names), list(pictures), {f"{headings[c]}, {where}": rows for (c, where), rows in maps.items()}
        layers = list(dict.fromkeys(where for _, where in maps))
        rows = [f"{name}, {where}" for name in names for where in layers]
        columns = {
            heading: [one for of_layers in zip(*(maps[c, where] for where in layers), strict=True) for one in of_layers]
            for c, heading in headings.items()
        }
        return rows, [picture for picture in pictures for _ in layers], columns

    def _probabilities(self, predictions: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
        """Return maps of probability of the chosen pictures: each class's, or of many the highest and a few."""
        names, every = self.classes.names, range(len(self.classes))
        many = len(self.classes) > MOST_MAPS
        shown = visualize.frequent_classes(predictions, every)[: MOST_MAPS - 1] if many else every
        maps: dict[str, list[np.ndarray]] = {"highest": []} if many else {}
        maps |= {f"P({names[c]})": [] for c in shown}
        for _, _, planes in self._read(self.chosen):
            drawn = [planes.max(axis=0)] if many else []
            for heading, plane in zip(maps, [*drawn, *(planes[c].copy() for c in shown)], strict=True):
                maps[heading].append(plane)
        return maps

    def summaries(self, result: dict[str, Any]) -> None:
        """Draw what is said of the whole split, and how the training went."""
        matrix = np.array(result["confusion_matrix"])
        self._draw("confusion_matrix", save_confusion, matrix, self.classes.names)
        self._draw("class_distribution", score_figures.save_distribution, matrix, self.classes)
        self._draw("reliability", score_figures.save_reliability, result["calibration"])
        for tag, values in result["tags"].items():
            name = self._free_name(f"tags_{re.sub(r'[^0-9A-Za-z_-]+', '_', tag)}")
            caption = tag_caption(tag, any(scores["num_images"] < score_figures.FEW for scores in values.values()))
            self._draw(name, score_figures.save_tag, tag, values, self.classes, caption=caption)
        assert self.config.model_path is not None, "the result is of these weights"
        log = self.config.model_path.parent / "training_log.csv"
        if panels := drawable(log, CURVES):
            self._draw("training_curves", curves, log, panels, result["provenance"]["epoch"])
        else:
            print(f"note: no training curves: {log} is not there, or not of this phase")

    def _free_name(self, name: str) -> str:
        """Return a name that no figure has yet: tags may differ in letters alone that no file should have."""
        taken = {entry["file"] for entry in self.entries}
        while _file(name) in taken:
            name += "_"
        return name

    def _draw(
        self, name: str, save: Callable[..., None], *arguments: Any, caption: tuple[str, str] | None = None
    ) -> None:
        if drawn(self.config.output_dir / _file(name), save, *arguments):
            self.entries.append(figure(_file(name), *(caption or CAPTIONS[name])))
        else:
            self.not_drawn.append(_file(name))

    def _label(self, place: int) -> str:
        row = self.rows[place]
        score = row[TRUE_CLASSES]
        return f"{row['name']}\n{'–' if score is None else f'{score:.2f}'}"

    def _look_at(self, places: Sequence[int]) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        """Return pictures [H, W, 3], truths [H, W] and predictions [H, W], all at original size."""
        split = self.split
        assert isinstance(split, Split), "of volumes slices are looked at"
        indices = split.labelled[list(places)]
        predictions = [reading.labels for reading in self._read(places)]
        return [_original(split, i) for i in indices], [split.truth(i) for i in indices], predictions

    def _read(self, places: Sequence[int]) -> Iterator[Reading]:
        """Yield what is read of pictures at their original size."""
        return readings_of_split(self.readout, self.split, self.split.labelled[list(places)])


def _unexplained(readout: Readout | VolumeReadout, model: nn.Module | None, split: Split) -> str | None:
    """Return why nothing speaks for a class here; None where it does."""
    if model is None:
        return "it looks into layers, which an exported network does not show"
    if readout.others or readout.groups is not None:
        return "it explains one network and its own classes, not an ensemble or classes that a map names"
    if readout.options.tile or readout.size != split.size:
        return "it explains pictures seen whole at the size that they were prepared at"
    return None


def _grey(truths: Sequence[np.ndarray]) -> bool:
    return any((truth == IGNORED).any() for truth in truths)


def _file(name: str) -> str:
    return f"figures/{name}.png"


def _original(split: Split, index: int) -> np.ndarray:
    planes = split.images[index].transpose(2, 0, 1).astype("float32") / 255
    return visualize.as_rgb(split.geometries[index].restore_scores(planes).transpose(1, 2, 0))
