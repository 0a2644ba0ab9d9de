"""Detectors and the audit from the command line, with real trainings; the decisions are handed in."""

import numpy as np
import pytest

from attribution import Workspace
from attribution.audit import review_queue
from attribution.audit.decision_log import DecisionLog
from tests.unit.audit.test_gain import STANDING, decided

pytestmark = pytest.mark.usefixtures("home")


def test_detectors_are_built_listed_and_evaluated(answer, run, home):
    code, out, err = run("evaluate", "mislabels")
    assert (code, out) == (2, "") and "no detectors yet" in err and err.count("\n") == 1
    listed = answer("detectors", "list")["detectors"]
    assert not any(one["built"] for one in listed) and listed[0]["name"] == "combined"
    built = answer("detectors", "build", "knn-moco,harm-trak-10")["detectors"]
    assert set(built) == {"knn-moco", "harm-trak-10"}
    assert "evidence weighed by how far its kinds agree: " in run("detectors", "build", "combined")[1]
    listed = {one["name"]: one for one in answer("detectors", "list")["detectors"]}
    assert listed["combined"]["built"] and listed["combined"]["uses_val"] and not listed["knn-moco"]["uses_val"]
    assert "base train" in listed["loss"]["needs"] and "20 nearest in moco" in run("detectors", "list")[1]
    found = answer("evaluate", "mislabels")
    assert found["n_planted"] == 1 and list(found["detectors"]) == ["combined", "knn-moco", "harm-trak-10"]
    assert set(found["detectors"]["combined"]) == {"auc", "average_precision", "found_at"}
    text = run("evaluate", "mislabels")[1]
    assert "1 planted errors among 60 training images" in text and "found at 5 %" in text and "knn-moco" in text


def test_accuracy_against_images_inspected(answer, run, home):
    code, out, err = run("evaluate", "inspection")
    assert (code, out) == (2, "") and "choose one: --model head-moco" in err
    answer("detectors", "build", "knn-moco,harm-trak-10")
    asked = ("evaluate", "inspection", "--model", "head-moco", "--draws", "2")
    found = answer(*asked, "--detectors", "knn-moco,harm-trak-10", "--seed", "3")
    assert list(found["orders"]) == ["knn-moco", "harm-trak-10"] and (found["uses_val"], found["n"]) == (True, 6)
    assert [found["orders"]["knn-moco"][at]["found"] for at in (0, 1, -1)] == [0, 1, 1], "the first is the planted one"
    text = run(*asked).out
    assert "1 planted errors among 60 training images" in text and "in the order of combined" in text
    assert (
        "6 validation images (the second half: detectors have read the first), head-moco" in text
        and "in random order, mean of 2" in text
    )
    assert "give a whole number from 2" in run(*asked[:4], "--draws", "1").err


def test_accuracy_after_the_decisions(answer, run, home):
    code, _, err = run("evaluate", "inspection", "--decisions")
    assert code == 2 and "choose one: --model head-moco" in err
    asked = ("evaluate", "inspection", "--decisions", "--model", "head-moco")
    assert [point["decided"] for point in answer(*asked)["curve"]] == [0]
    with DecisionLog.of(Workspace.open(home.path)) as log:
        entries = [{"uid": f"u{image}", "item": image, "action": "remove", "seen": 0} for image in (3, 4)]
        log.append(entries, "me", "tab")
    found = answer(*asked)
    assert [(point["decided"], point["changed"]) for point in found["curve"]] == [(0, 0), (1, 1), (2, 2)]
    assert found["uses_val"], "nobody knows what led to them"
    text = run(*asked).out
    assert "6 validation images (the second half: detectors have read the first)" in text and "minus none" in text
    assert "leave --detectors out" in run(*asked, "--detectors", "knn-moco").err
    with DecisionLog.of(Workspace.open(home.path)) as log:  # the tests that follow begin without
        log.append(
            [{"uid": f"v{image}", "of": f"u{image}", "action": "undo", "seen": 0} for image in (3, 4)], "me", "tab"
        )


def test_a_mistake_about_detectors_is_one_sentence(run, home):
    before = sorted(home.path.rglob("*"))
    for words, said in (
        (("build", "nope"), "no detector 'nope'"),
        (("build", " , "), "no detector is named"),
        (("build", "loss"), "loss cannot be built"),
        (("build", "knn-moco,self-influence"), "self-influence cannot be built"),
    ):
        code, out, err = run("detectors", *words)
        assert (code, out, err.count("\n")) == (2, "", 1) and said in err
    assert sorted(home.path.rglob("*")) == before
    assert np.load(home.path / "detectors" / "knn-moco" / "scores.npy").shape == (60,)


