"""How well the derivative predicts trainings without some images: the arithmetic by hand, and drawn images."""

import numpy as np
import pytest

pytest.importorskip("torch")

from attribution import UserError, Workspace  # noqa: E402
from attribution.builds.seed_trainings import SeedTrainings  # noqa: E402
from attribution.evaluation import metasmoothness  # noqa: E402
from attribution.evaluation.metasmoothness import correlate  # noqa: E402


def test_the_correlation_is_over_targets_and_the_mean_over_trainings():
    said = correlate(np.array([[1.0, 2, 3, 4], [1, 2, 3, 4]]), np.array([[2.0, 4, 6, 9], [4, 3, 2, 1]]), 50)
    assert said["each"] == pytest.approx([1, -1]) and said["spearman"] == pytest.approx(0)
    assert said["ci"][0] <= 0 <= said["ci"][1]
    assert correlate(np.ones((1, 4)), np.arange(4.0)[None])["spearman"] is None


def test_sets_are_drawn_alike_under_every_seed():
    one = metasmoothness._drawn(1000, 0.05, 0)
    assert len(one) == 50 and np.array_equal(one, metasmoothness._drawn(1000, 0.05, 0))
    assert not np.array_equal(one, metasmoothness._drawn(1000, 0.05, 1)) and len(metasmoothness._drawn(9, 0.01, 0)) == 1


def test_it_trains_without_the_sets_and_goes_on_where_it_was(ws, monkeypatch):
    asked = {"shares": (0.2,), "epochs": 2, "seeds": 1, "draws": 2, "targets": 6}
    once, calls = SeedTrainings.margins, []

    def stopped(self, seed, without):
        calls.append((seed, len(without)))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return once(self, seed, without)

    monkeypatch.setattr(SeedTrainings, "margins", stopped)
    with pytest.raises(KeyboardInterrupt):
        metasmoothness.compute(ws, **asked)
    said = []
    answer = metasmoothness.compute(ws, **asked, progress=lambda *at: said.append(at))
    assert calls == [(300, 12), (300, 12), (300, 12)], "the first is not trained again"
    assert said[-1][1:] == (3, 3) and said[0] == ("metasmoothness: trainings", 1, 3)
    row = answer["shares"][0]
    assert (answer["targets"], answer["seeds"], row["dropped"]) == (6, [300], 12) and row["spread"] > 0
    assert [by["epochs"] for by in row["epochs"]] == [1, 2] and len(row["epochs"][0]["each"]) == 2
    monkeypatch.setattr(SeedTrainings, "margins", lambda *a: pytest.fail("trained again"))
    assert metasmoothness.compute(ws, **asked) == answer


def test_what_is_predicted_is_minus_the_sum_of_the_scores(ws, monkeypatch):
    """Scores of 1 a target's number and epoch, and margins that fall by just that: perfect with one epoch or two."""
    scores = np.tile(np.arange(1.0, 7)[None, :, None], (2, 1, 60))
    monkeypatch.setattr(SeedTrainings, "scores", lambda self, seed, *_: {"scores": scores, "margins": np.zeros(6)})
    monkeypatch.setattr(SeedTrainings, "margins", lambda self, seed, ids: -np.arange(1.0, 7) * len(ids))
    answer = metasmoothness.compute(ws, (0.1,), 2, 1, 1, 6)
    assert [by["spearman"] for by in answer["shares"][0]["epochs"]] == pytest.approx([1, 1])


def test_it_is_kept_until_the_recipe_changes(ws, answer, monkeypatch):
    words = ("--shares", "0.1", "--epochs", "1", "--seeds", "1", "--draws", "1", "--targets", "4")
    printed = answer("evaluate", "metasmoothness", *words)
    again = Workspace.open(ws.path)
    assert metasmoothness.load(again) == printed and printed["recipe"] == "demo-cnn"
    monkeypatch.setitem(printed, "recipe_hash", "another")
    metasmoothness.save(again, printed, {})
    assert metasmoothness.load(again) is None


def test_what_cannot_be_is_refused(ws, run):
    for words, said in (
        (["--shares", "0.7"], "at most 0.5"),
        (["--shares", "x"], "no list of numbers"),
        (["--targets", "3"], "--targets"),
        (["--recipe", "head-moco"], "refitted without steps"),
    ):
        code, _, err = run("evaluate", "metasmoothness", *words)
        assert code == 2 and said in err
    with pytest.raises(UserError, match="at most 0.5"):
        metasmoothness.check_shares([])
