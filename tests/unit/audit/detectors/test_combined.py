"""All detectors together: predictions that were held out are pooled, kinds of evidence weighed by their agreement."""

import numpy as np

from attribution import Workspace
from attribution.audit import detectors
from attribution.audit.detectors import combined
from attribution.audit.detectors.base import Detector
from attribution.metrics.label_detection import average_precision
from attribution.metrics.pooling import agreement_weights, normal_scores

LABELS = np.array([0, 0, 1, 2, 2])


def detector(name, family, scores, suggestion=None):
    suggestion = None if suggestion is None else np.array(suggestion)
    return Detector(name, family, "", False, np.array(scores, np.float32), suggestion, None)


def test_two_kinds_weigh_the_same_and_a_kind_counts_once():
    a, b, c = [5, 1, 2, 3, 4], [1, 2, 3, 8, 9], [0.1, 0.5, 0.3, 0.2, 0.4]
    made = combined.combine([detector("a", "x", a), detector("b", "x", b), detector("c", "y", c)], {}, LABELS)
    first = normal_scores((normal_scores(np.array(a)) + normal_scores(np.array(b))) / 2)
    assert np.allclose(made.scores, first / 2 + normal_scores(np.array(c)) / 2)
    assert made.weights == {"x": 0.5, "y": 0.5} and made.pool == {}
    assert np.array_equal(made.suggestion, LABELS), "nobody suggests anything"


def test_what_is_no_evidence_is_left_out_and_of_a_training_the_loss_counts():
    members = [
        detector("aum", "training", [5, 4, 3, 2, 1]),
        detector("loss", "training", [1, 2, 3, 4, 5]),
        detector("knn-moco", "knn", [1, 2, 3, 4, 5]),
        detector("knn-pixels", "knn", [5, 4, 3, 2, 1]),
    ]
    made = combined.combine(members, {}, LABELS)
    assert made.scores.argsort().tolist() == [0, 1, 2, 3, 4]
    alone = combined.combine(members[3:], {}, LABELS)
    assert alone.scores.argmax() == 0, "pixels are better than nothing"


def test_held_out_predictions_are_pooled_and_suggest():
    sure = np.full((5, 3), 0.1)
    sure[np.arange(5), [0, 0, 1, 2, 1]] = 0.8  # the last label is another
    blind = np.full((5, 3), 1 / 3)
    members = [
        detector("out-of-subset", "held-out", [0] * 5),
        detector("mine", "held-out", [0] * 5),
        detector("loss", "training", [1, 1, 1, 1, 2], [2] * 5),
    ]
    made = combined.combine(members, {"out-of-subset": sure, "mine": blind}, LABELS)
    assert made.scores.argmax() == 4 and made.suggestion.tolist() == [0, 0, 1, 2, 1]
    assert made.pool["out-of-subset"] > 0.5 and set(made.weights) == {"held-out", "training"}


def test_of_files_and_own_detectors_each_is_a_kind():
    members = [
        detector("a", "own", [1, 2, 3, 4, 5]),
        detector("b", "own", [1, 2, 3, 5, 4]),
        detector("c", "imported", [0, 1, 2, 3, 4]),
    ]
    assert set(combined.combine(members, {}, LABELS).weights) == {"a", "b", "c"}


def test_a_kind_that_knows_nothing_takes_nothing_away():
    """Of 2,000 images 200 are wrong; three kinds see it with noise of their own, a fourth sees nothing."""
    rng = np.random.default_rng(3)
    wrong = np.arange(2000) < 200
    seeing = [2 * wrong + rng.normal(size=2000) for _ in range(3)]
    weights = agreement_weights(np.stack([*seeing, rng.normal(size=2000)]))
    assert weights[3] < 0.05 and min(weights[:3]) > 0.2
    members = [detector(str(n), str(n), scores) for n, scores in enumerate([*seeing, rng.normal(size=2000)])]
    labels = np.zeros(2000, int)
    with_noise = average_precision(wrong, combined.combine(members, {}, labels).scores)
    without = average_precision(wrong, combined.combine(members[:3], {}, labels).scores)
    assert with_noise > without - 0.02 and with_noise > max(average_precision(wrong, scores) for scores in seeing)


def test_of_a_workspace_it_says_what_weighs_what(ws):
    detectors.build_detectors(ws, ["fold-moco", "knn-moco", "aum"])
    made = detectors.build_detectors(ws, ["combined"])["combined"]
    assert set(made["weights"]) == {"held-out", "knn", "training"} and set(made["pool"]) == {"fold-moco"}
    assert abs(sum(made["weights"].values()) - 1) < 1e-3
    assert "evidence weighed by how far its kinds agree: " in made["about"]
    assert detectors.load(Workspace.open(ws.path), "combined").suggestion[3] == 0, "a Bar that is called a Dot"
