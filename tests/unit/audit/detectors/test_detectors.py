"""Building detectors: which there are, what they need, and when they are built again."""

import inspect
import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.audit.detectors import combined, knn
from attribution.audit.detectors.base import DetectorFamily
from attribution.audit.detectors.families import FAMILIES
from attribution.metrics.label_detection import suspicion_order


@pytest.fixture(autouse=True)
def out_of_subset(ws):
    """Of all training images: each is taken for the class it has by nature."""
    (ws.path / "out_of_subset").mkdir()
    probabilities = np.full((60, 3), 0.1, np.float32)
    probabilities[np.arange(60), np.arange(60) % 3] = 0.8  # the true classes
    np.save(ws.path / "out_of_subset" / "sums.npy", 5 * probabilities)
    np.save(ws.path / "out_of_subset" / "counts.npy", np.full(60, 5))
    ws.record_part("out_of_subset", {}, [f"out_of_subset/{name}.npy" for name in ("sums", "counts")])


@pytest.mark.parametrize("family", [*FAMILIES, combined], ids=lambda family: family.FAMILY)
def test_each_family_keeps_the_protocol(family):
    assert isinstance(family, DetectorFamily)
    for name in ("names", "missing_requirement", "source_digests", "compute"):
        _, *parameters = inspect.signature(getattr(DetectorFamily, name)).parameters
        assert list(inspect.signature(getattr(family, name)).parameters) == parameters, name


def test_all_that_can_be_had(ws):
    assert detectors.names(ws) == [] and detectors.default_detector(ws) is None
    needs = detectors.available(ws)
    can = ["combined", "confident", "out-of-subset", "fold-moco", "knn-moco", "aum", "forgetting", "harm-trak-10"]
    assert [name for name in needs if not needs[name]] == can
    assert "base train" in needs["loss"] and "base train" in needs["self-influence"]
    calls = []
    built = detectors.build_detectors(ws, progress=lambda *at: calls.append(at))
    assert set(built) == set(can) and calls
    again = Workspace.open(ws.path)
    assert detectors.names(again) == can
    assert detectors.default_detector(again) == "combined"
    for name in detectors.names(again):
        detector = detectors.load(again, name)
        assert detector.scores.argmax() == 3 or name in ("harm-trak-10", "aum", "forgetting")  # trained on 60 images
        assert detector.scores.dtype == np.float32 and detector.suggestion.dtype == np.int64 and detector.version
        assert detector.uses_val == (name in ("combined", "harm-trak-10"))
    assert detectors.load(again, "combined").suggestion[3] == 0, "a Bar that is called a Dot"
    provenance = json.loads((ws.path / "workspace.json").read_text())["parts"]["detectors/combined"]
    assert provenance["members"] == sorted(can[1:])
    assert provenance["command"].startswith("python -m attribution detectors build") and provenance["versions"]["numpy"]
    assert np.load(ws.path / "detectors" / "combined" / "suggestion.npy").dtype == np.uint8


def test_what_is_there_is_built_anew_only_where_its_ground_changed(ws):
    detectors.build_detectors(ws)
    assert detectors.build_detectors(ws) == {}
    np.save(ws.path / "features" / "moco" / "train.npy", np.random.default_rng(1).normal(size=(60, 3)))
    ws.record_part("features/moco", {}, ["features/moco/train.npy"])
    assert set(detectors.build_detectors(Workspace.open(ws.path))) == {"fold-moco", "knn-moco", "combined"}
    assert set(detectors.build_detectors(ws, ["out-of-subset"])) == {"out-of-subset"}, (
        "what is named is built in any case"
    )


def test_some_first_and_the_combination_of_these(ws):
    with pytest.raises(UserError, match="at least two"):
        detectors.build_detectors(ws, ["combined"])
    detectors.build_detectors(ws, ["knn-moco"])
    assert detectors.default_detector(ws) == "knn-moco"
    detectors.build_detectors(ws, ["combined", "out-of-subset", "knn-moco"])
    assert detectors.load(ws, "combined").description.startswith("evidence weighed by how far its kinds agree: ")


@pytest.mark.parametrize(
    ("chosen", "match"),
    [(["knn-dino"], "no detector 'knn-dino' can be built"), (["loss"], "loss cannot be built: it needs base models")],
)
def test_what_cannot_be_built(ws, chosen, match):
    with pytest.raises(UserError, match=match):
        detectors.build_detectors(ws, ["knn-moco", *chosen])
    assert detectors.names(ws) == [], "nothing of it is begun"


def test_one_class(ws):
    pd.DataFrame({"label": np.ones(60, int), "source_index": np.arange(60)}).to_parquet(ws.path / "train.parquet")
    ws = Workspace.open(ws.path)
    assert all("carry one label" in needs for needs in detectors.available(ws).values())
    for chosen in (None, ["knn-moco"]):
        with pytest.raises(UserError, match="carry one label"):
            detectors.build_detectors(ws, chosen)


def test_scores_that_are_no_numbers(ws, monkeypatch):
    monkeypatch.setattr(knn, "label_disagreement", lambda *arguments: (np.full(60, np.nan), np.zeros(60, int)))
    with pytest.raises(UserError, match="not finite"):
        detectors.build_detectors(ws, ["knn-moco"])
    assert detectors.names(ws) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers(ws, value):
    features = np.array(ws.feature("moco").train, np.float32)
    features[4, 0] = value
    np.save(ws.path / "features" / "moco" / "train.npy", features)
    ws.record_part("features/moco", {}, ["features/moco/train.npy"])
    with pytest.raises(UserError, match="knn-moco cannot be built: moco holds values that are not finite"):
        detectors.build_detectors(Workspace.open(ws.path), ["knn-moco"])


def test_models_that_saw_every_image(ws):
    np.save(ws.path / "out_of_subset" / "sums.npy", np.zeros((60, 3), np.float32))
    np.save(ws.path / "out_of_subset" / "counts.npy", np.zeros(60, int))
    for name in ("confident", "out-of-subset"):
        with pytest.raises(UserError, match="all models that are known saw it"):
            detectors.build_detectors(ws, [name])


def test_those_that_came_with_a_workspace_stay(ws, tmp_path, monkeypatch):
    detectors.build_detectors(ws)
    monkeypatch.setattr("attribution.workspace.workspace.DEMO", ws.path)
    bundled = Workspace.open(ws.path)
    assert bundled.user_folder != bundled.path
    with pytest.raises(UserError, match="cannot be replaced"):
        detectors.build_detectors(bundled, ["knn-moco"])
    assert detectors.build_detectors(bundled) == {}
    (bundled.user_folder / "features" / "mine").mkdir(parents=True)
    np.save(bundled.user_folder / "features" / "mine" / "train.npy", np.eye(60, 3, dtype=np.float32) + 1)
    np.save(bundled.user_folder / "features" / "mine" / "val.npy", np.eye(12, 3, dtype=np.float32) + 1)
    bundled.add_part("features/mine", {}, ["features/mine/train.npy", "features/mine/val.npy"])
    assert set(detectors.build_detectors(bundled)) == {"fold-mine", "knn-mine"}
    assert not (ws.path / "detectors" / "knn-mine").exists()
    assert "knn-mine" in detectors.names(Workspace.open(ws.path))


def test_equally_suspicious_images_come_in_an_order_of_their_own():
    scores = np.zeros(100)
    scores[40] = 1
    order = suspicion_order(scores)
    assert order[0] == 40 and np.array_equal(order, suspicion_order(scores)) and sorted(order) == list(range(100))
    assert np.abs(np.corrcoef(order, np.arange(100))[0, 1]) < 0.3
