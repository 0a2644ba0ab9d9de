"""All evidence in one go: what comes first, what is left where time is short, and how it goes on."""

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from attribution import UserError, Workspace  # noqa: E402
from attribution.audit import detectors, gather  # noqa: E402


def reopened(ws) -> Workspace:
    return Workspace.open(ws.path)


@pytest.fixture
def without_base(ws):
    """A workspace whose base models are still to be trained."""
    (ws.path / ws.stored_name("base/probabilities.npy")).unlink()
    return reopened(ws)


def test_the_quickest_comes_first_and_all_of_it_comes(without_base):
    ws = without_base
    assert [step.name for step in gather.steps(ws)] == [
        "what needs no training",
        "trainings, watched",
        "models that did not see the image",
        "base models",
    ]
    said = []
    gathered = gather.gather(ws, progress=lambda text, *at: said.append(text))
    assert gathered.built[:2] == ["fold-moco", "knn-moco"] and {"aum", "out-of-subset", "loss"} <= set(gathered.built)
    assert said[0].startswith("what needs no training: ") and any(text.startswith("base models: ") for text in said)
    assert detectors.default_detector(reopened(ws)) == "combined"
    members = reopened(ws).manifest["parts"]["detectors/combined"]["members"]
    assert set(gathered.built) <= set(members) and not gathered.left.keys() & set(members)
    assert gather.steps(reopened(ws)) == [] and gather.gather(reopened(ws)).built == []


def test_short_of_time_the_first_comes_and_the_rest_is_named(without_base):
    ws = without_base
    gathered = gather.gather(ws, seconds=0)
    assert "fold-moco" in gathered.built and "loss" not in gathered.built
    assert "too long for the time given" in gathered.left["loss"] and "aum" in gathered.left
    assert "combined" in detectors.names(reopened(ws))


def test_broken_off_it_goes_on(ws, monkeypatch):
    compute = detectors.build_detectors

    def broken(workspace, chosen, progress):
        if "aum" in chosen:
            raise KeyboardInterrupt
        return compute(workspace, chosen, progress)

    monkeypatch.setattr(detectors, "build_detectors", broken)
    with pytest.raises(KeyboardInterrupt):
        gather.gather(ws)
    assert "combined" in detectors.names(reopened(ws)), "what came can be reviewed"
    monkeypatch.undo()
    assert "fold-moco" not in gather.gather(reopened(ws), seconds=0).built


def test_without_learned_features_some_are_learned(ws):
    del ws.manifest["parts"]["features/moco"]
    (step, *_) = gather.steps(ws)
    assert step.name == "features (patches)" and step.detectors == ["fold-patches", "knn-patches"] and step.seconds > 0


def test_without_torch_what_there_is_comes_all_the_same(ws, monkeypatch):
    del ws.manifest["parts"]["features/moco"]
    monkeypatch.setattr(gather, "missing", lambda library: f"this needs {library}")
    assert "features (patches)" not in [step.name for step in gather.steps(ws)]


def test_where_no_label_can_be_wrong(ws):
    pd.DataFrame({"label": np.ones(60, int), "source_index": np.arange(60)}).to_parquet(ws.path / "train.parquet")
    with pytest.raises(UserError, match="carry one label"):
        gather.steps(reopened(ws))


def test_a_head_is_no_reason_to_train_nothing(ws):
    assert [step.name for step in gather.steps(ws.with_model("head-moco"))] == [step.name for step in gather.steps(ws)]
