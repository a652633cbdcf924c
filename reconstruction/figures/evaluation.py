"""The figures of a reconstruction's evaluation, each with the caption that goes with it into the JSON."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.config import from_mapping
from core.evaluation import figure, spread
from core.figures.picture_grid import picture_grid
from core.figures.style import curves, drawable
from data.augment.settings import LARGEST, AugmentConfig
from data.loading import training_batch
from data.pretext.hiding import Pretext
from data.pretext.settings import Target
from data.split import Split
from reconstruction.distillation.figures import save_errors
from reconstruction.distillation.network import Student
from reconstruction.distillation.teacher import Teacher
from reconstruction.figures.captions import CURVES
from reconstruction.figures.pictures import errors, file_stems, pictures, printable, save_comparisons, save_grid
from reconstruction.figures.pretext import pretext_columns
from reconstruction.metrics import restoration_scores
from reconstruction.network import Autoencoder
from reconstruction.per_image import restored_batches, shown_batches

EXTREMES = 4
TARGETS = {
    "pixels": "All scores are of these restorations.",
    "normalised": "It predicts patches without their own mean and deviation, which are the true ones here.",
    "hog": "It predicts oriented gradients: strokes along the edges of cells of 8 px; a dot: no direction stands out.",
}
ERRORS = "Errors are absolute, averaged over channels"
CORRUPTION = ("blur", "noise", "cutout")
Entries = list[dict[str, str]]


@dataclass(frozen=True)
class Gallery:
    """What the figures of pictures are made from.

    Attributes:
        model: the autoencoder, or the student of a teacher, in eval mode.
        split: whose pictures are shown.
        scores: of every picture of the split (`per_image.score_split`).
        folder: the evaluation's output folder; figures lie in its `figures`.
        batch_size: pictures at a time.
        device: where the network is.
        pretext: what the network is shown of a picture.
        not_drawn: gets the names of figures that fail.
    """

    model: Autoencoder | Student
    split: Split
    scores: dict[str, np.ndarray]
    folder: Path
    batch_size: int
    device: torch.device
    pretext: Pretext
    not_drawn: list[str] = field(default_factory=list)

    @property
    def target(self) -> Target:
        """What the autoencoder predicts; of a student, `draw_distilled` draws features."""
        return "pixels" if isinstance(self.model, Student) else self.model.target

    def restored(self, indices: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return original and restored [N, C, H, W] and content [N, 1, H, W] of some pictures, on the CPU."""
        batches = restored_batches(self.model, self.split, indices, self.batch_size, self.device, self.pretext)
        parts = [(batch.clean.cpu(), restored.cpu(), batch.content.cpu()) for _, batch, restored in batches]
        target, restored, content = (torch.cat(column) for column in zip(*parts, strict=True))
        return target, restored, content

    def names(self, indices: np.ndarray) -> list[str]:
        """Return the names of some pictures."""
        return [self.split.names[index] for index in indices]

    def caption(self, index: int) -> str:
        """Return the scores of a picture in words."""
        units = {"psnr": ("PSNR", " dB", 1), "ssim": ("SSIM", "", 3), "perceptual": ("perceptual distance", "", 3)}
        return ", ".join(
            f"{title} {self.scores[name][index]:.{places}f}{unit}"
            for name, (title, unit, places) in units.items()
            if not np.isnan(self.scores[name][index])
        )


def draw_pictures(gallery: Gallery, wanted: int, damage: AugmentConfig, seed: int) -> Entries:
    """Draw every figure that shows pictures; returns their entries.

    Args:
        gallery: network, pictures, scores.
        wanted: how many pictures are shown, spread evenly over the split; 0 draws nothing.
        damage: how training damaged the network's input (`corruption_of`); `seed` draws it.
    """
    shown = np.array(spread(len(gallery.split.names), wanted), dtype=np.int64)
    if not len(shown):
        return []
    if isinstance(gallery.model, Student):
        return _tried(draw_distilled, gallery, shown)
    if gallery.target != "pixels":
        return _tried(draw_pretext, gallery, shown)
    entries = _tried(draw_samples, gallery, shown) + _tried(draw_extremes, gallery)
    if gallery.pretext.pretext != "reconstruct":
        entries += _tried(draw_pretext, gallery, shown)
    elif any(getattr(damage, name) for name in CORRUPTION):
        entries += _tried(draw_corrupted, gallery, shown, damage, seed)
    return entries


