"""The state from which a run goes on: tensors and plain values, read with `weights_only=True`: nothing is unpickled.

A state is a ZIP archive, as torch writes it, whose comment is the digest of all before it.
"""

import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from pydantic import ConfigDict, Field, FiniteFloat, StrictBool, StrictFloat, StrictInt, TypeAdapter
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

from core.errors import UserError
from core.files import atomic_path
from core.run.epoch_sums import EpochSums
from core.run.learning.average import Average
from core.run.task import Task
from core.weights import require_fit

STATE_VERSION = 3  # as 2, of which some, from before there was one, lack the digest
READABLE = (2, STATE_VERSION)
STATE, PREVIOUS_STATE = "state.ckpt", "state.previous.ckpt"
DIGEST = b"sha256:"
COMMENT = len(DIGEST) + 64
END_OF_ZIP = b"PK\x05\x06"  # what begins the last 22 bytes before the comment
# What an optimiser keeps of each parameter.
_OF_ADAM = {"step", "exp_avg", "exp_avg_sq"}
KEPT: dict[type[Optimizer], set[str]] = {Adam: _OF_ADAM, AdamW: _OF_ADAM, SGD: {"momentum_buffer"}}

_Count = Annotated[StrictInt, Field(ge=0)]


@dataclass(frozen=True)
class Best:
    """The best epoch so far, or the last (`Task.keeps_last`), and its score."""

    score: FiniteFloat
    epoch: Annotated[StrictInt, Field(ge=1)]


