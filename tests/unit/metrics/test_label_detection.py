"""How well detectors find what is wrong, against scikit-learn."""

import numpy as np
import pytest

from attribution.metrics import label_detection

metrics = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("digits", [0, 1, 6])
def test_against_scikit_learn(digits):
    """With many ties, with some, and with hardly any."""
    rng = np.random.default_rng(0)
    wrong = rng.random(500) < 0.05
    scores = np.round(rng.normal(size=500) + 1.5 * wrong, digits)
    found = label_detection.detection_metrics(wrong, scores)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(wrong, scores))
    assert found["average_precision"] == pytest.approx(metrics.average_precision_score(wrong, scores))


def test_found_at():
    wrong = np.zeros(100, bool)
    wrong[[3, 50, 60, 70]] = True
    scores = np.zeros(100)
    scores[[3, 0, 50, 1, 60, 2, 4, 5, 6, 70]] = np.arange(10, 0, -1)
    assert label_detection.detection_metrics(wrong, scores)["found_at"] == {"0.02": 0.25, "0.05": 0.75, "0.10": 1.0}
    assert label_detection.detection_metrics(wrong, -scores)["auc"] == pytest.approx(
        1 - label_detection.detection_metrics(wrong, scores)["auc"]
    )


def test_ties_are_broken_neither_by_the_truth_nor_by_the_number():
    found = [
        label_detection.detection_metrics(np.isin(np.arange(200), part), np.zeros(200))
        for part in (range(100), range(100, 200))
    ]
    assert [one["auc"] for one in found] == [0.5, 0.5] and [one["average_precision"] for one in found] == [0.5, 0.5]
    assert sum(one["found_at"]["0.10"] for one in found) == pytest.approx(0.2)
    assert 0 < found[0]["found_at"]["0.10"] < 0.2
