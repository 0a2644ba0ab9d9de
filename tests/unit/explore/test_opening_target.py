"""The opening: what a first visitor reads is measured, and the clearest there is."""

import shutil

import pandas as pd

from attribution import UserError, Workspace
from attribution.experiments import support_table
from attribution.explore import opening_target as opening
from attribution.explore.opening_target import OpeningTarget, opening_target, support_votes


def write(ws, *changes):
    """Rows like the tiny workspace's flipped one, each with other fields."""
    first = support_table.load_support_table(ws).iloc[0].to_dict()
    support_table.to_stored_table([first | change for change in changes]).to_parquet(ws.path / "supports.parquet")


def probe(k, predictions, **more):
    return {"k": k, "seeds": list(range(len(predictions))), "predictions": predictions, **more}


def test_the_sentence_of_the_tiny_workspace(ws):
    assert opening_target(ws) == OpeningTarget(0, "trak-10", 4, 0, 10, 10, 2, 4, 4, 5, 4, False)


def test_the_smallest_support_of_a_target_right_in_all_models(ws):
    trace = [probe(3, [1, 1, 1])]
    write(
        ws,
        {"target": 2, "support": 1},
        {"target": 5, "support": 3, "trace": trace},
        {"target": 0},
        {"target": 3, "support": 2, "kind": "mislabel"},
        {"target": 4, "support": 2, "status": "unstable"},
        {"target": 6, "support": 2, "ranking": "random"},
        {"target": 7, "support": 2, "ranking": "trak-10@true"},
    )
    assert (opening_target(ws).target, opening_target(ws).k) == (5, 3), (
        "2 is unstable, the others are no removals or no rankings"
    )


def test_confirmations_count_and_other_probes_do_not(ws):
    trace = [probe(8, [2, 2, 2]), probe(4, [1, 0, 2, 1]), probe(3, [0, 0, 0]), probe(4, [1, 1, 0, 1], confirm=True)]
    write(ws, {"trace": trace})
    opening = support_votes(ws, support_table.load_support_table(ws).iloc[0])
    assert (opening.wrong_class, opening.votes, opening.seeds) == (1, 5, 8)


def test_of_an_unstable_support_the_smallest_k_that_is_clear_is_told(ws):
    trace = [probe(16, [2, 2, 1]), probe(8, [2, 1, 2]), probe(6, [2, 0, 2, 2]), probe(4, [2, 0, 2, 0, 2])]
    change = {"status": "unstable", "trace": trace}
    write(ws, change)
    opening = opening_target(ws)
    assert (opening.k, opening.support, opening.wrong_class, opening.votes, opening.seeds, opening.is_close) == (
        8,
        4,
        2,
        2,
        3,
        False,
    )
    write(ws, change | {"trace": trace[2:]})
    opening = opening_target(ws)
    assert (opening.k, opening.support, opening.votes, opening.seeds, opening.is_close) == (4, 4, 3, 5, True)
    write(ws, change | {"trace": trace[2:]}, {"target": 3, "support": 9, "trace": [probe(9, [2, 2, 2])]})
    assert opening_target(ws).target == 3, "a clear one comes before a close call"


def test_a_smaller_one_that_some_seeds_resist_waits(ws):
    write(
        ws,
        {"target": 4, "support": 1, "trace": [probe(1, [0, 0, 0, 1, 1])]},
        {"target": 5, "support": 9, "trace": [probe(9, [1, 1, 1])]},
    )
    assert opening_target(ws).target == 5


def test_nothing_to_tell(ws):
    write(ws, {"status": "censored", "support": None})
    assert opening_target(ws) is None
    (ws.path / "supports.parquet").unlink()
    assert opening_target(ws) is None
    assert isinstance(support_table.load_support_table(ws), pd.DataFrame)


def test_without_base_models_there_is_nothing_to_tell(ws):
    shutil.rmtree(ws.path / "base")
    assert len(support_table.load_support_table(ws)) and opening_target(ws) is None


def test_where_nothing_can_be_trained_the_demo_opens_on_the_same_target(monkeypatch):
    def refuse(*asked):
        raise UserError("this needs torch")

    monkeypatch.setattr(opening, "retrain_spec", refuse)
    first = opening_target(Workspace.open())
    assert (first.target, first.ranking, first.k) == (88, "datamodels-2k", 16)
