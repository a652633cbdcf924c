"""What a person sees of a preparation."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.terminal.screen import say, screen
from data.manifest import SPLITS
from data.preparing.contents import Note
from data.sources.table import DATA_SETS

SHARES_SHOWN = 12
Noted = tuple[int, str]  # how often, and the first file with its reason


def count_notes(notes: Iterable[Note]) -> dict[str, Noted]:
    """Return how often the report tells of which action, and where first."""
    noted: dict[str, Noted] = {}
    for file, action, reason in notes:
        count, first = noted.get(action, (0, f"{file}: {reason}"))
        noted[action] = count + 1, first
    return noted


def print_summary(output: Path, manifest: Mapping[str, Any], noted: Mapping[str, Noted], seconds: float) -> None:
    """Say what was made of how many pictures, what their masks hold, and what the report tells."""
    counts, names = manifest["counts"], manifest["class_set"]["names"]
    pixels = Counter(dict(zip(names, manifest["pixels_of_classes"]["Train"], strict=True)))
    if total := pixels.total():
        shares = ", ".join(f"{name} {count / total:.1%}" for name, count in pixels.most_common(SHARES_SHOWN))
        more = f" and {len(pixels) - SHARES_SHOWN} classes more" if len(pixels) > SHARES_SHOWN else ""
        say(f"the masks of Train hold {shares}{more}")
    splits = ", ".join(f"{split} {counts[split]['images']} ({counts[split]['labelled']} labelled)" for split in SPLITS)
    total = sum(members["images"] for members in counts.values())
    say(f"{output}: {total} {'volumes' if manifest.get('dims') == 3 else 'images'} in {seconds:.1f} s: {splits}")
    if noted:
        told = ", ".join(f"{count} {action} (first {first})" for action, (count, first) in noted.items())
        say(f"{told}: see {output / 'prepare_report.json'}")


def print_data_sets() -> None:
    """Print the table of data sets: a block each, since citations are long."""
    from rich.text import Text

    console = screen(highlight=False)
    for name, row in DATA_SETS.items():
        told = {
            "classes": row.classes,
            "splits": row.splits,
            "--variant": ", ".join(row.variants),
            "licence": row.licence,
            "cite": row.citation,
            "from": row.address,
        }
        console.print(Text.assemble((name, "bold"), f": {row.title}"), soft_wrap=True)
        for what, text in told.items():
            if text:
                console.print(f"    {what}: {text}", soft_wrap=True, markup=False)
    console.print(
        "Lists in the folder of --archives (train.txt, ..., or split.json) win over these splits.", soft_wrap=True
    )
