"""The audit from the command line, with real trainings; the decisions are handed in."""

import pytest

from tests.unit.audit.test_gain import STANDING, decided

pytestmark = pytest.mark.usefixtures("home")


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
