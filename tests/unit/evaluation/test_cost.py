"""What rankings cost, as parts and provenance have it, and what is kept of it."""

import json

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.evaluation import cost
from attribution.store.results import ResultStore


@pytest.fixture(autouse=True)
def sizes(ws):
    """The seconds and bytes of its parts."""
    parts = ws.manifest["parts"]
    parts["features/moco"] = {"seconds": 30.0, "files": {"features/moco/train.npy": 400, "features/moco/val.npy": 100}}
    parts["rankings/trak-10"] |= {"seconds": 5.0, "files": {"rankings/trak-10/scores.npy": 700}}


def test_bytes_and_seconds_are_of_all_that_a_ranking_rests_on(ws):
    ws.manifest["parts"]["base"] = {"hash": "x", "seeds": [0, 1, 2], "seconds": 2.0}
    ws.manifest["parts"]["rankings/trak-10"]["made_for"] = {"hash": "x", "seeds": [0, 1]}
    rows = cost.compute(ws)["rankings"]
    assert list(rows) == ws.rankings()
    for name in ("esvm-moco", "ridge-moco"):
        assert (rows[name]["bytes"], rows[name]["seconds"]) == ({"features/moco": 500}, {"features/moco": 30.0})
    assert rows["trak-10"]["seconds"] == {"rankings/trak-10": 5.0, "base": 4.0}, "two of the three base models"
    assert cost.sum_or_none(rows["trak-10"]["bytes"]) == 700, "no base model is needed to ask"
    assert rows["random"]["bytes"] == {} and cost.sum_or_none(rows["random"]["seconds"]) == 0
    assert all(row["query_ms"] > 0 for row in rows.values())


def test_other_candidates_cost_what_the_ranking_does(ws):
    for name in ("trak-10", "esvm-moco", "random"):
        of, among = (cost.underlying_parts(ws, ws.ranking(one)) for one in (name, f"{name}@all"))
        assert of == among


def test_what_nobody_timed_is_not_known(ws):
    ws.manifest["parts"]["rankings/trak-10"]["made_for"] = {"hash": "x", "seeds": "halves"}
    row = cost.compute(ws, ["trak-10"])["rankings"]["trak-10"]
    assert row["seconds"] == {"rankings/trak-10": 5.0, "halves": None} and cost.sum_or_none(row["seconds"]) is None
    ws.manifest["steps"] = {"halves": 100.0}
    assert cost.sum_or_none(cost.compute(ws, ["trak-10"])["rankings"]["trak-10"]["seconds"]) == 105


def test_an_import_took_what_its_file_says_and_not_the_time_to_read_it(ws):
    about = ws.manifest["parts"]["rankings/trak-10"]
    about |= {"format": "parquet", "seconds": 0.2, "made_for": None}
    assert cost.compute(ws, ["trak-10"])["rankings"]["trak-10"]["seconds"] == {"rankings/trak-10": None}
    about["origin"] = {"command": "x", "versions": {}, "rankings/trak-5": {"seconds": 1466.2}}
    assert cost.compute(ws, ["trak-10"])["rankings"]["trak-10"]["seconds"] == {"rankings/trak-10": 1466.2}


def test_base_models_of_another_recipe_are_not_what_it_rests_on(ws):
    ws.manifest["parts"]["base"] = {"hash": "y", "seeds": [0, 1], "seconds": 2.0}
    ws.manifest["parts"]["rankings/trak-10"]["made_for"] = {"hash": "x", "seeds": [0, 1]}
    assert cost.underlying_parts(ws, ws.ranking("trak-10")) == ["rankings/trak-10"]


def test_a_query_asks_for_the_first_images_of_random_targets(ws, monkeypatch):
    ranking, asked = ws.ranking("l2-moco"), []
    monkeypatch.setattr(ranking, "top", lambda target, k: asked.append((target, k)))
    cost.query_ms(ranking)
    assert len(asked) == 12 and len(set(asked)) == 12 and {k for _, k in asked} == {cost.QUERY_K}
    monkeypatch.setattr(type(ranking), "targets", np.zeros(0, int))
    assert cost.query_ms(ranking) is None


def test_what_is_kept_goes_with_the_rankings_it_is_of(ws):
    assert cost.load(ws) is None
    ws = Workspace.open(ws.path)
    cost.save(ws, cost.compute(ws), cost.cost_provenance())
    again = Workspace.open(ws.path)
    found = cost.load(again)
    assert list(found["rankings"]) == ws.rankings() and found["made"] and "core" in found["machine"]
    again.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert "trak-10" not in cost.load(again)["rankings"]
    (ws.path / "cost" / "cost.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read .* evaluate cost"):
        cost.load(again)


def test_the_card_sets_worth_beside_cost(ws):
    found = cost.compute(ws, ["trak-10", "random"])
    lds = {"rankings": {"trak-10": {"lds": 0.4, "ci": [0.3, 0.5]}}}
    rows = cost.cost_rows(
        found, lds, {"remove": {"rankings": {"random": {"n": 3, "auc": 0.1, "auc_ci": [0, 0.2]}, "trak-10": {"n": 0}}}}
    )
    assert [row["ranking"] for row in rows] == ["trak-10", "random"]
    assert (rows[0]["lds"], rows[0]["lds_ci"], rows[0]["auc"]) == (0.4, [0.3, 0.5], None)
    assert (rows[1]["lds"], rows[1]["auc"], rows[1]["auc_n"]) == (None, 0.1, 3)
    assert rows[1]["mislabel_auc"] is None
    assert json.loads(json.dumps(rows)) == rows


def test_worth_without_a_study_and_with_one(ws):
    store = ResultStore.for_workspace(ws)
    lds, supports = cost.lds_and_support_aucs(ws, store)
    store.close()
    assert lds is None and supports["remove"]["rankings"]["trak-10"]["n"] == 1
    assert "random" in supports["remove"]["rankings"]


def test_an_unknown_ranking(ws):
    with pytest.raises(UserError, match="no ranking 'x'"):
        cost.compute(ws, ["x"])
