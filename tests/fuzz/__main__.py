"""Damage what the commands read, thousands of times, and say what became of it.

    PYTHONPATH=.:tests python -m fuzz --cases 1000
    PYTHONPATH=.:tests python -m fuzz --case weights:123 --folder runs/fuzz

The exit code is 1 where anything ended badly; those cases' folders are kept.
"""

import argparse
import json
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from fuzz.campaign import SECONDS, Result, content, make_corpus, run_cases, table
from fuzz.targets import TARGETS, case_names


def main() -> int:
    """Run the command; returns its exit code."""
    options = _options()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    corpus = (
        folder / "corpus" if options.case and (folder / "corpus/ablation").exists() else make_corpus(folder.absolute())
    )
    began = time.monotonic()
    names = options.case or case_names(options.cases, options.target or list(TARGETS), options.first)
    until = began + 60 * options.minutes if options.minutes else None
    cases = run_cases(names, folder.absolute(), corpus.absolute(), options.jobs, options.seconds, until)
    results: list[Result] = []
    with suppress(KeyboardInterrupt):  # what there is until then is shown
        for result in cases:
            results.append(result)
            if result.verdict.is_bad or options.case:
                _show(result)
            if len(results) % 100 == 0:
                print(f"{len(results)} of {len(names)} cases in {time.monotonic() - began:.0f} s", flush=True)
    took = f"{len(results)} of {len(names)} cases in {time.monotonic() - began:.0f} s"
    print(f"\n{table(results)}\n{took}; folder {folder}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(content(results), indent=2, ensure_ascii=True) + "\n")
    return int(any(result.verdict.is_bad for result in results))


def _show(result: Result) -> None:
    lines = f"{result.name}  {result.verdict.outcome.upper()}\n    {result.how}\n    {result.verdict.why}"
    print(lines.encode("unicode_escape").decode().replace("\\n", "\n"), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the number of each target's first case")
    parser.add_argument("--minutes", type=float, default=0, help="begin no case after so many; 0: no limit")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="what takes longer hangs")
    parser.add_argument("--jobs", type=int, default=2, help="side by side")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="these alone")
    parser.add_argument(
        "--case", action="append", metavar="TARGET:NUMBER", help="this case alone, and what became of it"
    )
    parser.add_argument("--folder", type=Path, help="where cases lie; without it a temporary one")
    parser.add_argument("--output", type=Path, help="a JSON of all counts")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
