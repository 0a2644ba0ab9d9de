"""Suspects of a wrong prediction: who names them, and which of these stay."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors, suspects
from attribution.audit.detectors import knn
from tests import tiny

WRONG = 1  # a Box that every model reads as a Dot


def known(ws, scores, monkeypatch, suggestion=None):
    """A detector "knn-moco" with these scores."""
    suggestion = np.zeros(ws.n_train, int) if suggestion is None else suggestion
    monkeypatch.setattr(knn, "label_disagreement", lambda *asked: (np.asarray(scores), suggestion))
    detectors.build_detectors(ws, ["knn-moco"])


def test_the_most_suspicious_of_what_the_rankings_name(ws, monkeypatch):
    known(ws, np.linspace(0, 1, 60), monkeypatch)
    listed = suspects.find_suspects(ws, WRONG, "knn-moco")
    # of the six most suspicious, 59 to 54, trak-10 holds all but the Boxes (55, 58) against the target, and the Dots
    # are near: 59 and 56; the harmful end holds no image that helps
    found = {suspect.image: suspect for suspect in listed}
    assert {image: suspect.suspicion_rank for image, suspect in found.items()} == {59: 1, 57: 3, 56: 4, 54: 6}
    assert {"trak-10"} == set(found[57].rankings) == set(found[54].rankings)
    assert found[59].rankings == found[56].rankings == ("esvm-moco", "l2-moco", "trak-10")
    assert all(suspect.suggestion == 0 and suspect.score == pytest.approx(suspect.image / 59) for suspect in listed)


def test_those_that_argue_for_the_error_come_first(ws, monkeypatch):
    suggestion = np.zeros(60, int)
    suggestion[54] = 1  # likely a Box, as the target is
    known(ws, np.linspace(0, 1, 60), monkeypatch, suggestion)
    listed = suspects.find_suspects(ws, WRONG, "knn-moco")
    assert {suspect.image for suspect in listed[:3]} == {59, 56, 54} and listed[3].image == 57
    assert [suspect.is_related for suspect in listed] == [True, True, True, False]
    assert all(place >= 1 for suspect in listed for place in suspect.places)


def test_influence_counts_beside_suspicion(ws, monkeypatch):
    scores = np.linspace(0, 1, 60)
    scores[2] = 0.99  # a Dot, just behind 59 in suspicion, and third in trak-10's list where 59 is near its end
    known(ws, scores, monkeypatch)
    monkeypatch.setattr(suspects, "accusing_rankings", lambda ws: ["trak-10"])
    first, *_ = suspects.find_suspects(ws, WRONG, "knn-moco")
    assert (first.image, first.suspicion_rank, first.accuser[0]) == (2, 2, "trak-10")


def test_only_the_first_of_each_ranking(ws, monkeypatch):
    known(ws, np.linspace(0, 1, 60), monkeypatch)
    monkeypatch.setattr(suspects, "K_PER_RANKING", 3)  # of trak-10 images 0, 2, 3, the worst first
    listed = suspects.find_suspects(ws, WRONG, "knn-moco")
    assert {name for suspect in listed for name in suspect.rankings} <= {"esvm-moco", "l2-moco"}


def test_the_planted_error_is_found(ws):
    detectors.build_detectors(ws, ["knn-moco"])
    first = suspects.find_suspects(ws, WRONG, "knn-moco")[0]
    assert (first.image, first.suspicion_rank, ws.classes[first.given], ws.classes[first.suggestion]) == (
        3,
        1,
        "Dot",
        "Bar",
    )


def test_a_ranking_of_other_targets_names_nobody(ws, monkeypatch):
    known(ws, np.linspace(0, 1, 60), monkeypatch)
    np.save(ws.path / "rankings" / "trak-10" / "targets.npy", np.array([0, 2]))
    listed = suspects.find_suspects(Workspace.open(ws.path), WRONG, "knn-moco")
    assert [suspect.image for suspect in listed] == [59, 56]


def test_chance_accuses_nobody_nor_does_the_sign_of_a_similarity(ws):
    assert ws.ranking("signed-moco").signed
    assert suspects.accusing_rankings(ws) == ["esvm-moco", "l2-moco", "trak-10"]


@pytest.mark.parametrize(
    ("target", "detector", "match"),
    [
        (0, "knn-moco", "target 0 is predicted right, as Bar"),
        (WRONG, "combined", "no detector 'combined'"),
        (99, "knn-moco", "out of range"),
    ],
)
def test_what_is_refused(ws, target, detector, match):
    detectors.build_detectors(ws, ["knn-moco"])
    with pytest.raises(UserError, match=match):
        suspects.find_suspects(ws, target, detector)


def test_without_base_models(tmp_path):
    ws = tiny.write(tmp_path / "w", base=False)
    with pytest.raises(UserError, match="base train"):
        suspects.find_suspects(ws, WRONG, "knn-moco")
