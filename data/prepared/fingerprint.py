"""The one number that prepared data are named by: SHA-256 over what decided them and over every picture."""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from data.on_disk import sorted_rows

FORMAT_VERSION = 2
_JSON = json.JSONEncoder(sort_keys=True)
_MEANING = ("dataset", "size", "resize_mode", "seed", "ratios", "class_set", "channels", "stratum")
_RECORD = ("name", "split", "tags", "labelled", "classes", "geometry")


def fingerprint_of(manifest: Mapping[str, Any], entries: Iterable[tuple[Mapping[str, Any], str]]) -> str:
    """Return the fingerprint of prepared data.

    Neither paths nor times have a say: the same data prepared elsewhere have the same fingerprint.

    Args:
        manifest: says what was prepared, and what it means.
        entries: each picture's record, and the SHA-256 of its written pixels.
    """
    portable = {name: manifest[name] for name in _MEANING}
    kept = (({name: record[name] for name in _RECORD}, digest) for record, digest in entries)
    texts = ((_JSON.encode(pair),) for pair in kept)
    # The digest of json.dumps([FORMAT_VERSION, portable, [text, …]], sort_keys=True), piece by piece.
    found = sha256(json.dumps([FORMAT_VERSION, portable, []], sort_keys=True).removesuffix("]]").encode())
    separator = ""
    for (text,) in sorted_rows(texts, 1):
        found.update(f"{separator}{json.dumps(text)}".encode())
        separator = ", "
    found.update(b"]]")
    return found.hexdigest()
