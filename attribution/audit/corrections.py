"""Decisions as files: corrections.csv and the whole log, the corrected labels in the data set's own form, and back.

All text is UTF-8 and quoted, and what a spreadsheet would take for a formula begins with an apostrophe: whatever is in
a class name or a note comes back as it was.
"""

import codecs
import csv
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

from attribution.audit import detectors
from attribution.audit.decision_log import MAX_REASON_LENGTH, DecisionLog
from attribution.audit.decisions import DECISIONS, CurrentDecision, DecisionFold, Entry
from attribution.data import csv_table, image_folder
from attribution.errors import UserError
from attribution.files import user_path, write_array
from attribution.inputs import names as spelling
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

FILE, LOG = "corrections.csv", "log.csv"
#: for other tools: cleanlab's table of issues, and tags of FiftyOne's samples
ISSUES, TAGS = "label_issues.csv", "fiftyone_tags.json"
ISSUE_COLUMNS = ("index", "is_label_issue", "label_quality", "given_label", "predicted_label")
COLUMNS = ("image", "source", "given", "new", "action", "detector", "score", "note", "who", "time", "data_set")
LOG_COLUMNS = tuple("id uid time who client image action new of old_action old_new reason queue seen data_set".split())
#: what a file needs to be imported; `given` and `note` are used where they are there
REQUIRED_COLUMNS = ("image", "new", "action", "data_set")
#: an image that people decide differently about; nothing is changed for it
CONFLICT = "conflict"


@dataclass(frozen=True)
class Correction:
    """A row of a file. item: the training image; action: one of `DECISIONS`, or "conflict"; label: the class of a
    relabel, else None."""

    item: int
    action: str
    label: int | None
    note: str


def unique_class_names(classes: list[str]) -> list[str]:
    """Class names that each stand for one class, and that UTF-8 can write: names that occur twice, as ImageNet's
    "crane", get the class's number behind them."""
    classes = [name.encode("utf-8", "backslashreplace").decode() for name in classes]
    unique, counts = {}, Counter(classes)
    for label, name in enumerate(classes):
        while counts[name] > 1 or name in unique:
            name += f" ({label})"
        unique[name] = label
    return list(unique)


def correction_table(ws: Workspace, decisions: DecisionLog) -> "pd.DataFrame":
    """The current decisions, one row an image, ordered by image; columns COLUMNS.

    source: path in the folder of a class-folder tree, else number in the source data. given, new: class names, new
    where it is a relabel or keep. detector, score: of the queue it was decided in, "" and NaN where there was none.
    note: the reason; of a conflict, who decided what. time: ISO 8601, UTC. data_set: the fingerprint's beginning.
    """
    return _correction_table(ws, decisions, decisions.current_decisions())


def _correction_table(ws: Workspace, decisions: DecisionLog, current: dict[int, CurrentDecision]) -> "pd.DataFrame":
    import pandas as pd

    names, sources = unique_class_names(ws.classes), _image_sources(ws)
    queues = {number: decisions.queue(number) for number in {decision.queue for decision in current.values()} - {None}}
    queues = {number: queue for number, queue in queues.items() if queue}
    queue_scores = {number: dict(zip(queue.items, queue.scores or ())) for number, queue in queues.items()}
    rows = []
    for item, decision in sorted(current.items()):
        detector = queues[decision.queue].spec.get("detector") or "" if decision.queue in queues else ""
        given = names[ws.train_labels[item]]
        new = {"relabel": names[decision.label or 0], "keep": given}.get(decision.action, "")
        action, note = decision.action, decision.reason
        if decision.conflict:
            action, new = CONFLICT, ""
            sides = (*decision.conflict, decision)
            note = "; ".join(f"{side.who}: {_action_text(side, names)}" for side in sides)
        score, time = queue_scores.get(decision.queue, {}).get(item, np.nan), _iso_time(decision.at)
        data_set = ws.fingerprint[:16]
        rows.append((item, sources[item], given, new, action, detector, score, note, decision.who, time, data_set))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"image": np.int64, "score": float})


def _action_text(decision: Entry | CurrentDecision, names: list[str]) -> str:
    return f"relabel to {names[decision.label]}" if decision.action == "relabel" else decision.action


def _image_sources(ws: Workspace) -> list[str]:
    """Where each training image is found in the data set that it is from."""
    return ws.image_files("train") or list(map(str, ws.train_index))


def _iso_time(seconds: float, digits: str = "seconds") -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=digits).replace("+00:00", "Z")


