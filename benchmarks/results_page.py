"""benchmarks/results/README.md: the results of all processors side by side, from their JSON alone.

python -m benchmarks.results_page
"""

import json
import re
from argparse import ArgumentParser
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from core.files import atomic_path

RESULTS = Path(__file__).parent / "results"
PAGE = "README.md"
HEAD = """# Speed, by processor

Medians; a ratio's range over the rounds in brackets, behind the stroke the ratio of what the processor spent, workers
included. What the names mean: [docs/speed.md](../../docs/speed.md). Made by `python -m benchmarks.results_page`.
"""
PRECISIONS = {"off": "fp32", "bf16": "bf16", "fp16": "fp16"}
# What a device's name says of torch's threads when the command began.
THREADS = re.compile(r", (\d+) threads(?=\))")
Column = tuple[str, dict[str, Any]]  # a head, and what the cells below it are read from


def page(results: Path = RESULTS) -> str:
    """Return the whole page."""
    parts = [HEAD, *_ratios(results), *_backends(results), *_parts(results)]
    return "\n".join(parts)


def _found(results: Path, pattern: str, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the files of all processors that hold a key, which those of before threads were told apart lack."""
    for path in sorted(results.glob(f"*/{pattern}")):
        content = json.loads(path.read_text())
        if key in content:
            yield path, content


def _ratios(results: Path) -> Iterator[str]:
    """Yield a table of all ratios, a column a processor, size and number of threads, and the commands behind it."""
    columns: list[Column] = []
    told = []
    for path, content in _found(results, "summary*.json", "ratios"):
        name = f"{path.parent.name}, {content['settings']['size']} px"
        columns += [(f"{name}, {_threads(count)}", ratios) for count, ratios in content["ratios"].items()]
        told.append(_origin(path, content, content["ratios"]))
    if columns:
        yield "## Ratios\n"
        yield _table("ratio", columns, _ratio)
        yield from told


def _backends(results: Path) -> Iterator[str]:
    """Yield a table of each file of backends, and its command."""
    for path, content in _found(results, "backends*.json", "rows"):
        name = f"{path.parent.name}, {content['settings']['size']} px"
        yield f"## Backends: {name}\n"
        heads = ["backend", "threads", "images/s", "over torch", "prediction, images/s", "over torch", "same class"]
        rows = [
            [
                row["backend"],
                str(row["threads"]),
                _speed(row["forward"]),
                _ratio(row["forward_over_torch"]),
                _speed(row["prediction"]),
                _ratio(row["prediction_over_torch"]),
                f"{row['agreement']:.2%}",
            ]
            for row in content["rows"]
        ]
        yield _markdown(
            [*heads, "mean IoU"],
            [[*row, f"{of['mean_iou']:.3f}"] for row, of in zip(rows, content["rows"], strict=True)],
        )
        yield _origin(path, content, dict.fromkeys(str(row["threads"]) for row in content["rows"]))


def _parts(results: Path) -> Iterator[str]:
    """Yield a table of each file of parts, and its command."""
    for path, content in _found(results, "parts*.json", "rows"):
        name = f"{path.parent.name}, {content['settings']['size']} px"
        yield f"## Beside the network: {name}\n"
        rows = [
            [
                row["part"],
                ", ".join((row["way"], row["layout"].replace("_", " "), PRECISIONS[row["precision"]])),
                f"{row['milliseconds']['median']:.2f} ({row['milliseconds']['min']:.2f})",
                f"{over['median']:.2f} ({over['min']:.2f} to {over['max']:.2f})",
            ]
            for row, over in ((row, row["over_ours"]) for row in content["rows"])
        ]
        yield _markdown(["part", "way", "ms a batch (smallest)", "times ours"], rows)
        yield _origin(path, content, THREADS.findall(content["hardware"]["device"]))


def _table(first: str, columns: Sequence[Column], cell: Callable[[Any], str]) -> str:
    names = dict.fromkeys(name for _, values in columns for name in values)
    rows = [
        [name.replace("_", " "), *(cell(values[name]) if name in values else "–" for _, values in columns)]
        for name in names
    ]
    return _markdown([first, *(head for head, _ in columns)], rows)


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _ratio(ratio: dict[str, dict[str, float]]) -> str:
    wall, processor = ratio["wall"], ratio["processor"]
    return f"{wall['median']:.2f} ({wall['min']:.2f} to {wall['max']:.2f}) / {processor['median']:.2f}"


def _speed(speed: dict[str, dict[str, float]]) -> str:
    return f"{speed['images_per_second']['median']:.1f}"


def _origin(path: Path, content: dict[str, Any], counts: Iterable[str]) -> str:
    """Return where a file's numbers come from: size, threads, command, device, commit, versions, what was left out."""
    hardware = content["hardware"]
    versions = ", ".join(f"{package} {version}" for package, version in hardware["versions"].items())
    notes = "".join(f"; {note}" for note in content.get("notes", ()))
    commit = (hardware["commit"] or "unknown")[:12]
    threads = "".join(f", {_threads(count)}" for count in counts)
    name = f"`{path.parent.name}/{path.name}`, {content['settings']['size']} px{threads}"
    device = THREADS.sub("", hardware["device"])
    return f"- {name}: `{content['command']}` on {device}, commit {commit}; {versions}{notes}\n"


def _threads(count: str) -> str:
    return "1 thread" if count == "1" else f"{count} threads"


if __name__ == "__main__":
    ArgumentParser("python -m benchmarks.results_page", description=__doc__.splitlines()[0]).parse_args()
    with atomic_path(RESULTS / PAGE) as temporary:
        temporary.write_text(page(), encoding="utf-8")
