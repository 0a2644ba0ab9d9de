"""LDS of a workspace's rankings, and how long the stored report holds."""

import pytest

from attribution import UserError, Workspace
from attribution.evaluation import lds_report
from attribution.metrics import lds
from tests.unit.evaluation.test_candidate_sets import give_halves


@pytest.fixture(autouse=True)
def halves(ws):
    give_halves(ws)


def test_a_row_is_the_lds_of_the_ranking(ws):
    from attribution.builds.halves import load_held_out_halves

    answer = lds_report.compute(ws, ["trak-10", "random"])
    assert (answer["masks"], answer["seeds"], answer["recipe"], answer["recipe_hash"]) == (12, 2, "demo-cnn", "x")
    expected = lds.lds(*load_held_out_halves(ws), ws.ranking("trak-10").scores)
    assert answer["rankings"]["trak-10"]["lds"] == pytest.approx(expected.mean)
    assert list(answer["rankings"]) == ["trak-10", "random"]


def test_what_is_stored_holds_while_halves_and_rankings_do(ws):
    assert lds_report.load(ws) is None
    answer = lds_report.compute(ws, ["trak-10", "random"])
    lds_report.save(ws, answer, {})
    assert lds_report.load(ws)["rankings"].keys() == {"trak-10", "random"}
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert lds_report.load(ws)["rankings"].keys() == {"random"}
    ws.manifest["parts"]["lds"]["digest"] = "another"
    assert lds_report.load(ws) is None
    (ws.path / "lds" / "lds.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read .* evaluate lds"):
        lds_report.load(ws)


def test_a_heads_halves_are_refitted_and_its_lds_alone_is_kept(ws):
    seen = ws.with_model("head-moco")
    answer = lds_report.compute(seen, ["influence-moco", "l2-moco", "trak-10"])
    assert (answer["masks"], answer["seeds"], answer["recipe"]) == (100, 1, "head-moco")
    assert answer["rankings"]["influence-moco"]["lds"] > answer["rankings"]["l2-moco"]["lds"]
    assert lds_report.load(seen) is None and lds_report.under_own_heads(ws) == {}
    lds_report.save(seen, answer, {"command": "x"})
    assert not (seen.folder("lds") / "margins.npy").exists()
    opened = Workspace.open(ws.path)
    assert lds_report.load(opened.with_model("head-moco"))["rankings"].keys() == answer["rankings"].keys()
    own = lds_report.under_own_heads(opened)
    assert own.keys() == {"influence-moco", "l2-moco"}, "trak-10 looks at no features"
    assert own["l2-moco"]["head"] == "head-moco" and own["l2-moco"]["lds"] == answer["rankings"]["l2-moco"]["lds"]
    assert lds_report.load(opened) is None, "the own recipe's is another"


def test_halves_of_a_head_have_one_seed(ws):
    from attribution.builds.halves import halves_provenance, refit_head_halves
    from attribution.experiments.halves import random_half

    seen, sequence = ws.with_model("head-moco"), {"draw": 2, "count": 3, "seeds": [0, 1]}
    masks, margins = refit_head_halves(seen, sequence)
    assert margins.shape == (3, 1, 12) and (masks[1] == random_half(60, 2, 1)).all()
    assert halves_provenance(seen, sequence)["seeds"] == [0] and halves_provenance(ws, sequence)["seeds"] == [0, 1]
