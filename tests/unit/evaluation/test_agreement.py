"""Agreement of rankings, on cases worked out by hand."""

import numpy as np
import pytest

from attribution import UserError
from attribution.evaluation import agreement
from tests import tiny


def test_rankings_of_a_workspace(ws):
    found = agreement.compute(ws, ["esvm-moco", "trak-10", "l2-moco"], k=5)
    assert len(found.targets) == tiny.VAL and len(found.pairs) == 3
    np.testing.assert_allclose(found.same["l2-moco"], 1)  # as published, of the target's class alone
    np.testing.assert_allclose(found.cross["trak-10"], 1 - found.same["trak-10"])
    one = found.pairs["esvm-moco", "trak-10"]["jaccard"][3]
    a, b = (set(ws.ranking(name).top(3, 5).ids) for name in ("esvm-moco", "trak-10"))
    assert one == pytest.approx(len(a & b) / len(a | b))
    told = agreement.report(found)
    assert told["pairs"]["l2-moco"]["trak-10"] == told["pairs"]["trak-10"]["l2-moco"]
    row = told["pairs"]["esvm-moco"]["l2-moco"]["rbo"]
    assert row["ci"][0] <= row["mean"] <= row["ci"][1] and row["n"] == tiny.VAL
    worst = agreement.most_disagreeing_targets(found, "trak-10", "esvm-moco", "jaccard")
    values = found.pairs["esvm-moco", "trak-10"]["jaccard"]
    assert values[found.targets.tolist().index(worst[0])] == values.min() and len(worst) == tiny.VAL


def test_the_same_ranking_twice_is_one(ws):
    with pytest.raises(UserError, match="at least two"):
        agreement.compute(ws, ["trak-10", "trak-10"])
    with pytest.raises(UserError, match="no ranking 'x'"):
        agreement.compute(ws, ["trak-10", "x"])
    with pytest.raises(UserError, match="at least 1"):
        agreement.compute(ws, ["trak-10", "random"], k=0)
    with pytest.raises(UserError, match="no target in common"):
        agreement.compute(ws, ["trak-10", "random"], targets=[99])


def test_what_the_command_line_keeps_can_be_read_again(ws):
    """Its provenance has `versions` of libraries, which are not those of rankings."""
    from attribution.workspace.provenance import command_provenance

    agreement.save(ws, agreement.compute(ws, ["trak-10", "l2-moco"], k=5), command_provenance("evaluate agreement"))
    assert agreement.load(ws).names == ("trak-10", "l2-moco")


def test_what_was_compared_with_another_set_of_candidates_can_be_read_again(ws):
    agreement.save(ws, agreement.compute(ws, ["trak-10", "trak-10@true"], k=5), {})
    assert agreement.load(ws).names == ("trak-10", "trak-10@true")
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert agreement.load(ws) is None
