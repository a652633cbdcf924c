"""The loops of other libraries as their documentation writes them, over their networks or ours; what a network costs.

segmentation-models-pytorch: `examples/camvid_segmentation_multiclass.ipynb` of its repository. The notebook leaves the
loop to pytorch-lightning; here its `training_step` is called by a plain loop, which costs less than Lightning's. Of its
augmentations, which are albumentations', only the flip is left.

MONAI: `2d_segmentation/torch/unet_training_dict.py` of Project-MONAI/tutorials. Pictures are resized where the tutorial
crops; what it prints and logs is left out. Both keep their workers from epoch to epoch: faster at few pictures.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.loops.practitioner import DEVIATION, IGNORE_INDEX, MEAN, NUM_CLASSES, Batches, Files
from core.errors import UserError
from core.extras import to_install

ENCODER = "resnet34"


def multiply_adds(model: nn.Module, size: int, device: torch.device) -> float:
    """Return the multiply-adds of one picture's forward and backward pass."""
    counter = FlopCounterMode(display=False)
    picture = torch.rand(2, 3, size, size, device=device)
    with counter:
        model(picture).sum().backward()
    return counter.get_total_flops() / 2 / len(picture)


def smp_unet() -> nn.Module:
    """Return the UNet of SMP's notebook; without ImageNet's weights, which would have to be fetched."""
    return smp.Unet(ENCODER, encoder_weights=None, classes=NUM_CLASSES)


class SmpFiles(Files):
    """Pictures and masks as SMP's notebook reads them: by OpenCV, uint8 up to the network."""

    def __init__(self, folder: Path, size: int) -> None:
        super().__init__(folder)
        self.size = (size, size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return a picture [3, S, S] and its mask [S, S], both uint8."""
        file = self.files[index]
        image = cv2.imread(str(file))
        mask = cv2.imread(str(file.parents[1] / "masks" / f"{file.stem}.png"), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert mask is not None
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        image = cv2.resize(image, self.size)
        mask = cv2.resize(mask, self.size, interpolation=cv2.INTER_NEAREST)
        if torch.rand(()) < 0.5:
            image, mask = cv2.flip(image, 1), cv2.flip(mask, 1)
        return image.transpose(2, 0, 1), mask


class SmpStep:
    """The `training_step` of SMP's notebook: Dice loss, pixel statistics of every batch, Adam, a cosine schedule."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        self.model, self.device = model.to(device).train(), device
        # What `get_preprocessing_params` would fetch.
        self.mean, self.std = (255 * values.to(device) for values in (MEAN, DEVIATION))
        self.loss_fn = smp.losses.DiceLoss(smp.losses.MULTICLASS_MODE, from_logits=True, ignore_index=IGNORE_INDEX)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=50, eta_min=1e-5)
        self.outputs: list[tuple[Tensor, ...]] = []  # an epoch's, in the notebook

    def __call__(self, batch: tuple[Tensor, Tensor]) -> None:
        """Train on images [N, 3, H, W] and masks [N, H, W] uint8."""
        image, mask = batch[0].to(self.device), batch[1].to(self.device).long()
        logits = self.model((image - self.mean) / self.std).contiguous()
        loss = self.loss_fn(logits, mask)
        said = logits.softmax(dim=1).argmax(dim=1)
        self.outputs.append(
            smp.metrics.get_stats(said, mask, mode="multiclass", num_classes=NUM_CLASSES, ignore_index=IGNORE_INDEX)
        )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.scheduler.step()


def monai_unet() -> nn.Module:
    """Return the UNet of MONAI's tutorial.

    Raises:
        UserError: MONAI is not installed.
    """
    try:
        from monai.networks.nets import UNet
    except ModuleNotFoundError as error:
        raise UserError(f"MONAI is not installed: {to_install('benchmarks')}, or give --no_peers") from error
    return UNet(
        spatial_dims=2,
        in_channels=3,
        out_channels=NUM_CLASSES,
        channels=(16, 32, 64, 128, 256),
        strides=(2, 2, 2, 2),
        num_res_units=2,
    )


def monai_batches(folder: Path, size: int, batch_size: int, workers: int) -> Batches:
    """Return the batches of MONAI's tutorial: dictionaries of files through its transforms."""
    from monai.data import Dataset as MonaiDataset
    from monai.data import list_data_collate
    from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged, RandRotate90d, Resized, ScaleIntensityd

    keys = ["img", "seg"]
    files = Files(folder).files
    items = [{"img": str(file), "seg": str(folder / "masks" / f"{file.stem}.png")} for file in files]
    transforms = Compose(
        [
            LoadImaged(keys),
            EnsureChannelFirstd(keys),
            ScaleIntensityd(["img"]),
            Resized(keys, (size, size), mode=["bilinear", "nearest"]),
            RandRotate90d(keys, prob=0.5, spatial_axes=(0, 1)),
        ]
    )
    return Batches(MonaiDataset(items, transforms), batch_size, workers, collate=list_data_collate)


class MonaiStep:
    """A step of MONAI's tutorial: Dice loss of all classes, Adam. Its loss leaves no pixel out: ignored ones are 0."""

    def __init__(self, model: nn.Module, device: torch.device) -> None:
        from monai.losses import DiceLoss

        self.model, self.device = model.to(device).train(), device
        self.loss_function = DiceLoss(to_onehot_y=True, softmax=True)
        self.optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def __call__(self, batch: dict[str, Any]) -> None:
        """Train on `img` [N, 3, H, W] and `seg` [N, 1, H, W]."""
        inputs, labels = batch["img"].to(self.device), batch["seg"].to(self.device)
        self.optimizer.zero_grad()
        outputs = self.model(inputs)
        loss = self.loss_function(outputs, labels.where(labels < NUM_CLASSES, 0))
        loss.backward()
        self.optimizer.step()
        loss.item()
