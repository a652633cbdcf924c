"""Whether a call's runs can begin on these data and this machine: what else each would find out at its own turn."""

from core.errors import UserError
from core.train_config import OWN_ENCODERS, WHOLE_NETWORKS
from experiments.grid.planning.prepared import GridData
from experiments.grid.planning.variants import Plan
from reconstruction.config import ReconstructionConfig
from transfer_learning.config import SegmentationConfig


def require_at_hand(plan: Plan, data: GridData) -> None:
    """See that encoders are known, hidden patches smaller than the pictures, frozen parts too, and devices there.

    What libraries know is asked only where it matters, since they take seconds to load.

    Raises:
        UserError: names the pretraining or variant, and what it cannot have.
    """
    parts: dict[str, ReconstructionConfig | SegmentationConfig] = {
        **{f"pretraining.{name}": plan.pretrainings[name].config for name in plan.begun_with},
        **{f"variants.{variant.name}": variant.config for variant in plan.trained},
    }
    for where, config in parts.items():
        try:
            _require_encoders(config)
            _require_patches(config, data)
            _require_freeze(config)
            if plan.config.runner == "local":
                _require_device(config.device)
        except UserError as error:
            raise UserError(f"ablation.{where}: {error}") from None


def _require_encoders(config: ReconstructionConfig | SegmentationConfig) -> None:
    names = [config.encoder]
    if isinstance(config, ReconstructionConfig) and config.pretext == "distil":
        names.append(config.teacher)
    for name in names:
        if name not in (*OWN_ENCODERS, *WHOLE_NETWORKS):
            from core.networks.encoders import require_known

            require_known(name)


def _require_patches(config: ReconstructionConfig | SegmentationConfig, data: GridData) -> None:
    if not isinstance(config, ReconstructionConfig) or config.pretext != "mask" or config.dims == 3:
        return
    from data.pretext.hiding import require_several

    size = data.resolution
    require_several((size, size) if isinstance(size, int) else size, config.mask_patch)


def _require_freeze(config: ReconstructionConfig | SegmentationConfig) -> None:
    if not isinstance(config, SegmentationConfig) or ":" not in str(config.freeze):
        return
    import torch

    from core.networks.encoders import make_encoder
    from core.networks.unet import volume_arguments
    from transfer_learning.freezing import still_parameters

    stages = {name: value for name, value in volume_arguments(config.patch_sides).items() if name != "normalisation"}
    with torch.device("meta"):  # names and shapes alone
        encoder = make_encoder(config.encoder, config.width, config.encoder_dropout, **stages)
        still_parameters(encoder, config.freeze)


def _require_device(device: str) -> None:
    if device not in ("auto", "cpu"):
        from core.machine.device import resolve_device

        resolve_device(device)