def _tried(draw: Callable[..., Entries], gallery: Gallery, *arguments: Any) -> Entries:
    """Return what `draw` drew; nothing and a note where it fails."""
    try:
        return draw(gallery, *arguments)
    except Exception as error:
        what, reason = draw.__name__.removeprefix("draw_").replace("_", " "), " ".join(str(error).split())
        print(f"note: the figures of {what} could not be drawn ({type(error).__name__}: {reason}); the rest goes on")
        gallery.not_drawn.append(what)
        return []


def draw_samples(gallery: Gallery, shown: np.ndarray) -> Entries:
    """Draw the grid of the given pictures and a figure of each."""
    target, restored, content = gallery.restored(shown)
    names = gallery.names(shown)
    save_grid(gallery.folder / "figures" / "reconstructions.png", names, target, restored, content)
    paths = [gallery.folder / "figures" / "comparisons" / f"{stem}.png" for stem in file_stems(names)]
    titles = [f"Restored picture: {gallery.caption(index)}" for index in shown]
    columns = pictures(target, content), pictures(restored, content), errors(target, restored, content)
    save_comparisons(paths, names, titles, *columns)
    caption = (
        f"{len(shown)} pictures spread evenly over {gallery.split.name}. {ERRORS}, all on one scale. Each by itself, "
        "with its scores, lies in figures/comparisons."
    )
    return [figure("figures/reconstructions.png", "Restored pictures", caption)]


