"""Corrections as files: what is written is what stands, in the data set's own form, and comes back exactly."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from attribution import Workspace, data
from attribution.audit import corrections, detectors
from attribution.audit.corrections import COLUMNS, FILE, ISSUE_COLUMNS, ISSUES, LOG, LOG_COLUMNS, TAGS
from attribution.audit.decision_log import DecisionLog
from attribution.data import parquet, roots
from attribution.errors import UserError
from attribution.inputs.names import to_cell
from attribution.workspace import create
from tests.unit.audit.test_decision_log import say, stands
from tests.unit.data.test_encoded import grey
from tests.unit.data.test_image_folder import fill
from tests.unit.data.test_parquet import NAMED, STRUCT, write
from tests.unit.data.test_webdataset import samples
from tests.unit.data.test_webdataset import write as write_tar

ODD = ["=1+1", 'a, "b"\r\nc', "<b>🩰</b>"]
NOTE = '=SUM(A1), "so"\r\n<i>é 🩰</i>\nNA'


@pytest.fixture(autouse=True)
def own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "results"))


@pytest.fixture
def log(ws):
    with DecisionLog.of(ws) as log:
        yield log


def called(ws, classes):
    """The same workspace with other names for its classes."""
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["classes"] = classes
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(ws.path)


def fresh(ws, folder):
    """A log of the same data set elsewhere."""
    return DecisionLog(folder, ws.fingerprint, ws.n_train, len(ws.classes))


def table(file):
    return pd.read_csv(file, dtype=str, keep_default_na=False)


def decide(log):
    """One of each: image 3 relabelled, 4 removed, 5 kept, 6 unsure, 7 in conflict, 8 decided and undone."""
    queue = log.add_queue({"detector": "combined"}, [3, 4], [False, False], [np.float32(0.9), 0.25], [0, 1], "Ann")
    entry = {"uid": "first", "item": 3, "action": "relabel", "label": 0, "reason": NOTE, "seen": 0}
    log.append([entry], "Ann", "tab", queue)
    say(log, "remove", 4)
    say(log, "keep", 5)
    say(log, "unsure", 6)
    say(log, "relabel", 7, 1, client="ann", seen=0)
    say(log, "remove", 7, client="bob", seen=0)
    say(log, "undo", of=say(log, "remove", 8))


# -- out


def test_the_rows(ws, log):
    decide(log)
    found = corrections.correction_table(ws, log)
    assert tuple(found.columns) == COLUMNS and found["image"].tolist() == [3, 4, 5, 6, 7]
    first = found.iloc[0].to_dict()
    assert first.pop("score") == pytest.approx(0.9) and first.pop("time").endswith("Z")
    assert first == {
        "image": 3,
        "source": "1003",
        "given": "Dot",
        "new": "Bar",
        "action": "relabel",
        "detector": "combined",
        "note": NOTE,
        "who": "Ann",
        "data_set": "0" * 16,
    }
    assert found["action"].tolist() == ["relabel", "remove", "keep", "unsure", "conflict"]
    assert found["new"].tolist() == ["Bar", "", "Dot", "", ""]
    assert found["detector"].tolist() == ["combined", "", "", "", ""] and found["score"].isna().sum() == 4
    assert found["note"][4] == "ann: relabel to Box <b>; bob: remove"


def test_written_for_images_that_were_copied(ws, log, tmp_path):
    decide(log)
    answer = corrections.export_corrections(ws, log, tmp_path / "a" / "b")
    assert answer == {
        "workspace": "tiny",
        "folder": str(tmp_path / "a" / "b"),
        "relabelled": 1,
        "removed": 1,
        "kept": 1,
        "unsure": 1,
        "conflicts": 1,
        "decisions": 5,
        "files": ["corrections.csv", "label_issues.csv", "labels.npy", "log.csv", "removed.npy"],
    }
    assert sorted(file.name for file in (tmp_path / "a" / "b").iterdir()) == answer["files"]
    labels = np.load(tmp_path / "a" / "b" / "labels.npy")
    assert labels.dtype == np.int64 and np.flatnonzero(labels != ws.train_labels).tolist() == [3] and labels[3] == 0
    assert np.load(tmp_path / "a" / "b" / "removed.npy").tolist() == [4]
    found = table(tmp_path / "a" / "b" / FILE)
    assert tuple(found.columns) == COLUMNS
    assert found.loc[0, ["image", "score", "note"]].tolist() == ["3", "0.9", "'" + NOTE] and found["score"][1] == ""
    lines = table(tmp_path / "a" / "b" / LOG)
    assert tuple(lines.columns) == LOG_COLUMNS and len(lines) == len(log.entries()) == 8
    last = lines.iloc[-1]
    assert (last["action"], last["image"], last["of"], last["old_action"]) == ("undo", "8", lines["uid"][6], "remove")
    assert lines.loc[0, ["new", "reason", "queue", "old_action"]].tolist() == ["Bar", "'" + NOTE, "1", ""]
    assert lines.loc[5, ["old_action", "old_new", "queue", "seen"]].tolist() == ["relabel", "Box <b>", "", "0"]


def test_written_again_it_is_what_stands_then(ws, log, tmp_path):
    say(log, "remove", 4)
    corrections.export_corrections(ws, log, tmp_path / "out")
    (tmp_path / "out" / "mine.txt").write_text("stays")
    say(log, "undo", of=log.entries()[0].uid)
    answer = corrections.export_corrections(ws, log, tmp_path / "out")
    assert answer["decisions"] == 0 and len(table(tmp_path / "out" / FILE)) == 0
    assert np.load(tmp_path / "out" / "removed.npy").tolist() == [] and len(table(tmp_path / "out" / LOG)) == 2
    assert (tmp_path / "out" / "mine.txt").read_text() == "stays"


def test_nothing_decided_yet(ws, log, tmp_path):
    with pytest.raises(UserError, match="nothing was decided about the labels of tiny yet"):
        corrections.export_corrections(ws, log, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["a file", "below a file", "/proc/nowhere", "a folder in its place"])
def test_where_nothing_can_be_written(ws, log, tmp_path, where):
    say(log, "remove", 4)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "out" / LOG).mkdir(parents=True)
    out = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "a" / "b",
        "a folder in its place": tmp_path / "out",
    }.get(where, Path(where))
    with pytest.raises(UserError) as error:
        corrections.export_corrections(ws, log, out)
    assert str(out) in str(error.value) and len(str(error.value).splitlines()) == 1
    assert (tmp_path / "file").read_text() == "mine" and os.listdir(tmp_path / "out") == [LOG]


def test_a_disk_that_fills_leaves_what_was_there(ws, log, tmp_path, monkeypatch):
    say(log, "remove", 4)
    corrections.export_corrections(ws, log, tmp_path / "out")
    before = {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()}
    say(log, "remove", 5)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(corrections, "write_array", full)
    for out in ("out", "new/below"):
        with pytest.raises(UserError, match=r"cannot be written to \(No space left on device\)"):
            corrections.export_corrections(ws, log, tmp_path / out)
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == before
    assert not (tmp_path / "new").exists()


def test_what_a_killed_export_left_is_cleared_away(ws, log, tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getppid()):
        (tmp_path / "out" / f".corrections.{pid}.x.part").mkdir(parents=True)
    say(log, "remove", 4)
    answer = corrections.export_corrections(ws, log, tmp_path / "out")
    assert sorted(os.listdir(tmp_path / "out")) == sorted([f".corrections.{os.getppid()}.x.part", *answer["files"]])


# -- for other tools


def test_issues_as_cleanlab_has_them(ws, log, tmp_path):
    """Those that were decided are 0 or 1; the others by the default detector, in the order of the images."""
    detectors.build_detectors(ws, ["knn-moco"])
    detector = detectors.load(ws, "knn-moco")
    decide(log)
    say(log, "relabel", 9, 2)
    corrections.export_corrections(ws, log, tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / ISSUES)
    assert tuple(found.columns) == ISSUE_COLUMNS and found["index"].tolist() == list(range(60))
    assert found["given_label"].tolist() == ws.train_labels.tolist() and found["is_label_issue"].dtype == bool
    assert np.flatnonzero(found["is_label_issue"]).tolist() == [3, 4, 9]
    quality = found["label_quality"]
    assert quality[[3, 4, 9]].tolist() == [0, 0, 0] and quality[5] == 1
    assert found["predicted_label"][[3, 5, 9]].tolist() == [0, ws.train_labels[5], 2]
    open_images = [image for image in range(60) if image not in (3, 4, 5, 9)]  # unsure and conflict among them
    assert ((quality >= 0) & (quality < 1))[open_images].all()
    assert found["predicted_label"][open_images].tolist() == detector.suggestion[open_images].tolist()
    order = np.argsort(quality[open_images].to_numpy(), kind="stable")
    assert (np.diff(detector.scores[open_images][order]) <= 0).all(), "what is more suspicious has less quality"


def test_issues_without_a_detector_and_with_a_damaged_one(ws, log, tmp_path):
    say(log, "remove", 4)
    corrections.export_corrections(ws, log, tmp_path / "out")
    found = pd.read_csv(tmp_path / "out" / ISSUES)
    assert found["label_quality"].notna().sum() == 1 and found["predicted_label"].equals(found["given_label"])
    detectors.build_detectors(ws, ["knn-moco"])
    (ws.folder("detectors/knn-moco") / "scores.npy").write_bytes(b"no array")
    corrections.export_corrections(ws, log, tmp_path / "out")
    assert pd.read_csv(tmp_path / "out" / ISSUES).equals(found)


def test_tags_of_samples(ws, log):
    decide(log)
    paths = [f"train/{image}.png" for image in range(60)]
    assert corrections.sample_tags(ws, log.current_decisions(), paths) == {
        "train/3.png": ["relabel", "relabel to Bar"],
        "train/4.png": ["remove"],
        "train/5.png": ["keep"],
        "train/6.png": ["unsure"],
        "train/7.png": ["conflict"],
    }


# -- there and back


@pytest.mark.parametrize(
    "classes",
    [
        ODD,
        ["1", "2", "10"],
        ["crane", "owl", "crane"],
        ["crane", "crane", "crane (0)"],
        ["", " ", "NA"],
        ["nan", "None", "1e5"],
        ["=1+1", "'=1+1", "''@x"],
        ["-0.5", "-a", "\ta"],
        ["a\0b", "\ud800", "\\ud800"],
        ["\x1b]0;x\x07", "\u202ea", "；;,"],
    ],
    ids=repr,
)
def test_any_class_names_and_notes_come_back(ws, log, tmp_path, classes):
    ws = called(ws, classes)
    for item in range(9):
        say(log, "relabel", item, item % 3, reason=NOTE + str(item))
    say(log, "keep", 20, reason="x" * 500)
    say(log, "remove", 21)
    say(log, "unsure", 22)
    corrections.export_corrections(ws, log, tmp_path / "out")
    if len(set(classes)) == 3 and "\ud800" not in classes:
        cells = list(map(to_cell, classes))  # a formula begins with an apostrophe
        assert table(tmp_path / "out" / FILE)["new"].tolist() == [*(cells * 3), cells[20 % 3], "", ""]
    with fresh(ws, tmp_path / "other") as other:
        answer = corrections.import_corrections(ws, other, tmp_path / "out" / FILE, "Bob")
        assert answer == {
            "workspace": "tiny",
            "file": str(tmp_path / "out" / FILE),
            "imported": 12,
            "same": 0,
            "skipped": 0,
            "conflicts": 0,
        }
        assert {item: (one.action, one.label) for item, one in other.current_decisions().items()} == {
            item: (one.action, one.label) for item, one in log.current_decisions().items()
        }
        first, entry = other.current_decisions()[0], other.entries()[0]
        assert first.reason == f"imported from {FILE}: {NOTE}0" and first.who == "Bob"
        assert entry.client.startswith("import") and entry.seen == 0 and first.queue is None
        assert len(other.current_decisions()[20].reason) == 500 and other.current_decisions()[20].reason.endswith("x…")
        assert other.current_decisions()[21].reason == f"imported from {FILE}"


@pytest.mark.parametrize("n", [1, 1000])
def test_one_class_and_a_thousand(ws, tmp_path, n):
    pd.DataFrame({"label": [0] * 60, "source_index": range(60)}).to_parquet(ws.path / "train.parquet")
    pd.DataFrame({"label": [0] * 12, "source_index": range(12)}).to_parquet(ws.path / "val.parquet")
    ws = called(ws, [f"class {i} <b>,\n" for i in range(n)])
    with DecisionLog.of(ws) as log:
        for item in range(60):
            say(log, "relabel", item, (n - 1) * item // 59)
        corrections.export_corrections(ws, log, tmp_path / "out")
        expected = [(n - 1) * item // 59 for item in range(60)]
        assert np.load(tmp_path / "out" / "labels.npy").tolist() == expected
        assert [one.label for one in corrections.read_corrections(ws, tmp_path / "out" / FILE)] == expected


def test_brought_in_where_something_stands(ws, log, tmp_path):
    decide(log)
    corrections.export_corrections(ws, log, tmp_path / "out")
    before = log.newest_id()
    assert corrections.import_corrections(ws, log, tmp_path / "out" / FILE, "Bob") == {
        "workspace": "tiny",
        "file": str(tmp_path / "out" / FILE),
        "imported": 0,
        "same": 4,
        "skipped": 1,
        "conflicts": 0,
    }
    assert log.newest_id() == before
    with fresh(ws, tmp_path / "other") as other:
        say(other, "relabel", 3, 0)
        say(other, "keep", 4, client="cid")
        answer = corrections.import_corrections(ws, other, tmp_path / "out" / FILE, "Bob")
        assert (answer["imported"], answer["same"], answer["skipped"], answer["conflicts"]) == (3, 1, 1, 1)
        assert stands(other, 4) == ("remove", None) and [one.who for one in other.current_decisions()[4].conflict] == [
            "cid"
        ]
        assert 7 not in other.current_decisions() and other.current_decisions()[3].id == 1
        assert corrections.import_corrections(ws, other, tmp_path / "out" / FILE, "Bob")["imported"] == 0, (
            "twice is once"
        )
        say(other, "keep", 4, client="dan")
        assert not other.current_decisions()[4].conflict


def test_two_files_that_differ_are_in_conflict(ws, log, tmp_path):
    for name, action in (("ann", "keep"), ("bob", "remove")):
        with fresh(ws, tmp_path / name) as own:
            say(own, action, 5)
            say(own, "unsure", 6)
            corrections.export_corrections(ws, own, tmp_path / name / "out")
        corrections.import_corrections(ws, log, tmp_path / name / "out" / FILE, name)
    assert [one.who for one in log.current_decisions()[5].conflict] == ["ann"] and not log.current_decisions()[
        6
    ].conflict


def rewritten(file, change):
    """Changes the rows of a file, dicts of text."""
    with file.open(newline="", encoding="utf-8") as stream:
        lines = list(csv.DictReader(stream))
    lines = change(lines) or lines
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(lines[0]) if lines else COLUMNS)
        writer.writeheader()
        writer.writerows(lines)


def cell(row, **values):
    return lambda lines: lines[row].update(values)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cell(1, data_set="f" * 16), "row 3 of .* is about another data set \\(ffffffffffffffff\\) than tiny \\(0000"),
        (cell(0, data_set=""), "another data set \\(none is named\\)"),
        (lambda lines: [{key: one[key] for key in one if key != "new"} for one in lines], "has no column new"),
        (
            lambda lines: [{key: one[key] for key in one if key != "data_set"} for one in lines],
            "has no column data_set",
        ),
        (cell(1, image="60"), "about image '60', and training images are 0 to 59"),
        (cell(1, image="-1"), "image '-1'"),
        (cell(1, image="4.0"), "image '4.0'"),
        (cell(1, image=""), "image ''"),
        (cell(1, image="٣"), "image '٣'"),
        (cell(1, image="3", given=""), "row 3 of .* names image 3 a second time; keep one row an image"),
        (cell(0, new="Bärr"), "row 2 of .* the new class 'Bärr', which there is not; say one of Bar, Box <b>, Dot"),
        (cell(0, new="bar"), "the new class 'bar'"),
        (cell(0, new=""), "the new class ''"),
        (cell(0, new="3"), "the new class '3', which there is not; .* or a number from 0 to 2"),
        (cell(0, new="-1"), "the new class '-1'"),
        (cell(0, action="burn"), "the action 'burn'; say one of keep, relabel"),
        (cell(0, action=""), "the action ''"),
        (cell(0, action="undo"), "the action 'undo'"),
        (cell(0, action="remove"), "the action remove and the new class 'Bar'; say relabel, or leave"),
        (cell(2, new="Bar"), "the action keep and the new class 'Bar'"),
        (cell(0, given="Bar"), "says that image 3 was given 'Bar', and it was given 'Dot'"),
        (lambda lines: lines.clear(), "holds no corrections, only names of columns"),
    ],
)
def test_a_file_that_cannot_be_is_refused_whole(ws, log, tmp_path, change, said):
    decide(log)
    corrections.export_corrections(ws, log, tmp_path / "out")
    rewritten(tmp_path / "out" / FILE, change)
    with fresh(ws, tmp_path / "other") as other:
        with pytest.raises(UserError, match=said) as error:
            corrections.import_corrections(ws, other, tmp_path / "out" / FILE, "Bob")
        assert len(str(error.value).splitlines()) == 1 and other.entries() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe" * 50, "has no column image"),
        (b"\x81\x8d\x8f" * 50, "is no CSV"),
        (b"\0" * 5000, "has no column image"),
        (b"PAR1" * 100, "has no column image"),
        ("image,new\n".encode("utf-16"), "has no column action"),
        (b'image,new,action,data_set\n3,"Bar,relabel', "is no CSV"),
        (b"x" * 200_000, "is no CSV"),
        (b"image,new,action,data_set\n3,,keep\n", "row 2 of .* has 3 columns and the first has 4"),
        (b"image;new;action;data_set\n3;;keep;0\n", "row 2 of .* is about another data set"),
        (b"image,new,image,action,data_set\n3,,4,keep,0\n", "has two columns image; keep one"),
        (b"image,new,action,data_set\r\n\r\n\r\n", "holds no corrections"),
        (None, "there is no file at"),
        ("folder", "there is no file at"),
    ],
)
def test_what_is_no_such_file(ws, log, tmp_path, content, said):
    file = tmp_path / "given.csv"
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        corrections.import_corrections(ws, log, file, "Bob")
    assert len(str(error.value).splitlines()) == 1 and str(file) in str(error.value) and log.entries() == []


def test_as_other_programs_write_it(ws, log, tmp_path):
    """With a mark at its start, few columns in another order, blank lines, and a class by its number."""
    file = tmp_path / "given.csv"
    lines = ["action,image,data_set,new", f"relabel,3,{'0' * 16},1", "", f"keep,5,{'0' * 16},Dot", ""]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert corrections.import_corrections(ws, log, file, "Bob")["imported"] == 2
    assert stands(log, 3) == ("relabel", 1) and stands(log, 5) == ("keep", None)
    ws = called(ws, ["1", "2", "3"])  # where classes are called by numbers, those are names
    (one, other) = corrections.read_corrections(ws, _with(file, "Dot", ""))
    assert (one.label, other.label) == (0, None)
    with pytest.raises(UserError, match="the new class '0'"):
        corrections.read_corrections(ws, _with(file, f"{'0' * 16},1", f"{'0' * 16},0"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("form", ["plain", "sep", "wide"])
def test_as_the_spreadsheets_of_europe_save_it(ws, log, tmp_path, encoding, delimiter, form):
    """In any encoding and with any sign between columns, with empty rows and columns, and Excel's own first line."""
    ws.classes[0] = "B\u00e4r"
    rows = [
        ["image", "given", "new", "action", "data_set", "note"],
        ["3", "Dot", "B\u00e4r", "relabel", "0" * 16, "sch\u00f6n"],
        ["", "", "", "", "", ""],
        [" ", "", "", "", "", " "],
        ["4", "", "", "remove", "0" * 16, ""],
    ]
    more = ["", ""] * (form == "wide")
    lines = [f"sep={delimiter}"] * (form == "sep") + [delimiter.join([*row, *more]) for row in rows]
    (tmp_path / "c.csv").write_bytes("\r\n".join(lines).encode(encoding))
    assert corrections.import_corrections(ws, log, tmp_path / "c.csv", "Bob")["imported"] == 2
    assert stands(log, 3) == ("relabel", 0) and stands(log, 4) == ("remove", None)
    assert log.current_decisions()[3].reason.endswith(": sch\u00f6n")
    (tmp_path / "c.csv").write_bytes("\r\n".join([*lines, "x"]).encode(encoding))
    with pytest.raises(UserError, match=f"row {len(lines) + 1} of .* has 1 columns and the first has"):
        corrections.read_corrections(ws, tmp_path / "c.csv")