@dataclass(frozen=True)
class State:
    """What a run goes on from.

    Attributes:
        model, optimizer, precision: what `state_dict` of each returned.
        step: the next one.
        sums: of the row of the log that is under way.
        rows: of the log.
        best: None where no row could be scored.
        finished: whether the run has ended.
        extended_to: how long the run has become (`TrainConfig.extend_to`).
        patient_since: the epoch from which patience counts.
        carried: what the task carries from step to step.
        average: the averaged weights (`core.run.learning.average`), {} without.
    """

    __pydantic_config__: ClassVar = ConfigDict(arbitrary_types_allowed=True)

    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    precision: dict[str, Any]
    step: _Count
    sums: EpochSums
    rows: list[dict[str, StrictInt | StrictFloat | None]] = field(repr=False)
    best: Best | None
    finished: StrictBool
    extended_to: _Count | None = None
    patient_since: _Count = 0
    carried: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)

    def require_length(self, total_steps: int, steps_per_epoch: int, folder: Path) -> None:
        """See that the rows are those of a run of this length, up to its step.

        Raises:
            UserError: they are more or fewer, or the step is beyond the end.
        """
        numbers = [row.get("epoch") for row in self.rows]
        begun = -(-self.step // steps_per_epoch)  # the last of these rows may be under way
        # A run that was extended in the middle of an epoch has a row more each time.
        most = begun if self.extended_to is None else self.step
        known = [0, self.patient_since, self.best.epoch if self.best else 0]
        whole = numbers == [*range(1, len(numbers) + 1)] and max(known) <= len(numbers)
        if self.step > total_steps or not begun - 1 <= len(numbers) <= most or not whole:
            raise UserError(
                f"{folder} holds a state that is none of this run: step {self.step} of {total_steps}, and "
                f"{len(numbers)} rows of {steps_per_epoch} steps: delete the folder to train anew"
            )

    def load_into(self, task: Task, load_precision: Callable[[dict[str, Any]], None], folder: Path) -> None:
        """Give a task its network's and optimiser's state; the optimiser's settings remain those of the task.

        Raises:
            UserError: they are those of another network.
        """
        require_fit(task.model.state_dict(), self.model, f"the state in {folder}")
        task.model.load_state_dict(self.model)
        groups = task.optimizer.param_groups
        settings = [{name: value for name, value in group.items() if name != "params"} for group in groups]
        try:
            task.optimizer.load_state_dict(self.optimizer)
            for group, own in zip(task.optimizer.param_groups, settings, strict=True):
                group.update(own)
            load_precision(self.precision)
            for parameter, kept in task.optimizer.state.items():
                _require_kept(task.optimizer, parameter, kept)
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"the state in {folder} does not fit its optimiser ({reason}): delete the folder to train anew"
            ) from None

    def hand_on(self, task: Task, average: Average | None, folder: Path) -> None:
        """Give a task what it carries from step to step, and averaged weights theirs.

        Raises:
            UserError: they are those of another run.
        """
        try:
            task.carry_on(self.carried)
        except (LookupError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise UserError(
                f"the state in {folder} is of other pictures ({reason}): delete the folder to train anew"
            ) from None
        if average:
            average.load(self.average, f"the averaged weights in the state in {folder}")


def _require_kept(optimizer: Optimizer, parameter: Tensor, kept: Mapping[str, Any]) -> None:
    """Raise ValueError where an optimiser does not find what it keeps of a parameter."""
    wanted = next(names for kind, names in KEPT.items() if isinstance(optimizer, kind))
    if kept.keys() != wanted:
        raise ValueError(f"{', '.join(map(str, kept)) or 'nothing'} instead of {', '.join(sorted(wanted))}")
    for name, value in kept.items():
        if value is None and isinstance(optimizer, SGD):  # before its first step
            continue
        if not isinstance(value, Tensor):
            raise ValueError(f"{name} is {value!r:.40}, no tensor")
        if value.shape != (() if name == "step" else parameter.shape):
            raise ValueError(f"{name} of shape {tuple(value.shape)} for a parameter of {tuple(parameter.shape)}")
        if not value.isfinite().all():
            raise ValueError(f"{name} holds values that are not finite")


def save_state(folder: Path, state: dict[str, Any]) -> None:
    """Write the run state (the fields of `State`, `sums` as plain values); the one before is kept beside it."""
    content = io.BytesIO()
    torch.save({"format_version": STATE_VERSION, **state}, content)
    content.seek(-2, os.SEEK_END)
    assert content.read() == bytes(2), "a ZIP archive without a comment ends with the comment's length"
    content.seek(-2, os.SEEK_END)
    content.write(COMMENT.to_bytes(2, "little"))
    content.write(DIGEST + sha256(content.getbuffer()).hexdigest().encode())
    with atomic_path(folder / STATE) as temporary:
        temporary.write_bytes(content.getbuffer())
        if (folder / STATE).exists():
            os.replace(folder / STATE, folder / PREVIOUS_STATE)


def load_state(folder: Path, writes: bool = False) -> State | None:
    """Return the newest whole run state, None where there is none yet.

    A damaged one is passed over. The process that `writes` says so and removes it, or else the next save would put it
    in the place of the whole one before.

    Raises:
        UserError: if states are there but all are damaged, or of another format version.
    """
    damaged: list[Path] = []
    for path in (folder / STATE, folder / PREVIOUS_STATE):
        if not path.exists():
            continue
        state = _whole(path)
        if state is None:
            damaged.append(path)
            continue
        if damaged and writes:
            print(f"note: {damaged[0].name} is damaged; going on from {path.name}")
            damaged[0].unlink()
        return state
    if damaged:
        names = " and ".join(path.name for path in damaged)
        raise UserError(f"{folder}: {names} damaged: delete the folder to train anew")
    return None


def _whole(path: Path) -> State | None:
    """Return what a state file holds, None where it is damaged; raises UserError for another format version."""
    if not path.is_file():  # a pipe would wait for ever
        return None
    content = path.read_bytes()
    if not _is_as_written(content):
        return None
    try:
        values = dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    except MemoryError:
        raise
    except Exception:  # a state of before, without a digest, can be damaged in ways that each raise something else
        if _has_digest(content):
            raise
        return None
    found = values.pop("format_version", 1)
    if found not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise UserError(
            f"{path} has format version {found}, this code reads {known}: "
            "choose another --output_dir, or finish the run with the code that began it"
        )
    if found == STATE_VERSION and not _has_digest(content):  # it was written with one
        return None
    try:
        return TypeAdapter(State).validate_python(values)
    except ValueError:  # pydantic's own error is one
        return None


def _is_as_written(content: bytes) -> bool:
    if _has_digest(content):
        return content[-COMMENT:] == DIGEST + sha256(memoryview(content)[:-COMMENT]).hexdigest().encode()
    # States of before have the check sums of the archive's members alone, at which torch.load does not look.
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as container:
            return container.testzip() is None
    except Exception:  # as above
        return False


def _has_digest(content: bytes) -> bool:
    # Either says so, and a flipped bit is in one of them at most.
    return content[-COMMENT:].startswith(DIGEST) or content[-COMMENT - 22 :].startswith(END_OF_ZIP)
