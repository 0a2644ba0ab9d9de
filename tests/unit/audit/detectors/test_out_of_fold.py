"""Each image is judged by a linear classifier that was fitted without its fold."""

import numpy as np
import pytest

from attribution.audit.detectors import available, build_detectors, load, out_of_fold
from attribution.audit.detectors.out_of_fold import FOLDS, draw_folds
from attribution.training.head import Head


def test_folds_have_the_same_share_of_every_class():
    labels = np.random.default_rng(0).integers(0, 4, 203)
    fold = draw_folds(labels)
    counts = np.array([np.bincount(fold[labels == label], minlength=FOLDS) for label in range(4)])
    assert (np.ptp(counts, axis=1) <= 1).all() and np.ptp(np.bincount(fold)) <= 1
    assert np.array_equal(fold, draw_folds(labels)), "drawn once and for all"


def test_an_image_has_no_say_in_what_is_predicted_of_it():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 20)
    features = (np.eye(3)[labels] * 3 + rng.normal(size=(60, 3))).astype(np.float32)
    head = Head.fit(features, labels, 3, 0.01)
    found = out_of_fold.out_of_fold(head, features)
    fold = draw_folds(labels)
    for image in (0, 25, 59):
        others = np.flatnonzero(fold != fold[image])
        logits = head.logits(head.refit(others), features[[image]])[0]
        expected = np.exp(logits - logits.max())
        assert np.allclose(found[image], expected / expected.sum(), atol=1e-4)
    assert np.allclose(found.sum(1), 1, atol=1e-5) and (found.argmax(1) == labels).mean() > 0.9


def test_wrong_labels_come_first_and_are_put_right():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1, 2], 40)
    features = (np.eye(3)[labels] * 4 + rng.normal(size=(120, 3))).astype(np.float32)
    given, wrong = labels.copy(), [3, 50, 100]
    given[wrong] = (given[wrong] + 1) % 3
    probabilities = out_of_fold.out_of_fold(Head.fit(features, given, 3, 0.01), features)
    suspicion = 1 - probabilities[np.arange(120), given]
    assert set(np.argsort(-suspicion)[:3].tolist()) == set(wrong)
    assert np.array_equal(probabilities.argmax(1)[wrong], labels[wrong])


def test_of_a_workspace(ws):
    assert "fold-moco" in available(ws) and "fold-pixels" not in available(ws)
    said = []
    made = build_detectors(ws, ["fold-moco"], lambda *at: said.append(at))["fold-moco"]
    detector = load(type(ws).open(ws.path), "fold-moco")
    assert detector.family == "held-out" and made["folds"] == FOLDS and 0 < made["agreement"] <= 1
    assert said[-1] == ("fold-moco: folds", FOLDS, FOLDS) and ((detector.scores >= 0) & (detector.scores <= 1)).all()
    assert detector.suggestion.max() < len(ws.classes)


@pytest.mark.parametrize("name", ["supervised", "supervised-mine"])
def test_features_that_saw_the_labels_hold_nothing_out(ws, monkeypatch, name):
    monkeypatch.setattr(type(ws), "features", lambda self: ["moco", name])
    assert out_of_fold.names(ws) == ["fold-moco"]
