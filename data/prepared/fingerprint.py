"""The one number that prepared data are named by: SHA-256 over what decided them and over every picture.

Beside it the seal of the manifest: SHA-256 over all that stands in it, whatever it decides.
"""

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from data.on_disk import sorted_rows

FORMAT_VERSION, UNSEALED = 3, 2  # the same but that 2 may lack the seal
_NAMED_BY = 2  # what fingerprints begin with: the same data keep theirs
_JSON = json.JSONEncoder(sort_keys=True)
_MEANING = ("dataset", "size", "resize_mode", "seed", "ratios", "class_set", "channels", "stratum")
_RECORD = ("name", "split", "tags", "labelled", "classes", "geometry")


class Seal:
    """The digest of a whole manifest, which its field `sha256` keeps: of its records one by one, then of the rest."""

    def __init__(self) -> None:
        self._found = sha256()

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the next record of `images`."""
        self._found.update(f"{_JSON.encode(record)}\n".encode())

    def close(self, head: Mapping[str, Any]) -> str:
        """Return the digest, 64 hexadecimal digits, once all records were added.

        Args:
            head: the manifest without its records; `sha256` has no say.
        """
        read = json.loads(json.dumps(dict(head)))  # keys as they are read: texts, which sort otherwise than numbers
        read.pop("sha256", None)
        self._found.update(_JSON.encode(read).encode())
        return self._found.hexdigest()


def fingerprint_of(manifest: Mapping[str, Any], entries: Iterable[tuple[Mapping[str, Any], str]]) -> str:
    """Return the fingerprint of prepared data.

    Neither paths nor times have a say: the same data prepared elsewhere have the same fingerprint.

    Args:
        manifest: says what was prepared, and what it means.
        entries: each picture's record, and the SHA-256 of its written pixels.
    """
    portable = {name: manifest[name] for name in _MEANING if name in manifest}  # volumes have no size in common
    kept = (({name: record[name] for name in _RECORD}, digest) for record, digest in entries)
    texts = ((_JSON.encode(pair),) for pair in kept)
    # The digest of json.dumps([2, portable, [text, …]], sort_keys=True), piece by piece.
    found = sha256(json.dumps([_NAMED_BY, portable, []], sort_keys=True).removesuffix("]]").encode())
    separator = ""
    for (text,) in sorted_rows(texts, 1):
        found.update(f"{separator}{json.dumps(text)}".encode())
        separator = ", "
    found.update(b"]]")
    return found.hexdigest()
