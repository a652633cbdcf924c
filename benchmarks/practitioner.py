"""The loop that a practitioner would write: picture files, a DataLoader with workers, the plain network in fp32."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

NUM_CLASSES, IGNORE_INDEX = 3, 255
MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
PREFETCHED = 2  # batches a worker, torch's default
DEVIATION = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


class PictureFiles(Dataset):
    """JPEG pictures and PNG masks: decoded, resized, flipped now and then, normalised, one by one.

    Args:
        folder: with `images/*.jpg` and `masks/*.png` of the same names.
        size: side after resizing.
        flip: whether to flip half of them.
    """

    def __init__(self, folder: Path, size: int, flip: bool = True) -> None:
        self.files = sorted((folder / "images").glob("*.jpg"))
        self.size, self.flip = size, flip

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a picture [3, S, S] float32, normalised, and its mask [S, S] int64."""
        file = self.files[index]
        picture = Image.open(file).convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        mask = Image.open(file.parents[1] / "masks" / f"{file.stem}.png")
        mask = mask.resize((self.size, self.size), Image.Resampling.NEAREST)
        pixels, label = np.asarray(picture), np.asarray(mask)
        if self.flip and torch.rand(()) < 0.5:
            pixels, label = pixels[:, ::-1], label[:, ::-1]
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
        return (image - MEAN) / DEVIATION, torch.from_numpy(label.copy()).long()


class Batches:
    """Shuffled batches without end, read ahead by workers.

    Attributes:
        ahead: batches that lie ready, at most, when they were not asked for a while.
        seconds_ahead: about what the workers need to make those.
    """

    def __init__(self, folder: Path, size: int, batch_size: int, workers: int, pin_memory: bool = False) -> None:
        files = PictureFiles(folder, size)
        loader = DataLoader(
            files,
            batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=pin_memory,
            drop_last=True,
            prefetch_factor=PREFETCHED if workers else None,
            persistent_workers=workers > 0,
        )
        self._stream = itertools.chain.from_iterable(itertools.repeat(loader))
        self.ahead = workers * PREFETCHED
        began = time.perf_counter()
        for index in range(batch_size):
            files[index % len(files)]
        self.seconds_ahead = (time.perf_counter() - began) * PREFETCHED if workers else 0.0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self._stream

    def __next__(self) -> tuple[Tensor, Tensor]:
        return next(self._stream)


class Training:
    """Train a segmentation network for so many steps more, in fp32, each time it is called.

    The workers of its batches read ahead while others have their turn. So that this is neither a present nor taken
    from the others, `before` trains, off the clock, on as many batches as can lie ready: what follows is the pace that
    the loop keeps. And `after` gives the workers time to come to rest.
    """

    def __init__(self, model: nn.Module, stream: Batches, device: torch.device, steps: int) -> None:
        self.model, self.stream, self.device, self.steps = model.to(device).train(), stream, device, steps
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.dice = DiceLoss("multiclass", ignore_index=IGNORE_INDEX)

    def before(self) -> None:
        """Use up what lies ready."""
        self._train(self.stream.ahead)

    def __call__(self) -> None:
        """Train for a round."""
        self._train(self.steps)

    def after(self) -> None:
        """Wait until the workers have nothing to do any more; half as long again as they need alone."""
        time.sleep(1.5 * self.stream.seconds_ahead)

    def _train(self, steps: int) -> None:
        for images, label in itertools.islice(self.stream, steps):
            images, label = images.to(self.device), label.to(self.device)
            logits = self.model(images)
            loss = F.cross_entropy(logits, label, ignore_index=IGNORE_INDEX) + self.dice(logits, label)
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            loss.item()  # for the progress bar


def evaluation(model: nn.Module, folder: Path, size: int, images: int, device: torch.device) -> Callable[[], None]:
    """Return a function that scores so many pictures one by one, counting pixels with NumPy."""
    model.to(device).eval()
    files = PictureFiles(folder, size, flip=False)

    def round_of_images() -> None:
        matrix = np.zeros((NUM_CLASSES, NUM_CLASSES), np.int64)
        with torch.no_grad():
            for index in range(images):
                image, label = files[index % len(files)]
                prediction = model(image[None].to(device)).argmax(1)[0].cpu().numpy()
                truth = label.numpy()
                for true, predicted in itertools.product(range(NUM_CLASSES), repeat=2):
                    matrix[true, predicted] += np.logical_and(truth == true, prediction == predicted).sum()

    return round_of_images