def test_faults_of_pictures(answer, run, home):
    """Two of the images are the same by no chance."""
    images = np.load(home.path / "images" / "train.npy")
    before = images.copy()
    images[17] = images[20]
    np.save(home.path / "images" / "train.npy", images)
    found = answer("faults")
    assert set(found) == {"workspace", "n_train", "library", "faults"} and found["n_train"] == 60
    twice = found["faults"]["exact_duplicates"]
    assert twice == {"images": 2, "share": 2 / 60, "telling": True, "first": [17, 20]}
    assert "exact duplicate" in run("faults").out and "17 20" in run("faults").out
    np.save(home.path / "images" / "train.npy", before)
    Workspace.open(home.path).remove_part("faults")


def test_without_cleanvision_one_sentence_says_how_to_have_it(run, monkeypatch, home):
    monkeypatch.setattr("attribution.audit.faults.find_spec", lambda name: None)
    code, out, err = run("faults")
    assert (code, out, err.count("\n")) == (2, "", 1) and "found by cleanvision; install it with" in err
    assert "faults" not in Workspace.open(home.path).manifest["parts"]


@pytest.fixture
def audit(monkeypatch):
    """audit(standing) makes these the decisions of every workspace."""

    def hand_in(standing):
        monkeypatch.setattr("attribution.audit.decision_log.DecisionLog.current_decisions", lambda self: standing)

    return hand_in


def test_worth(answer, run, audit):
    """Real."""
    audit(STANDING)
    found = answer("worth", "--seeds", 2, "--all-validation")
    assert not found["cached"] and found["seeds"] == [0, 1] and (found["n"], found["errors"]) == (12, "planted")
    assert found["edited"]["corrected"] == [2, 2] and set(found["differences"]) == {
        "corrected-none",
        "random-none",
        "corrected-random",
    }
    assert all(0 <= value <= 1 for one in found["accuracy"].values() for value in one["values"])
    assert answer("worth", "--seeds", 2, "--all-validation") == found | {"cached": True}
    out = run("worth", "--seeds", 2, "--all-validation")[1]
    assert "30 images decided on: 1 relabelled, 1 removed, 25 kept, 1 unsure, 2 in conflict." in out
    assert "an inspector who never errs" in out and "corrected against none" in out and "Box <b>" in out
    half = answer("worth", "--seeds", 2, "--second-half")
    assert half["n"] == 6 and half["uses_val"]
    assert answer("worth", "--seeds", 2) == half | {"cached": True}, "nobody knows what led to these decisions"


@pytest.mark.parametrize(
    ("standing", "more", "said"),
    [
        ({}, [], "no label has been corrected yet"),
        ({8: decided("keep")}, [], "no label has been corrected yet"),
        (STANDING, ["--seeds", 1], "give at least 2"),
        (STANDING, ["--recipe", "vgg"], "no recipe 'vgg'"),
    ],
)
def test_a_mistake_is_one_sentence(run, audit, standing, more, said):
    audit(standing)
    code, out, err = run("worth", *more)
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and said in err


def test_how_many_errors_there_are(answer, run, home, monkeypatch):
    before = answer("evaluate", "errors")
    assert before["total"] is None and before["decided"] == 0 and before["n_train"] == 60
    assert before["guess"]["images"] == 60 and len(before["guess"]["classes"]) == 3 and before["guess_needs"] == ""
    assert "A first guess by a model: about" in run("evaluate", "errors").out
    answer("detectors", "build", "knn-moco")
    ws = Workspace.open(home.path)
    with DecisionLog.of(ws) as log:
        number = review_queue.add_queue(ws, log, review_queue.queue_spec(ws, "knn-moco", size=60), "Ann")
        queue = log.queue(number)
        entries = [
            {"uid": str(item), "item": item, "action": "remove" if item == 3 else "keep", "seen": 0}
            for item in queue.items
        ]
        log.append(entries, "Ann", "tab", number)
    after = answer("evaluate", "errors")
    assert after["total"] == {"errors": 1, "ci": [1, 1]} and (after["decided"], after["found"]) == (60, 1)
    assert [row["found"] for row in after["classes"]] == [0, 0, 1] and after["suggestions"]["n"] == 0
    out = run("evaluate", "errors").out
    assert "About 1 of 60 labels are wrong (95 % interval 1 to 1)" in out and "Box <b>" in out
    monkeypatch.setattr("attribution.audit.error_estimate.find_spec", lambda name: None)
    assert "needs cleanlab" in answer("evaluate", "errors")["guess_needs"]
    out = run("evaluate", "errors").out
    assert "a first guess needs cleanlab" in out and "About 1 of 60" in out


def test_whether_people_agree(answer, run, home):
    assert "No two people have decided 10 of the same images yet" in run("evaluate", "people").out
    with DecisionLog.of(Workspace.open(home.path)) as log:
        for who in ("Cem", "Dan"):
            log.append([{"uid": f"{who}{i}", "item": i, "action": "keep", "seen": 0} for i in range(12)], who, who)
    rows = answer("evaluate", "people")["pairs"]
    assert ["Cem", "Dan"] in [row["people"] for row in rows] and {row["images"] for row in rows} == {12}
    assert "Cem and Dan both decided 12 images" in run("evaluate", "people").out