@pytest.mark.parametrize("name", ["semicolon.csv", "blank.csv"])
def test_as_a_spreadsheet_saves_it(ws, log, tmp_path, name):
    """With semicolons where the comma is the decimal sign, a row of nothing at the end, and a formula disarmed."""
    rows = [
        "image,given,new,action,data_set,note",
        f"3,Dot,Bar,relabel,{'0' * 16},'=1+1",
        f"4,,,remove,{'0' * 16},",
        ",,,,,",
    ]
    text = "\r\n".join(rows)
    (tmp_path / name).write_text(text.replace(",", ";") if name == "semicolon.csv" else text, encoding="utf-8-sig")
    assert corrections.import_corrections(ws, log, tmp_path / name, "Bob")["imported"] == 2
    assert stands(log, 3) == ("relabel", 0) and stands(log, 4) == ("remove", None)
    assert log.current_decisions()[3].reason == f"imported from {name}: =1+1"


def _with(file, old, new):
    file.write_bytes(file.read_bytes().replace(old.encode(), new.encode()))
    return file


# -- Parquet


def shards(folder, n=(7, 0, 13), features=NAMED, kind=pa.int64()):
    """Shards of grey pictures and further columns; labels in turn."""
    start = 0
    for number, rows in enumerate(n):
        ids = range(start, start + rows)
        start += rows
        whole = pa.table(
            {
                "id": pa.array([f"<{i}>" for i in ids], pa.string()),
                "img": pa.array([{"bytes": grey(i), "path": f"{i}.png" if i % 2 else None} for i in ids], STRUCT),
                "label": pa.array([i % 2 for i in ids], kind),
                "more": pa.array([[i, None] for i in ids], pa.list_(pa.int32())),
            }
        )
        whole = whole.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        folder.mkdir(exist_ok=True)
        pq.write_table(whole, folder / f"train-{number:05}-of-{len(n):05}.parquet", row_group_size=3)
    write(folder / "test-00000-of-00001.parquet", [100, 101], [0, 1], features=features)
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("train-*"))])


