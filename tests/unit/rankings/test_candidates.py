"""Rankings that choose among other candidates than as published."""

import numpy as np
import pytest

from attribution import UserError


def test_it_ranks_as_the_ranking_does_when_asked_for_these_candidates(ws):
    for name, which in (("l2-moco", "all"), ("trak-10", "true"), ("esvm-moco", "pair")):
        inner, among = ws.ranking(name), ws.ranking(f"{name}@{which}")
        np.testing.assert_array_equal(among.top(3, 9).ids, inner.top(3, 9, which).ids)
        np.testing.assert_array_equal(among.scores(3), inner.scores(3, which))
        np.testing.assert_allclose(next(iter(among.all_scores())), inner.scores(0, which), atol=1e-5)
        assert (among.method, among.signed) == (inner.method, inner.signed)
    assert set(ws.train_labels[ws.ranking("trak-10@true").top(3, 9).ids]) == {ws.val_labels[3]}


def test_asked_for_others_it_gives_these(ws):
    np.testing.assert_array_equal(ws.ranking("l2-moco@all").top(3, 9, "true").ids, ws.ranking("l2-moco").top(3, 9).ids)


def test_it_is_found_by_name_and_not_listed(ws):
    assert not any("@" in name for name in ws.rankings())
    for name in ("trak-10@", "trak-10@some", "x@true", "@true"):
        with pytest.raises(UserError, match="no ranking"):
            ws.ranking(name)


def test_its_version_is_that_of_all_it_rests_on(ws):
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "a"
    ws.manifest["parts"].setdefault("base", {})["digest"] = "b"
    assert [ws.ranking(f"trak-10@{which}").version for which in ("true", "pair")] == ["a", "a+b"]
    assert ws.ranking("random@true").version is None
