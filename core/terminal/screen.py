"""Text that any terminal can show, whatever names it holds and whatever encoding the terminal has.

Names of files, classes and tags come from outside: a control character in them could clear the screen, change its
title or turn a line round. `readable_output` puts itself between `print` and the terminal; `screen` is rich's console
with the same guard, whose own colours and cursor movements pass.
"""

import codecs
import contextlib
import io
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from core.filing.paths import readable

if TYPE_CHECKING:
    from rich.console import Console

# C0 and C1 but tab and line feed, delete, line separators, and what turns the direction of writing round.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# What we use ourselves, for terminals that know ASCII alone; lines of boxes and bars are found by their range.
_PLAIN = {"–": "-", "—": "-", "−": "-", "…": "...", "×": "x", "±": "+-", "→": "->", "·": "*", "•": "*", "’": "'"}
_LINES, _ACROSS, _DOWN = ("\u2500", "\u257f"), "─━═╌╍╸╺╴╶╼╾", "│┃║"
_ERRORS = "ae_pretrained.readable"
BROKEN_PIPE = 141  # 128 and SIGPIPE, as a shell says it
# Columns that help is laid out in at least, where tyro would go round for ever, and at most, where it fills them.
_NARROWEST, _WIDEST = 40, 1000
_UNBROKEN = 100_000  # longer than any error


def visible(text: str) -> str:
    """Return text in which control characters are spelt out (`\\x1b`), and bytes that are no text; tabs and line feeds
    stay."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), readable(text))


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace what an encoding lacks by what looks like it, else spell it out (bytes of a file name too)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = "".join(map(_alike, error.object[error.start : error.end]))
    return found, error.end


def _alike(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    if _LINES[0] <= character <= _LINES[1]:
        return "-" if character in _ACROSS else "|" if character in _DOWN else "+"
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter if letter.isascii() else character.encode("ascii", "backslashreplace").decode("ascii")


codecs.register_error(_ERRORS, _in_ascii)


class _Guarded:
    """A text stream to which nothing is written but what can be shown.

    Attributes:
        unguarded: the stream itself.
    """

    def __init__(self, stream: TextIO) -> None:
        self.unguarded = stream

    def write(self, text: str) -> int:
        """Write text, control characters spelt out."""
        self.unguarded.write(visible(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts one after the other."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unguarded, name)


@contextlib.contextmanager
def readable_output() -> Iterator[None]:
    """Let standard output and error take any text: control characters and what the encoding lacks are spelt out.

    What goes to a stream that whoever called has closed (`>&-`) goes nowhere.
    """
    before = sys.stdout, sys.stderr
    with contextlib.ExitStack() as opened:
        if None in before:
            _take_numbers()
        streams = (opened.enter_context(_nowhere()) if stream is None else stream for stream in before)
        sys.stdout, sys.stderr = map(_guarded, streams)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _take_numbers() -> None:
    """Open what was closed of 0, 1 and 2, or the next file gets the number, and libraries write their notes into it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def _guarded(stream: Any) -> Any:
    if isinstance(stream, _Guarded):  # by a command above
        return stream
    if isinstance(stream, io.TextIOWrapper) and stream.errors != _ERRORS:
        stream.reconfigure(errors=_ERRORS)
    return _Guarded(stream)


@contextlib.contextmanager
def own_colours() -> Iterator[None]:
    """Let a library that colours its text itself write to the terminal as it is; none of the text is from outside."""
    before = sys.stdout
    sys.stdout = getattr(before, "unguarded", before)
    try:
        yield
    finally:
        sys.stdout = before


@contextlib.contextmanager
def usable_width(whole_lines: bool = False) -> Iterator[None]:
    """Let a library that lays out text by the width of the terminal find one that text can be laid out in.

    With `whole_lines` one in which it breaks no line: what it breaks within a word cannot be put together again.
    """
    before = os.environ.get("COLUMNS")
    width = min(max(shutil.get_terminal_size().columns, _NARROWEST), _WIDEST)
    os.environ["COLUMNS"] = str(_UNBROKEN if whole_lines else width)
    try:
        yield
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def exit_code(work: Callable[[], int]) -> int:
    """Return what `work` returns, its output written; a reader who left (`| head`) ends it quietly with 141."""
    try:
        with readable_output():
            code = work()
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            return code
    except BrokenPipeError:
        _write_no_more()
        return BROKEN_PIPE
    except OSError as error:  # a disk is full to which the output goes
        _write_no_more()
        with contextlib.suppress(OSError):
            print(f"error: {error.strerror}: the output could not be written", file=sys.stderr)
        return 1


def _write_no_more() -> None:
    """Send what is still to be written nowhere: Python flushes its streams once more when it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            with contextlib.suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def screen(**settings: Any) -> "Console":
    """Return rich's console for standard output; the text in its tables and bars is guarded too."""
    from rich.console import Console

    class Screen(Console):
        def render_str(self, text: str, **options: Any) -> Any:
            return super().render_str(visible(text), **options)

        def render(self, *arguments: Any, **options: Any) -> Any:
            for segment in super().render(*arguments, **options):
                yield segment if segment.control else segment._replace(text=visible(segment.text))

        def on_broken_pipe(self) -> None:
            raise

    return Screen(file=getattr(sys.stdout, "unguarded", None), emoji=False, **settings)


def say(line: str) -> None:
    """Print a line as it is: no markup, no breaks."""
    screen().print(line, soft_wrap=True, highlight=False, markup=False)
