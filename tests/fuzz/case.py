"""One case, in a process of its own: set up, damaged, called, judged."""

import contextlib
import dataclasses
import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from random import Random
from unittest.mock import patch

from fuzz.damage import damage
from fuzz.judge import Ended, Verdict, judge
from fuzz.scenes import Place, Scene
from fuzz.targets import TARGETS

MEMORY = 4 << 30
WORK_SECONDS = 60
# Not judged: the whole input was called, so that there is something to compare with.
AGAIN = "again"


def main(argv: Sequence[str]) -> int:
    """Run the case NAME in FOLDER with CORPUS; leaves how.txt, console.txt and verdict.json."""
    name, folder, corpus = argv[0], Path(argv[1]), Path(argv[2])
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (WORK_SECONDS, WORK_SECONDS + 10))
    began = time.process_time()
    verdict = run(name, folder, corpus)
    verdict.seconds = time.process_time() - began
    (folder / "verdict.json").write_text(json.dumps(dataclasses.asdict(verdict)))
    return 0


def run(name: str, folder: Path, corpus: Path) -> Verdict:
    """Set up, damage, call and judge."""
    target, number = TARGETS[name.split(":")[0]], name.split(":")[1]
    random = Random(f"{target.name}:{number}")
    scene = target.set(Place(folder, corpus), random)
    whole = None
    if scene.victims:
        kept = corpus / "whole" / f"{_key(scene, folder)}.json"
        if not kept.exists():
            return _keep_whole(scene, folder, kept)
        whole = Ended(**json.loads(kept.read_text()))
    done = damage(random.choice(scene.victims), random) if scene.victims else None
    how = f"{done.path.relative_to(folder)}: {done.how}" if done else scene.more["how"]
    (folder / "how.txt").write_text(how, errors="surrogateescape")
    return judge(target, scene, done, call(scene, folder), whole)


def _key(scene: Scene, folder: Path) -> str:
    """Return a name for a call, the same wherever its folder is."""
    from hashlib import sha256

    words = [
        scene.module,
        *(word.replace(str(folder), "") for word in scene.argv),
        str(scene.victims[0].parent.relative_to(folder)),
    ]
    return sha256("\0".join(words).encode()).hexdigest()[:16]


def _keep_whole(scene: Scene, folder: Path, kept: Path) -> Verdict:
    ended = call(scene, folder)
    if ended.code:
        return Verdict("exit code", f"the whole input: {ended.code}: {ended.said[-300:]}")
    kept.parent.mkdir(exist_ok=True)
    temporary = kept.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(dataclasses.asdict(ended)))
    temporary.replace(kept)
    return Verdict(AGAIN)


def call(scene: Scene, folder: Path) -> Ended:
    """Call the command; what it says, its libraries included, goes to console.txt."""
    below = folder / "here/below"
    below.mkdir(parents=True)
    before = _files(folder)
    console = folder / "console.txt"
    homes = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    with console.open("w") as file, _console(file.fileno()), contextlib.chdir(below), patch.dict(os.environ, homes):
        code = import_module(scene.module).main(scene.argv)
        sys.stdout.flush()
        sys.stderr.flush()
    said = console.read_text(encoding="utf-8", errors="replace").replace(str(folder), "")
    new = sorted(_files(folder) - before - {"console.txt"})
    # A prediction that has left files out ends with 1, and has made the others.
    made = scene.outcome(scene.output) if code == 0 or (code == 1 and any(scene.output.glob("*.json"))) else None
    return Ended(code, said, json.loads(json.dumps(made)), _report(scene.output), new)


@contextlib.contextmanager
def _console(descriptor: int):
    """Send what this process and the libraries in it say to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    streams = sys.stdout, sys.stderr
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = open(1, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False, errors="backslashreplace")  # noqa: SIM115
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams
        for number, saved in zip((1, 2), kept, strict=True):
            os.dup2(saved, number)


def _files(folder: Path) -> set[str]:
    """List what is in a folder, whatever it is."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _report(output: Path) -> list[object]:
    """Return what a command's report says of single files."""
    entries: list[object] = []
    for name, key in (
        ("prepare_report.json", "files"),
        ("predictions.json", "unreadable"),
        ("predictions.json", "pictures"),
    ):
        if (output / name).is_file():
            content = json.loads((output / name).read_text(encoding="utf-8"))
            entries += [entry for entry in content[key] if key != "pictures" or entry["notes"]]
    return entries
