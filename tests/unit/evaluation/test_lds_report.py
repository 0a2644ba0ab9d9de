"""LDS of a workspace's rankings, and how long the stored report holds."""

import pytest

from attribution import UserError
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
