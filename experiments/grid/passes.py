"""What a training cost in picture passes and multiply-adds, by which arms of other steps are compared."""

from pathlib import Path

from core.train_config import TrainConfig
from experiments.ablation.costs import Compute
from experiments.evaluations import Resolution


def with_passes(
    compute: Compute,
    config: TrainConfig,
    weights: Path,
    resolution: Resolution,
    teacher: Path | None = None,
    before: int = 0,
) -> Compute:
    """Return what a training cost with its picture passes and, where they can be counted, its multiply-adds.

    Multiply-adds are those of the networks alone, each pass at a forward pass of one picture as large as those that it
    trains on: without losses or what a sparse encoder leaves out, and the passes of the network that phase 1 distils at
    those of its student. Volumes, pictures of several sizes and trainings without weights have none.

    Args:
        compute: what it cost otherwise.
        config: its settings.
        weights: what it left; they need not be there.
        resolution: side of the pictures in pixels, or height and width.
        teacher: the weights of the run that labelled pictures for it; they need not be there either.
        before: passes of that run's network beside those of its steps.
    """
    steps = compute.images / config.batch_size
    passes = before + round(steps * config.passes_per_step)
    taught = before + round(steps * config.teacher_passes_per_step) if teacher else 0
    window, scales = getattr(config, "window", None), getattr(config, "scales", ())
    sides = window or ((resolution, resolution) if isinstance(resolution, int) else tuple(resolution))
    networks = [(weights, passes - taught), *([(teacher, taught)] if teacher else [])]
    known = config.dims == 2 and not scales and all(path.exists() for path, _ in networks)
    whole = float(sum(forward_multiply_adds(path, sides) * count for path, count in networks)) if known else None
    return compute.model_copy(update={"passes": passes, "multiply_adds": whole})


def forward_multiply_adds(weights: Path, sides: tuple[int, ...]) -> int:
    """Return the multiply-adds of one picture of a height and width through the network that weights are of.

    Raises:
        UserError: the file is none of ours, or its header is damaged.
    """
    import torch

    from core.headers.header import read_header
    from core.weights import arguments_of
    from reconstruction.distillation.network import Student, network_of
    from reconstruction.network import Autoencoder
    from transfer_learning.description import forward_multiply_adds as counted
    from transfer_learning.network import SegmentationUNet

    header = read_header(weights)
    of_phase_2 = header.phase == "transfer_learning"
    kind: type[SegmentationUNet | Autoencoder | Student] = SegmentationUNet if of_phase_2 else network_of(header)
    with torch.device("meta"):  # shapes alone: nothing is computed
        network = kind(**arguments_of(kind, header, str(weights)))
        return counted(network.eval(), network.in_channels, sides)
