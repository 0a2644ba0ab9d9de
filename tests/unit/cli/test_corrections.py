"""Corrections from the command line, out and back in."""

import getpass
import os

import pandas as pd
import pytest

from attribution.audit.decision_log import FILE, DecisionLog
from tests.unit.audit.test_decision_log import damage, say

pytestmark = pytest.mark.usefixtures("ws")


@pytest.fixture
def log(ws):
    with DecisionLog.of(ws) as log:
        yield log


@pytest.fixture
def out(log, run, tmp_path):
    """The folder of an export: image 3 relabelled, 4 removed."""
    say(log, "relabel", 3, 0, reason="a Bar")
    say(log, "remove", 4)
    code, said, err = run("export", "corrections", "--out", tmp_path / "out")
    assert (code, err) == (0, "") and said.splitlines() == [
        f"{tmp_path / 'out'}: corrections.csv, label_issues.csv, labels.npy, log.csv, removed.npy",
        "2 images of tiny decided: 1 relabelled, 1 removed, 0 kept, 0 unsure, 0 in conflict",
    ]
    return tmp_path / "out"


@pytest.fixture
def elsewhere(out, ws, tmp_path, monkeypatch):
    """The log of another person, who has the same images."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "another"))
    with DecisionLog.of(ws) as log:
        yield log


def test_the_json(out, answer):
    assert answer("export", "corrections", "--out", out) == {
        "workspace": "tiny",
        "folder": str(out),
        "files": ["corrections.csv", "label_issues.csv", "labels.npy", "log.csv", "removed.npy"],
        "relabelled": 1,
        "removed": 1,
        "kept": 0,
        "unsure": 0,
        "conflicts": 0,
        "decisions": 2,
    }


def test_damage_is_said(log, out, run, answer):
    damage(log, "entries", "label", "1", 1)
    said = run("export", "corrections", "--out", out).out.splitlines()
    assert said[1].startswith("1 images of tiny decided") and "one row of it is damaged and left out" in said[2]
    assert said[2] == answer("export", "corrections", "--out", out)["damaged"]


def test_brought_to_another_person(out, answer, run, elsewhere):
    say(elsewhere, "keep", 4)
    line = ("import", "corrections", out / "corrections.csv")
    assert answer(*line, "--who", "Bob") == {
        "workspace": "tiny",
        "file": str(out / "corrections.csv"),
        "imported": 2,
        "same": 0,
        "skipped": 0,
        "conflicts": 1,
    }
    standing = elsewhere.current_decisions()
    assert (standing[3].label, standing[3].who, standing[3].reason) == (
        0,
        "Bob",
        "imported from corrections.csv: a Bar",
    )
    assert "0 decisions about tiny imported; 2 were here already, 0 in conflict" in run(*line)[1]
    say(elsewhere, "unsure", 3, client="bob")
    code, said, _ = run(*line)
    assert code == 0 and "1 decisions about tiny imported" in said and "1 differ from what was decided here" in said
    assert elsewhere.entries()[-1].who == getpass.getuser()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("export corrections --out {tmp}/out", "nothing was decided about the labels of tiny yet"),
        ("import corrections {tmp}/none.csv", "there is no file at"),
        ("import corrections {tmp}", "there is no file at"),
        ("import corrections {tmp}/a.csv --name a", "none of the options for rankings"),
        ("import corrections {tmp}/a.csv --sign helpful", "none of the options for rankings"),
        ("import tensor {tmp}/a.npy", "a ranking needs a --name"),
        ("import tensor {tmp}/a.npy --name a --who Bob", "takes no --who"),
    ],
)
def test_a_mistake_is_one_sentence(run, tmp_path, line, said):
    code, out, err = run(*line.format(tmp=tmp_path).split())
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and said in err
    assert not (tmp_path / "out").exists()


def test_an_export_into_a_file(log, run, tmp_path):
    say(log, "remove", 4)
    (tmp_path / "out").write_text("mine")
    code, out, err = run("export", "corrections", "--out", tmp_path / "out")
    assert (code, out) == (2, "") and "is a file; name a folder" in err and (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("verb", ["export corrections --out {tmp}/out", "import corrections {tmp}/a.csv"])
@pytest.mark.parametrize("how", ["another version", "damaged", "damaged inside"])
def test_a_log_that_cannot_be_used_is_left_as_it_is(log, run, tmp_path, verb, how):
    pd.DataFrame({"image": [3], "new": [""], "action": ["remove"], "data_set": ["0" * 16]}).to_csv(tmp_path / "a.csv")
    for item in range(60):
        say(log, "remove", item, reason="x" * 500)
    file = log.folder / FILE
    if how == "another version":
        log.db.execute("PRAGMA user_version = 99")
    log.close()
    if how == "damaged":
        file.write_bytes(b"not a database" * 1000)
    elif how == "damaged inside":
        file.write_bytes(file.read_bytes()[:4096] + b"\x77" * (file.stat().st_size - 4096))
    before = file.read_bytes()
    code, out, err = run(*verb.format(tmp=tmp_path).split())
    assert (code, out) == (2, "") and len(err.strip().splitlines()) == 1, err
    assert ("schema version 99" if how == "another version" else "are damaged") in err
    assert file.read_bytes() == before and "out" not in os.listdir(tmp_path)