@pytest.mark.parametrize("rows", ["one by one", "all at once"])
def test_parquet_comes_back_with_other_labels(tmp_path, rows, monkeypatch):
    if rows == "one by one":
        monkeypatch.setattr(parquet, "BATCH_BYTES", 1)
    whole = shards(tmp_path / "set")
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set")
    told = []
    with DecisionLog.of(ws) as log:
        for item in (0, 8, 19):
            say(log, "relabel", item, 1 - item % 2)
        say(log, "remove", 7)
        say(log, "remove", 12)
        answer = corrections.export_corrections(ws, log, tmp_path / "out", lambda *at: told.append(at))
        assert answer["files"] == ["corrections.csv", "label_issues.csv", "log.csv", "train.parquet"] and told[-1][
            1:
        ] == (20, 20)
    found = pq.read_table(tmp_path / "out" / "train.parquet")
    stay = [i for i in range(20) if i not in (7, 12)]
    assert found.schema.equals(whole.schema, check_metadata=True)
    assert found.drop_columns("label").equals(whole.drop_columns("label").take(stay))
    assert found["label"].to_pylist() == [1 - i % 2 if i in (0, 8, 19) else i % 2 for i in stay]
    again = data.get_loader("parquet").load(tmp_path / "out" / "train.parquet", val_share=0.1)
    assert again.classes == ["no", "yes"] and len(again.train.labels) + len(again.val.labels) == 18


