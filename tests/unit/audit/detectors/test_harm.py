"""Harm to the first half of the validation images, summed."""

import numpy as np

from attribution import Workspace
from attribution.audit.detectors import harm
from attribution.workspace import validation_split


def scored(ws, scores):
    np.save(ws.path / "rankings" / "trak-10" / "scores.npy", scores.astype(np.float32))
    return Workspace.open(ws.path)


def test_what_is_below_zero_is_summed_over_the_first_half(ws):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(12, 60))
    scores[0, 5], scores[:, 9] = np.nan, 1
    ws = scored(ws, scores)
    first, second = validation_split.validation_halves(ws)
    detector = harm.compute(ws, ["harm-trak-10"], lambda *at: None)["harm-trak-10"]
    below = np.maximum(-np.nan_to_num(scores), 0)
    assert (
        np.allclose(detector.scores, below[first].sum(0), atol=1e-4) and detector.uses_val and detector.scores[9] == 0
    )
    for image in range(60):
        of_class = [below[first, image][ws.val_labels[first] == c].sum() for c in range(3)]
        of_class[ws.train_labels[image]] = 0
        expected = int(np.argmax(of_class)) if max(of_class) else ws.train_labels[image]
        assert detector.suggestion[image] == expected
        worst = [target for target in detector.arrays["harmed"][image] if target >= 0]
        assert list(below[worst, image]) == sorted(below[first, image], reverse=True)[: len(worst)]
        assert len(worst) == (below[first, image] > 0).sum() <= harm.HARMED_PER_IMAGE and set(worst) <= set(first)
    scores[second] *= -7
    again = harm.compute(scored(ws, scores), ["harm-trak-10"], lambda *at: None)["harm-trak-10"]
    assert np.array_equal(again.scores, detector.scores), "the other half judges what comes of it"


def test_a_similarity_knows_no_harm(ws):
    assert harm.names(ws) == ["harm-trak-10"]
    ws.manifest["parts"]["rankings/trak-10"]["signed"] = False
    assert harm.names(Workspace(ws.path, ws.manifest)) == []


def test_a_ranking_of_ends_alone(ws, monkeypatch):
    monkeypatch.setattr(type(ws.ranking("trak-10")), "complete", property(lambda self: False))
    assert "--dense" in harm.missing_requirement(ws, "harm-trak-10")


def test_a_ranking_of_none_of_these_targets(ws):
    np.save(ws.path / "rankings" / "trak-10" / "targets.npy", validation_split.validation_halves(ws)[1])
    assert "none of the validation images" in harm.missing_requirement(Workspace.open(ws.path), "harm-trak-10")
