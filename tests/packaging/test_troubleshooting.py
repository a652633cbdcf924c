"""docs/troubleshooting.md quotes what the commands print today, word for word."""

import ast
import errno
import re
import shlex
import shutil
from pathlib import Path

import pytest
from troubles import PREPARE, TOLD, TRAIN, TROUBLES, start

from ae_pretrained.__main__ import main
from core.command import run_command
from transfer_learning.config import SegmentationConfig

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
FAULTS = {
    "out of memory": RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "free some space": OSError(errno.ENOSPC, "", "runs/mine/state.ckpt"),
    "--debug shows where": IndexError("list index out of range"),
}
TEXT = PAGE.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```text\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
QUOTED = BLOCK.findall(TEXT)


def quoted(part: str) -> str:
    """Return the one line of the page that holds this."""
    (line,) = [line for line in QUOTED if part in line]
    return line


def codes(line: str) -> tuple[int, ...]:
    """Return the exit codes that a line may come with: 1 or 2 with an error, 0 with a note or a warning."""
    return (1, 2) if line.startswith("error: ") else (0,)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """Pictures and masks, prepared and trained on, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        start()
        assert main(shlex.split(PREPARE)) == main(shlex.split(TRAIN)) == 0
    return folder


@pytest.mark.parametrize(("part", "ready", "steps"), TROUBLES, ids=[part for part, _, _ in TROUBLES])
def test_a_command_prints_the_line(part, ready, steps, request, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "here"
    if ready:
        shutil.copytree(request.getfixturevalue("trained"), folder)
    else:
        folder.mkdir()
    monkeypatch.chdir(folder)
    if not ready:
        start()
    came = []  # of a command its exit code, of another step what must be held on to, such as a lock
    for step in steps:
        capsys.readouterr()
        came.append(main(shlex.split(step)) if isinstance(step, str) else step())
    printed = capsys.readouterr()
    lines = (printed.out + printed.err).replace(str(folder), "DIR").splitlines()
    assert quoted(part) in lines
    assert came[-1] in codes(quoted(part))


@pytest.mark.parametrize(("part", "fault"), FAULTS.items())
def test_a_fault_of_the_machine_prints_the_line(part, fault, capsys):
    def work(_: SegmentationConfig) -> None:
        raise fault

    section = "transfer_learning"
    code = run_command("transfer_learning.train", SegmentationConfig, work, [], section=section, description="")
    assert capsys.readouterr().err.splitlines() == [quoted(part)]
    assert code in codes(quoted(part))


@pytest.mark.parametrize("part", TOLD)
def test_the_code_has_the_words_of_a_line(part):
    line = quoted(part).removeprefix("error: ")
    tree = ast.parse((ROOT / TOLD[part]).read_text(encoding="utf-8"))
    assert any(re.fullmatch(words, line) for words in map(pattern, ast.walk(tree)) if words), TOLD[part]


def pattern(node: ast.AST) -> str | None:
    """Return the expression that matches what a text with gaps may become; None for what is no text, or a short one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = [node.value]
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "" for part in node.values]
    else:
        return None
    if len("".join(parts)) < 10:
        return None
    return "".join(re.escape(part) if part else ".*" for part in parts)


def test_every_line_of_the_page_is_held_against_the_code():
    parts = [part for part, _, _ in TROUBLES] + [*TOLD, *FAULTS]
    assert len(set(parts)) == len(parts)
    assert sorted(map(quoted, parts)) == sorted(QUOTED)
    stated = [
        f"but for {len(TOLD) + len(FAULTS)} lines",
        f"the fault behind {len(FAULTS)} itself",
        f"of {len(TOLD)} in the code",
    ]
    assert [words for words in stated if words not in TEXT] == []


def test_every_line_is_followed_by_a_sentence_of_its_own():
    between = [prose.strip() for prose in BLOCK.split(TEXT)[2::2]]
    assert len(between) == len(QUOTED)
    assert [line for line, prose in zip(QUOTED, between, strict=True) if not re.match(r"[^#\n]*[.:]", prose)] == []
