"""Lists that grow with the data set, kept on disk: in temporary SQLite databases, which end with their process."""

import sqlite3
from collections.abc import Iterable, Iterator


def temporary_database(table: str) -> sqlite3.Connection:
    """Return a database of one table, made by the statement `table`.

    It holds a few MiB in memory and the rest in a nameless file in the folder for temporary files (TMPDIR). It is for
    this process alone, so nothing is ever committed or rolled back.
    """
    database = sqlite3.connect("")
    database.execute("PRAGMA journal_mode = OFF")
    database.execute(table)
    return database


def sorted_rows(rows: Iterable[tuple[str, ...]], columns: int) -> Iterator[tuple[str, ...]]:
    """Yield rows of so many texts each in the order in which Python sorts them, that of their code points."""
    names = [f"c{number}" for number in range(columns)]
    database = temporary_database(f"CREATE TABLE rows ({', '.join(f'{name} BLOB' for name in names)})")
    # Bytes of UTF-8 have the order of their code points. Names of files need not be text: they hold lone surrogates.
    encoded = ([text.encode("utf-8", "surrogatepass") for text in row] for row in rows)
    database.executemany(f"INSERT INTO rows VALUES ({', '.join('?' * columns)})", encoded)
    for row in database.execute(f"SELECT * FROM rows ORDER BY {', '.join(names)}"):
        yield tuple(value.decode("utf-8", "surrogatepass") for value in row)
