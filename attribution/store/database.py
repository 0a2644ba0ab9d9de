"""The database of a data set: one SQLite file, its schema, and what to do about its errors."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Self

from attribution.errors import UserError
from attribution.files import data_folder

FILE = "results.sqlite"
SCHEMA = 1
TABLES_SQL = """
CREATE TABLE IF NOT EXISTS edits (hash TEXT PRIMARY KEY, kind TEXT, k INTEGER, body BLOB);
CREATE TABLE IF NOT EXISTS retrainings (
    key TEXT PRIMARY KEY, recipe TEXT, edit TEXT, seed INTEGER, predicted BLOB, margins BLOB,
    seconds REAL, device TEXT, library TEXT, threads INTEGER, created REAL);
CREATE INDEX IF NOT EXISTS retrainings_edit ON retrainings (edit);
CREATE TABLE IF NOT EXISTS out_of_subset (recipe TEXT PRIMARY KEY, sums BLOB, counts BLOB);
CREATE TABLE IF NOT EXISTS supports (
    recipe TEXT, ranking TEXT, target INTEGER, kind TEXT, protocol TEXT, k_max INTEGER, body TEXT, created REAL,
    PRIMARY KEY (recipe, ranking, target, kind, protocol, k_max));
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, spec TEXT, what TEXT, state TEXT, done INTEGER DEFAULT 0, total INTEGER DEFAULT 0,
    message TEXT DEFAULT '', created REAL, started REAL, finished REAL);
CREATE TABLE IF NOT EXISTS live (key TEXT PRIMARY KEY, job INTEGER, pid INTEGER, epoch INTEGER, epochs INTEGER,
    started REAL);
CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, n INTEGER);
"""
#: added to stores that were made without it; older versions of Lineup ignore it
ANSWERS_SQL = """CREATE TABLE IF NOT EXISTS answers (recipe TEXT, question TEXT, body TEXT, created REAL,
    PRIMARY KEY (recipe, question))"""
#: for speed alone, so no part of the schema: added whenever a store is opened
INDEXES_SQL = """
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_what ON jobs (what);
CREATE INDEX IF NOT EXISTS jobs_verb ON jobs (json_extract(spec, '$.verb'), state);
CREATE INDEX IF NOT EXISTS retrainings_recent ON retrainings (recipe, created);
"""


class Database:
    """A connection to the database of one data set, closed at the end of a `with` block.

    Many processes may open the same one; each thread opens its own. Raises UserError where the file cannot be used.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.folder = folder
        self.fingerprint = fingerprint
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.db = sqlite3.connect(folder / FILE, timeout=30, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise store_error(error, folder) from None
        try:
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, SCHEMA):  # leave the file untouched
                raise UserError(
                    f"the results in {folder} have schema version {version}, and this Lineup reads "
                    f"{SCHEMA}; set LINEUP_DATA to another folder, or use the Lineup that wrote them"
                )
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            if version == 0:
                self.db.executescript(TABLES_SQL)
                self.db.execute(f"PRAGMA user_version={SCHEMA}")
            with suppress(sqlite3.OperationalError):  # works without them on a full or read-only disk
                self.db.executescript(f"{ANSWERS_SQL};{INDEXES_SQL}")
            self.file = os.stat(folder / FILE)
        except UserError:
            self.db.close()
            raise
        except (OSError, sqlite3.Error) as error:
            self.db.close()
            raise store_error(error, folder) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self.db.close()

    def check_exists(self) -> None:
        """Raises UserError where the file was moved or deleted, so that what is written now would be lost."""
        try:
            is_same_file = os.path.samestat(self.file, os.stat(self.folder / FILE))
        except OSError:
            is_same_file = False
        if not is_same_file:
            raise UserError(f"{self.folder / FILE} was moved or deleted while in use; put it back, and ask again")

    def transaction(self):
        """A context manager: all of it or nothing, one writer at a time."""
        return Transaction(self.db)


class Transaction:
    """A `with` block whose writes to the connection `db` are all committed, or none; one writer at a time."""

    def __init__(self, db):
        self.db = db

    def __enter__(self):
        self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.db.execute("COMMIT")
        finally:
            if self.db.in_transaction:  # a full disk ends it by itself
                self.db.execute("ROLLBACK")


def store_error(error: Exception, folder: Path | None = None) -> UserError:
    """The UserError for an error of SQLite or of the system in a store: it says what a person can do.

    folder: of the store; None if it is not known which.
    """
    folder = folder or data_folder()
    if is_damaged(error):
        return UserError(
            f"the results in {folder} are damaged ({error}); put a copy of that folder back, or move it "
            "away to begin anew"
        )
    return UserError(
        f"the data folder {folder} cannot be used ({error}); make room there, "
        "or set LINEUP_DATA to a folder you may write to"
    )


def is_damaged(error: Exception) -> bool:
    """True where SQLite cannot read the file itself, so that neither waiting nor room on the disk helps."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