def export_corrections(
    ws: Workspace, decisions: DecisionLog, folder: Path | str, progress: Progress | None = None
) -> dict:
    """Writes the decisions into `folder`, which is created where it is missing, and returns how many there are.

    corrections.csv is as `correction_table`, log.csv the whole log. The corrected labels: labels.npy (int64 [n_train])
    and removed.npy (int64, training images); or in their place, train.parquet, the training rows of the Parquet that
    the workspace was created from; train.csv (path, label), of a table of files; renames.csv (from, to), what to move
    in the folder tree it was created from. Unsure decisions and conflicts change none of them. For other tools:
    label_issues.csv as `issue_table`, and where images have files fiftyone_tags.json as `sample_tags`. Earlier files
    are replaced once all are written.
    progress(text, done, total).

    Raises UserError where nothing was decided yet, where `folder` cannot be written to, and where images that are
    needed are not on this machine.
    """
    entries = decisions.entries()
    if not entries:
        raise UserError(
            f"nothing was decided about the labels of {ws.name} yet; decide in Clean labels, or import corrections"
        )
    fold = DecisionFold()
    fold.add(entries)
    labels, removed = corrected_labels(ws, fold.current)
    folder = user_path(folder)
    with _staged_files(folder) as partial:
        table = _correction_table(ws, decisions, fold.current)
        # a scanner of spreadsheets would not read a float32 that is written as a float64
        scores = ["" if np.isnan(score) else f"{score:.7g}" for score in table["score"]]
        _write_csv(partial / FILE, COLUMNS, table.assign(score=scores).itertuples(index=False, name=None))
        _write_csv(partial / LOG, LOG_COLUMNS, _log_rows(ws, entries))
        _write_labels(ws, partial, labels, removed, progress)
        issues = issue_table(ws, fold.current)
        quality = ["" if np.isnan(value) else f"{value:.7g}" for value in issues["label_quality"]]
        issues = issues.assign(label_quality=quality)
        _write_csv(partial / ISSUES, ISSUE_COLUMNS, issues.itertuples(index=False, name=None))
        if (paths := ws.image_files("train")) is not None:
            tags = json.dumps(sample_tags(ws, fold.current, paths), indent=1)
            (partial / TAGS).write_text(tags + "\n", encoding="utf-8")
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


def corrected_labels(ws: Workspace, current: dict[int, CurrentDecision]) -> tuple[np.ndarray, np.ndarray]:
    """The labels as corrected, int64 [n_train], and the training images to be removed, int64, ascending."""
    labels, removed = np.array(ws.train_labels, np.int64), []
    for item, decision in sorted(current.items()):
        if decision.action == "relabel" and not decision.conflict:
            labels[item] = decision.label
        elif decision.action == "remove" and not decision.conflict:
            removed.append(item)
    return labels, np.array(removed, np.int64)


def issue_table(ws: Workspace, current: dict[int, CurrentDecision]) -> "pd.DataFrame":
    """A row a training image, in the workspace's order, with cleanlab's columns behind `index`, the image.

    is_label_issue: whether it was decided to relabel or remove the image. label_quality: 0 for these, 1 for labels that
    were kept; of the others by the default detector, the share of images that are more suspicious (0 to 1), NaN without
    one. given_label, predicted_label: classes by number; predicted is what was decided, else what the detector
    suggests, else the given one.
    """
    import pandas as pd
    from scipy.stats import rankdata

    predicted, quality = np.array(ws.train_labels, np.int64), np.full(ws.n_train, np.nan)
    name = detectors.default_detector(ws)
    with suppress(UserError):  # of a damaged detector: what was decided can be exported all the same
        detector = detectors.load(ws, name or "")
        quality = (rankdata(-np.asarray(detector.scores, float), "min") - 1) / ws.n_train
        predicted = predicted if detector.suggestion is None else detector.suggestion.copy()
    is_issue = np.zeros(ws.n_train, bool)
    for item, decision in current.items():
        if not decision.conflict and decision.action in ("keep", "relabel", "remove"):
            is_issue[item] = decision.action != "keep"
            quality[item] = float(decision.action == "keep")
            if decision.action != "remove":
                predicted[item] = ws.train_labels[item] if decision.label is None else decision.label
    columns = (np.arange(ws.n_train), is_issue, quality, ws.train_labels, predicted)
    return pd.DataFrame(dict(zip(ISSUE_COLUMNS, columns)))


def sample_tags(ws: Workspace, current: dict[int, CurrentDecision], paths: list[str]) -> dict[str, list[str]]:
    """The tags of each image that was decided, by its path: the action, or "conflict", and "relabel to CLASS". paths:
    of all training images, under the data set's folder."""
    names, tags = unique_class_names(ws.classes), {}
    for item, decision in sorted(current.items()):
        action = CONFLICT if decision.conflict else decision.action
        tags[paths[item]] = [action, *([_action_text(decision, names)] if action == "relabel" else [])]
    return tags


