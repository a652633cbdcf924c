"""Put weights on the Hugging Face Hub, with a card that says what they are: what they learned from, what they score.

Uploads best_model.safetensors, config.json (what the weights say of themselves), README.md (the card) and, if given,
the evaluation's JSON and a picture. Others then say `--model_path hf://USER/NAME`. You log in once, `hf auth login`.

    ae-pretrained push USER/NAME --model_path runs/mine/best_model.safetensors --results runs/mine/results \
        --data "my photographs" --data_licence "CC BY 4.0"
"""

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from tyro.conf import Positional, arg

from core.command import run_command
from core.errors import RunError, UserError

if TYPE_CHECKING:
    from core.headers.header import Header

CARD, CONFIG = "README.md", "config.json"
SCORES = {"mean_iou": "mean IoU", "mean_foreground_dice": "mean foreground Dice", "pixel_accuracy": "pixel accuracy"}


@dataclass(frozen=True)
class PushConfig:
    """Which weights, where to, and what the card says."""

    repository: Positional[Annotated[str, arg(metavar="USER/NAME")]] = ""
    """Where they go on the hub; made if it is not there."""
    model_path: Path | None = None
    """Weights of phase 2: a run's best_model.safetensors. Must be given."""
    results: Path | None = None
    """Their evaluation: a folder with evaluation_results.json, or that file. Its scores stand on the card."""
    picture: Path | None = None
    """A picture for the card, a PNG or JPEG: predictions, say."""
    data: str = ""
    """What they were trained on, in words. Must be given."""
    data_licence: str = ""
    """Its licence, in words, which may bind who uses the weights. Must be given."""
    licence: str = "other"
    """The weights' own, as the hub names it: mit, apache-2.0, cc-by-4.0, ..."""
    private: bool = False
    """A repository of your own eyes, where it is made."""
    folder: Path | None = None
    """Write what would be uploaded into this folder, new or empty, and upload nothing."""


