"""Phase 1's task beside phase 2's, in one run: oriented gradients behind hidden patches of unlabelled pictures."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.errors import UserError
from core.machine.fabric import Fabric
from core.networks.decoders import DECODERS
from core.networks.decoding.sizes import to_picture
from core.networks.dropout import share_of_batch
from core.networks.unet import initialise
from data.augment.batch import Batch
from data.pretext.hiding import Pretext, shown
from data.pretext.targets import TargetLoss, target_channels
from transfer_learning.network import SegmentationUNet
from transfer_learning.unlabelled.pictures import Pictures

HIDDEN = Pretext("mask")
HEAD = "auxiliary."


class MaskedGradients:
    """The part of a step's loss that restoring gives: that of `--pretext mask --target hog` in phase 1 (MaskFeat, Wei
    et al. 2022), through this network's encoder and decoder.

    Args:
        pictures: what is restored.
        network: the segmentation network, before Fabric sets it up.
        weight: at the first step; it falls in a straight line to 0 at the last.
        steps: of the run.
        fabric: computes the head at the precision of the run.

    Raises:
        UserError: the decoder ends in scores, so that nothing can be predicted from its features.
    """

    columns = ("train_auxiliary",)

    def __init__(
        self, pictures: Pictures, network: SegmentationUNet, weight: float, steps: int, fabric: Fabric
    ) -> None:
        if DECODERS[network.settings.decoder].scores:
            raise UserError(
                f"--auxiliary predicts from the decoder's features, --decoder {network.settings.decoder} ends in "
                "scores: leave one of them out"
            )
        self.pictures, self.first_weight, self.steps, self.fabric = pictures, weight, steps, fabric
        channels = target_channels("hog", network.in_channels)
        self.head = nn.Conv2d(network.decoder.out_channels, channels, 3, padding=1)
        initialise(self.head)
        self.head.to(fabric.device)
        self.loss = TargetLoss("hog", HIDDEN.mask_patch)

    def parameters(self) -> list[nn.Parameter]:
        """Return what learns beside the network."""
        return list(self.head.parameters())

    def losses(self, step: int, model: nn.Module, resized: Callable[[Batch, int], Batch]) -> dict[str, Tensor]:
        """Return `auxiliary`, the loss with its graph."""
        batch, keys = self.pictures.batch(step)
        batch = resized(batch, step)
        seen = shown(batch.input, batch.content, keys, HIDDEN)
        network = model.get_submodule("module")  # without what Fabric wraps it in
        assert isinstance(network, SegmentationUNet)
        with share_of_batch(0, len(seen.images)), self.fabric.autocast():
            features = network.features(seen.images, seen.visible)
            output = to_picture(self.head(features), seen.images.shape[2:], network.multiple)
        loss = self.loss.from_sums(self.loss.sums(output, batch.clean, seen.judged))["loss"]
        assert loss is not None
        return {"auxiliary": loss}

    def weight(self, step: int) -> float:
        """Return the weight of `auxiliary` beside 1 for what is labelled."""
        return self.first_weight * (1 - step / self.steps)

    def state(self, model: nn.Module) -> dict[str, Tensor]:
        """Return what `load` goes on from."""
        return {f"{HEAD}{name}": value for name, value in self.head.state_dict().items()}

    def load(self, carried: dict[str, Tensor], model: nn.Module) -> None:
        """Go on from a state. Raises LookupError or RuntimeError where it is of another network."""
        with torch.no_grad():
            for name, own in self.head.state_dict().items():
                own.copy_(carried[f"{HEAD}{name}"])
