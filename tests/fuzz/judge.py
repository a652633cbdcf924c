"""What may become of a damaged input, and what may not."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.damage import Damage
from fuzz.scenes import Scene
from fuzz.targets import Target

# Good ends, then bad ones.
FINE, REFUSED, NOTED, OTHER = "as whole", "refused", "said so", "another input"
GOOD = (FINE, REFUSED, NOTED, OTHER)
BAD = (
    "traceback",
    "unexpected",
    "exit code",
    "no line",
    "left behind",
    "control signs",
    "silent",
    "hang",
    "crash",
    "memory",
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
UNFINISHED = re.compile(r"\.tmp$|\.partial(/|$)|\.part$")


@dataclass
class Verdict:
    """How a case ended, and why it is thought so."""

    outcome: str
    why: str = ""
    seconds: float = 0.0  # of a processor

    @property
    def is_bad(self) -> bool:
        """Whether that must not be."""
        return self.outcome in BAD


@dataclass
class Ended:
    """What is left of a call: its exit code, its words, what it made (None where it failed), new files."""

    code: int
    said: str
    made: Any = None
    report: list[Any] = field(default_factory=list)
    new_files: list[str] = field(default_factory=list)


def judge(target: Target, scene: Scene, done: Damage | None, ended: Ended, whole: Ended | None) -> Verdict:
    """Compare what became of a damaged input with what became of the whole one."""
    if found := _fault(scene, ended):
        return found
    if ended.code == 2 or (ended.code and ended.made is None):
        return Verdict(REFUSED, _last_line(ended.said))
    if whole is None or ended.made == whole.made:
        return Verdict(FINE)
    assert done is not None
    if new := _new_words(ended, whole, done.path, scene):
        return Verdict(NOTED, new)
    if scene.pictures and as_any_viewer(done.path, scene, ended.made):
        return Verdict(FINE)
    if target.strict and (target.forgeries_too or not done.forged):
        return Verdict("silent", difference(whole.made, ended.made))
    return Verdict(OTHER)


def _fault(scene: Scene, ended: Ended) -> Verdict | None:
    lines = [line for line in ended.said.splitlines() if line.startswith("error:")]
    last = _last_line(ended.said)
    if "Traceback (most recent call last)" in ended.said:
        return Verdict("traceback", last)
    if "unexpected " in " ".join(lines):
        return Verdict("unexpected", last)
    if "Cannot allocate memory" in ended.said or "can't allocate memory" in ended.said:
        return Verdict("memory", last)
    if ended.code not in (0, 2, *scene.codes):
        return Verdict("exit code", f"{ended.code}: {last}")
    if ended.code and len(lines) != 1:
        return Verdict("no line", f"{len(lines)} lines begin with error: {last}")
    if sign := CONTROL.search(ended.said):
        return Verdict("control signs", f"{sign[0]!r} in {_around(ended.said, sign.start())!r}")
    if left := [name for name in ended.new_files if UNFINISHED.search(name) or (ended.code == 2 and "made/" in name)]:
        return Verdict("left behind", f"exit code {ended.code}, {', '.join(left[:4])}: {last}")
    return None


def _around(text: str, place: int) -> str:
    return text[max(0, place - 60) : place + 20]


def _last_line(said: str) -> str:
    errors = [line for line in said.splitlines() if line.startswith("error:")]
    return (errors or said.splitlines() or [""])[-1][:400]


def _new_words(ended: Ended, whole: Ended, path: Path, scene: Scene) -> str:
    """Return the first thing said that was not said of the whole input; of pictures, one that names the damaged one."""
    before = {re.sub(r"\d+", "0", line) for line in whole.said.splitlines()}
    lines = [line for line in ended.said.splitlines() if re.sub(r"\d+", "0", line) not in before]
    told = [*lines, *(json.dumps(entry) for entry in ended.report if entry not in whole.report)]
    if scene.pictures:
        told = [line for line in told if path.stem in line]
    return told[0][:300] if told else ""


def as_any_viewer(path: Path, scene: Scene, made: Any) -> bool:
    """Say whether the command read a damaged picture as Pillow, which is strict, shows it."""
    try:
        with Image.open(path) as opened:
            palette = opened.mode in ("P", "L", "1")
            raw = np.asarray(opened.convert("L") if opened.mode == "1" else opened)
            colours = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return False
    if scene.module == "transfer_learning.predict":
        found = made["pictures"].get(path.name)
        return found is not None and (found["height"], found["width"]) == colours.shape[:2]
    wanted = raw if path.parent.name == "masks" and palette else colours
    folder = "original_labels" if path.parent.name == "masks" else "resized"
    return any(_equal(found, wanted) for found in scene.output.glob(f"*/{folder}/{path.stem}.png"))


def _equal(path: Path, wanted: np.ndarray) -> bool:
    with Image.open(path) as opened:
        pixels = np.asarray(opened)
    # Of other sizes the prepared picture is resized; the decoders of JPEG differ by rounding.
    return pixels.shape != wanted.shape or bool((abs(pixels.astype(int) - wanted) <= 3).mean() > 0.999)


def difference(before: Any, now: Any, where: str = "") -> str:
    """Return the first place where two outcomes differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in [*before, *(key for key in now if key not in before)]:
            if before.get(key) != now.get(key):
                return difference(before.get(key), now.get(key), f"{where}.{key}")
    return f"{where} was {str(before)[:120]}, is {str(now)[:120]}"


def summary(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Return how often each outcome came."""
    counts = dict.fromkeys((*GOOD, *BAD), 0)
    for verdict in verdicts:
        counts[verdict.outcome] += 1
    return counts