def _write_labels(
    ws: Workspace, folder: Path, labels: np.ndarray, removed: np.ndarray, progress: Progress | None
) -> None:
    """The files with the corrected labels, in the form that the data set came in."""
    source = (ws.manifest["dataset"].get("images") or {}).get("train") or {}
    kept = np.ones(len(labels), bool)
    kept[removed] = False
    if source.get("kind") == image_folder.KIND:
        files, others = (ws.image_files(split) for split in ("train", "val"))
        moves = image_folder.label_moves(
            ws.images_root, files, others, ws.classes, ws.train_labels, labels, set(removed.tolist())
        )
        _write_csv(folder / "renames.csv", ("from", "to"), ([_to_path(path) for path in move] for move in moves))
    elif source.get("kind") == csv_table.KIND:
        rows = zip(ws.image_files("train"), labels, kept)
        _write_csv(
            folder / "train.csv",
            ("path", "label"),
            ((_to_path(file), ws.classes[label]) for file, label, keep in rows if keep),
        )
    elif source.get("kind") == "parquet":
        from attribution.data import parquet

        parquet.rewrite_labels(
            ws.images_root,
            source,
            ws.image_locations("train")["row"].to_numpy(np.int64),
            ws.train_labels,
            labels,
            kept,
            folder / "train.parquet",
            progress,
            ws.classes,
        )
    else:
        write_array(folder / "labels.npy", labels)
        write_array(folder / "removed.npy", removed)


def _to_path(path: str) -> str:
    """A path as a script reads it, which is one although it looks like a formula."""
    return f"./{path}" if spelling.is_formula(path) else path


def _log_rows(ws: Workspace, entries: list[Entry]) -> Iterator[tuple]:
    names = {None: "", **dict(enumerate(unique_class_names(ws.classes)))}
    for entry in entries:
        old = entry.old or {"action": "", "label": None}
        cells = {name: getattr(entry, name) for name in LOG_COLUMNS if name in Entry.__slots__}
        cells |= {"image": entry.item, "time": _iso_time(entry.at, "milliseconds"), "data_set": ws.fingerprint[:16]}
        cells |= {"new": names[entry.label], "old_new": names[old["label"]], "old_action": old["action"]}
        yield tuple("" if cells[name] is None else cells[name] for name in LOG_COLUMNS)


