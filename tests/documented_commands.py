"""The commands that the pages name, as a shell would read them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
SHELLS = ("bash", "sh", "shell", "console")
OURS = re.compile(r"ae-pretrained \S|python -m (?!pip|venv)\S")
LEFT_OUT = ("…", "...")  # where a page says: and so on


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Attributes:
        page: its file.
        text: as the page has it, on one line, without comments.
        words: as a shell hands them on: joined lines, quotes and braces resolved, variables in front left out.
        inline: it stands in a sentence, not in a block.
    """

    page: Path
    text: str
    words: tuple[str, ...]
    inline: bool

    @property
    def called(self) -> str | None:
        """The name behind `ae-pretrained`, or the module; None for a program that is not of this project."""
        words = self.words
        if words[0] == "ae-pretrained":
            return words[1]
        return words[words.index("-m") + 1] if words[0] in ("python", "torchrun", "srun") else None

    @property
    def arguments(self) -> list[str]:
        """What follows that name."""
        return [*self.words[self.words.index(self.called or self.words[0]) + 1 :]]


def commands_of(page: Path) -> list[Command]:
    """Return the commands of a page in the order in which it has them, each once."""
    text = page.read_text(encoding="utf-8")
    found: dict[str, Command] = {}
    for place, line, inline in sorted([*_in_blocks(text), *_in_sentences(text)]):
        del place
        words = tuple(word for one in shlex.split(line, comments=True) for word in _braces(one))
        words = tuple(word for word in words if word not in LEFT_OUT)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words:
            said = " ".join(re.sub(r"(^|\s)#.*", "", line).split())
            found.setdefault(said, Command(page, said, words, inline))
    return [*found.values()]


def blocks_of(page: Path, *languages: str) -> list[str]:
    """Return what stands in the blocks of a page that are marked for one of the languages."""
    text = page.read_text(encoding="utf-8")
    return [block[3] for block in FENCE.finditer(text) if block[2] in languages]


def _in_blocks(text: str) -> Iterator[tuple[int, str, bool]]:
    for block in FENCE.finditer(text):
        if block[2] in SHELLS:
            joined = re.sub(r"\\\n *", " ", block[3])
            yield from ((block.start() + number, line, False) for number, line in enumerate(joined.splitlines()))


def _in_sentences(text: str) -> Iterator[tuple[int, str, bool]]:
    prose = FENCE.sub(lambda block: " " * len(block[0]), text)  # so that places stay those of the page
    for span in re.finditer(r"(?<!`)`([^`]+)`(?!`)", prose):
        line = " ".join(span[1].split())
        if OURS.match(line):
            yield span.start(), line, True


def _braces(word: str) -> list[str]:
    """Resolve {a,b}; anything else stays as it is."""
    found = re.fullmatch(r"(.*)\{([^{}]*,[^{}]*)\}(.*)", word)
    return [f"{found[1]}{one}{found[3]}" for one in found[2].split(",")] if found else [word]
