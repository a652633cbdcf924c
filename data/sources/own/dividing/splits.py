"""The setting --splits: who belongs to Train, Val and Test: a file, a folder of lists, or the pictures' own folders."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from core.errors import UserError
from core.filing.json_file import NotJSONError, read_json
from core.filing.text_file import read_text

JSON_FORM = '{"train": [...], "val": [...], "test": [...]}'
FORMS = (
    f"a JSON ({JSON_FORM}), a CSV (columns file and split), a folder of train.txt, "
    "val.txt and test.txt, or the word folders where the pictures lie in train/, val/ and test/"
)
_WORDS = {
    **dict.fromkeys(("train", "training"), "Train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "Val"),
    **dict.fromkeys(("test", "testing"), "Test"),
}
NAMED_AT_MOST = 5

Line = tuple[str, str]  # a picture as the file names it, its split


def read_splits(path: Path, names: Iterable[str], find: Callable[[str], str | None]) -> dict[str, str]:
    """Return the split of every picture that is named.

    Args:
        path: as `FORMS` says.
        names: of all pictures.
        find: the picture of a name in a file (with or without its suffix), None if there is none.

    Returns:
        picture -> Train, Val or Test.

    Raises:
        UserError: something else; it names pictures that are not there, or one twice; it leaves Train empty, or both
            others.
    """
    lines = _of_folders(names) if _is_the_word(path) else _named(path, find)
    splits: dict[str, str] = {}
    for name, split in lines:
        if name in splits:
            raise UserError(f"{path} names {name} twice ({splits[name]} and {split}): every picture has one split")
        splits[name] = split
    require_both(splits, path)
    return splits


def require_both(splits: Mapping[str, str], where: Path) -> None:
    """See that there are pictures to learn from and others to score.

    Raises:
        UserError: Train is empty, or both others are.
    """
    held = set(splits.values())
    if "Train" not in held or len(held) < 2:
        named = " and ".join(sorted(held)) or "no split"
        raise UserError(f"{where} names pictures of {named}: name train and test too")


def val_as_test(splits: dict[str, str], where: Path, draws_val: bool = True) -> tuple[dict[str, str], list[str]]:
    """Return the splits with Val as Test where there is no Test, and what is to be said about that.

    Args:
        splits: picture -> split.
        where: that names them.
        draws_val: whether another Val is drawn.
    """
    if "Test" in splits.values():
        return splits, []
    note = f"{where} names no test: its val is Test" + ", and Val is drawn from train" * draws_val
    return {name: "Test" if split == "Val" else split for name, split in splits.items()}, [note]


def refuse_missing(where: Path, missing: Sequence[str]) -> None:
    """Raise a UserError that names the first of the pictures that a file names but that are not there, if any."""
    if missing:
        more = f" and {len(missing) - NAMED_AT_MOST} more" if len(missing) > NAMED_AT_MOST else ""
        named = ", ".join(missing[:NAMED_AT_MOST])
        raise UserError(f"{where} names pictures that are not there: {named}{more}: name them as below their folder")


def empty_lists(path: Path) -> list[Path]:
    """Return the lists of a folder for --splits that name no picture, of which there may be some."""
    return [file for file in _lists_of(path) if not _names_in(file)] if path.is_dir() else []


def _is_the_word(path: Path) -> bool:
    return path == Path("folders") and not path.exists()


def _of_folders(names: Iterable[str]) -> Iterator[Line]:
    for name in names:
        folder, slash, _ = name.partition("/")
        if not slash or folder.lower() not in _WORDS:
            raise UserError(
                f"--splits folders: {name} lies in none of the folders train, val and test: move it into one"
            )
        yield name, _WORDS[folder.lower()]


def _named(path: Path, find: Callable[[str], str | None]) -> Iterator[Line]:
    missing = []
    for written, split in _lines(path):
        if (name := find(written)) is None:
            missing.append(written)
        else:
            yield name, split
    refuse_missing(path, missing)


def _lines(path: Path) -> list[Line]:
    if not path.exists():
        raise UserError(f"{path} does not exist: --splits takes {FORMS}")
    read = _of_lists if path.is_dir() else _of_csv if path.suffix.lower() == ".csv" else json_lines
    try:
        return list(read(path))
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text: --splits takes {FORMS}") from None


def _of_lists(folder: Path) -> Iterator[Line]:
    lists = _lists_of(folder)
    if not lists:
        raise UserError(f"{folder} holds no train.txt, val.txt or test.txt: --splits takes {FORMS}")
    for path in lists:
        for name in _names_in(path):
            yield name, _WORDS[path.stem.lower()]


def _lists_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix == ".txt" and path.stem.lower() in _WORDS]


def _names_in(path: Path) -> list[str]:
    try:
        lines = read_text(path).splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path} is no text in UTF-8: save the list again as that") from None
    return [line.strip() for line in lines if line.strip()]


def json_lines(path: Path) -> Iterator[Line]:
    """Yield the names in a JSON of lists and their splits; those of MSD's dataset.json are in `image`.

    Raises:
        UserError: it is none, or a list belongs to no split.
    """
    try:
        content = read_json(path)
    except NotJSONError as error:
        raise UserError(f"{path} is no JSON ({error.reason}): it needs {JSON_FORM}") from None
    entries = content.items() if isinstance(content, dict) else ()
    lists = [(word, names) for word, names in entries if isinstance(names, list)]
    if other := next((word for word, names in entries if word.lower() in _WORDS and not isinstance(names, list)), None):
        raise UserError(f"{path}: {other!r} is no list of names: it needs {JSON_FORM}")
    if not lists:
        raise UserError(f"{path} holds no lists of names: it needs {JSON_FORM}")
    for word, names in lists:
        for name in names:
            yield str(name.get("image", name) if isinstance(name, dict) else name), _split(word, path)


def _of_csv(path: Path) -> Iterator[Line]:
    for row in csv_rows(read_text(path), path, ("file", "split")):
        yield row["file"], _split(row["split"], path)


def csv_rows(text: str, path: Path, needed: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV, separated by commas, semicolons or tabs as its first line says.

    Raises:
        UserError: a column of `needed` is missing, a row has another number of cells, or two columns share a name.
    """
    lines = text.splitlines()
    head = lines[0] if lines else ""
    rows = _cells(csv.reader(lines, delimiter=max(",;\t", key=head.count)), path)
    columns = [column.strip() for column in next(rows, [])]
    for column in needed:
        if column not in columns:
            raise UserError(f"{path} has no column {column}: its first line is {head[:60]!r}")
    if len(set(columns)) < len(columns) or "" in columns:
        raise UserError(f"{path}: every column needs a name of its own, its first line is {head[:60]!r}")
    for number, row in enumerate(rows, start=2):
        if row and len(row) != len(columns):
            raise UserError(f"{path}, line {number}: {len(row)} cells, the first line has {len(columns)}")
        if row:
            yield dict(zip(columns, (cell.strip() for cell in row), strict=True))


def _cells(rows: Iterator[list[str]], path: Path) -> Iterator[list[str]]:
    try:
        yield from rows
    except csv.Error as error:
        raise UserError(f"{path} is no CSV: {error}") from None


def _split(word: object, path: Path) -> str:
    if str(word).lower() not in _WORDS:
        raise UserError(f"{path}: {word!r} is no split: use train, val and test")
    return _WORDS[str(word).lower()]
