"""Supports in a fixed and in an adaptive order: their brackets, what is kept of a broken-off run, the report."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import adaptive_supports
from attribution.evaluation.adaptive_supports import AdaptiveSupports
from attribution.workspace import heads
from attribution.workspace.parts import scratch_folder

K = 30


@pytest.fixture
def seen(ws):
    return ws.with_model("head-moco")


def rows_file(seen):
    return scratch_folder(seen, "adaptive_supports") / f"{seen.get_recipe().hash}-{K}-8.jsonl"


def test_both_orders_end_at_a_flip_that_is_refitted(seen):
    found, trainer = adaptive_supports.compute(seen, K), heads.make_trainer(seen, "head-moco")
    assert found.table.target.tolist() == adaptive_supports.right_targets(seen)
    for target in found.table.target:
        label, features = int(seen.val_labels[target]), trainer.val[[target]]
        for order, support in adaptive_supports.find_both(trainer, target, K).items():
            assert found.supports(order)[target].support == support.support
            if support.support:
                for k, flips in ((support.support, True), (support.support - 1, False)):
                    keep = np.setdiff1d(np.arange(seen.n_train), support.ids[:k])
                    margin = trainer.head.margins(trainer.head.refit(keep), features, np.array([label]))
                    assert (margin[0] < 0) == flips


def test_a_run_that_was_broken_off_goes_on(seen, monkeypatch):
    whole = adaptive_supports.compute(seen, K).table
    lines = rows_file(seen).read_text().splitlines()
    rows_file(seen).write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:10] + "\n")  # the last write was cut
    asked, find = [], adaptive_supports.find_both
    monkeypatch.setattr(
        adaptive_supports, "find_both", lambda t, target, *how: asked.append(target) or find(t, target, *how)
    )
    told = []
    again = adaptive_supports.compute(seen, K, progress=lambda *at: told.append(at)).table
    assert asked == [json.loads(line)["target"] for line in lines[-2:]]
    assert again.equals(whole) and told[-1] == ("adaptive supports", len(whole), len(whole))


def test_processes_find_the_same(seen):
    alone = adaptive_supports.compute(seen, K).table
    rows_file(seen).unlink()
    assert adaptive_supports.compute(seen, K, workers=2).table.equals(alone)


def test_what_is_stored_holds_as_long_as_the_head_does(seen):
    assert adaptive_supports.load(seen) is None
    found = adaptive_supports.compute(seen, K)
    adaptive_supports.save(seen, found, {"command": "x"})
    opened = Workspace.open(seen.path, "head-moco")
    loaded = adaptive_supports.load(opened)
    assert loaded.table.equals(found.table) and (loaded.k_max, loaded.batch) == (K, 8)
    assert adaptive_supports.load(Workspace.open(seen.path)) is None, "it is no head"
    features = np.load(seen.path / "features" / "moco" / "train.npy")
    np.save(seen.path / "features" / "moco" / "train.npy", features + np.eye(60, 3, dtype=np.float16))
    assert adaptive_supports.load(Workspace.open(seen.path, "head-moco")) is None


def test_a_network_is_refused(ws):
    with pytest.raises(UserError, match="demo-cnn is no head, .* --recipe head-moco"):
        adaptive_supports.compute(ws)


def test_the_report_counts_by_hand():
    rows = [
        (0, "flipped", 10, "flipped", 5),
        (1, "flipped", 4, "flipped", 4),
        (2, "flipped", 4, "flipped", 6),
        (3, "censored", None, "flipped", 8),
        (4, "flipped", 9, "censored", None),
        (5, "censored", None, "censored", None),
    ]
    table = pd.DataFrame(rows, columns=adaptive_supports.COLUMNS).astype({"prefix": "Int64", "adaptive": "Int64"})
    found = AdaptiveSupports("head-x", "1", 10, 8, table)
    report = adaptive_supports.report(found)
    counts = {key: report[key] for key in ("both", "smaller", "equal", "larger", "gained", "lost")}
    assert counts == {"both": 3, "smaller": 1, "equal": 1, "larger": 1, "gained": 1, "lost": 1}
    assert report["ratio"]["median"] == 1.0 and report["ratio"]["ci"][0] == 0.5
    assert report["orders"]["prefix"]["flipped"]["share"] == pytest.approx(4 / 6)
    assert report["orders"]["prefix"]["auc"] == pytest.approx((0 + 6 + 6 + 1) / 60)
    assert report["difference"]["auc_difference"] == pytest.approx((5 + 6 + 4 + 2 - 13) / 60)
    curve = adaptive_supports.curves(found)["adaptive"]
    assert curve["share"][4:9] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 3 / 6, 4 / 6])
    assert all(low <= share <= high for low, share, high in zip(curve["low"], curve["share"], curve["high"]))
