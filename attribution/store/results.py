"""The result store: every retraining ever done, once, in SQLite. It is the truth; jobs and pages only read it.

A retraining is keyed by (data fingerprint, recipe, edit, seed) and holds the prediction for every validation image.
The store of a data set lives in the data folder, never in a workspace, so that reinstalling Lineup loses nothing.
"""

import json
import sqlite3
import time
import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.files import data_folder
from attribution.store import schema
from attribution.store.queue import JobQueue
from attribution.training.edits import Edit

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


#: between which sizes float16 tells margins apart: user's networks have others, the built-in ones do not
LEAST_MARGIN, MOST_MARGIN = 0.01, 60_000.0
#: picks what may be a question of a verb by its text, so that the answers to others need not be read; see `_verb_text`
OF_VERB = "instr(question, ?) > 0"


@dataclass(frozen=True)
class Retraining:
    """What one training run predicts.

    predicted: class of each validation image, uint8 [n_val], uint16 above 256 classes. margins: float16 [n_val],
    float32 where that would lose them, correct logit minus the best other. seconds: of training. device, library,
    threads: what it ran on; where all three are equal, results are equal bit for bit. created: seconds since 1970.
    """

    key: str
    seed: int
    predicted: np.ndarray
    margins: np.ndarray
    seconds: float
    device: str
    library: str
    threads: int
    created: float