def test_only_training_rows_where_some_were_lent(tmp_path):
    whole = shards(tmp_path / "set")
    (tmp_path / "set" / "test-00000-of-00001.parquet").unlink()
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set", val_share=0.3)
    with DecisionLog.of(ws) as log:
        say(log, "remove", 5)
        say(log, "relabel", 6, 1 - int(ws.train_labels[6]))
        corrections.export_corrections(ws, log, tmp_path / "out")
        assert corrections.correction_table(ws, log)["source"].tolist() == [
            str(ws.train_index[5]),
            str(ws.train_index[6]),
        ]
    stay = np.delete(ws.train_index, 5)
    found = pq.read_table(tmp_path / "out" / "train.parquet")
    assert len(stay) == 13 and found["img"].to_pylist() == whole["img"].take(stay).to_pylist()
    assert np.flatnonzero(found["label"].to_numpy() != whole["label"].to_numpy()[stay]).tolist() == [5]


def test_parquet_that_is_not_there_or_has_changed(tmp_path):
    shards(tmp_path / "set")
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set")
    first = tmp_path / "set" / "train-00000-of-00003.parquet"
    whole = pq.read_table(first)
    with DecisionLog.of(ws) as log:
        say(log, "remove", 5)

        def refused(said):
            with pytest.raises(UserError, match=said) as error:
                corrections.export_corrections(ws, log, tmp_path / "out")
            assert len(str(error.value).splitlines()) == 1 and not (tmp_path / "out").exists()

        labels = pa.array([1 - i % 2 for i in range(7)])
        pq.write_table(whole.set_column(2, "label", labels), first)
        refused("the labels in .* are not those that the workspace was created from")
        pq.write_table(whole.slice(1), first)
        refused("has 6 rows and should have 7")
        first.write_bytes(b"PAR1 and no more")
        refused("cannot be read as Parquet")
        first.unlink()
        refused("train-00000-of-00003.parquet")
        roots.save_root(ws.path, ws.fingerprint, tmp_path / "nowhere")
        refused("the images of new are not on this machine, .* workspace locate")


