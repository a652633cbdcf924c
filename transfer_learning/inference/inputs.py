"""Which files a prediction reads, and under which names its results lie."""

import fnmatch
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from unicodedata import normalize

from core.errors import UserError
from core.filing.paths import expanded, readable, real
from data.sources.own.listing import pass_over
from data.sources.own.walking import Told, walk, written_here
from data.volumes.reading import is_volume

LONGEST_RESULT = 255 - len(".png")  # bytes of a name


def find_files(inputs: Sequence[str], output_dir: Path) -> tuple[dict[str, Path], list[tuple[str, str]]]:
    """List the files that inputs name; whether they are pictures shows when they are read.

    Args:
        inputs: files, folders (with all subfolders; names with a dot first are skipped) or glob patterns.
        output_dir: where results go; what lies there is no input of a folder, nor are results of other calls.

    Returns:
        name -> file, sorted: the name is the path relative to the folder that was given (to the fixed part of a
        pattern, to the folder of a single file, to what is common to several inputs), with "/" between its parts;
        and what was found but is no input, with the reason.

    Raises:
        UserError: nothing given, or an input that names no file.
    """
    if not inputs:
        raise UserError("give what to segment: --input FILE, --input FOLDER or --input 'photos/**/*.jpg'")
    roots, files = [], set()
    passed_over: list[tuple[str, str]] = []
    for given in map(expanded, inputs):
        root, found = _found(given, output_dir, partial(pass_over, passed_over))
        if not found:
            first = f" (of {len(passed_over)}: {passed_over[0][0]}: {passed_over[0][1]})" if passed_over else ""
            raise UserError(f"{given} holds no file to segment{first}")
        roots.append(root)
        files |= {Path(os.path.abspath(path)) for path in found}  # noqa: PTH100 - links keep their names
    common = Path(os.path.commonpath(roots))
    return {path.relative_to(common).as_posix(): path for path in sorted(files)}, passed_over


def _without_suffix(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def result_names(names: Sequence[str], bare: Callable[[str], str] = _without_suffix) -> dict[str, str]:
    """Return the name of each file's results, without the suffix that they get.

    It is the file's own without its suffix; where two would get the same (tom.jpg, tom.png) they keep theirs. Bytes
    that are no UTF-8 are spelt out, so that the tables can name it. `bare` takes a name's suffix off.
    """
    chosen = {name: bare(readable(name)) for name in names}
    while twice := {name for name, count in Counter(chosen.values()).items() if count > 1}:
        before = chosen
        chosen = {name: readable(name) if result in twice else result for name, result in chosen.items()}
        if chosen == before:  # two whose names are the same once they are spelt out
            break
    return chosen


def unwritable(results: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the names whose results could not be written beside those of the others, and why."""
    written = {f"{result}.png" for result in results.values()}
    seen: dict[str, str] = {}
    for name, result in results.items():
        alike = seen.setdefault(normalize("NFC", result), name)
        above = [folder.as_posix() for folder in Path(result).parents]
        if len(os.fsencode(Path(result).name)) > LONGEST_RESULT:
            yield name, f"the name of its result would have more than 255 bytes: shorten it to {LONGEST_RESULT}"
        elif taken := next((folder for folder in above if folder in written), None):
            yield name, f"its folder is called as the result of a picture, {taken}: rename it"
        elif alike != name:
            yield name, f"its name looks the same as that of {alike}: rename it"


def why_unread(path: Path, error: Exception) -> str:
    """Return why weights of pictures cannot take a file, from what reading it raised (PictureError or OSError)."""
    if is_volume(path):
        return "a volume, and these weights are of pictures"
    return getattr(error, "strerror", None) or str(error)


def _found(given: str, output_dir: Path, tell: Told) -> tuple[str, list[Path]]:
    """Return the folder to which names are relative, and the files."""
    path = Path(given)
    if path.is_dir():
        if real(path) == real(output_dir):
            raise UserError(f"{given} is both --input and --output_dir: give the results a folder of their own")
        return os.path.abspath(path), list(walk(path, [output_dir], tell))  # noqa: PTH100
    if os.path.lexists(path):
        return os.path.abspath(path.parent), [path]  # noqa: PTH100
    if not glob.has_magic(given):
        raise UserError(f"{given} does not exist: --input takes a picture, a folder or a pattern")
    fixed = Path(*path.parts[: next(index for index, part in enumerate(path.parts) if glob.has_magic(part))])
    found = list(_matching(path, fixed, output_dir, tell))
    if not found and real(fixed) == real(output_dir):
        raise UserError(f"{given} lies in --output_dir {output_dir}: give the results a folder of their own")
    return os.path.abspath(fixed), found  # noqa: PTH100


def _matching(pattern: Path, fixed: Path, output_dir: Path, tell: Told) -> Iterator[Path]:
    """Yield the files that a pattern names, none that this project wrote.

    Below `**` goes the walk of folders, which enters each once: Python's own would go round a link in a circle.
    """
    place = pattern.parts.index("**") if "**" in pattern.parts else len(pattern.parts)
    head = [Path(found) for found in sorted(glob.glob(str(Path(*pattern.parts[:place]))))]  # noqa: PTH207 - absolute too
    results: dict[Path, bool] = {}
    for found in head:
        if any(_is_result(folder, output_dir, results) for folder in found.parents if folder.is_relative_to(fixed)):
            tell(found, "lies among results that this project wrote")
        elif not found.is_dir():
            yield found
        elif place < len(pattern.parts):
            for path in walk(found, [output_dir], tell):
                if _fits(path.relative_to(found).parts, pattern.parts[place:]):
                    yield path


def _is_result(folder: Path, output_dir: Path, known: dict[Path, bool]) -> bool:
    if folder not in known:
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        known[folder] = real(folder) == real(output_dir) or written_here(folder, names) is not None
    return known[folder]


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Say whether the parts of a path are what those of a pattern mean, `**` for any number of folders."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(_fits(names[skipped:], parts[1:]) for skipped in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])
