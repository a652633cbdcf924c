"""The header of weights, read through one schema, without their tensors and without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open

from core.classes import ClassSet
from core.errors import UserError, first_problem
from core.filing.json_file import NotJSONError, parse_json
from core.filing.paths import readable
from core.headers.seen import UNKNOWN, of_text
from core.networks.network_config import Attention, DecoderName, Dims, NetworkConfig, OutputStride
from core.sides import MAX_SIZE
from core.train_config import OWN_ENCODER, Normalisation, TrainConfig

HEADER_KEY = "ae_pretrained"
FORMAT_VERSION = 2  # as 1, of which some files, from before there was one, lack the digest
READABLE = (1, FORMAT_VERSION)
# What people take for weights of ours: how a file begins, what that is, and what to do.
STRANGERS = (
    (b"PK\x03\x04", "a file of torch.save (.pth, .pt, .ckpt) or another ZIP archive", "give a run's .safetensors"),
    (b"\x80", "a Python pickle, as older .pth files are", "give a run's .safetensors"),
    (b"version https://git-lfs", "a Git LFS pointer, which stands for a file elsewhere", "run git lfs pull"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", "give a run's .safetensors"),
    (b"<", "a web page", "download the file itself"),
)
ANEW = "train again or copy it anew"
# How networks end that `export` wrote, all of them of phase 2: transfer_learning/inference/exported.py reads them.
EXPORTED = (".onnx", ".xml")

_Integer = Annotated[int, Field(strict=True)]
_Side = Annotated[_Integer, Field(ge=1, le=MAX_SIZE)]
_Number = Annotated[FiniteFloat, Field(strict=True)]
_Rate = Annotated[_Number, Field(ge=0, lt=1)]


@dataclass(frozen=True)
class Network:
    """What a network's arguments say that both phases know; each phase has others of its own.

    The defaults are what weights of before, which do not say it, had without exception.
    """

    width: Annotated[_Integer, Field(ge=1, le=4096)] = 32
    normalisation: Normalisation = "imagenet"
    encoder: str = OWN_ENCODER
    in_channels: Annotated[_Integer, Field(ge=1, le=4096)] = 3
    encoder_dropout: tuple[_Rate, _Rate, _Rate, _Rate, _Rate, _Rate] = TrainConfig.encoder_dropout
    decoder_dropout: tuple[_Rate, _Rate, _Rate, _Rate, _Rate] = TrainConfig.decoder_dropout
    decoder: DecoderName = "unet"
    output_stride: OutputStride = 0
    decoder_channels: tuple[_Integer, ...] = TrainConfig.decoder_channels
    bottleneck_channels: _Integer = 0
    atrous_rates: tuple[_Integer, _Integer, _Integer] = TrainConfig.atrous_rates
    attention: Attention = "none"
    dims: Dims = 2
    stages: Annotated[_Integer, Field(ge=2, le=6)] = 6

    def __post_init__(self) -> None:
        if self.dims == 2 and (self.in_channels not in (1, 3) or self.stages != 6):
            raise ValueError(f"in_channels {self.in_channels} and {self.stages} stages are not of pictures")


@dataclass(frozen=True)
class Run:
    """What a run's settings say that every reader of its weights needs."""

    seed: _Integer
    data_fingerprint: str | None = None


def _says(kind: type) -> AfterValidator:
    """Return the check that a mapping says what `kind` needs; all that it says is kept."""

    def check(content: dict[str, Any]) -> dict[str, Any]:
        try:
            TypeAdapter(kind).validate_python(content)
        except ValidationError as errors:
            raise ValueError(first_problem(errors)) from None
        return content

    return AfterValidator(check)


def _pictures(text: str) -> str:
    of_text(text)
    return text


def _rising(values: tuple[float, float] | None) -> tuple[float, float] | None:
    if values and not values[0] < values[1]:
        raise ValueError(f"{values[0]} is not below {values[1]}")
    return values


