"""Rows as a browser sends them, and what a head says of each."""

import pytest

from attribution import UserError
from attribution.explore.live_head import LiveRow, cut_verdicts, margin_curve, read_rows
from attribution.workspace import heads


@pytest.mark.parametrize("rows", [None, {}, [1], [["a", "up", None]], [["a", "helpful"]], [[1, "helpful", None]]])
def test_rows_that_are_none(rows):
    with pytest.raises(ValueError, match="no rows"):
        read_rows(rows)


def test_rows_are_read():
    assert read_rows([["a", "harmful", "all"]]) == [LiveRow("a", "harmful", "all")]


def test_a_wrong_target_has_a_curve_too(ws):
    seen = ws.with_model("head-moco")
    trainer = heads.make_trainer(seen, "head-moco")
    curve = margin_curve(seen, trainer, 0, LiveRow("random"))
    assert curve["flip"] is None or curve["flip"] > 0
    with pytest.raises(UserError, match="out of range"):
        cut_verdicts(seen, trainer, 99, [], 1)
