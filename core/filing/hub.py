"""Weights on the Hugging Face Hub: `hf://USER/NAME` wherever a command takes a file of weights."""

import dataclasses
import os
import re
from pathlib import Path
from typing import Any

from core.errors import UserError

FILE = "best_model.safetensors"
PATIENCE = 5  # seconds to connect, and for each part of an answer; HF_HUB_ETAG_TIMEOUT says otherwise
REPOSITORY = r"[\w.-]+/[\w.-]+"
# A path has lost one of the two slashes.
_PLACE = re.compile(rf"hf:/{{1,2}}(?P<repository>{REPOSITORY})(?:@(?P<revision>[\w./-]+))?")


def is_on_hub(path: Path | str | None) -> bool:
    """Say whether a path names weights on the hub."""
    return path is not None and str(path).startswith("hf:/")


def fetched(path: Path | str) -> Path:
    """Return where the weights of `hf://USER/NAME` or `hf://USER/NAME@REVISION` lie, fetched into the hub's cache.

    What is there already and has not changed is not fetched again; without a network, what is there counts.

    Raises:
        UserError: not written so, no such repository or weights in it, no access, or no network.
    """
    match = _PLACE.fullmatch(str(path))
    if not match:
        written = str(path).replace("hf:/", "hf://", 1) if isinstance(path, Path) else path
        raise UserError(f"{written} is not written as hf://USER/NAME, or hf://USER/NAME@REVISION")
    repository, revision = match["repository"], match["revision"]
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    place = f"hf://{repository}"
    try:
        return _downloaded(repository, revision)
    except GatedRepoError:
        raise UserError(f"{place} asks for consent: give it on its page, then `hf auth login`") from None
    except RepositoryNotFoundError:
        raise UserError(f"{place} is not there, or not for you: see its name, or `hf auth login`") from None
    except RevisionNotFoundError:
        raise UserError(f"{place} has no revision {revision}") from None
    except LocalEntryNotFoundError:
        raise _unreachable(place) from None
    except EntryNotFoundError:
        raise UserError(f"{place} holds no {FILE}: it is no repository that `ae-pretrained push` made") from None
    except (HfHubHTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{place} could not be fetched: {reason}") from None


def _downloaded(repository: str, revision: str | None) -> Path:
    """Return where the weights lie in the cache. Raises the hub's errors, UserError where it cannot be reached.

    Of what is not in the cache the hub's own function asks six times, with a line each, before it gives up: whether
    there is a hub is seen first.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = os.environ.get("HF_ENDPOINT")
    patience = constants.HF_HUB_ETAG_TIMEOUT if "HF_HUB_ETAG_TIMEOUT" in os.environ else PATIENCE
    if not isinstance(try_to_load_from_cache(repository, FILE, revision=revision), str):
        try:
            get_hf_file_metadata(hf_hub_url(repository, FILE, revision=revision, endpoint=endpoint), timeout=patience)
        except HfHubHTTPError:
            raise
        except of_transport():
            raise _unreachable(f"hf://{repository}") from None
    return Path(hf_hub_download(repository, FILE, revision=revision, endpoint=endpoint, etag_timeout=patience))


def of_transport() -> tuple[type[Exception], ...]:
    """Return what is raised where the hub cannot be reached.

    The transport below it is another one from version to version: of its errors the hub's own are made.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(kind for kind in HfHubHTTPError.__bases__ if issubclass(kind, Exception))


def _unreachable(place: str) -> UserError:
    return UserError(f"{place} is not in the cache, and the hub cannot be reached: see the network")


def with_fetched(config: Any) -> Any:
    """Return settings in which paths on the hub are those of the files that were fetched."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, Path) and is_on_hub(value):
            changed[field.name] = fetched(value)
        elif isinstance(value, tuple) and any(isinstance(part, Path) and is_on_hub(part) for part in value):
            changed[field.name] = tuple(fetched(part) if is_on_hub(part) else part for part in value)
    return dataclasses.replace(config, **changed) if changed else config
