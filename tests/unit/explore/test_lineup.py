import numpy as np
import pytest

from attribution import UserError
from attribution.explore.lineup import alignment_warning, lineup_rows, rank_of_image, ranking_badges
from attribution.rankings import default_rankings
from attribution.rankings.base import RankedImages
from attribution.training import recipes
from tests import tiny


def test_a_row_for_each_ranking_best_first(ws):
    esvm, trak = lineup_rows(ws, 0, ["esvm-moco", "trak-10"], 5)
    assert trak.ids.tolist() == [0, 6, 9, 12, 15]  # 3 is a Bar by nature, but it is called a Dot
    assert (trak.end, trak.sign, trak.n_same_class, trak.class_counts) == ("helpful", 1, 5, ((0, 5),))
    assert trak.scores == pytest.approx(1 / (1 + trak.ids), rel=1e-3)
    assert len(esvm.ids) == 5 and esvm.n_same_class == 5


def test_the_harmful_end_is_there_for_signed_rankings_alone(ws):
    rows = lineup_rows(ws, 0, ["l2-moco", "trak-10"], 4, "both")
    assert [(row.ranking, row.end) for row in rows] == [
        ("l2-moco", "helpful"),
        ("l2-moco", "harmful"),
        ("trak-10", "helpful"),
        ("trak-10", "harmful"),
    ]
    assert "no harmful scores" in rows[1].undefined and len(rows[1].ids) == 0
    assert rows[3].ids.tolist() == [1, 2, 3, 4] and rows[3].n_same_class == 0
    assert rows[3].class_counts == ((2, 2), (1, 2))[::-1]


def test_explaining_the_predicted_class(ws):
    """Target 1, a Box that every model calls a Dot: similar Dots, and what speaks against Box."""
    similar, trak = lineup_rows(ws, 1, ["l2-moco", "trak-10"], 6, explain="predicted")
    assert set(similar.labels) == {2} and (similar.sign, similar.for_class) == (1, 2)
    assert (trak.end, trak.sign, trak.for_class) == ("harmful", -1, 1) and 1 not in trak.labels
    same = lineup_rows(ws, 0, ["l2-moco"], 6, explain="predicted")[0]  # right: both questions are one
    assert same.ids.tolist() == lineup_rows(ws, 0, ["l2-moco"], 6)[0].ids.tolist()


def test_candidates(ws):
    assert set(lineup_rows(ws, 0, ["trak-10"], 60, candidates="true")[0].labels) == {0}
    assert len(lineup_rows(ws, 0, ["l2-moco"], 100, candidates="all")[0].ids) == 60


def test_the_most_alike_row_is_named(ws):
    rows = lineup_rows(ws, 0, ["trak-10", "random", "l2-moco"], 19)
    assert rows[0].most_alike == ("random", 19)  # all 19 Bars, whatever their order; ties go to the first
    assert lineup_rows(ws, 0, ["trak-10"], 5)[0].most_alike is None


def test_rank_of(ws):
    trak, l2 = lineup_rows(ws, 0, ["trak-10", "l2-moco"], 2, "helpful")
    assert rank_of_image(ws, trak, 0, 6) == 2 and rank_of_image(ws, trak, 0, 9) == 3
    assert rank_of_image(ws, trak, 0, 9, depth=2) is None
    assert rank_of_image(ws, l2, 0, 1) is None  # not a candidate


def test_default_rankings_are_one_of_each_method(ws):
    assert default_rankings(ws) == ["esvm-moco", "l2-moco", "trak-10", "random"]


def test_a_ranking_that_somebody_brought_is_on_view_and_a_slow_one_is_not(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    parts = ws.manifest["parts"]
    parts["rankings/my-scores"] = {"method": "Mine", "signed": True}
    assert default_rankings(ws) == ["esvm-moco", "l2-moco", "trak-10", "my-scores", "random"]
    parts["features/moco"]["dim"] = 3072
    assert default_rankings(ws) == ["l2-moco", "trak-10", "my-scores", "random"]


def test_badges(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    provenance, trak = ws.manifest["parts"]["rankings/trak-10"], ws.ranking("trak-10")
    assert ranking_badges(ws, trak) == [] and lineup_rows(ws, 0, ["trak-10"], 3)[0].description == "10 models"
    trak.made_for = {"recipe": "demo-cnn", "hash": recipes.get_recipe("demo-cnn").hash}
    assert ranking_badges(ws, trak) == [] == ranking_badges(ws, ws.ranking("l2-moco"))
    trak.made_for["hash"] = "0123456789ab"
    assert ranking_badges(ws, trak) == ["⚠ made for demo-cnn 0123456789ab"]
    trak.made_for["recipe"] = "resnet18"
    provenance["alignment"] = {"top1_same_class": 0.33, "chance": 0.33, "n": 12, "warning": "no better than chance"}
    assert lineup_rows(ws, 0, ["trak-10"], 3)[0].description == "⚠ made for resnet18 · ⚠ alignment · 10 models"
    assert alignment_warning(ws, "trak-10") == "no better than chance" and alignment_warning(ws, "l2-moco") is None
    provenance["alignment"] = {"top1_same_class": 0.9, "chance": 0.33, "n": 12, "warning": None}
    assert alignment_warning(ws, "trak-10") is None


def test_without_base_models(tmp_path):
    ws = tiny.write(tmp_path / "tiny", base=False)
    rows = lineup_rows(ws, 1, ["l2-moco", "trak-10"], 5, "both", candidates="true")
    assert [len(row.ids) for row in rows] == [5, 0, 5, 5]
    for arguments in ({"explain": "predicted"}, {"candidates": "predicted"}):
        with pytest.raises(UserError, match="no base models yet"):
            lineup_rows(ws, 1, ["l2-moco"], 5, **arguments)


def test_a_target_that_a_ranking_was_not_made_for(ws, monkeypatch):
    trak = ws.ranking("trak-10")
    monkeypatch.setattr(trak, "targets", np.array([0, 1]), raising=False)
    monkeypatch.setattr(trak, "top", lambda *arguments, **more: RankedImages(np.zeros(0, np.int64), None))
    (row,) = lineup_rows(ws, 3, ["trak-10"], 5)
    assert row.undefined == "it ranks 2 validation images, and not this one"
    assert lineup_rows(ws, 1, ["trak-10"], 5)[0].undefined == "no training image fits these candidates"


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": 12},
        {"target": "x"},
        {"rankings": ["nope"]},
        {"n": 0},
        {"ends": "left"},
        {"explain": "why"},
        {"candidates": "some"},
    ],
)
def test_mistakes_are_said(ws, wrong):
    arguments = {"target": 0, "rankings": ["trak-10"], **wrong}
    with pytest.raises(UserError):
        lineup_rows(ws, **arguments)


def test_rows_are_arrays(ws):
    assert all(isinstance(row.ids, np.ndarray) for row in lineup_rows(ws, 0, ["l2-moco"], 3, "harmful"))
