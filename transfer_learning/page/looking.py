"""One network of the page: a picture in, what it found out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from core.classes import ClassSet
from core.filing.paths import readable
from data.augment.batch import plain
from data.geometry import fit
from data.pictures import PictureError
from transfer_learning.app_config import AppConfig
from transfer_learning.figures.gradcam import METHODS, class_activations
from transfer_learning.figures.pictures import heated
from transfer_learning.inference.files import Areas, in_colours, overlay, palette, save_image, save_mask
from transfer_learning.inference.inputs import why_unread
from transfer_learning.inference.segmenter import Segmenter, segmentation, with_channels
from transfer_learning.inference.weights_files import is_torchvision
from transfer_learning.page.found import Found, Shown

LONGEST_SHOWN = 1024
MOST_EXPLAINED = 6
TITLES = {"gradcam": "Grad-CAM", "hirescam": "HiResCAM"}
WHERE = "deepest"


@dataclass(frozen=True)
class Looker:
    """A network of the page.

    Attributes:
        path: of its weights.
        segmenter: the network.
        config: says how things are drawn.
    """

    path: Path
    segmenter: Segmenter
    config: AppConfig

    @property
    def title(self) -> str:
        """The end of its path: a run's weights have their folder's name."""
        return str(self.path) if is_torchvision(self.path) else "/".join(self.path.parts[-2:])

    @property
    def classes(self) -> ClassSet:
        """Its classes, in the colours that were asked for."""
        return in_colours(self.segmenter.classes, self.config.palette)

    def read(self, path: Path) -> tuple[np.ndarray, list[str]] | str:
        """Return a picture and what was unusual about its file, or why it cannot be taken: as `predict` says it."""
        try:
            picture, notes = self.segmenter.read(path)
            self.segmenter.check(picture)
        except (PictureError, OSError) as error:
            return why_unread(path, error)
        return picture, notes

    def look(self, picture: np.ndarray, notes: list[str], name: str, result: str, folder: Path) -> Found:
        """Segment a picture as `read` returns it, and write what is found into a folder.

        Args:
            picture: [H, W, 3] or [H, W] uint8.
            notes: what was unusual about its file.
            name, result: of the picture and of its results.
            folder: of this network; holds masks/ and overlays/ at the picture's size, and shown/.

        Raises:
            RunError: the scores are not finite.
        """
        (seen,) = self.segmenter.see([picture])
        found = segmentation(seen)
        areas = Areas(self.classes).add(found.mask, found.confidence)
        coloured = with_channels(picture, 3)
        overlaid = overlay(coloured, found.mask, self.classes, self.config.alpha)
        mask, laid = (folder / f"{kind}s/{result}.png" for kind in ("mask", "overlay"))
        save_mask(mask, found.mask, self.classes)
        save_image(laid, overlaid)
        place = folder / "shown" / result
        coloured_mask = palette(self.classes)[_smaller(found.mask, cv2.INTER_NEAREST)]
        shown = (("picture", _smaller(coloured)), ("overlay", _smaller(overlaid)), ("mask", coloured_mask))
        unexplained = self.unexplained(found.tiled)
        maps = {} if unexplained else self._heat(picture, areas)
        height, width = found.mask.shape
        record = {"file": readable(name), "height": height, "width": width, "notes": notes, "tiled": found.tiled}
        return Found(
            {**record, **areas.content()},
            areas,
            result,
            mask,
            laid,
            tuple(_show(place, title, image) for title, image in shown),
            tuple(_show(place, title, image) for title, image in maps.items()),
            unexplained,
        )

    def unexplained(self, tiled: bool) -> str | None:
        """Return why nothing is said of what speaks for a class; None where it is."""
        if self.segmenter.model is None:
            return "Grad-CAM looks into layers of this project's own networks, which these weights do not show"
        if self.segmenter.readout.others:
            return "Grad-CAM explains one network, not an ensemble"
        return "Grad-CAM explains pictures seen whole, not in windows" if tiled else None

    def activations(self, picture: np.ndarray, classes: Sequence[int]) -> dict[str, dict[int, np.ndarray]]:
        """Return what speaks for each class, at the deepest features of the encoder, on the network's own canvas.

        Args:
            picture: as `read` returns it; seen whole and unmirrored.
            classes: indices.

        Returns:
            A name of `METHODS` -> class -> map [h, w] float32 in [0, 1], of the picture without bars, its longer side
            1024 px at most; no map of a class that the network finds nowhere.
        """
        readout, model = self.segmenter.readout, self.segmenter.model
        assert model is not None
        image = with_channels(picture, self.segmenter.channels)
        place = fit(image.shape[0], image.shape[1], *readout.size, readout.resize_mode)
        planes = torch.from_numpy(place.image(image)[None]).to(readout.network.device)
        batch = plain(planes.view(1, *planes.shape[1:3], -1), torch.tensor([place.rectangle]), None)
        found = class_activations(model, batch.input, batch.content, classes, {WHERE: model.encoder.deepest})
        height, width = _shown_size(image)
        back = replace(place, height=height, width=width)
        return {
            method: {c: back.restore_scores(heat[None])[0] for (c, _), (heat,) in maps.items() if heat is not None}
            for method, maps in found.items()
        }

    def _heat(self, picture: np.ndarray, areas: Areas) -> dict[str, np.ndarray]:
        """Return maps over the picture, [h, w, 3] uint8 by title, of the largest classes beside the background."""
        wanted = [c for c in np.argsort(-areas.pixels) if areas.pixels[c] and c != self.classes.background]
        activations = self.activations(picture, [int(c) for c in wanted[:MOST_EXPLAINED]])
        small = _smaller(with_channels(picture, 3)).astype(np.float32) / 255
        drawn = {}
        for c in wanted[:MOST_EXPLAINED]:
            for method in METHODS:
                heat = activations[method].get(int(c))
                if (image := heated(small, heat)) is not None:
                    drawn[f"{self.classes.names[c]}: {TITLES[method]}"] = np.round(image * 255).astype(np.uint8)
        return drawn


def _shown_size(image: np.ndarray) -> tuple[int, int]:
    scale = min(1.0, LONGEST_SHOWN / max(image.shape[:2]))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return height, width


def _smaller(image: np.ndarray, interpolation: int = cv2.INTER_AREA) -> np.ndarray:
    height, width = _shown_size(image)
    small = image.shape[:2] == (height, width)
    return image if small else cv2.resize(image, (width, height), interpolation=interpolation)


def _show(place: Path, title: str, image: np.ndarray) -> Shown:
    """Write an image [h, w, 3] uint8 under the next free number; titles hold class names, which no file need take."""
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"{sum(1 for _ in place.iterdir())}.png"
    save_image(path, image)
    return Shown(title, path)
