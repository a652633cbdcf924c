"""What a preparation says of itself: manifest, fingerprint, report."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.errors import UserError
from data.manifest import SPLITS
from data.on_disk import sorted_rows
from data.prepare_config import PrepareConfig
from data.prepared.fingerprint import FORMAT_VERSION, Seal, fingerprint_of
from data.prepared.lacking import without_masks
from data.preparing.journal import Journal
from data.sources.source import Source

Note = tuple[str, str, str]  # file, action, reason


def make_manifest(config: PrepareConfig, source: Source, journal: Journal) -> dict[str, Any]:
    """Return the manifest of the pictures that the journal keeps; the records of its images are an iterator."""
    settings = config.settings()
    channels = config.preprocessing.channels_after(source.channels)
    meaning = {"class_set": source.classes.content(), "channels": channels, "stratum": source.stratum}
    held, pixels, tags = journal.held()
    volumes = _of_volumes(source, journal) if source.plan else {}
    seal = Seal()

    def sealed() -> Iterator[tuple[dict[str, Any], str]]:
        for entry in journal.entries():
            seal.add(_record(entry))
            yield entry["record"], entry["digest"]

    head = {
        "format_version": FORMAT_VERSION,
        **settings,
        **source.details,
        **meaning,
        **volumes,
        "tags": tags,
        "counts": {split: journal.counts(split) for split in SPLITS},
        "pictures_of_classes": {split: [held[split][c] for c in range(len(source.classes))] for split in SPLITS},
        "pixels_of_classes": {split: [pixels[split][c] for c in range(len(source.classes))] for split in SPLITS},
        "fingerprint": fingerprint_of({**settings, **meaning}, sealed()),
    }
    return {**head, "sha256": seal.close(head), "images": map(_record, journal.entries())}


def _of_volumes(source: Source, journal: Journal) -> dict[str, Any]:
    """Return what the manifest says of volumes besides; `details` hold the intensities."""
    assert source.plan is not None, "asked for volumes alone"
    shapes = [entry["record"]["geometry"]["shape"] for entry in journal.entries()]
    size = [max(shape[axis] for shape in shapes) for axis in range(3)]
    return {"dims": 3, "size": size, "spacing": source.plan.spacing, "label_values": source.plan.values}


def _record(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry["record"], "sha256": entry["digest"], "content": entry["look"].content}


def require_classes(source: Source, manifest: Mapping[str, Any]) -> None:
    """See that masks to train with hold two classes.

    Raises:
        UserError: there are such masks, and fewer than two classes in them; with the likely reason.
    """
    masks = manifest["counts"]["Train"]["labelled"]
    if not masks:
        return
    pictures = manifest["pictures_of_classes"]
    found = [number for number, count in enumerate(pictures["Train"]) if count]
    if len(found) > 1:
        return
    names, background = source.classes.names, source.classes.background
    elsewhere = [
        name
        for number, name in enumerate(names)
        if number not in found and any(counts[number] for counts in pictures.values())
    ]
    if not found:
        held, likely = "no class at all, only what is ignored", "the value of the object is probably ignored"
    elif found == [background]:
        held = f"no class but the background, {names[found[0]]}"
        likely = "the value of the object is probably ignored or counted as background (255 beside 0, say)"
    else:
        held = f"one class alone, {names[found[0]]}"
        likely = "what lies around the objects has probably no value of its own, or is ignored"
    if elsewhere:
        likely = f"{', '.join(elsewhere[:5])} lies in Val and Test alone: another --seed or ratio puts some into Train"
    raise UserError(
        f"the {masks} masks of Train hold {held}, so nothing could be told apart: {likely}. Look at what your masks "
        "hold (python -m data.inspect), and at --classes and --ignore_value"
    )


def splits_without_masks(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Yield a note for each split that has no mask although others have."""
    labelled = {split: manifest["counts"][split]["labelled"] for split in SPLITS}
    for split, count in labelled.items():
        if any(labelled.values()) and not count:
            yield f"note: {without_masks(split, labelled, manifest['dataset'])}"


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


def make_report(notes: Iterator[Note]) -> Iterator[dict[str, str]]:
    """Return the entries of the report in the order of their files."""
    return (dict(zip(("file", "action", "reason"), note, strict=True)) for note in sorted_rows(notes, 3))
