"""Agreement of rankings, on cases worked out by hand."""

import numpy as np
import pytest

from attribution import UserError
from attribution.evaluation import agreement
from attribution.metrics import rank_agreement, statistics
from tests import tiny


def test_jaccard():
    assert rank_agreement.jaccard(np.array([1, 2, 3]), np.array([3, 4, 5])) == pytest.approx(1 / 5)
    assert rank_agreement.jaccard(np.array([1, 2]), np.array([2, 1])) == 1
    assert rank_agreement.jaccard(np.array([1, 2]), np.array([3])) == 0


def test_rank_biased_overlap_by_hand():
    # overlaps of the first 1, 2, 3: 0, 1/2, 2/3; p = 1/2, what follows as the last
    found = rank_agreement.rank_biased_overlap(np.array([1, 2, 3]), np.array([2, 4, 1]), p=0.5)
    weights = [0.5, 0.25, 0.125]
    assert found == pytest.approx(0 * weights[0] + 1 / 2 * weights[1] + 2 / 3 * weights[2] + 2 / 3 * 0.125)
    assert rank_agreement.rank_biased_overlap(np.arange(50), np.arange(50)) == pytest.approx(1)
    assert rank_agreement.rank_biased_overlap(np.arange(50), np.arange(50, 100)) == 0


def test_rank_biased_overlap_weighs_the_top_more():
    base = np.arange(20)
    early, late = base.copy(), base.copy()
    early[[0, 5]], late[[14, 19]] = [5, 0], [19, 14]
    assert rank_agreement.rank_biased_overlap(base, early) < rank_agreement.rank_biased_overlap(base, late) < 1


def test_rank_biased_overlap_against_its_definition():
    rng = np.random.default_rng(0)
    a, b, p = rng.permutation(30), rng.permutation(30), 0.8
    share = [len(set(a[:d]) & set(b[:d])) / d for d in range(1, 31)]
    plain = share[-1] * p**30 + (1 - p) * sum(s * p ** (d - 1) for d, s in enumerate(share, 1))
    assert rank_agreement.rank_biased_overlap(a, b, p) == pytest.approx(plain)


def test_spearman_over_the_union():
    a, b = np.array([0, 1, 2]), np.array([2, 1, 0])
    places = rank_agreement._ranks
    assert rank_agreement.spearman_over_union(a, b, places(a, 5), places(b, 5)) == pytest.approx(-1)
    assert rank_agreement.spearman_over_union(a, a, places(a, 5), places(a, 5)) == pytest.approx(1)
    c = np.array([3, 4])  # nothing shared: what is first here ties at the end there
    assert rank_agreement.spearman_over_union(a, c, places(a, 5), places(c, 5)) < -0.7
    assert np.isnan(rank_agreement.spearman_over_union(a[:1], a[:1], places(a, 5), places(a, 5)))


def test_rankings_of_a_workspace(ws):
    found = agreement.compare(ws, ["esvm-moco", "trak-10", "l2-moco"], k=5)
    assert len(found.targets) == tiny.VAL and len(found.pairs) == 3
    np.testing.assert_allclose(found.same["l2-moco"], 1)  # as published, of the target's class alone
    np.testing.assert_allclose(found.cross["trak-10"], 1 - found.same["trak-10"])
    one = found.pairs["esvm-moco", "trak-10"]["jaccard"][3]
    a, b = (set(ws.ranking(name).top(3, 5).ids) for name in ("esvm-moco", "trak-10"))
    assert one == pytest.approx(len(a & b) / len(a | b))
    told = agreement.summary(found)
    assert told["pairs"]["l2-moco"]["trak-10"] == told["pairs"]["trak-10"]["l2-moco"]
    row = told["pairs"]["esvm-moco"]["l2-moco"]["rbo"]
    assert row["ci"][0] <= row["mean"] <= row["ci"][1] and row["n"] == tiny.VAL
    worst = agreement.most_disagreeing_targets(found, "trak-10", "esvm-moco", "jaccard")
    values = found.pairs["esvm-moco", "trak-10"]["jaccard"]
    assert values[found.targets.tolist().index(worst[0])] == values.min() and len(worst) == tiny.VAL


def test_the_same_ranking_twice_is_one(ws):
    with pytest.raises(UserError, match="at least two"):
        agreement.compare(ws, ["trak-10", "trak-10"])
    with pytest.raises(UserError, match="no ranking 'x'"):
        agreement.compare(ws, ["trak-10", "x"])
    with pytest.raises(UserError, match="at least 1"):
        agreement.compare(ws, ["trak-10", "random"], k=0)
    with pytest.raises(UserError, match="no target in common"):
        agreement.compare(ws, ["trak-10", "random"], targets=[99])


def test_means():
    assert statistics.mean_with_interval(np.array([np.nan, np.nan])) == {"mean": None, "ci": None, "n": 0}
    assert statistics.mean_with_interval(np.array([0.5, np.nan])) == {"mean": 0.5, "ci": None, "n": 1}
    assert statistics.mean_with_interval(np.array([0.5, 0.5]))["ci"] == [0.5, 0.5]
    found = statistics.mean_with_interval(np.random.default_rng(0).normal(3, 1, 400))
    assert found["ci"][1] - found["ci"][0] == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_what_the_command_line_keeps_can_be_read_again(ws):
    """Its provenance has `versions` of libraries, which are not those of rankings."""
    from attribution.workspace.provenance import command_provenance

    agreement.save(ws, agreement.compare(ws, ["trak-10", "l2-moco"], k=5), command_provenance("evaluate agreement"))
    assert agreement.load(ws).names == ("trak-10", "l2-moco")


def test_what_was_compared_with_another_set_of_candidates_can_be_read_again(ws):
    agreement.save(ws, agreement.compare(ws, ["trak-10", "trak-10@true"], k=5), {})
    assert agreement.load(ws).names == ("trak-10", "trak-10@true")
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    assert agreement.load(ws) is None
