"""The tables of the result store, the checksum of a row, and how a store of an older version is brought up to date."""

import hashlib
import sqlite3
import struct
import time
import zlib
from pathlib import Path

from attribution.errors import UserError

SCHEMA = 2
TABLES_SQL = """
CREATE TABLE IF NOT EXISTS edits (hash TEXT PRIMARY KEY, kind TEXT, k INTEGER, body BLOB, crc INTEGER);
CREATE TABLE IF NOT EXISTS retrainings (
    key TEXT PRIMARY KEY, recipe TEXT, edit TEXT, seed INTEGER, predicted BLOB, margins BLOB,
    seconds REAL, device TEXT, library TEXT, threads INTEGER, created REAL, crc INTEGER);
CREATE INDEX IF NOT EXISTS retrainings_edit ON retrainings (edit);
CREATE TABLE IF NOT EXISTS out_of_subset (recipe TEXT PRIMARY KEY, sums BLOB, counts BLOB, crc INTEGER);
CREATE TABLE IF NOT EXISTS supports (
    recipe TEXT, ranking TEXT, target INTEGER, kind TEXT, protocol TEXT, k_max INTEGER, body TEXT, created REAL,
    crc INTEGER, PRIMARY KEY (recipe, ranking, target, kind, protocol, k_max));
CREATE TABLE IF NOT EXISTS answers (recipe TEXT, question TEXT, body TEXT, created REAL, crc INTEGER,
    PRIMARY KEY (recipe, question));
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, spec TEXT, what TEXT, state TEXT, done INTEGER DEFAULT 0, total INTEGER DEFAULT 0,
    message TEXT DEFAULT '', created REAL, started REAL, finished REAL);
CREATE TABLE IF NOT EXISTS live (key TEXT PRIMARY KEY, job INTEGER, pid INTEGER, epoch INTEGER, epochs INTEGER,
    started REAL, heard REAL);
CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, n INTEGER);
CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS read_files (path TEXT PRIMARY KEY, state TEXT, digest TEXT);
CREATE TABLE IF NOT EXISTS damaged (source TEXT, key TEXT, body BLOB, found REAL);
"""
#: for speed alone, so no part of the schema: added whenever a store is opened
INDEXES_SQL = """
CREATE INDEX IF NOT EXISTS jobs_state ON jobs (state);
CREATE INDEX IF NOT EXISTS jobs_what ON jobs (what);
CREATE INDEX IF NOT EXISTS jobs_verb ON jobs (json_extract(spec, '$.verb'), state);
CREATE INDEX IF NOT EXISTS retrainings_recent ON retrainings (recipe, created);
"""
#: table -> its columns without the checksum, the key first: the rows that are written once and have one
CHECKED = {
    "edits": ("hash", "kind", "k", "body"),
    "retrainings": (
        "key", "recipe", "edit", "seed", "predicted", "margins", "seconds", "device", "library", "threads", "created",
    ),
    "out_of_subset": ("recipe", "sums", "counts"),
    "supports": ("recipe", "ranking", "target", "kind", "protocol", "k_max", "body", "created"),
    "answers": ("recipe", "question", "body", "created"),
}  # fmt: skip


def row_crc(*values) -> int:
    """CRC-32 of a row: of each value with its kind and its length, so that none can pass for another. A number counts
    as its double: SQLite may return an integer where a float was written, and the other way round."""
    crc = 0
    for value in values:
        if value is None:
            kind, body = b"none", b""
        elif isinstance(value, bytes):
            kind, body = b"bytes", value
        elif isinstance(value, str):
            kind, body = b"text", value.encode(errors="surrogatepass")
        else:
            kind, body = b"number", struct.pack("<d", value)
        crc = zlib.crc32(body, zlib.crc32(b"%s %d " % (kind, len(body)), crc))
    return crc


def read_text(raw: bytes) -> str:
    """A text of the database; one that was damaged may be none, and is then read as one that no checksum fits."""
    return raw.decode(errors="surrogateescape")


def is_empty(db: sqlite3.Connection) -> bool:
    """Whether a database holds nothing at all: its maker was killed before it wrote a table."""
    return db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0


def write_tables(db: sqlite3.Connection, fingerprint: str) -> None:
    """Writes the tables of a new store, those it lacks, and whose data set it is of."""
    db.executescript(TABLES_SQL)
    db.execute("INSERT OR REPLACE INTO identity VALUES ('fingerprint', ?)", (fingerprint,))
    db.execute("INSERT OR REPLACE INTO identity VALUES ('created', ?)", (str(time.time()),))
    db.execute(f"PRAGMA user_version={SCHEMA}")


def migrate(db: sqlite3.Connection, fingerprint: str, folder: Path) -> None:
    """Brings a store of schema 1 up to date: it gets its data set's fingerprint, and each row the checksum that vouches
    for it from now on. The caller holds the runner's lock and a transaction: it is done whole, or not at all.

    Raises UserError where its results are of another data set: a retraining's key says so.
    """
    check_keys(db, fingerprint, folder)
    for table in CHECKED:
        present = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        if present and "crc" not in present:
            db.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER")
    db.execute("DROP TABLE IF EXISTS live")  # of no trainings, as no runner is at work
    for statement in TABLES_SQL.split(";"):  # `executescript` would end the transaction
        db.execute(statement)
    db.create_function("row_crc", -1, row_crc, deterministic=True)
    for table, columns in CHECKED.items():
        db.execute(f"UPDATE {table} SET crc = row_crc({', '.join(columns)})")
    db.execute("INSERT OR REPLACE INTO identity VALUES ('fingerprint', ?)", (fingerprint,))
    db.execute("INSERT OR REPLACE INTO identity VALUES ('migrated', ?)", (str(time.time()),))
    db.execute(f"PRAGMA user_version={SCHEMA}")


def check_keys(db: sqlite3.Connection, fingerprint: str, folder: Path) -> None:
    """Raises UserError where a retraining's key is not what the fingerprint makes of it, and where there are answers
    and no retraining that could tell."""
    row = db.execute("SELECT key, recipe, edit, seed FROM retrainings LIMIT 1").fetchone()
    if row and row[0] == retraining_key(fingerprint, *row[1:]):
        return
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    rested = [name for name in ("supports", "answers", "out_of_subset") if name in tables]
    if row or any(db.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() for name in rested):
        raise UserError(other_data_set(folder, "another"))


def other_data_set(folder: Path, which: str) -> str:
    """The sentence that refuses the store of another data set."""
    return (
        f"the results in {folder} are of {which} data set; move that folder away, or set LINEUP_DATA to the folder "
        "where the results of this one are"
    )


def retraining_key(fingerprint: str, recipe: str, edit: str, seed: int) -> str:
    """The name of a retraining: SHA-256 over data fingerprint, recipe hash, edit hash and seed, in hex."""
    return hashlib.sha256("|".join((fingerprint, recipe, edit, str(seed))).encode()).hexdigest()
