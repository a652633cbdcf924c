"""Pictures from the web: `--input https://...`."""

import urllib.request
from collections.abc import Container
from http.client import HTTPException
from pathlib import Path
from urllib.parse import unquote, urlsplit

from core.errors import UserError
from core.files import atomic_path
from data.sources.fetching.connection import connect

MOST_BYTES = 25_000_000
_AGENT = {"User-Agent": "ae-pretrained"}  # some servers refuse Python's own


def is_address(given: str) -> bool:
    """Say whether an input is an address, and not a path."""
    return given.lower().startswith(("https://", "http://"))


def fetch(address: str, folder: Path, taken: Container[str] = ()) -> Path:
    """Fetch a picture of at most 25 MB into a folder, under the last part of its address, or nearly so if it is taken.

    Raises:
        UserError: the server cannot be reached, says no, is too slow, or sends more than that.
    """
    try:
        name = unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2].replace("\0", "").lstrip(".") or "picture"
        with connect(urllib.request.Request(address, headers=_AGENT)) as response:
            content = response.read(MOST_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise UserError(f"{address} could not be fetched ({error or type(error).__name__})") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{address} has more than {MOST_BYTES // 10**6} MB: fetch it yourself and give the file")
    path = folder / _free(name, taken)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _free(name: str, taken: Container[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{Path(name).stem}-{number}{Path(name).suffix}"
    return free
