"""Answers of support searches: a workspace's own and the store's, in one table."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.experiments import support_table
from attribution.experiments.support import support_spec
from attribution.training import recipes


def put(store, ranking, status, support, **more):
    body = {
        "status": status,
        "support": support,
        "lo": None if support is None else support - 1,
        "hi": support,
        "trainings": 3,
        "trace": [{"k": support or 20, "seeds": [0], "predictions": [1], "margin": None}],
    }
    store.put_support(recipes.get_recipe("demo-cnn").hash, ranking, 0, "remove", "default", 20, body | more)


def test_the_workspace_alone(ws):
    table = support_table.load_support_table(ws)
    assert table.ranking.tolist() == ["trak-10", "random"] and table.support.dtype == "Int64"
    assert table.support[0] == 4 and pd.isna(table.support[1]) and table.trace[0][0]["k"] == 4


def test_an_answer_of_the_store_stands_in_the_place_of_the_workspaces(ws, store):
    put(store, "trak-10", "flipped", 6)
    put(store, "l2-moco", "already_wrong", None)
    table = support_table.load_support_table(ws, store).set_index("ranking")
    assert len(table) == 3 and table.support["trak-10"] == 6 and table.status["random"] == "censored"
    assert pd.isna(table.support["l2-moco"]) and table.trace["trak-10"][0]["seeds"] == [0]


def test_some_answers_and_without_traces(ws, store):
    put(store, "trak-10", "flipped", 6)
    put(store, "l2-moco", "flipped", 3)
    whole = support_table.load_support_table(ws, store)
    bare = support_table.load_support_table(ws, store, traces=False)
    assert whole.drop(columns="trace").equals(bare.drop(columns="trace")) and bare.trace.isna().all()
    some = support_table.load_support_table(ws, store, ranking="l2-moco", k_max=20)
    assert some.to_dict("records") == whole[whole.ranking == "l2-moco"].to_dict("records")
    assert support_table.load_support_table(ws, store, target=3).empty


@pytest.mark.parametrize("status, size", [("already_wrong", None), ("flipped", 3)])
def test_the_store_alone(ws, store, status, size):
    (ws.path / "supports.parquet").unlink()
    assert (
        support_table.load_support_table(ws, store).empty
        and list(support_table.load_support_table(ws).columns) == support_table.COLUMNS
    )
    put(store, "l2-moco", status, size)
    assert len(support_table.load_support_table(ws, store)) == 1
    found = support_table.find_answer(
        ws, store, ranking="l2-moco", target=0, kind="remove", protocol="default", k_max=20
    )
    assert found["support"] == size and found["status"] == status and json.dumps(found)


def test_find(ws, store):
    asked = {"ranking": "random", "target": 0, "kind": "remove", "protocol": "default", "k_max": 20}
    found = support_table.find_answer(ws, store, **asked)
    assert (found["status"], found["support"], found["lo"], found["hi"]) == ("censored", None, 20, None)
    assert json.loads(json.dumps(found))["trace"][0]["k"] == 20
    assert support_table.find_answer(ws, store, **asked | {"k_max": 21}) is None
    assert support_table.find_answer(ws, store, **asked | {"kind": "mislabel"}) is None


def test_there_and_back(ws, store):
    put(store, "trak-10", "flipped", 6)
    put(store, "l2-moco", "censored", None)
    rows = store.supports(recipes.get_recipe("demo-cnn").hash)
    support_table.to_stored_table(rows).to_parquet(ws.path / "supports.parquet")
    assert support_table.load_support_table(ws).to_dict("records") == support_table.load_support_table(
        ws, store
    ).to_dict("records")


def test_answers_found_with_another_version_of_a_ranking_are_left_out(ws, store):
    assert support_table.load_support_table(ws).ranking.tolist() == ["trak-10", "random"]
    about = ws.manifest["parts"]["rankings/trak-10"]
    ws.record_part(
        "rankings/trak-10",
        {name: value for name, value in about.items() if name != "files"},
        ["rankings/trak-10/scores.npy"],
    )
    digest = ws.ranking("trak-10").version
    assert len(digest) == 16 and support_table.load_support_table(ws).ranking.tolist() == ["random"]
    put(store, "trak-10", "flipped", 6, version=digest)
    assert support_table.load_support_table(ws, store).set_index("ranking").support["trak-10"] == 6
    np.save(ws.path / "rankings/trak-10/scores.npy", np.zeros((12, 60), np.float16))
    ws.record_part("rankings/trak-10", about, ["rankings/trak-10/scores.npy"])
    assert ws.ranking("trak-10").version != digest and support_table.load_support_table(ws, store).ranking.tolist() == [
        "random"
    ]


def test_answers_of_a_ranking_that_is_gone_are_left_out(ws):
    del ws.manifest["parts"]["rankings/trak-10"]
    assert support_table.load_support_table(ws).ranking.tolist() == ["random"]


def test_known(ws, store):
    specs = [support_spec(ws, target, name, "remove", k_max=20) for target, name in ((0, "random"), (3, "random"))]
    put(store, "l2-moco", "flipped", 3)
    specs.append(support_spec(ws, 0, "l2-moco", "remove", k_max=20))
    assert support_table.is_answered(support_table.load_support_table(ws, store), specs) == [True, False, True]


@pytest.mark.parametrize("how", ["noise", "column", "trace"])
def test_a_corrupt_table(ws, how):
    file = ws.path / "supports.parquet"
    table = pd.read_parquet(file)
    if how == "noise":
        file.write_bytes(b"noise")
    elif how == "column":
        table.drop(columns="lo").to_parquet(file)
    else:
        table.assign(trace="{").to_parquet(file)
    with pytest.raises(UserError, match="copy the workspace again"):
        support_table.load_support_table(ws)
