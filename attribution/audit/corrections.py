"""Decisions as files: corrections.csv and the whole log, the corrected labels in the data set's own form, and back.

All text is UTF-8 and quoted, so that whatever is in a class name or a note comes back as it was.
"""

import csv
import hashlib
import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from attribution.audit.decision_log import (
    DECISIONS,
    MAX_REASON_LENGTH,
    CurrentDecision,
    DecisionFold,
    DecisionLog,
    Entry,
)
from attribution.data import image_folder
from attribution.errors import UserError
from attribution.files import user_path, write_array

if TYPE_CHECKING:
    import pandas as pd

FILE, LOG = "corrections.csv", "log.csv"
COLUMNS = ("image", "source", "given", "new", "action", "detector", "score", "note", "who", "time", "data_set")
LOG_COLUMNS = (
    "id",
    "uid",
    "time",
    "who",
    "client",
    "image",
    "action",
    "new",
    "of",
    "old_action",
    "old_new",
    "reason",
    "queue",
    "seen",
    "data_set",
)
#: what a file needs to be brought in; `given` and `note` are used where they are there
REQUIRED_COLUMNS = ("image", "new", "action", "data_set")
#: an image that people decide differently about; nothing is changed for it
CONFLICT = "conflict"


@dataclass(frozen=True)
class Correction:
    """A row of a file: action is one of `DECISIONS`, or "conflict"; label: the class of a relabel, else None."""

    item: int
    action: str
    label: int | None
    note: str


def unique_class_names(classes: list[str]) -> list[str]:
    """Class names of which each stands for one class: those that are there twice, as ImageNet's cranes, get their
    number behind them."""
    found, counts = {}, Counter(classes)
    for label, name in enumerate(classes):
        while counts[name] > 1 or name in found:
            name += f" ({label})"
        found[name] = label
    return list(found)


def correction_table(ws, decisions: DecisionLog) -> "pd.DataFrame":
    """What stands, an image a row, by image: columns COLUMNS.

    source: path in the folder of a class-folder tree, else number in the source data. given, new: class names, new
    where it is a relabel or keep. detector, score: of the queue it was decided in, "" and NaN where there was none.
    note: the reason; of a conflict who says what. time: ISO 8601, UTC. data_set: the fingerprint's beginning.
    """
    return _correction_table(ws, decisions, decisions.standing())


def _correction_table(ws, decisions: DecisionLog, standing: dict[int, CurrentDecision]) -> "pd.DataFrame":
    import pandas as pd

    called, sources, queues = unique_class_names(ws.classes), _image_sources(ws), {}
    found = []
    for item, one in sorted(standing.items()):
        if one.queue not in queues:
            queue = None if one.queue is None else decisions.queue(one.queue)
            scores = dict(zip(queue.items, queue.scores)) if queue and queue.scores else {}
            queues[one.queue] = (queue.spec.get("detector") or "" if queue else "", scores)
        detector, scores = queues[one.queue]
        given = called[ws.train_labels[item]]
        new = {"relabel": called[one.label or 0], "keep": given}.get(one.action, "")
        action, note = one.action, one.reason
        if one.conflict:
            action, new = CONFLICT, ""
            note = "; ".join(f"{other.who}: {_action_text(other, called)}" for other in (*one.conflict, one))
        found.append(
            (
                item,
                sources[item],
                given,
                new,
                action,
                detector,
                scores.get(item, np.nan),
                note,
                one.who,
                _iso_time(one.at),
                ws.fingerprint[:16],
            )
        )
    return pd.DataFrame(found, columns=COLUMNS).astype({"image": np.int64, "score": float})


def _action_text(one: Entry | CurrentDecision, called: list[str]) -> str:
    return f"relabel to {called[one.label]}" if one.action == "relabel" else one.action


def _image_sources(ws) -> list[str]:
    """Where each training image is found in the data set that it is from."""
    images = ws.manifest["dataset"].get("images")
    if images and images["train"]["kind"] == image_folder.KIND:
        return ws.image_locations("train")["file"].astype(str).tolist()
    return list(map(str, ws.train_index))


def _iso_time(seconds: float, digits: str = "seconds") -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=digits).replace("+00:00", "Z")


# -- out


