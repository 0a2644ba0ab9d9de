"""What speaks for and against a label: the opinion's bars, neighbours' labels, and the validation images it harms."""

from types import SimpleNamespace

import numpy as np
import pytest

from attribution.audit import detectors, evidence
from attribution.audit.detectors import out_of_sample


@pytest.mark.parametrize("block", [7, 50_000])
def test_neighbours_are_nearest_first_and_never_the_image_itself(ws, block, monkeypatch):
    monkeypatch.setattr(evidence, "BLOCK", block)
    nearest = evidence.nearest_images(ws, "moco", np.array([3, 10]))
    features = np.asarray(ws.feature("moco").train, float)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    for image, near in zip((3, 10), nearest):
        order = np.argsort(-(features @ features[image]), kind="stable")
        assert near.tolist() == [i for i in order if i != image][:20]


def test_twins_do_not_bring_the_image_in_among_its_own_neighbours(ws):
    features = np.ones((ws.n_train, 3), np.float16)
    ws._features["moco"] = SimpleNamespace(train=features)
    nearest = evidence.nearest_images(ws, "moco", np.arange(ws.n_train))
    assert nearest.shape == (ws.n_train, 20)
    assert not (nearest == np.arange(ws.n_train)[:, None]).any()


def test_an_image_whose_features_are_no_numbers_has_neighbours_that_there_are(ws):
    features = np.array(ws.feature("moco").train, np.float32)
    features[4] = np.nan
    ws._features["moco"] = SimpleNamespace(train=features)
    nearest = evidence.nearest_images(ws, "moco", np.array([4, 5]))
    assert nearest.min() >= 0 and 4 not in nearest[0] and set(nearest[1, :15] % 3) == {2}


def test_the_evidence_about_a_planted_error(ws, monkeypatch):
    probabilities = np.full((ws.n_train, 3), [0.9, 0.06, 0.04], np.float32)
    monkeypatch.setattr(
        out_of_sample,
        "out_of_sample_predictions",
        lambda ws: SimpleNamespace(probabilities=probabilities, description="5 models"),
    )
    monkeypatch.setattr(detectors, "names", lambda ws: ["harm-trak-10"])
    harmed = np.full((ws.n_train, 6), -1)
    harmed[3, :2] = [9, 6]
    monkeypatch.setattr(detectors, "load_harmed", lambda ws, name: harmed)
    first, second = evidence.gather_evidence(ws, [3, 5])
    assert (
        first.image == 3
        and [c for c, _ in first.class_probabilities] == [0, 1, 2]
        and first.class_probabilities[0][1] == pytest.approx(0.9)
    )
    assert (
        first.neighbour_labels[0] == (0, 19) and sum(n for _, n in first.neighbour_labels) == 20
    )  # it is a Bar among Bars, called a Dot
    assert len(first.neighbours) == 8 and first.harmed.tolist() == [9, 6] and second.harmed.tolist() == []
    sources = evidence.evidence_sources(ws)
    assert (sources.opinion, sources.neighbours, sources.harmed) == ("5 models", "moco", "trak-10")


def test_the_given_class_is_among_the_bars_however_unlikely(ws, monkeypatch):
    probabilities = np.linspace(1, 0, 9, dtype=np.float32)
    assert evidence._likeliest_classes(probabilities, 8) == tuple(
        (c, pytest.approx(probabilities[c])) for c in (0, 1, 2, 8)
    )
    probabilities[0] = np.nan
    assert evidence._likeliest_classes(probabilities, 8) == ()


def test_without_models_and_rankings_there_are_neighbours_alone(ws):
    sources = evidence.evidence_sources(ws)
    assert (sources.opinion, sources.neighbours, sources.harmed) == (None, "moco", None)
    (first,) = evidence.gather_evidence(ws, [0])
    assert first.class_probabilities == () and len(first.neighbours) == 8 and len(first.harmed) == 0
