"""The loop that a practitioner would write: picture files, a DataLoader with workers, the plain network in fp32."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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


class Files(Dataset):
    """Pictures of a folder with `images/*.jpg` and `masks/*.png` of the same names."""

    def __init__(self, folder: Path) -> None:
        self.files = sorted((folder / "images").glob("*.jpg"))

    def __len__(self) -> int:
        return len(self.files)


class PictureFiles(Files):
    """JPEG pictures and PNG masks: decoded, resized, flipped now and then, normalised, one by one.

    Args:
        folder: of pictures and masks.
        size: side after resizing.
        flip: whether to flip half of them.
    """

    def __init__(self, folder: Path, size: int, flip: bool = True) -> None:
        super().__init__(folder)
        self.size, self.flip = size, flip

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Return a picture [3, S, S] float32, normalised, and its mask [S, S] int64."""
        file = self.files[index]
        side = (self.size, self.size)
        picture = Image.open(file).convert("RGB").resize(side, Image.Resampling.BILINEAR)
        mask = Image.open(file.parents[1] / "masks" / f"{file.stem}.png").resize(side, Image.Resampling.NEAREST)
        pixels, label = np.asarray(picture), np.asarray(mask)
        if self.flip and torch.rand(()) < 0.5:
            pixels, label = pixels[:, ::-1], label[:, ::-1]
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy()).float() / 255
        return (image - MEAN) / DEVIATION, torch.from_numpy(label.copy()).long()


class Batches:
    """Shuffled batches without end, read ahead by workers.

    Args:
        dataset: of which they are made.
        batch_size: items of each.
        workers: processes that read; none: this one does.
        pin_memory: for a GPU.
        collate: makes a batch of items; torch's own by default.

    Attributes:
        ahead: batches that lie ready, at most, when they were not asked for a while.
        seconds_ahead: about what the workers need to make those.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        workers: int,
        pin_memory: bool = False,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        loader = DataLoader(
            dataset,
            batch_size,
            shuffle=True,
            num_workers=workers,
            pin_memory=pin_memory,
            drop_last=True,
            collate_fn=collate,
            prefetch_factor=PREFETCHED if workers else None,
            persistent_workers=workers > 0,
        )
        self._stream = itertools.chain.from_iterable(itertools.repeat(loader))
        self.ahead = workers * PREFETCHED
        began = time.perf_counter()
        for index in range(batch_size):
            dataset[index % len(dataset)]  # type: ignore[arg-type]  # torch's type does not say that it has a length
        self.seconds_ahead = (time.perf_counter() - began) * PREFETCHED if workers else 0.0

    def __iter__(self) -> Iterator[Any]:
        return self._stream

    def __next__(self) -> Any:
        return next(self._stream)


class Training:
    """Train for so many steps more each time it is called.

    The workers of its batches read ahead while others have their turn. So that this is neither a present nor taken
    from the others, `before` trains, off the clock, on as many batches as can lie ready: what follows is the pace that
    the loop keeps. And `after` gives the workers time to come to rest.
    """

    def __init__(self, step: Callable[[Any], None], stream: Batches, steps: int) -> None:
        self.step, self.stream, self.steps = step, stream, steps

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
        for batch in itertools.islice(self.stream, steps):
            self.step(batch)


class Step:
    """A step with cross-entropy and Dice, AdamW and clipped gradients: in fp32, or under bf16's autocast."""

    def __init__(self, model: nn.Module, device: torch.device, bf16: bool = False) -> None:
        self.model, self.device, self.bf16 = model.to(device).train(), device, bf16
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        self.dice = DiceLoss("multiclass", ignore_index=IGNORE_INDEX)

    def __call__(self, batch: tuple[Tensor, Tensor]) -> None:
        """Train on images [N, 3, H, W] float32 and labels [N, H, W] int64."""
        images, label = (tensor.to(self.device) for tensor in batch)
        with torch.autocast(self.device.type, torch.bfloat16, self.bf16):
            logits = self.model(images)
            loss = F.cross_entropy(logits, label, ignore_index=IGNORE_INDEX) + self.dice(logits, label)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        loss.item()  # for the progress bar