def test_labels_that_the_column_cannot_hold(tmp_path):
    names = {"label": {"names": [str(i) for i in range(300)], "_type": "ClassLabel"}}
    shards(tmp_path / "set", features=names, kind=pa.uint8())
    ws = create.create(tmp_path / "new", "parquet", tmp_path / "set")
    with DecisionLog.of(ws) as log:
        say(log, "relabel", 5, 255)
        corrections.export_corrections(ws, log, tmp_path / "out")
        found = pq.read_table(tmp_path / "out" / "train.parquet")
        assert found["label"].type == pa.uint8() and found["label"][5].as_py() == 255
        say(log, "relabel", 5, 256)
        with pytest.raises(UserError, match="cannot take these labels .*; write all files of the data set alike"):
            corrections.export_corrections(ws, log, tmp_path / "out")
    assert pq.read_table(tmp_path / "out" / "train.parquet")["label"][5].as_py() == 255


def test_a_large_row_group_is_not_held_whole(tmp_path, monkeypatch):
    """40 MB of pictures in one row group, a megabyte of them a page and at a time."""
    monkeypatch.setattr(parquet, "BATCH_BYTES", 1 << 20)
    noise = np.random.default_rng(0)
    rows = [{"bytes": noise.bytes(400_000), "path": None} for _ in range(100)]
    (tmp_path / "set").mkdir()
    pq.write_table(
        pa.table({"img": pa.array(rows, STRUCT), "label": [0, 1] * 50}),
        tmp_path / "set" / "train.parquet",
        use_dictionary=False,
        write_batch_size=2,
    )
    source, ids = {"files": [["train.parquet", 100]]}, np.arange(100)
    held, before = [], pa.total_allocated_bytes()
    parquet.rewrite_labels(
        tmp_path / "set",
        source,
        ids,
        ids % 2,
        1 - ids % 2,
        ids != 3,
        tmp_path / "out.parquet",
        lambda *at: held.append(pa.total_allocated_bytes() - before),
    )
    assert max(held) < 12 << 20
    assert pq.read_table(tmp_path / "out.parquet")["label"].to_pylist() == [1 - i % 2 for i in range(100) if i != 3]