@dataclass(frozen=True)
class Header:
    """What a weights file says of itself.

    Attributes:
        phase: the package that trained it.
        architecture: the arguments of its network.
        config: the settings that made the run what it is.
        epoch, metrics: the row of the log that it is of, and the scores on Val there.
        class_set: of phase 2, what it tells apart.
        size, resize_mode, value_range, ground: of phase 2, how pictures come to what it was trained on; weights of
            before do not say it. The size of those of volumes is that of a patch.
        preprocess: of phase 2, the steps on intensities that its pictures were prepared with; None: none.
        volumes: of phase 2 on volumes, how they come to what it was trained on: `spacing`, `intensity`, `label_values`
            as in the manifest (`data.manifest.Manifest`).
        pictures_seen: of which pictures the weights learned, as `core.headers.seen` writes them; weights of before, and
            of data prepared before, do not say it.
        outside_weights: of which networks it learned by distillation, whose weights come from other pictures, in either
            phase; what it began with from outside, `config` says (`encoder_weights`).
        sha256: over all of the above and the tensors; None in weights of format 1 from before there was one.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    phase: str
    architecture: Annotated[dict[str, Any], _says(Network)]
    config: Annotated[dict[str, Any], _says(Run)]
    epoch: Annotated[_Integer, Field(ge=1)]
    metrics: dict[str, _Number | None]
    class_set: Annotated[ClassSet, BeforeValidator(ClassSet.of)] | None = None
    size: tuple[_Side, _Side] | tuple[_Side, _Side, _Side] | None = None
    resize_mode: Literal["letterbox", "stretch"] | None = None
    value_range: Annotated[tuple[_Number, _Number] | None, AfterValidator(_rising)] = None
    ground: Literal["white", "black"] | None = None
    preprocess: str | None = None
    volumes: dict[str, Any] | None = None
    pictures_seen: Annotated[str, AfterValidator(_pictures)] = ""
    outside_weights: tuple[str, ...] = ()
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    def __post_init__(self) -> None:
        if self.phase == "transfer_learning":
            count = self.architecture.get("num_classes", 3)  # once there was no other number
            if len(self.classes) != count:
                raise UserError(f"class_set names {len(self.classes)} classes, the network tells {count!r} apart")
        if self.size is not None and len(self.size) != self.network.dims:
            raise UserError(f"size has {len(self.size)} sides, what the network takes {self.network.dims}")

    @classmethod
    def of(cls, content: Mapping[str, Any], where: str) -> Self:
        """Check what `header_content` returned; what weights of before called otherwise gets the names of today.

        Raises:
            UserError: something is missing, of another type, absurd, or not known here.
        """
        # What was seen is noted since after there are digests.
        if content.get("sha256") is None and (content.get("format_version") != 1 or "pictures_seen" in content):
            raise UserError(f"{where} lacks the digest that it was written with, so it was altered since: {ANEW}")
        known = {name: value for name, value in content.items() if name not in ("format_version", "class_names")}
        if "class_names" in content:  # those of Pets
            names = content["class_names"]
            known.setdefault("class_set", {"names": names, "background": 0, "ignored_is": "border", "colours": []})
        if isinstance(content.get("size"), int):  # the side of a square
            known["size"] = [content["size"]] * 2
        try:
            return TypeAdapter(cls).validate_python(known)
        except ValidationError as errors:
            raise UserError(f"{where}: its header is damaged ({first_problem(errors)}): {ANEW}") from None

    @cached_property
    def network(self) -> Network:
        """What both phases know of the network."""
        return TypeAdapter(Network).validate_python(self.architecture)

    @cached_property
    def parts(self) -> NetworkConfig:
        """What the network is made of beside its encoder."""
        return NetworkConfig(**{name: getattr(self.network, name) for name in NetworkConfig().network()})

    @cached_property
    def run(self) -> Run:
        """What is known of the run."""
        return TypeAdapter(Run).validate_python(self.config)

    @cached_property
    def seen(self) -> np.ndarray:
        """The pictures that the weights learned from, [N] int64, sorted; `UNKNOWN` where they do not tell."""
        return of_text(self.pictures_seen) if self.pictures_seen else UNKNOWN

    @property
    def classes(self) -> ClassSet:
        """What weights of phase 2 tell apart; raises UserError where none are named."""
        if self.class_set is None:
            raise UserError("class_set: it names no classes")
        return self.class_set


def read_header(path: Path) -> Header:
    """Return what a weights file of ours says about itself.

    Raises:
        UserError: no such file, not safetensors, cut short, not ours, of another format version, or damaged.
    """
    return Header.of(header_content(path), str(path))


def header_content(path: Path) -> dict[str, Any]:
    """Return the header of a weights file of ours as it stands there, its fields unchecked. Raises as `read_header`."""
    _require_weights(path)
    try:
        with safe_open(path, framework="np"):  # it checks the outer header, in which names may stand twice for it
            content = parse_json(_metadata(path).get(HEADER_KEY, "null"), str(path))
    except (SafetensorError, ValueError) as error:
        why = error.reason if isinstance(error, NotJSONError) else error
        raise UserError(f"{path} is not a whole safetensors file ({why}): {ANEW}") from None
    if not isinstance(content, dict) or "format_version" not in content:
        raise UserError(f"{path} was not written by this project: its header lacks {HEADER_KEY!r}")
    if content["format_version"] not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise UserError(f"{path} has format version {content['format_version']}, this code reads {known}")
    return content


def _metadata(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        outer = parse_json(file.read(int.from_bytes(file.read(8), "little")), str(path))
    return outer.get("__metadata__", {})


def _require_weights(path: Path) -> None:
    """Raise UserError for what is no file, or plainly another kind of file."""
    if path.is_dir():
        held = next((f"model{suffix}" for suffix in EXPORTED if (path / f"model{suffix}").is_file()), None)
        raise UserError(f"{path} is a folder: give the weights in it, {path / (held or 'best_model.safetensors')}")
    if not path.is_file():
        raise UserError(f"no weights at {path}: a training run leaves them as best_model.safetensors in its folder")
    if readable(path) != str(path):
        raise UserError(f"{path} is no valid UTF-8, and safetensors opens nothing else: rename that folder or file")
    if path.suffix == ".bin" and path.with_suffix(".xml").is_file():
        raise UserError(f"{path} holds the numbers of {path.with_suffix('.xml')}: give that")
    if path.suffix in EXPORTED:
        raise UserError(f"{path} is an exported network: give the weights of a training run, best_model.safetensors")
    with path.open("rb") as file:
        begins = file.read(64)
    if not begins:
        raise UserError(f"{path} is empty: {ANEW}")
    for mark, what, remedy in STRANGERS:
        # A safetensors file begins with a length of 8 bytes, which may be any.
        if begins.startswith(mark) and begins[8:9] != b"{":
            raise UserError(f"{path} is {what}, not a safetensors file: {remedy}")