def draw_extremes(gallery: Gallery) -> Entries:
    """Draw the pictures of highest and of lowest SSIM; nothing where fewer than two have one."""
    known = np.flatnonzero(~np.isnan(gallery.scores["ssim"]))
    count = min(EXTREMES, len(known) // 2)
    if not count:
        return []
    order = known[np.argsort(-gallery.scores["ssim"][known], kind="stable")]
    chosen = np.concatenate([order[:count], order[-count:]])
    ranks = [f"{end} {place}" for end, places in _ranks(count) for place in places]
    labels = [
        f"{rank}: SSIM {gallery.scores['ssim'][index]:.3f}\n{name}"
        for rank, index, name in zip(ranks, chosen, gallery.names(chosen), strict=True)
    ]
    file = "figures/best_and_worst.png"
    title = "Best and worst by SSIM"
    save_grid(gallery.folder / file, labels, *gallery.restored(chosen), title)
    caption = f"The {count} pictures of highest and the {count} of lowest SSIM. {ERRORS}, all on one scale."
    return [figure(file, title, caption)]


def _ranks(count: int) -> tuple[tuple[str, range], ...]:
    return ("best", range(1, count + 1)), ("worst", range(count, 0, -1))


def draw_pretext(gallery: Gallery, shown: np.ndarray) -> Entries:
    """Draw what the pretext task shows of the pictures `shown` [K], and what the network makes of it."""
    arguments = (gallery.split, shown, gallery.batch_size, gallery.device, gallery.pretext)
    columns: dict[str, list[np.ndarray]] = {}
    for _, batch, seen, output in shown_batches(gallery.model, *arguments):
        patch = gallery.pretext.mask_patch
        found = pretext_columns(output, batch.clean, batch.content, seen, gallery.target, patch)
        for heading, drawn in found.items():
            columns.setdefault(heading, []).extend(drawn)
    file = "figures/pretext.png"
    title = f"The pretext task: {gallery.pretext.pretext}"
    picture_grid(gallery.folder / file, title, [*map(printable, gallery.names(shown))], columns)
    caption = (
        f"The pretext task ({gallery.pretext.pretext}): what the network is shown, what it makes of it, the picture. "
        f"{TARGETS[gallery.target]} What a network that learned hidden patches was shown is kept as it was."
    )
    return [figure(file, "The pretext task", caption)]


def draw_distilled(gallery: Gallery, shown: np.ndarray) -> Entries:
    """Draw where the features of a student and of its teacher differ, in the pictures `shown` [K]."""
    student = gallery.model
    assert isinstance(student, Student), "others have no teacher"
    teacher = Teacher(student.teacher).to(gallery.device)
    file = "figures/pretext.png"
    save_errors(gallery.folder / file, student, teacher, gallery.split, shown, gallery.device)
    caption = (
        f"The pretext task (distil): {len(shown)} pictures spread evenly over {gallery.split.name}, and how far the "
        f"features predicted are from those of {student.teacher}: squared error of vectors of unit length."
    )
    return [figure(file, "The pretext task", caption)]


def draw_corrupted(gallery: Gallery, shown: np.ndarray, damage: AugmentConfig, seed: int) -> Entries:
    """Draw pictures damaged as in training (blur, noise, cut-out; nothing moved or coloured) and their restorations."""
    given, restored, clean, content = _damaged(gallery, shown, damage, seed)
    rectangles = torch.from_numpy(gallery.split.rectangles[shown])
    before, after = (restoration_scores(images, clean, rectangles)["psnr"].tolist() for images in (given, restored))
    labels = [
        f"{name}\nPSNR {first:.1f} → {then:.1f} dB"
        for name, first, then in zip(gallery.names(shown), before, after, strict=True)
    ]
    file = "figures/corrupted_inputs.png"
    columns = {"input": given, "restored": restored, "original": clean}
    drawn = {heading: pictures(images, content) for heading, images in columns.items()}
    picture_grid(gallery.folder / file, "Damaged inputs", [*map(printable, labels)], drawn)
    settings = ", ".join(f"{name} {getattr(damage, name):g}" for name in CORRUPTION if getattr(damage, name))
    caption = (
        f"The network's input was damaged as in training ({settings}), its target never. PSNR of the input → of the "
        "restored picture; an input of 100 dB was left as it is."
    )
    return [figure(file, "Damaged inputs", caption)]


def _damaged(gallery: Gallery, shown: np.ndarray, config: AugmentConfig, seed: int) -> tuple[Tensor, ...]:
    """Return input, restored and clean [N, C, H, W] and content [N, 1, H, W] of some pictures, on the CPU."""
    parts = []
    for start in range(0, len(shown), gallery.batch_size):
        chosen = shown[start : start + gallery.batch_size]
        none = np.zeros_like(chosen)
        batch = training_batch(gallery.split, (none, chosen, none), seed, config, gallery.device)
        with torch.inference_mode():
            restored = gallery.model(batch.input, batch.content).float()
        parts.append([images.cpu() for images in (batch.input, restored, batch.clean, batch.content)])
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def corruption_of(training: dict[str, Any], where: str = "") -> AugmentConfig:
    """Return the augmentation of a training with everything off but what damages the input alone.

    Raises:
        UserError: its settings are not what they must be; `where` says whose they are.
    """
    kept = (*CORRUPTION, "cutout_size")
    off = dict.fromkeys(LARGEST, 0.0)
    return from_mapping(AugmentConfig, {**off, **{name: training[name] for name in kept if name in training}}, where)


def draw_curves(model_path: Path, folder: Path, epoch: int) -> tuple[Entries, str | None]:
    """Draw the training log that lies beside the weights; returns its entry, or a note that says why there is none."""
    log = model_path.parent / "training_log.csv"
    if not log.is_file():
        return [], f"no training curves: there is no {log.name} beside the weights"
    panels = drawable(log, CURVES)
    if not panels:
        return [], f"no training curves: the {log.name} beside the weights holds no row of phase 1"
    curves(folder / "figures" / "training_curves.png", log, panels, epoch)
    caption = f"From {log.name} beside the weights; the dotted line marks the kept epoch {epoch}. Also as SVG."
    return [figure("figures/training_curves.png", "Training curves", caption)], None
