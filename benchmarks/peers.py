"""Other people's networks in their own loops, on the same pictures, and what a network computes an image."""

import itertools
from collections.abc import Callable
from pathlib import Path

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import practitioner
from core.errors import UserError


def multiply_adds(model: nn.Module, size: int, device: torch.device) -> float:
    """Return the multiply-adds of one picture's forward and backward pass."""
    counter = FlopCounterMode(display=False)
    picture = torch.rand(2, 3, size, size, device=device)
    with counter:
        model(picture).sum().backward()
    return counter.get_total_flops() / 2 / len(picture)


def smp_unet() -> nn.Module:
    """Return segmentation-models-pytorch's UNet over a ResNet-34, randomly initialised."""
    return smp.Unet("resnet34", encoder_weights=None, classes=practitioner.NUM_CLASSES)


def monai_unet() -> nn.Module:
    """Return MONAI's BasicUNet with its default features.

    Raises:
        UserError: MONAI is not installed.
    """
    try:
        from monai.networks.nets import BasicUNet
    except ModuleNotFoundError as error:
        raise UserError("MONAI is not installed: pip install '.[benchmarks]', or give --no_peers") from error
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=practitioner.NUM_CLASSES)


def monai_training(
    model: nn.Module, folder: Path, size: int, batch_size: int, device: torch.device, steps: int
) -> Callable[[], None]:
    """Return rounds of MONAI's usual loop: CacheDataset, dictionary transforms, DiceCELoss, Adam."""
    from monai.data import CacheDataset, DataLoader
    from monai.losses import DiceCELoss
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, RandFlipd, Resized, ScaleIntensityd

    keys = ["image", "label"]
    files = practitioner.PictureFiles(folder, size).files
    items = [{"image": str(f), "label": str(folder / "masks" / f"{f.stem}.png")} for f in files]
    transforms = Compose(
        [
            LoadImaged(keys),
            EnsureChannelFirstd(keys),
            Resized(keys, (size, size), mode=["bilinear", "nearest"]),
            ScaleIntensityd(["image"]),
            RandFlipd(keys, 0.5, 1),
        ]
    )
    cached = CacheDataset(items, transforms, progress=False)
    loader = DataLoader(cached, batch_size=batch_size, shuffle=True, drop_last=True)
    stream = itertools.chain.from_iterable(itertools.repeat(loader))
    loss_of = DiceCELoss(include_background=True, to_onehot_y=True, softmax=True)
    optimizer = torch.optim.Adam(model.to(device).train().parameters(), lr=1e-3)

    def round_of_steps() -> None:
        for batch in itertools.islice(stream, steps):
            label: Tensor = batch["label"].to(device)
            loss = loss_of(model(batch["image"].to(device)), label.where(label < practitioner.NUM_CLASSES, 0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    return round_of_steps
