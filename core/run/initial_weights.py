"""Starting a run from weights of its own network and phase (`--init_weights`)."""

from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256
from core.networks.batch_norms import is_folded, require_norms_fit
from core.networks.network_config import NetworkConfig
from core.run.task import Task
from core.train_config import TrainConfig, by_content
from core.weights import arguments_of, load_strictly, load_weights

# What training draws and evaluation does not: other rates make no other network.
FREE = ("encoder_dropout", "decoder_dropout")


def load_initial(task: Task, path: Path) -> None:
    """Load every tensor of weights into the task's network.

    Raises:
        UserError: the weights are of another phase, network or classes (names the first difference), or have batch
            norms folded that would learn.
    """
    tensors, theirs = load_weights(path)
    ours = task.header()
    if theirs.phase != ours["phase"]:
        raise UserError(
            f"{path} comes from {theirs.phase}, this run is {ours['phase']}: --init_weights takes weights of its "
            "own phase (--pretrained_encoder carries phase 1's encoder over to phase 2)"
        )
    if ("teacher" in theirs.architecture) != ("teacher" in ours["architecture"]):
        raise UserError(
            f"{path} is of another network: --init_weights takes what --pretext distil left for such a run alone "
            "(phase 2 takes its encoder: --pretrained_encoder)"
        )
    before = NetworkConfig().network()
    there = arguments_of(type(task.model), theirs, str(path))
    for name, value in ours["architecture"].items():
        # Once there were fewer choices; where the default was none of them, the tensors tell.
        known = there.get(name, before.get(name, value))
        if name not in FREE and known != value:
            raise UserError(f"{path} is of another network: {name} {known!r} there, {value!r} here")
    if "class_set" in ours:
        other, own = theirs.classes.names, tuple(ours["class_set"]["names"])
        if other != own:
            raise UserError(f"{path} tells other classes apart: {', '.join(other)} there, {', '.join(own)} here")
    load_strictly(task.model, tensors, str(path))
    require_norms_fit(task.model.get_submodule("encoder"), str(path), task.norms_learn)
    if is_folded(task.model.get_submodule("decoder")):
        raise UserError(
            f"{path} has the batch norms of its decoder folded into its convolutions, and statistics of batches would "
            "destroy what it knows: such weights are for evaluation and prediction; for training take their encoder "
            "(--encoder_weights) under a decoder of your own"
        )


def sha256_of_initial(config: TrainConfig) -> dict[str, Any]:
    """Return what makes a run of other initial weights, or of another encoder's, another run: {} without any."""
    whole = {"init_weights_sha256": file_sha256(config.init_weights)} if config.init_weights else {}
    return {**whole, **by_content(config)}