# -- class folders


def renamed(folder, moves):
    """Does the moves, in any order, as a reader would; none may land on a file."""
    for old, new in moves:
        assert not (folder / new).exists()
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)


def moves_in(out):
    return list(table(out / "renames.csv").itertuples(index=False, name=None))


def test_class_folders_are_renamed(tmp_path):
    odd = '=a, "b"\n🩰'
    fill(
        tmp_path / "set",
        {
            "train/cat": ["a.png", "b.png", "x.y.png"],
            "train/" + odd: ["a.png", "b.png", "sub/a.png"],
            "val/cat": ["a.png"],
            "val/" + odd: ["a.png"],
        },
    )
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    assert ws.classes == [odd, "cat"]
    with DecisionLog.of(ws) as log:
        files = ws.image_locations("train")["file"].tolist()
        at = {name: files.index(name) for name in files}
        say(log, "relabel", at["train/cat/a.png"], 0)
        say(log, "relabel", at[f"train/{odd}/a.png"], 1)
        say(log, "relabel", at[f"train/{odd}/sub/a.png"], 1)
        say(log, "remove", at["train/cat/x.y.png"])
        say(log, "keep", at["train/cat/b.png"])
        answer = corrections.export_corrections(ws, log, tmp_path / "out")
        assert answer["files"] == ["corrections.csv", TAGS, "label_issues.csv", "log.csv", "renames.csv"]
        assert list(corrections.correction_table(ws, log)["source"]) == [
            files[item] for item in sorted(log.current_decisions())
        ]
        moves = moves_in(tmp_path / "out")
        assert sorted(moves) == sorted(
            [
                ("train/cat/a.png", f"train/{odd}/a-2.png"),
                (f"train/{odd}/a.png", "train/cat/a-2.png"),
                (f"train/{odd}/sub/a.png", "train/cat/sub/a.png"),
                ("train/cat/x.y.png", "removed/cat/x.y.png"),
            ]
        )
        renamed(tmp_path / "set", reversed(moves))
    again = data.get_loader("image-folder").load(tmp_path / "set")
    assert again.classes == [odd, "cat"] and again.train.labels.tolist() == [0, 0, 1, 1, 1]
    assert again.val.labels.tolist() == [0, 1]


