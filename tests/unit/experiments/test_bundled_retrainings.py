"""Retrainings that a workspace brings along answer a question before anything was trained here."""

import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.experiments import bundled_retrainings, retrain
from attribution.explore.opening_target import opening_target
from attribution.store.results import ResultStore
from tests.pages.answers import retrained


@pytest.fixture
def brought(ws, store, tmp_path, monkeypatch):
    """The question that `ws` brings the answer to, on a machine that has trained nothing: (workspace, spec)."""
    spec = retrain.retrain_spec(ws, 0, "trak-10", "remove", 4)
    retrained(ws, store, spec, right=0, wrong=2, parts=["edit"])
    table = bundled_retrainings.table_of(ws, store, [spec])
    table.to_parquet(ws.path / bundled_retrainings.FILE)
    ws.record_part(bundled_retrainings.PART, {}, [bundled_retrainings.FILE])
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "elsewhere"))
    return Workspace.open(ws.path), spec


def test_the_answer_is_known_and_costs_nothing(brought):
    ws, spec = brought
    with ResultStore.for_workspace(ws) as store:
        answer, cost = spec.answer(ws, store), spec.cost(ws, store)
        assert store.count() == 0 and spec.missing(ws, store) == 0
    assert answer["complete"] and answer["predictions"] == [2] * 5 and answer["newest"]
    assert answer["controls"]["random"]["predictions"] == [0] * 5
    assert cost.known == cost.max_trainings == 15


def test_another_question_is_as_dear_as_ever(brought):
    ws, _ = brought
    spec = retrain.retrain_spec(ws, 3, "trak-10", "remove", 4)
    with ResultStore.for_workspace(ws) as store:
        assert spec.missing(ws, store) == 15, "the unedited models are known of target 0 alone"


def test_the_page_opens_where_the_answer_is_known_and_holds(brought):
    ws, _ = brought
    assert bundled_retrainings.targets(ws) == {0} and opening_target(ws).target == 0


@pytest.mark.parametrize("odd", [{"predicted": 7}, {"predicted": -1}])
def test_a_class_that_there_is_not_is_no_answer(brought, odd):
    ws, spec = brought
    file = ws.path / bundled_retrainings.FILE
    pd.read_parquet(file).assign(**odd).to_parquet(file)
    with ResultStore.for_workspace(ws) as store:
        assert not spec.answer(ws, store)["complete"] and spec.missing(ws, store) == 15


def test_a_table_that_cannot_be_read_is_said(brought):
    ws, _ = brought
    pd.DataFrame({"key": ["a"]}).to_parquet(ws.path / bundled_retrainings.FILE)
    with pytest.raises(UserError, match="no column target"):
        bundled_retrainings.targets(ws)
