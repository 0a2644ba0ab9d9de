"""Supports of one model judged under another, on a workspace where every answer is known."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import support_transfer
from attribution.experiments import jobs, support_table
from attribution.experiments.head_support import find_support
from attribution.experiments.support import support_spec
from attribution.training.edits import remove
from attribution.workspace import heads


@pytest.fixture
def seen(ws, store):
    """head-moco, which has supports of three targets by its influence."""
    view = ws.with_model("head-moco")
    trainer = heads.make_trainer(view, "head-moco")
    for target in (3, 4, 6):
        spec = support_spec(view, target, "influence-moco", "remove", k_max=30, recipe="head-moco")
        answer = find_support(spec, view, trainer)
        assert answer["status"] == "flipped", "or these tests say nothing"
        support_table.save(store, spec, view.ranking("influence-moco").version, answer)
    return view


@pytest.fixture
def trained(ws, store, monkeypatch):
    """Instead of the runner: without an edit of a head's support two of three seeds are wrong about the target, without
    random images one. Returns the specs asked for."""
    asked = []

    def run_job(workspace, spec, progress):
        asked.append(spec)
        for edit, controls in spec.edits(workspace):
            for which, wrong_seeds in ((edit, 2), *((control, 1) for control in controls)):
                for seed in spec.seeds:
                    predicted = (ws.val_labels + (seed < wrong_seeds)) % 3
                    margins = np.full(ws.n_val, -1.0 if seed < wrong_seeds else 2.0, np.float16)
                    store.put(
                        spec.recipe_hash, which, seed, predicted=predicted.astype(np.uint8), margins=margins,
                        seconds=1.0, device="cpu", library="none", threads=1,
                    )  # fmt: skip

    monkeypatch.setattr(jobs, "run_job", run_job)
    return asked


def test_both_directions(seen, trained):
    answer = support_transfer.compute(seen, 2)
    assert answer["models"] == ["demo-cnn", "head-moco"] and answer["seeds"] == [0, 1, 2]
    (own,), head = ([row for row in answer["rows"] if row["of"] == of] for of in answer["models"])
    assert (own["under"], own["ranking"], own["target"], own["k"]) == ("head-moco", "trak-10", 0, 4)
    trainer = heads.make_trainer(seen, "head-moco")
    ids = seen.ranking("trak-10").top(0, 4).ids
    margin = trainer.run(remove(ids)).margins[0]
    assert own["after"] == pytest.approx(margin, abs=1e-4) and own["flipped"] == (margin < 0)
    assert len(head) == 2 and {row["target"] for row in head} < {3, 4, 6}
    for row in head:
        assert (row["under"], row["ranking"], row["flipped"], row["control"]) == ("demo-cnn", "influence-moco", True, 0)
        assert (row["after"], row["control_after"]) == (0.0, 1.0)
        assert row["before"] == pytest.approx(float(np.log(0.9 / 0.05)), abs=1e-3)


def test_what_is_trained_is_not_trained_again(seen, trained):
    support_transfer.compute(seen, 2)
    support_transfer.compute(seen, 2)
    assert len(trained) == 1 and trained[0].total == 2 * 2 * 3
    support_transfer.compute(seen, 3)
    assert len(trained) == 2


def test_what_is_stored_holds_as_long_as_both_models_do(seen, trained):
    assert support_transfer.load(seen) is None
    answer = support_transfer.compute(seen, 2)
    support_transfer.save(seen, answer, {"command": "x"})
    assert support_transfer.load(Workspace.open(seen.path, "head-moco")) == answer
    features = np.load(seen.path / "features" / "moco" / "train.npy")
    np.save(seen.path / "features" / "moco" / "train.npy", features + np.eye(60, 3, dtype=np.float16))
    assert support_transfer.load(Workspace.open(seen.path, "head-moco")) is None


def test_the_report_is_of_targets():
    def row(flipped, control, before=3.0, after=1.0, control_after=2.5):
        return {
            "of": "a", "under": "b", "ranking": "r", "target": 0, "k": 4, "before": before, "after": after,
            "flipped": flipped, "control": control, "control_after": control_after,
        }  # fmt: skip

    (told,) = support_transfer.report({"rows": [row(True, 0.5), row(False, 0.0), row(True, 0.1), row(True, 0.0)]})
    assert (told["n"], told["k"], told["flipped"]["count"]) == (4, 4, 3)
    low, high = told["flipped"]["ci"]
    assert 0.3 < low < 0.75 < high < 1
    assert told["control"]["mean"] == pytest.approx(0.15)
    assert (told["fall"]["mean"], told["control_fall"]["mean"]) == (2.0, 0.5)


def test_what_is_missing_is_said(ws, seen):
    with pytest.raises(UserError, match="demo-cnn is no head"):
        support_transfer.compute(ws)
    (ws.path / "supports.parquet").unlink()
    with pytest.raises(UserError, match="demo-cnn has no supports by removal here yet"):
        support_transfer.compute(seen)