def push(config: PushConfig) -> str:
    """Upload; returns the address of the repository.

    Raises:
        UserError: something is not given, is none, or does not belong to the weights.
        RunError: the hub refused, or could not be reached.
    """
    if config.folder is not None:
        _require_empty(config.folder)
    files = _files(config)
    if config.folder is not None:
        from core.files import atomic_path

        for name, content in files.items():
            (config.folder / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(config.folder / name) as temporary:
                temporary.write_bytes(content)
        print(f"written to {config.folder}, and nothing uploaded: {', '.join(files)}")
        return str(config.folder)
    return _upload(config, files)


def _require_empty(folder: Path) -> None:
    """Raise UserError where something lies that would be replaced, or would lie beside a card that is not its own."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} is there and no empty folder: choose another --folder, or empty it")


def _files(config: PushConfig) -> dict[str, bytes]:
    """Return what is uploaded, by name."""
    import json

    from core.files import file_sha256, read_bytes
    from core.filing.hub import FILE, REPOSITORY
    from core.headers.header import header_content, read_header
    from core.weights import load_weights

    if config.model_path is None:
        raise UserError("give the weights: --model_path runs/mine/best_model.safetensors")
    if (config.repository or config.folder is None) and not re.fullmatch(REPOSITORY, config.repository):
        raise UserError("name the repository: ae-pretrained push USER/NAME --model_path ...")
    for name, what in (
        ("data", "what they were trained on"),
        ("data_licence", "the licence of what they learned from"),
    ):
        if not getattr(config, name).strip():
            raise UserError(f'say {what}, for the card: --{name} "..."')
    load_weights(config.model_path)  # which checks them
    header = read_header(config.model_path)
    if header.phase != "transfer_learning":
        raise UserError(f"{config.model_path} comes from {header.phase}: weights of phase 2 are pushed")
    digest = file_sha256(config.model_path)
    found = _results(config.results, digest) if config.results else None
    picture = _picture(config.picture) if config.picture else None
    files = {
        FILE: read_bytes(config.model_path),
        CONFIG: (json.dumps(header_content(config.model_path), indent=1) + "\n").encode(),
        CARD: _card(config, header, found, picture[0] if picture else None).encode(),
    }
    if found:
        files["evaluation_results.json"] = (json.dumps(found, indent=1) + "\n").encode()
    if picture:
        files[picture[0]] = picture[1]
    return files


def _results(path: Path, weights_sha256: str) -> dict[str, Any]:
    """Return an evaluation's content; raises UserError where it is none, or of other weights."""
    from core.evaluation import RESULT_FILES
    from core.filing.json_file import read_json

    file = path / RESULT_FILES["transfer_learning"] if path.is_dir() else path
    if not file.is_file():
        raise UserError(f"{file} is not there: ae-pretrained evaluate writes it")
    found = read_json(file)
    if not isinstance(found, dict) or "mean_iou" not in found or not isinstance(found.get("provenance"), dict):
        raise UserError(f"{file} is no evaluation of phase 2")
    if found["provenance"].get("checkpoint_sha256") != weights_sha256:
        raise UserError(f"{file} is of other weights than these: evaluate these, or give theirs")
    return found


def _picture(path: Path) -> tuple[str, bytes]:
    from core.files import read_bytes
    from data.pictures import PictureError, read_picture

    try:
        read_picture(path)
    except (PictureError, OSError) as error:
        raise UserError(f"--picture {path}: {error}") from None
    suffix = path.suffix.lower()
    if suffix not in (".png", ".jpg", ".jpeg"):
        raise UserError(f"--picture {path}: the hub shows PNG and JPEG")
    return f"picture{suffix}", read_bytes(path)


def _card(config: PushConfig, header: "Header", found: Mapping[str, Any] | None, picture: str | None) -> str:
    """Return the card: what the hub reads, then what people read."""
    from core.evaluation import in_words

    name = config.repository.partition("/")[2] or "these weights"
    about = {
        "license": config.licence,
        "library_name": "ae-pretrained",
        "pipeline_tag": "image-segmentation",
        "tags": ["image-segmentation", "semantic-segmentation", "ae-pretrained"],
    }
    size = f"{in_words(header.size)} px" if header.size else "any size"
    lines = [
        f"---\n{yaml.safe_dump(about, sort_keys=False)}---",
        f"# {name}",
        *([f"![Predictions]({picture})"] if picture else []),
        f"Segmentation of {len(header.classes)} classes: {', '.join(header.classes.names)}.",
        f"- **Trained on** {config.data} ({config.data_licence}).",
        f"- **Network**: encoder {header.network.encoder}; pictures are seen at {size}.",
        f"- **Outside weights**: {', '.join(_outside(header)) or 'none'}.",
        *(_scores(found) if found else ["- **Scores**: none are given."]),
        "## Use",
        f"```sh\nae-pretrained predict --model_path hf://{config.repository or 'USER/NAME'} --input photos\n```",
        f"```python\nfrom ae_pretrained import Segmenter\n\n"
        f'segmenter = Segmenter.from_pretrained("{config.repository or "USER/NAME"}")\n'
        'mask, confidence = segmenter("photo.jpg")\n```',
    ]
    return "\n\n".join(lines) + "\n"


def _outside(header: "Header") -> list[str]:
    """Return what of the weights learned from other pictures."""
    began = str(header.config.get("encoder_weights") or "none")
    return [*header.outside_weights, *([f"the encoder began with {began}"] if began != "none" else [])]


def _scores(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of an evaluation's scores, with their intervals."""
    part = found["provenance"].get("split", "Test")
    on = f"On {found.get('num_images', '?')} pictures of {part}, at their own size; 95 % intervals over pictures."
    yield f"## Scores\n\n{on}"
    intervals = found.get("intervals") or {}
    rows = [(title, found.get(name), intervals.get(name)) for name, title in SCORES.items()]
    rows += [
        (f"IoU {name}", scores.get("iou"), (intervals.get("classes") or {}).get(name, {}).get("iou"))
        for name, scores in found.get("classes", {}).items()
    ]
    table = [
        f"| {title} | {value:.3f} | {'' if not limits else f'{limits[0]:.3f} to {limits[1]:.3f}'} |"
        for title, value, limits in rows
        if isinstance(value, float)
    ]
    yield "\n".join(["| score | value | interval |", "|---|---:|---:|", *table])


def _upload(config: PushConfig, files: Mapping[str, bytes]) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    from core.filing.hub import of_transport

    unreachable: tuple[type[Exception], ...] = (OSError, *of_transport())
    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="ae-pretrained")
    try:
        address = api.create_repo(config.repository, private=config.private or None, exist_ok=True)
        operations = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=content) for name, content in files.items()]
        api.create_commit(config.repository, operations, commit_message="Weights by ae-pretrained push")
    except LocalTokenNotFoundError:
        raise UserError("the hub does not know you: `hf auth login`, or set HF_TOKEN") from None
    except HfHubHTTPError as error:
        if getattr(error.response, "status_code", None) in (401, 403):
            why = "does not let you write there: `hf auth login`, or set HF_TOKEN"
            raise UserError(f"{config.repository}: the hub {why}") from None
        raise RunError(f"{config.repository}: the hub refused it: {_short(error)}") from None
    except unreachable as error:
        raise RunError(f"the hub cannot be reached ({_short(error)}): the same command begins anew") from None
    print(f"uploaded {', '.join(files)} to {address}")
    return str(address)


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the command; returns the exit code."""
    return run_command("transfer_learning.push", PushConfig, push, argv, section="push", description=__doc__)


if __name__ == "__main__":
    sys.exit(main())
