"""The database of a data set: one SQLite file, how it is opened, and what to do about its errors."""

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from attribution.errors import UserError
from attribution.files import data_folder, file_mode, keep_private, locked, make_folder, sync_folder
from attribution.store import schema
from attribution.store.lock import runner_lock

FILE = "results.sqlite"
MIGRATION_PATIENCE = 5.0  # seconds


class Database:
    """A connection to the database of one data set, closed at the end of a `with` block.

    Many processes may open the same one; each thread opens its own. Raises UserError where the file cannot be used.
    """

    def __init__(self, folder: Path, fingerprint: str):
        self.folder = folder
        self.fingerprint = fingerprint
        file = folder / FILE
        try:
            make_folder(folder)
            keep_private(folder)
            if not file.exists():
                create_database(file, lambda db: schema.write_tables(db, fingerprint))
            #: whether those who used it last may have been killed: it is looked through by `check_after_unclean_end`
            self.ended_unclean = _size(folder / f"{FILE}-wal") > 0
            check_not_empty(file)
            self.db = sqlite3.connect(file, timeout=30, isolation_level=None)
            self.db.text_factory = schema.read_text
        except (OSError, sqlite3.Error) as error:
            raise store_error(error, folder) from None
        try:
            version = self.db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, 1, schema.SCHEMA):  # leave the file untouched
                raise UserError(
                    f"the results in {folder} have schema version {version}, and this Lineup reads "
                    f"{schema.SCHEMA}; set LINEUP_DATA to another folder, or use the Lineup that wrote them"
                )
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=NORMAL")
            if version != schema.SCHEMA:
                self._migrate()
            self._check_fingerprint()
            with suppress(sqlite3.OperationalError):  # works without them on a full or read-only disk
                self.db.executescript(schema.INDEXES_SQL)
            self.file = os.stat(file)
        except UserError:
            self.db.close()
            raise
        except (OSError, sqlite3.Error) as error:
            self.db.close()
            raise store_error(error, folder) from None

    def _migrate(self) -> None:
        """Brings a store of an older version up to date, unless another process just has."""
        with runner_lock(self.folder, MIGRATION_PATIENCE) as held:
            if not held:
                raise UserError(
                    f"the results in {self.folder} are those of an older Lineup whose runner is still at work; "
                    "let it finish, or stop it, and try again"
                )
            with self.transaction():
                if self.db.execute("PRAGMA user_version").fetchone()[0] == schema.SCHEMA:
                    return
                if not schema.is_empty(self.db):
                    schema.migrate(self.db, self.fingerprint, self.folder)
                    return
            schema.write_tables(self.db, self.fingerprint)

    def _check_fingerprint(self) -> None:
        row = self.db.execute("SELECT value FROM identity WHERE name = 'fingerprint'").fetchone()
        if row is None or row[0] != self.fingerprint:
            which = f"another ({row[0][:16]})" if row else "an unknown"
            raise UserError(schema.other_data_set(self.folder, which))

    def check_after_unclean_end(self) -> None:
        """Looks through the whole file where those who used it last may have been killed. Raises UserError where it is
        damaged."""
        if not self.ended_unclean:
            return
        try:
            problem = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise store_error(error, self.folder) from None
        if problem != "ok":
            raise damaged_error(self.folder, problem)
        self.ended_unclean = False

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
        return damaged_error(folder, str(error))
    return UserError(
        f"the data folder {folder} cannot be used ({error}); make room there, "
        "or set LINEUP_DATA to a folder you may write to"
    )


def damaged_error(folder: Path, why: str, what: str = "results") -> UserError:
    """The UserError for a store whose file is not what was written."""
    return UserError(
        f"the {what} in {folder} are damaged ({why}); put a copy of that folder back, or move it away to begin anew"
    )


def create_database(file: Path, write_tables: Callable[[sqlite3.Connection], None]) -> None:
    """Creates a database under another name and renames it when it is complete, unless it is there by then: a process
    that is killed meanwhile leaves none, and nobody sees one that is half made."""
    partial = file.with_name(f".{file.name}.{secrets.token_hex(6)}.part")
    try:
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file_mode(file)))
        with closing(sqlite3.connect(partial, isolation_level=None)) as db:
            db.execute("PRAGMA journal_mode=WAL")  # no timeout covers the change, so nobody else is there yet
            write_tables(db)
        with locked(file.parent.parent):  # the folder itself is the runner's lock
            if not file.exists():
                os.replace(partial, file)
        sync_folder(file.parent)
    finally:
        partial.unlink(missing_ok=True)


def check_not_empty(file: Path, what: str = "results") -> None:
    """Raises UserError for a file of no bytes: none was made so, and what it held is gone. what: it holds."""
    if file.stat().st_size == 0:
        raise damaged_error(file.parent, f"{file.name} has no bytes", what)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def is_damaged(error: Exception) -> bool:
    """True where SQLite cannot read the file itself, so that neither waiting nor room on the disk helps."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