def export_corrections(ws, decisions: DecisionLog, folder: Path | str, progress: Callable | None = None) -> dict:
    """Writes what was decided into `folder`, made where it is not there, and returns how much of it there is.

    corrections.csv is as `correction_table`, log.csv the whole log. The corrected labels: labels.npy (int64 [n_train]) and
    removed.npy (int64, training images) where the images were copied into the workspace; train.parquet, the training
    rows of the Parquet it was made of; renames.csv (from, to), what to move in the folder tree it was made of. What is
    unsure or in conflict changes none of them. Files of before are replaced once all are written. progress(text, done,
    total). Raises UserError where nothing was decided yet, where `folder` cannot be written to, and where images that
    are needed are not on this machine.
    """
    entries = decisions.entries()
    if not entries:
        raise UserError(
            f"nothing was decided about the labels of {ws.name} yet; decide on the Audit page, or import corrections"
        )
    fold = DecisionFold()
    fold.add(entries)
    labels, removed = corrected_labels(ws, fold.standing)
    folder = user_path(folder)
    with _staged_files(folder) as partial:
        table = _correction_table(ws, decisions, fold.standing)
        # a scanner of spreadsheets would not read a float32 that is written as a float64
        scores = ["" if np.isnan(score) else f"{score:.7g}" for score in table["score"]]
        _write_csv(partial / FILE, COLUMNS, table.assign(score=scores).itertuples(index=False, name=None))
        _write_csv(partial / LOG, LOG_COLUMNS, _log_rows(ws, entries))
        _write_labels(ws, partial, labels, removed, progress)
        files = sorted(file.name for file in partial.iterdir())
    counts = Counter(table["action"])
    return {
        "workspace": ws.name,
        "folder": str(folder),
        "files": files,
        "relabelled": counts["relabel"],
        "removed": counts["remove"],
        "kept": counts["keep"],
        "unsure": counts["unsure"],
        "conflicts": counts[CONFLICT],
        "decisions": len(table),
    }


def corrected_labels(ws, standing: dict[int, CurrentDecision]) -> tuple[np.ndarray, np.ndarray]:
    """The labels as corrected, int64 [n_train], and the training images that are to go, int64, ascending."""
    labels = np.array(ws.train_labels, np.int64)
    settled = {item: one for item, one in standing.items() if not one.conflict}
    for item, one in settled.items():
        if one.action == "relabel":
            labels[item] = one.label
    return labels, np.array(sorted(item for item, one in settled.items() if one.action == "remove"), np.int64)


def _write_labels(ws, folder: Path, labels: np.ndarray, removed: np.ndarray, progress: Callable | None) -> None:
    """The files with the corrected labels, in the form that the data set came in."""
    source = (ws.manifest["dataset"].get("images") or {}).get("train")
    if source is None:
        write_array(folder / "labels.npy", labels)
        write_array(folder / "removed.npy", removed)
    elif source["kind"] == image_folder.KIND:
        files, others = (ws.image_locations(split)["file"].astype(str).tolist() for split in ("train", "val"))
        moves = image_folder.label_moves(
            ws.images_root, files, others, ws.classes, ws.train_labels, labels, set(removed.tolist())
        )
        _write_csv(folder / "renames.csv", ("from", "to"), moves)
    else:
        from attribution.data import parquet

        kept = np.ones(len(labels), bool)
        kept[removed] = False
        parquet.rewrite_labels(
            ws.images_root,
            source,
            ws.image_locations("train")["row"].to_numpy(np.int64),
            ws.train_labels,
            labels,
            kept,
            folder / "train.parquet",
            progress,
        )


def _log_rows(ws, entries: list[Entry]) -> Iterator[tuple]:
    called = [*unique_class_names(ws.classes), ""]
    for one in entries:
        old = one.old or {"action": "", "label": None}
        new, old_new = (called[-1 if label is None else label] for label in (one.label, old["label"]))
        yield (
            one.id,
            one.uid,
            _iso_time(one.at, "milliseconds"),
            one.who,
            one.client,
            one.item,
            one.action,
            new,
            one.of or "",
            old["action"],
            old_new,
            one.reason,
            "" if one.queue is None else one.queue,
            one.seen,
            ws.fingerprint[:16],
        )


def _write_csv(file: Path, columns: Iterable[str], lines: Iterable[tuple]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)