def test_a_table_of_files_comes_as_one(tmp_path):
    files = [f"img/{'=' * (i == 3)}{i}.png" for i in range(6)]
    fill(tmp_path, {"set": [*files, "=7.png"]})
    rows = [f"{file},{'cat' if i % 2 else 'dog'},{'val' if i > 3 else 'train'}" for i, file in enumerate(files)]
    text = "\n".join(["path,label,split", *rows, "=7.png,cat,train"])
    (tmp_path / "set/all.csv").write_text(text)
    ws = create.create(tmp_path / "new", "csv", tmp_path / "set")
    with DecisionLog.of(ws) as log:
        say(log, "relabel", 0, 0)
        say(log, "remove", 1)
        answer = corrections.export_corrections(ws, log, tmp_path / "out")
        assert answer["files"] == ["corrections.csv", TAGS, "label_issues.csv", "log.csv", "train.csv"]
        assert list(corrections.correction_table(ws, log)["source"]) == files[:2]
    (tmp_path / "out/train.csv").replace(tmp_path / "set/train.csv")
    again = data.get_loader("csv").load(tmp_path / "set/train.csv", val_share=0.01)
    assert set(again.train.locations["file"]) | set(again.val.locations["file"]) == {files[0], *files[2:4], "=7.png"}
    assert dict(zip(again.train.locations["file"], again.train.labels)).get(files[0], 0) == 0