class ResultStore(JobQueue):
    """The retrainings and answers of one data set, with its queue. Use it in a `with` block, which closes it."""

    @staticmethod
    def for_workspace(workspace: "Workspace") -> "ResultStore":
        """The store of a workspace's data set. Raises UserError when the data folder cannot be used."""
        return ResultStore(ResultStore.folder_of(workspace), workspace.fingerprint)

    @staticmethod
    def folder_of(workspace: "Workspace") -> Path:
        """Where the store of a workspace's data set is, or would be."""
        return data_folder() / workspace.fingerprint[:16]

    def key(self, recipe: str, edit: Edit, seed: int) -> str:
        """The name of a retraining: SHA-256 over data fingerprint, recipe hash, edit and seed, in hex."""
        return schema.retraining_key(self.fingerprint, recipe, edit.hash, seed)

    def get(self, key: str) -> Retraining | None:
        """The retraining `key`, or None if it has not been done, or what is stored of it is damaged."""
        rows = self._checked_rows("retrainings", "key = ?", (key,))
        if not rows:
            return None
        _, _, _, seed, predicted, margins, *rest = rows[0]
        margins = unpack_margins(margins)
        return Retraining(key, seed, unpack_predictions(predicted, len(margins)), margins, *rest)

    def put(
        self,
        recipe: str,
        edit: Edit,
        seed: int,
        *,
        predicted,
        margins,
        seconds,
        device,
        library,
        threads,
        out_of_subset: np.ndarray | None = None,
    ) -> bool:
        """Saves a retraining. Returns False, and changes nothing, where it is there already.

        recipe: its hash. predicted, margins and the rest: as in `Retraining`. out_of_subset: float [k, classes],
        probabilities of the removed training images, in the order of edit.indices; they are added to the running sums
        in the same transaction, so that each model counts once.
        Raises sqlite3.Error, and changes nothing, where it cannot be written (a full disk).
        """
        body = zlib.compress(json.dumps(edit.to_json()).encode())
        classes = np.asarray(predicted, np.min_scalar_type(int(np.max(predicted))))
        row = (
            self.key(recipe, edit, seed),
            recipe,
            edit.hash,
            seed,
            classes.tobytes(),
            pack_margins(margins),
            seconds,
            device,
            library,
            threads,
            time.time(),
        )
        with self.transaction():
            if not self._insert("retrainings", row, "IGNORE"):
                return False
            self._insert("edits", (edit.hash, edit.kind, edit.k, body), "IGNORE")
            self.db.execute("DELETE FROM tries WHERE key = ?", (row[0],))
            if out_of_subset is not None and not self._was_damaged("retrainings", row[0]):  # its sums hold it already
                self._add_out_of_subset(recipe, edit, np.asarray(out_of_subset, np.float64))
        return True

    def _add_out_of_subset(self, recipe, edit, probabilities):
        old = self.out_of_subset(recipe)
        size = edit.indices[-1] + 1
        sums, counts = old if old else (np.zeros((0, probabilities.shape[1])), np.zeros(0, np.int64))
        n_new = max(0, size - len(counts))
        sums, counts = np.pad(sums, ((0, n_new), (0, 0))), np.pad(counts, (0, n_new))
        sums[list(edit.indices)] += probabilities
        counts[list(edit.indices)] += 1
        self._insert("out_of_subset", (recipe, sums.tobytes(), counts.tobytes()), "REPLACE")

    def out_of_subset(self, recipe: str) -> tuple[np.ndarray, np.ndarray] | None:
        """Class probabilities of training images summed over the models that did not see them, float64 [n, classes],
        and how many models these are, int64 [n]; n reaches to the last image left out so far. None without any."""
        rows = self._checked_rows("out_of_subset", "recipe = ?", (recipe,))
        if not rows:
            return None
        counts = np.frombuffer(rows[0][2], np.int64).copy()
        return np.frombuffer(rows[0][1], np.float64).reshape(len(counts), -1).copy(), counts

    def count(self) -> int:
        """How many retrainings are saved."""
        return self.db.execute("SELECT count(*) FROM retrainings").fetchone()[0]

    def count_by_recipe(self) -> dict[str, int]:
        """How many retrainings are saved, by the recipe's hash."""
        return dict(self.db.execute("SELECT recipe, count(*) FROM retrainings GROUP BY recipe"))

    def last_retraining_number(self) -> int:
        """The number of the retraining saved last, for `retrained_since`; 0 without any."""
        return self.db.execute("SELECT max(rowid) FROM retrainings").fetchone()[0] or 0

    def retrained_since(self, number: int) -> tuple[set[str], int]:
        """The keys of the retrainings saved after the one with this number, and the last number now."""
        rows = self.db.execute("SELECT rowid, key FROM retrainings WHERE rowid > ?", (number,)).fetchall()
        return {key for _, key in rows}, max([number, *(row_number for row_number, _ in rows)])

    def median_seconds(self, recipe: str, k_at_most: int = 500) -> tuple[float, int] | None:
        """Median seconds of the last 100 retrainings under small edits, and how many they are; None without any."""
        rows = self.db.execute(
            "SELECT seconds FROM retrainings JOIN edits ON edits.hash = retrainings.edit WHERE recipe = ? AND k <= ? "
            "ORDER BY created DESC LIMIT 100",
            (recipe, k_at_most),
        ).fetchall()
        return (float(np.median(rows)), len(rows)) if rows else None

    def put_support(self, recipe, ranking, target, kind, protocol, k_max, body: dict) -> None:
        """Saves the answer of a support search, a JSON-serialisable dict, in place of an older one."""
        row = (recipe, ranking, int(target), kind, protocol, int(k_max), json.dumps(body), time.time())
        self._insert("supports", row, "REPLACE")

    def supports(self, recipe: str) -> list[dict]:
        """All answers of support searches under a recipe, each with ranking, target, kind, protocol, k_max, created,
        and the `version` of the ranking it was found with."""
        names = ("ranking", "target", "kind", "protocol", "k_max")
        return [
            {"version": None, **json.loads(body), **dict(zip(names, named)), "created": created}
            for _, *named, body, created in self._checked_rows("supports", "recipe = ?", (recipe,))
        ]

    def supports_version(self) -> tuple:
        """Changes whenever an answer is added or replaced, even if the clock was set back meanwhile."""
        return self.db.execute("SELECT count(*), total(created) FROM supports").fetchone()

    def put_answer(self, recipe: str, question: dict, body: dict) -> None:
        """Saves the answer to any other question; both are JSON-serialisable dicts."""
        row = (recipe, json.dumps(question, sort_keys=True), json.dumps(body), time.time())
        self._insert("answers", row, "REPLACE")

    def answer(self, recipe: str, question: dict) -> dict | None:
        """The saved answer to exactly this question, with `created`, or None."""
        values = (recipe, json.dumps(question, sort_keys=True))
        rows = self._checked_rows("answers", "recipe = ? AND question = ?", values)
        return {**json.loads(rows[0][2]), "created": rows[0][3]} if rows else None

    def answers(self, recipe: str, verb: str) -> list[tuple[dict, dict]]:
        """(question, answer) of all answers to questions of a verb, oldest first."""
        rows = self._checked_rows("answers", f"recipe = ? AND {OF_VERB} ORDER BY created", (recipe, _verb_text(verb)))
        pairs = [
            (json.loads(question), {**json.loads(body), "created": created}) for _, question, body, created in rows
        ]
        return [(question, answer) for question, answer in pairs if question["verb"] == verb]

    def answered_questions(self, recipe: str, verb: str) -> list[tuple[dict, float]]:
        """(question, when it was answered in seconds since 1970) of all answers to questions of a verb, which are not
        read: they may be long."""
        sql = f"SELECT question, created FROM answers WHERE recipe = ? AND {OF_VERB} ORDER BY created"
        found = []
        for text, created in self.db.execute(sql, (recipe, _verb_text(verb))):
            with suppress(ValueError):  # one that was damaged: it is put aside when its answer is read
                question = json.loads(text)
                found += [(question, created)] if question["verb"] == verb else []
        return found

    # -- the data set

    def identity(self, name: str) -> str | None:
        """What the store knows of its data set under a name, such as "fingerprint", or None."""
        row = self.db.execute("SELECT value FROM identity WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_identity(self, name: str, value: str) -> None:
        """Records what the data set is known by; what is recorded stays. On a full disk it is recorded later."""
        with suppress(sqlite3.OperationalError):
            self.db.execute("INSERT OR IGNORE INTO identity VALUES (?, ?)", (name, value))

    def read_file(self, path: str, state: str) -> str | None:
        """The digest of what was read at `path` while its files were in that state, or None."""
        row = self.db.execute("SELECT digest FROM read_files WHERE path = ? AND state = ?", (path, state)).fetchone()
        return row[0] if row else None

    def remember_file(self, path: str, state: str, digest: str) -> None:
        """Remembers the digest of what was read at `path`, for as long as its files are in that state. On a full disk
        it is read again next time."""
        with suppress(sqlite3.OperationalError):
            self.db.execute("INSERT OR REPLACE INTO read_files VALUES (?, ?, ?)", (path, state, digest))

    # -- checksums

    def count_damaged(self) -> int:
        """How many rows were put aside because they were not what had been written."""
        return self.db.execute("SELECT count(*) FROM damaged").fetchone()[0]

    def _insert(self, table: str, row: tuple, otherwise: str) -> bool:
        """Writes a row with its checksum. otherwise: IGNORE or REPLACE, where its key is there. False where ignored."""
        places = ",".join("?" * (len(row) + 1))
        values = (*row, schema.row_crc(*row))
        return self.db.execute(f"INSERT OR {otherwise} INTO {table} VALUES ({places})", values).rowcount > 0

    def _checked_rows(self, table: str, where: str, values: tuple) -> list[tuple]:
        """The rows that the condition picks, without their checksums. Those that are not what was written are put aside
        into the table `damaged`, and are as if they had never been: what they held is trained again."""
        columns = ", ".join(schema.CHECKED[table])
        found = self.db.execute(f"SELECT rowid, {columns}, crc FROM {table} WHERE {where}", values).fetchall()
        rows = []
        for rowid, *row, crc in found:
            if schema.row_crc(*row) == crc:
                rows.append(tuple(row))
            else:
                self._put_aside(table, rowid, row)
        return rows

    def _put_aside(self, table: str, rowid: int, row: list) -> None:
        """Moves a damaged row out of its table. row: its columns without the checksum, the key first."""
        body = repr(row).encode(errors="replace")
        with suppress(sqlite3.Error), self._own_transaction():  # where it cannot be written it is left, and not served
            if self.db.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,)).rowcount:
                key = str(row[0]).encode(errors="replace").decode()
                self.db.execute(
                    "INSERT INTO damaged VALUES (?, ?, ?, ?)", (table, key, zlib.compress(body), time.time())
                )

    def _own_transaction(self):
        return nullcontext() if self.db.in_transaction else self.transaction()

    def _was_damaged(self, table: str, key: str) -> bool:
        found = self.db.execute("SELECT 1 FROM damaged WHERE source = ? AND key = ?", (table, key)).fetchone()
        return found is not None


def _verb_text(verb: str) -> str:
    """How a question of a verb has it, see `ResultStore.put_answer`."""
    return json.dumps({"verb": verb})[1:-1]


def pack_margins(margins) -> bytes:
    """Margins [n] as bytes: float16, or, where these are too large or too small for it, an odd byte and float32."""
    margins = np.asarray(margins)
    largest = float(np.abs(margins).max(initial=0))
    if margins.dtype == np.float16 or largest == 0 or LEAST_MARGIN <= largest <= MOST_MARGIN:
        return margins.astype(np.float16).tobytes()
    with np.errstate(over="ignore"):  # what float32 does not hold is endless, and said to be
        return b"4" + margins.astype(np.float32).tobytes()


def unpack_margins(packed: bytes) -> np.ndarray:
    """The margins that `pack_margins` packed, float16 or float32 [n]."""
    return np.frombuffer(packed[1:], np.float32) if len(packed) % 2 else np.frombuffer(packed, np.float16)


def unpack_predictions(packed: bytes, n: int) -> np.ndarray:
    """The predicted classes of n validation images from their bytes, uint8 [n], or uint16 [n] of two bytes each."""
    return np.frombuffer(packed, np.uint8 if len(packed) == n else np.uint16)
