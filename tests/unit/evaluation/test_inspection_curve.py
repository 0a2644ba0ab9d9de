"""Accuracy against images inspected, by hand: which errors are found, and each refit."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.audit import detectors
from attribution.evaluation import inspection_curve
from attribution.metrics.label_detection import suspicion_order
from attribution.training.head import Head
from attribution.workspace.validation_split import validation_halves

#: of the 60 training images
INSPECTED = [0, 1, 3, 6, 9, 12, 18, 30, 45, 60]


@pytest.fixture
def seen(ws):
    """The tiny workspace by its head, with two detectors, and a truth by which every Box is a Dot."""
    given = np.asarray(ws.train_labels)
    wrong = np.arange(60) % 3 == 1
    original = np.where(wrong, (given + 1) % 3, given)
    pd.DataFrame({"original": original, "planted": wrong}).to_parquet(ws.path / "truth.parquet")
    detectors.build_detectors(ws, ["knn-moco", "harm-trak-10"])
    return ws.with_model("head-moco")


def refitted(seen, labels):
    head = Head.fit(np.asarray(seen.feature("moco").train), labels, 3, seen.head("moco").head.penalty)
    logits = head.logits(head.weights, np.asarray(seen.feature("moco").val))
    return (logits.argmax(1) == seen.val_labels).astype(float)


def test_by_hand(seen):
    answer = inspection_curve.compute(seen, ["knn-moco"], draws=3, seed=5)
    truth, given = seen.truth(), np.asarray(seen.train_labels)
    wrong, original = truth["planted"].to_numpy(), truth["original"].to_numpy()

    def point(order, m):
        labels = given.copy()
        first = order[:m]
        labels[first] = original[first]  # of right labels the same
        return int(wrong[first].sum()), refitted(seen, labels)

    scores = detectors.load(seen.with_model(None), "knn-moco").scores
    order = suspicion_order(scores)
    draws = [np.random.default_rng([5, draw]).permutation(60) for draw in range(3)]
    assert [row["inspected"] for row in answer["orders"]["knn-moco"]] == INSPECTED
    for row, chance in zip(answer["orders"]["knn-moco"], answer["random"]):
        found, right = point(order, row["inspected"])
        by_chance = [point(draw, row["inspected"]) for draw in draws]
        assert (row["found"], row["accuracy"]) == (found, right.mean())
        assert chance["found"] == np.mean([found for found, _ in by_chance])
        assert chance["accuracy"] == pytest.approx(np.mean([right for _, right in by_chance]))
        difference = right - np.mean([right for _, right in by_chance], 0)
        assert row["against_random"]["mean"] == pytest.approx(difference.mean()) and row["against_random"]["n"] == 12
    assert answer["accuracy"] == {"none": refitted(seen, given).mean(), "all": refitted(seen, original).mean()}
    assert answer["accuracy"]["none"] > answer["accuracy"]["all"], "all Boxes are called Dots in the end"
    assert answer["random"][0]["ci"] == [answer["accuracy"]["none"]] * 2, "before the first image nothing differs"
    assert (answer["n_errors"], answer["errors"], answer["n"], answer["uses_val"]) == (20, "planted", 12, False)
    assert json.loads(json.dumps(answer)) == answer


def test_the_second_half_judges_where_a_detector_read_the_first(seen):
    answer = inspection_curve.compute(seen, ["knn-moco", "harm-trak-10"], draws=2)
    half = validation_halves(seen)[1]
    assert (answer["uses_val"], answer["n"]) == (True, len(half)) and list(answer["orders"])[1] == "harm-trak-10"
    assert answer["accuracy"]["none"] == refitted(seen, np.asarray(seen.train_labels))[half].mean()


def test_what_it_needs(ws):
    with pytest.raises(UserError, match="demo-cnn is no head, and without seeds .* choose one: --model head-moco"):
        inspection_curve.compute(ws)
    seen = ws.with_model("head-moco")
    with pytest.raises(UserError, match="no detectors yet; build them"):
        inspection_curve.compute(seen)
    detectors.build_detectors(ws, ["knn-moco"])
    with pytest.raises(UserError, match="no detector 'loss' in tiny; it has knn-moco"):
        inspection_curve.compute(seen, ["loss"])
    assert list(inspection_curve.compute(seen, draws=2)["orders"]) == ["knn-moco"]
    (ws.path / "truth.parquet").unlink()
    with pytest.raises(UserError, match="bring the true labels with `import truth`"):
        inspection_curve.compute(seen)