def test_shards_come_with_arrays(tmp_path):
    write_tar(tmp_path / "set/train.tar", samples(range(8)))
    write_tar(tmp_path / "set/val.tar", samples(range(8, 10)))
    ws = create.create(tmp_path / "new", "webdataset", tmp_path / "set")
    with DecisionLog.of(ws) as log:
        say(log, "relabel", 0, 1)
        say(log, "remove", 3)
        answer = corrections.export_corrections(ws, log, tmp_path / "out")
    assert answer["files"] == ["corrections.csv", "label_issues.csv", "labels.npy", "log.csv", "removed.npy"]
    assert np.load(tmp_path / "out/labels.npy").tolist() == [1, 1, 0, 1, 0, 1, 0, 1]
    assert np.load(tmp_path / "out/removed.npy").tolist() == [3]


@pytest.mark.parametrize("top", ["", "train/"])
def test_class_folders_alone_get_no_folder_beside_them(tmp_path, top):
    """A folder `removed` beside the classes would be one more class: it goes out of the tree."""
    classes = ["train", "dog"] if not top else ["cat", "train"]
    fill(tmp_path / "set", {top + name: [f"{i}.png" for i in range(6)] for name in classes})
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    taken = ws.image_locations("val")["file"].tolist()
    with DecisionLog.of(ws) as log:
        files = ws.image_locations("train")["file"].tolist()
        for item in range(len(files)):
            say(log, "relabel", item, 1 - int(ws.train_labels[item]))
        say(log, "remove", 0)
        corrections.export_corrections(ws, log, tmp_path / "out")
        moves = moves_in(tmp_path / "out")
    assert moves[0] == (files[0], "../removed/" + files[0].removeprefix(top))
    assert len(moves) == len(files) and not {new for _, new in moves} & {*files, *taken}
    renamed(tmp_path / "set", moves)
    again = data.get_loader("image-folder").load(tmp_path / "set")
    assert again.classes == sorted(classes) and len(again.train.labels) + len(again.val.labels) == 11
    assert (tmp_path / "removed").is_dir()


def test_files_that_are_no_images_and_other_cases_are_not_hit(tmp_path):
    fill(
        tmp_path / "set",
        {
            "train/cat": ["A.png", "b.png", "c.png"],
            "train/dog": ["a.png", "d.png"],
            "val/cat": ["x.png"],
            "val/dog": ["x.png"],
        },
    )
    (tmp_path / "set" / "train" / "dog" / "b.png").mkdir()
    (tmp_path / "set" / "train" / "dog" / "b-2.png").symlink_to("nowhere")
    (tmp_path / "set" / "train" / "dog" / "b-2.png").unlink()
    ws = create.create(tmp_path / "new", "image-folder", tmp_path / "set")
    (tmp_path / "set" / "train" / "dog" / "b-2.png").symlink_to("nowhere")
    with DecisionLog.of(ws) as log:
        for item in range(3):
            say(log, "relabel", item, 1)
        corrections.export_corrections(ws, log, tmp_path / "out")
    assert [new for _, new in moves_in(tmp_path / "out")] == [
        "train/dog/A-2.png",
        "train/dog/b-3.png",
        "train/dog/c.png",
    ]
    roots.save_root(ws.path, ws.fingerprint, tmp_path / "nowhere")
    with DecisionLog.of(ws) as log, pytest.raises(UserError, match="workspace locate"):
        corrections.export_corrections(ws, log, tmp_path / "out")


def test_neither_loads_what_a_page_need_not_wait_for(run_python):
    done = run_python(
        "-c",
        "import sys, attribution.audit.corrections, attribution.audit.decision_log\n"
        "print(sorted({'pandas', 'pyarrow', 'torch'} & set(sys.modules)))",
    )
    assert (done.code, done.out.strip()) == (0, "[]"), done.err
