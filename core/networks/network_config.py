"""The settings that say what both phases' networks are made of, beside their encoder."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from core.errors import UserError
from core.networks.decoders import DECODERS

if TYPE_CHECKING:
    DecoderName = str
else:
    DecoderName = Literal[tuple(DECODERS)]
Attention = Literal["none", "scse", "cbam", "self"]
OutputStride = Literal[0, 8, 16, 32]
Dims = Literal[2, 3]

MOST_STAGES = 5  # of stride 2 each: from 1/32 of the side to all of it
MOST_CHANNELS = 8192


@dataclass(frozen=True)
class NetworkConfig:
    """Common to both phases, and arguments of both networks by the same names."""

    decoder: DecoderName = "unet"
    """What turns the encoder's features into pixels: unet is this project's own, linear no decoder at all (with
    --freeze always a linear probe), the others are those of their papers (docs/networks.md)."""
    output_stride: OutputStride = 0
    """The encoder's deepest features stand at this part of the side: 32, or 16 or 8 by dilated convolutions instead of
    strides. 0: what the decoder was made for, 16 for deeplabv3 and deeplabv3plus, 32 for the others."""
    decoder_channels: tuple[int, ...] = (256, 128, 64, 32, 32)
    """With --decoder transposed: channels of its one to five transposed convolutions, deepest first, each of which
    doubles the side."""
    bottleneck_channels: int = 0
    """With --decoder transposed: channels of a 1x1 convolution before it, such as the 1280 that MobileNetV2 ends in,
    which networks as encoders lack. 0: none."""
    atrous_rates: tuple[int, int, int] = (6, 12, 18)
    """With --decoder deeplabv3 or deeplabv3plus: dilations of the three 3x3 convolutions side by side (ASPP). The
    papers take 6, 12, 18 at output stride 16 and twice as much at 8; small pictures want smaller ones."""
    attention: Attention = "none"
    """cbam or self: at the bottleneck, what weighs channels and places (CBAM), or lets every place look at every other
    (self-attention). scse: weights of channels and places behind each stage of --decoder unet, unet_transposed or
    unetplusplus."""
    gradient_checkpointing: bool = False
    """Compute the encoder's activations a second time in the backward pass instead of keeping them: less memory, about
    a third more time, the same weights to the bit."""

    def __post_init__(self) -> None:
        row = DECODERS[self.decoder]
        if self.output_stride and self.output_stride not in row.output_strides:
            known = " or ".join(map(str, row.output_strides))
            others = ", ".join(name for name, other in DECODERS.items() if self.output_stride in other.output_strides)
            raise UserError(
                f"--decoder {self.decoder} takes --output_stride {known}, not {self.output_stride}, which {others} take"
            )
        if self.attention == "scse" and not row.scse:
            known = ", ".join(name for name, other in DECODERS.items() if other.scse)
            raise UserError(
                f"--attention scse stands in the stages of --decoder {known}; with {self.decoder} take cbam or self"
            )
        if self.decoder == "linear" and self.attention != "none":
            raise UserError(f"--decoder linear reads features as they are: leave out --attention {self.attention}")
        if not 1 <= len(self.decoder_channels) <= MOST_STAGES:
            count = len(self.decoder_channels)
            raise UserError(f"decoder_channels has {count} numbers: give one to {MOST_STAGES}, each doubles the side")
        for name, smallest in (("decoder_channels", 1), ("atrous_rates", 1), ("bottleneck_channels", 0)):
            for value in self._numbers(name):
                if not smallest <= value <= MOST_CHANNELS:
                    raise UserError(f"{name} {value} must lie between {smallest} and {MOST_CHANNELS}")

    @property
    def stride(self) -> int:
        """The output stride that was asked for, else the decoder's own."""
        return self.output_stride or DECODERS[self.decoder].output_strides[0]

    def network(self) -> dict[str, Any]:
        """Return the arguments that both networks take, as a header keeps them."""
        lists = {name: list(getattr(self, name)) for name in ("decoder_channels", "atrous_rates")}
        alone = {name: getattr(self, name) for name in ("decoder", "bottleneck_channels", "attention")}
        return {**alone, **lists, "output_stride": self.stride}

    def require_same_decoder(self, theirs: "NetworkConfig", where: str) -> None:
        """Raise UserError where weights hold another decoder than this, or attention of another kind."""
        for name in ("decoder", "attention", "decoder_channels", "bottleneck_channels", "atrous_rates"):
            there, here = getattr(theirs, name), getattr(self, name)
            if name not in self.idle() and there != here:
                raise UserError(
                    f"{where} holds --{name} {_said(there)}, this run has {_said(here)}: give --{name} {_said(there)}, "
                    "or --transfer encoder"
                )

    def idle(self) -> dict[str, str]:
        """Return the settings that have no say beside the others, and why."""
        row, where = DECODERS[self.decoder], f"with --decoder {self.decoder}"
        found = {} if row.drops else {"decoder_dropout": where}
        if self.decoder != "transposed":
            found |= dict.fromkeys(("decoder_channels", "bottleneck_channels"), where)
        if not self.decoder.startswith("deeplab"):
            found["atrous_rates"] = where
        return found

    def _numbers(self, name: str) -> tuple[int, ...]:
        value = getattr(self, name)
        return value if isinstance(value, tuple) else (value,)


def _said(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