def _write_csv(file: Path, columns: Iterable[str], rows: Iterable[tuple]) -> None:
    # backslashes for half a surrogate pair: a byte of a file's name that is no UTF-8
    with file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
        writer = csv.writer(stream, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(map(spelling.to_cell, row) for row in rows)


@contextmanager
def _staged_files(folder: Path) -> Iterator[Path]:
    """A folder within `folder` whose files are moved into it once all are written; interrupted before, nothing changes.
    Raises UserError where nothing can be written there."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; name a folder to write into")
    created = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(".corrections.*.part"):  # of a process that was killed
            pid = stale.name.split(".")[2]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                shutil.rmtree(stale, ignore_errors=True)
        prefix = f".corrections.{os.getpid()}."
        with tempfile.TemporaryDirectory(".part", prefix, folder, ignore_cleanup_errors=True) as partial:
            yield Path(partial)
            files = list(Path(partial).iterdir())
            if blocked := [file.name for file in files if (folder / file.name).is_dir()]:
                raise UserError(f"{folder / blocked[0]} is a folder, where a file is to be; move it away")
            for file in files:
                file.replace(folder / file.name)
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written to ({error.strerror or error}); choose a folder that you may "
            "write to, with room in it"
        ) from None
    finally:
        with suppress(OSError):
            for parent in created:  # those that stayed empty
                parent.rmdir()


def read_corrections(ws: Workspace, path: Path | str) -> list[Correction]:
    """The rows of a corrections.csv of the data set of `ws`, in the file's order.

    Needs REQUIRED_COLUMNS; a `new` class may be given by its number where no class name is a number. Raises UserError
    for a file that is no such table, is of another data set, or holds impossible values.
    """
    labels = {name: label for label, name in enumerate(unique_class_names(ws.classes))}
    corrections: dict[int, Correction] = {}
    for number, row in _read_rows(user_path(path)):
        where = f"row {number} of {path}"
        if row["data_set"] != ws.fingerprint[:16]:
            raise UserError(
                f"{where} is about another data set ({row['data_set'][:40] or 'none is named'}) than "
                f"{ws.name} ({ws.fingerprint[:16]}); open the workspace it was exported from"
            )
        correction = _parse_correction(ws, labels, row, where)
        if correction.item in corrections:
            raise UserError(f"{where} names image {correction.item} a second time; keep one row an image")
        corrections[correction.item] = correction
    return list(corrections.values())


def _read_rows(path: Path) -> Iterator[tuple[int, dict]]:
    """The rows of a file by column, with their numbers as a spreadsheet counts them."""
    try:
        if not path.is_file():
            raise UserError(f"there is no file at {path}; name a {FILE} that was exported")
        with path.open(encoding=_encoding(path), newline="") as stream:
            first, start = stream.readline(65_536), 0
            if first.startswith("sep="):  # what some spreadsheets begin with, and Excel obeys
                start = stream.tell()
                first = stream.readline(65_536)
            stream.seek(start)
            reader = csv.reader(stream, strict=True, delimiter=_delimiter(first))
            header = next(reader, None)
            if header is None:
                raise UserError(f"{path} is empty; name a {FILE} that was exported")
            if absent := [name for name in REQUIRED_COLUMNS if name not in header]:
                raise UserError(
                    f"{path} has no column {absent[0]}; name a {FILE} that was exported, with its first row"
                )
            if twice := [name for name, count in Counter(header).items() if count > 1 and name in COLUMNS]:
                raise UserError(f"{path} has two columns {twice[0]}; keep one of them")
            is_empty = True
            for number, values in enumerate(reader, 3 if start else 2):
                if not any(map(str.strip, values)):  # a spreadsheet leaves rows of nothing
                    continue
                while len(values) > len(header) and not values[-1].strip():  # and columns
                    values.pop()
                if len(values) != len(header):
                    raise UserError(
                        f"row {number} of {path} has {len(values)} columns and the first has "
                        f"{len(header)}; export it again"
                    )
                is_empty = False
                yield number, dict(zip(header, map(spelling.from_cell, values)))
            if is_empty:
                raise UserError(f"{path} holds no corrections, only names of columns; export it again")
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} is no CSV ({str(error).splitlines()[0]}); name a {FILE} that was exported") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); check the path") from None


def _encoding(path: Path) -> str:
    """UTF-8, with or without a mark; UTF-16 where its mark is there; else what Windows writes in Western Europe."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        stream.seek(0)
        try:
            while block := stream.read(1 << 20):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _delimiter(header: str) -> str:
    """What separates the columns: a spreadsheet writes semicolons where the comma is the decimal sign, or tabs."""
    return max(",;\t", key=header.count)


def _parse_correction(ws: Workspace, labels: dict[str, int], row: dict, where: str) -> Correction:
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
    choices = ", ".join(list(labels)[:10]) + (", ..." if len(labels) > 10 else "")
    if number:
        choices += f" or a number from 0 to {len(labels) - 1}"
    raise UserError(
        f"{where} has the new class {new[:40]!r}, which there is not; say one of {choices}".replace("\n", " ")
    )


def import_corrections(ws: Workspace, decisions: DecisionLog, path: Path | str, who: str) -> dict:
    """Appends the decisions of a corrections.csv to the log, all or none, and returns how many there were.

    Rows in conflict are skipped, and so are decisions that are current already. The file does not know what was decided
    here: where that differs, the image is in conflict until somebody who has seen both decides. Each file counts as a
    client of its own, so that two that differ are in conflict, too. Raises UserError as `read_corrections`.
    """
    path = user_path(path)
    rows = read_corrections(ws, path)
    with path.open("rb") as stream:
        client = f"import {hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"
    source = path.name.encode("utf-8", "replace").decode()
    return {"workspace": ws.name, "file": str(path), **append_corrections(decisions, rows, who, client, source)}


def append_corrections(decisions: DecisionLog, rows: list[Correction], who: str, client: str, source: str) -> dict:
    """Appends rows to the log, all or none, as `import_corrections` says, and returns how many. source: for people."""
    current = decisions.current_decisions()
    decided = [row for row in rows if row.action != CONFLICT]
    new = [
        row
        for row in decided
        if row.item not in current or (current[row.item].action, current[row.item].label) != (row.action, row.label)
    ]
    entries = [
        {"uid": uuid.uuid4().hex, "item": row.item, "action": row.action, "label": row.label, "seen": 0}
        | {"reason": _import_reason(source, row.note)}
        for row in new
    ]
    decisions.append(entries, who, client)
    current = decisions.current_decisions()
    return {
        "imported": len(new),
        "same": len(decided) - len(new),
        "skipped": len(rows) - len(decided),
        "conflicts": sum(bool(current[row.item].conflict) for row in new),
    }


def _import_reason(file_name: str, note: str) -> str:
    """Where a decision came from, and its note, cut where it is too long for the log."""
    reason = f"imported from {file_name}" + (f": {note}" if note else "")
    return reason if len(reason) <= MAX_REASON_LENGTH else reason[: MAX_REASON_LENGTH - 1] + "…"