@contextmanager
def _staged_files(folder: Path) -> Iterator[Path]:
    """A folder within `folder` whose files are moved there once all are written; broken off before, nothing has
    changed. Raises UserError where nothing can be written there."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder to write into")
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    partial = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(".corrections.*.part"):  # by one that was killed
            pid = left.name.split(".")[2]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
        partial = Path(tempfile.mkdtemp(".part", f".corrections.{os.getpid()}.", folder))
        yield partial
        if blocked := [file.name for file in partial.iterdir() if (folder / file.name).is_dir()]:
            raise UserError(f"{folder / blocked[0]} is a folder, where a file is to be; move it away")
        for file in partial.iterdir():
            file.replace(folder / file.name)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror or error}); choose a folder that you may "
            "write to, with room in it"
        ) from None
    finally:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
        for one in made:  # those that nothing came into
            try:
                one.rmdir()
            except OSError:
                break


# -- in


def read_corrections(ws, path: Path | str) -> list[Correction]:
    """The rows of a corrections.csv of the data set of `ws`, in the file's order.

    Needs the columns NEEDED; a `new` class may be told by its number where no class is called by one. Raises UserError
    for a file that is none, is of another data set, or says what cannot be.
    """
    lines = _read_lines(user_path(path))
    labels = {name: label for label, name in enumerate(unique_class_names(ws.classes))}
    found: dict[int, Correction] = {}
    for number, row in lines:
        where = f"row {number} of {path}"
        if row["data_set"] != ws.fingerprint[:16]:
            raise UserError(
                f"{where} is about another data set ({row['data_set'][:40] or 'none is named'}) than "
                f"{ws.name} ({ws.fingerprint[:16]}); open the workspace it was exported from"
            )
        correction = _parse_correction(ws, labels, row, where)
        if correction.item in found:
            raise UserError(f"{where} names image {correction.item} a second time; keep one row an image")
        found[correction.item] = correction
    return list(found.values())


def _read_lines(path: Path) -> Iterator[tuple[int, dict]]:
    """The rows of a file by column, with their numbers as a spreadsheet counts them."""
    try:
        if not path.is_file():
            raise UserError(f"there is no file at {path}; name a {FILE} that was exported")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, None)
            if header is None:
                raise UserError(f"{path} is empty; name a {FILE} that was exported")
            if absent := [name for name in REQUIRED_COLUMNS if name not in header]:
                raise UserError(
                    f"{path} has no column {absent[0]}; name a {FILE} that was exported, with its first row"
                )
            if twice := [name for name, count in Counter(header).items() if count > 1 and name in COLUMNS]:
                raise UserError(f"{path} has two columns {twice[0]}; keep one of them")
            some = False
            for number, values in enumerate(reader, 2):
                if values and len(values) != len(header):
                    raise UserError(
                        f"row {number} of {path} has {len(values)} columns and the first has "
                        f"{len(header)}; export it again"
                    )
                if values:
                    some = True
                    yield number, dict(zip(header, values))
            if not some:
                raise UserError(f"{path} holds no corrections, only names of columns; export it again")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(
            f"{path} is no CSV in UTF-8 ({str(error).splitlines()[0]}); name a {FILE} that was exported"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); check the path") from None


def _parse_correction(ws, labels: dict[str, int], row: dict, where: str) -> Correction:
    image, action, new = row["image"], row["action"], row["new"]
    if not (image.isascii() and image.isdecimal() and len(image) < 18 and int(image) < ws.n_train):
        raise UserError(
            f"{where} is about image {image[:40]!r}, and training images are 0 to {ws.n_train - 1}; export it again"
        )
    item = int(image)
    if action not in (*DECISIONS, CONFLICT):
        raise UserError(f"{where} has the action {action[:40]!r}; say one of {', '.join((*DECISIONS, CONFLICT))}")
    given = ws.train_labels[item]
    if row.get("given") and labels.get(row["given"]) != given:
        raise UserError(
            f"{where} says that image {item} was given {row['given'][:40]!r}, and it was given "
            f"{ws.classes[given]!r}; export it again"
        )
    label = _parse_label(labels, new, where) if new or action == "relabel" else None
    if label is not None and action != "relabel" and not (action == "keep" and label == given):
        raise UserError(
            f"{where} has the action {action} and the new class {new[:40]!r}; say relabel, or leave the new class out"
        )
    return Correction(item, action, label if action == "relabel" else None, row.get("note", ""))


def _parse_label(labels: dict[str, int], new: str, where: str) -> int:
    """The class that a name stands for, or its number."""
    if new in labels:
        return labels[new]
    number = new.isascii() and new.isdecimal() and not any(name.isdecimal() for name in labels)
    if number and len(new) < 18 and int(new) < len(labels):
        return int(new)
    few = ", ".join(list(labels)[:10]) + (", ..." if len(labels) > 10 else "")
    told = f" or a number from 0 to {len(labels) - 1}" if number else ""
    raise UserError(
        f"{where} has the new class {new[:40]!r}, which there is not; say one of {few}{told}".replace("\n", " ")
    )


def import_corrections(ws, decisions: DecisionLog, path: Path | str, who: str) -> dict:
    """Appends the decisions of a corrections.csv to the log, all or none, and returns how many there were.

    Rows in conflict are passed over, and so is what stands already the same. The file does not know what was decided
    here: where that differs, the image is in conflict until somebody who has seen both decides. Each file counts as a
    client of its own, so that two that differ are in conflict, too. Raises UserError as `read_corrections`.
    """
    path = user_path(path)
    found = read_corrections(ws, path)
    called = path.name.encode("utf-8", "replace").decode()
    standing = decisions.standing()
    told = [one for one in found if one.action != CONFLICT]
    new = [
        one
        for one in told
        if one.item not in standing or (standing[one.item].action, standing[one.item].label) != (one.action, one.label)
    ]
    with path.open("rb") as stream:
        client = f"import {hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"
    decisions.append(
        [
            {
                "uid": uuid.uuid4().hex,
                "item": one.item,
                "action": one.action,
                "label": one.label,
                "seen": 0,
                "reason": _import_reason(called, one.note),
            }
            for one in new
        ],
        who,
        client,
    )
    standing = decisions.standing()
    return {
        "workspace": ws.name,
        "file": str(path),
        "imported": len(new),
        "same": len(told) - len(new),
        "skipped": len(found) - len(told),
        "conflicts": sum(bool(standing[one.item].conflict) for one in new),
    }


def _import_reason(file: str, note: str) -> str:
    """Where a decision came from, and its note, cut where it is too long for the log."""
    whole = f"imported from {file}" + (f": {note}" if note else "")
    return whole if len(whole) <= MAX_REASON_LENGTH else whole[: MAX_REASON_LENGTH - 1] + "…"
