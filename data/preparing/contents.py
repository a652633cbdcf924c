"""What a preparation says of itself: manifest, fingerprint, report."""

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from core.errors import UserError
from data.manifest import FORMAT_VERSION, SPLITS
from data.on_disk import sorted_rows
from data.prepare_config import PrepareConfig
from data.preparing.journal import Journal
from data.sources.source import Source

Note = tuple[str, str, str]  # file, action, reason


def make_manifest(config: PrepareConfig, source: Source, journal: Journal) -> dict[str, Any]:
    """Return the manifest of the pictures that the journal keeps; the records of its images are an iterator."""
    settings = config.settings()
    meaning = {"class_set": source.classes.content(), "channels": source.channels, "stratum": source.stratum}
    held, tags = journal.held()
    return {
        "format_version": FORMAT_VERSION,
        **settings,
        **source.details,
        **meaning,
        "tags": tags,
        "counts": {split: journal.counts(split) for split in SPLITS},
        "pictures_of_classes": {split: [held[split][c] for c in range(len(source.classes))] for split in SPLITS},
        "fingerprint": _fingerprint({**settings, **meaning}, journal.entries()),
        "images": (entry["record"] for entry in journal.entries()),
    }


def require_classes(source: Source, manifest: Mapping[str, Any]) -> None:
    """See that masks to train with hold two classes.

    Raises:
        UserError: there are such masks, and fewer than two classes in them.
    """
    if not manifest["counts"]["Train"]["labelled"]:
        return
    names = zip(source.classes.names, manifest["pictures_of_classes"]["Train"], strict=True)
    found = [name for name, count in names if count]
    if len(found) < 2:
        raise UserError(
            f"the masks of Train hold {f'one class alone, {found[0]}' if found else 'no class at all'}: nothing could "
            "be told apart. Look at what your masks hold (python -m data.inspect), or at --classes and --ignore_value"
        )


def splits_without_masks(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each split that has no mask although others have."""
    counts = manifest["counts"]
    labelled = sum(counts[split]["labelled"] for split in SPLITS)
    lack = {
        "Train": "phase 2 can learn nothing",
        "Val": "phase 2 cannot choose its weights",
        "Test": "nothing is scored",
    }
    for split, consequence in lack.items():
        if labelled and not counts[split]["labelled"]:
            remedy = "other ratios, seed, splits or groups put some there"
            yield f"note: all {labelled} masks lie outside {split}, so {consequence}: {remedy}"


def classes_not_held(source: Source, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the classes that no mask of Train holds, with what that means; none where Train has no mask at all."""
    if not manifest["counts"]["Train"]["labelled"]:
        return
    pictures = manifest["pictures_of_classes"]
    for number, name in enumerate(source.classes.names):
        if not pictures["Train"][number]:
            elsewhere = sum(pictures[split][number] for split in SPLITS)
            where = f"{elsewhere} of Val and Test do" if elsewhere else "nor does any other"
            yield name, f"no mask of Train holds this class, {where}: it cannot be learned"


def _fingerprint(settings: dict[str, Any], entries: Iterator[dict[str, Any]]) -> str:
    # Neither paths nor times: the same data prepared elsewhere have the same fingerprint.
    portable = {key: value for key, value in settings.items() if key != "source"}
    contents = sorted_rows(((json.dumps([entry["record"], entry["digest"]], sort_keys=True),) for entry in entries), 1)
    # The digest of json.dumps([FORMAT_VERSION, portable, [text, …]], sort_keys=True), piece by piece.
    digest = sha256(json.dumps([FORMAT_VERSION, portable, []], sort_keys=True).removesuffix("]]").encode())
    separator = ""
    for (text,) in contents:
        digest.update(f"{separator}{json.dumps(text)}".encode())
        separator = ", "
    digest.update(b"]]")
    return digest.hexdigest()


def make_report(notes: Iterator[Note]) -> Iterator[dict[str, str]]:
    """Return the entries of the report in the order of their files."""
    return (dict(zip(("file", "action", "reason"), note, strict=True)) for note in sorted_rows(notes, 3))
