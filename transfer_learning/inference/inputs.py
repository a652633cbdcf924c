"""Which files a prediction reads, and under which names its results lie."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from core.errors import UserError
from core.paths import expanded
from data.sources.own.listing import walk


def find_files(inputs: Sequence[str], output_dir: Path) -> dict[str, Path]:
    """List the files that inputs name; whether they are pictures shows when they are read.

    Args:
        inputs: files, folders (with all subfolders; names with a dot first are skipped) or glob patterns.
        output_dir: where results go; what lies there is no input of a folder, so that a second call does not read
            what the first one wrote.

    Returns:
        name -> file, sorted. The name is the path relative to the folder that was given (to the fixed part of a
        pattern, to the folder of a single file, to what is common to several inputs), with "/" between its parts.

    Raises:
        UserError: nothing given, or an input that names no file.
    """
    if not inputs:
        raise UserError("give what to segment: --input FILE, --input FOLDER or --input 'photos/**/*.jpg'")
    roots, files = [], set()
    for given in map(expanded, inputs):
        root, found = _found(given, output_dir)
        if not found:
            raise UserError(f"{given} holds no file to segment")
        roots.append(root)
        files |= {Path(os.path.abspath(path)) for path in found}  # noqa: PTH100 - links keep their names
    common = Path(os.path.commonpath(roots))
    return {path.relative_to(common).as_posix(): path for path in sorted(files)}


def result_names(names: Sequence[str]) -> dict[str, str]:
    """Return the name of each file's results, without the suffix that they get.

    It is the file's own without its suffix; where two would get the same (tom.jpg, tom.png) they keep theirs.
    """
    chosen = {name: str(Path(name).with_suffix("").as_posix()) for name in names}
    while twice := {name for name, count in Counter(chosen.values()).items() if count > 1}:
        chosen = {name: name if result in twice else result for name, result in chosen.items()}
    return chosen


def _found(given: str, output_dir: Path) -> tuple[str, list[Path]]:
    """Return the folder to which names are relative, and the files."""
    path = Path(given)
    if path.is_dir():
        if path.resolve() == output_dir.resolve():
            raise UserError(f"{given} is both --input and --output_dir: give the results a folder of their own")
        return os.path.abspath(path), list(walk(path, output_dir))  # noqa: PTH100
    if path.exists():
        return os.path.abspath(path.parent), [path]  # noqa: PTH100
    if not glob.has_magic(given):
        raise UserError(f"{given} does not exist: --input takes a picture, a folder or a pattern")
    found = []
    for match in map(Path, glob.glob(given, recursive=True)):  # noqa: PTH207 - takes absolute patterns too
        if match.is_file() and output_dir.resolve() not in match.resolve().parents:
            found.append(match)
    fixed = next(index for index, part in enumerate(path.parts) if glob.has_magic(part))
    return os.path.abspath(Path(*path.parts[:fixed])), found  # noqa: PTH100
