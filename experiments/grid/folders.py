"""The run folders that an unfinished grid would go on in: whether the runs in them are its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.files import file_sha256
from experiments.grid.jobs import PretrainingWork, Work
from experiments.grid.prepared import Data
from experiments.grid.variants import differing
from experiments.runs import read_json


def require_same_folders(works: Sequence[Work], data: Data) -> None:
    """Compare the run folders of works that are to be done with what they would do there, before anything trains.

    Raises:
        UserError: names the first folder that holds a run on other data, with other settings or from another
            pretraining, and the difference.
    """
    encoders = {}
    for work in works:
        for need in work.needs:
            # Of one that is yet to be trained nothing is known.
            if isinstance(need, PretrainingWork) and need not in works and need not in encoders:
                encoders[need] = file_sha256(need.weights)
        for folder, wanted in work.run_folders():
            found = list(_differences(work, folder, wanted, data, encoders))
            if found:
                raise UserError(
                    f"{folder} holds another run ({'; '.join(found)}): delete that folder or choose another output_dir"
                )


def _differences(
    work: Work, folder: Path, wanted: dict[str, Any], data: Data, encoders: dict[Work, str]
) -> Iterator[str]:
    path = folder / "training_config.json"
    if not path.exists():
        return
    try:
        there = read_json(path)["identity"]
    except (UserError, KeyError):
        raise UserError(f"{path} is damaged: delete {folder}") from None
    if there.get("data_fingerprint") != data.sha256:
        yield "other data"
    yield from differing(there, wanted, work.phase)
    for need in work.needs:
        if need in encoders and there.get("pretrained_encoder_sha256") != encoders[need]:
            yield f"began with other weights of {need.name}"
