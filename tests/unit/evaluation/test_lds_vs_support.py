"""LDS against supports: correlations with known answers, what is left out, and what is kept."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from attribution import UserError, Workspace
from attribution.evaluation import lds_vs_support
from attribution.experiments.study import Study, read_study
from attribution.experiments.support_search import Support
from attribution.store.results import ResultStore
from attribution.workspace.provenance import command_provenance
from tests import tiny


def found(size, status=None):
    return Support(status or ("flipped" if size else "censored"), size, 0 if size else 20, size)


@pytest.fixture(autouse=True)
def halves(ws):
    """20 held-out halves x 2 seeds: the more images of its class a half holds, the surer a target."""
    rng = np.random.default_rng(0)
    masks = np.array([rng.permutation(tiny.TRAIN) < tiny.TRAIN // 2 for _ in range(20)])
    of_class = (ws.train_labels == ws.val_labels[:, None]).astype(float)
    margins = (masks @ of_class.T)[:, None] + rng.normal(0, 0.5, (20, 2, tiny.VAL))
    (ws.path / "lds").mkdir()
    np.save(ws.path / "lds" / "masks.npy", np.packbits(masks, axis=1))
    np.save(ws.path / "lds" / "margins.npy", margins.astype(np.float16))
    ws.record_part(
        "lds",
        {"alpha": 0.5, "masks": 20, "seeds": [0, 1], "recipe": "demo-cnn", "hash": "x"},
        ["lds/masks.npy", "lds/margins.npy"],
    )


def pairs(lds, sizes):
    return {target: (one, found(size)) for target, (one, size) in enumerate(zip(lds, sizes))}


def test_a_higher_lds_with_smaller_supports_is_above_zero():
    row = lds_vs_support.relate_lds_to_supports(pairs([0.5, 0.4, 0.3, 0.2, 0.1], [1, 3, 9, 20, None]), 20)
    assert row["spearman"] == pytest.approx(1) and row["kendall"] == pytest.approx(1)
    assert (row["n"], row["censored"]) == (5, 1) and row["auc"] == pytest.approx((19 + 17 + 11) / 100)
    assert lds_vs_support.relate_lds_to_supports(pairs([0.1, 0.2, 0.3, 0.4], [1, 2, 3, None]), 20)[
        "spearman"
    ] == pytest.approx(-1)


def test_censored_supports_tie_for_last():
    lds, sizes = [0.5, 0.1, 0.4, 0.3, 0.2, 0.6], [2, None, None, 7, None, 20]
    row = lds_vs_support.relate_lds_to_supports(pairs(lds, sizes), 20)
    assert row["spearman"] == pytest.approx(spearmanr(lds, [-(size or 99) for size in sizes]).statistic)
    assert row["censored"] == 3
    assert row["ci"][0] <= row["spearman"] <= row["ci"][1]


def test_no_correlation_where_there_is_nothing_to_order():
    assert lds_vs_support.relate_lds_to_supports(pairs([0.1, 0.2, 0.3, 0.4], [None] * 4), 20)["spearman"] is None
    assert lds_vs_support.relate_lds_to_supports(pairs([0.1, 0.2, 0.3], [1, 2, 3]), 20)["spearman"] is None
    assert lds_vs_support.correlate_rankings({"a": {"lds": 0.1, "auc": 0.2}}) == {"kendall": None, "p": None, "n": 1}


def test_p_shuffles_within_classes():
    """Two classes differ in both, and within them nothing goes together: the shuffle must not call that agreement."""
    rng, classes = np.random.default_rng(0), np.repeat([0, 1], 30)
    found = []
    for _ in range(300):
        lds, small = classes + rng.random(60), -100.0 * (1 - classes) - rng.integers(0, 50, 60)
        found.append([lds_vs_support._permutation_p_value(lds, small, of, 199) for of in (classes, np.zeros(60, int))])
    within, among = (np.array(found) <= 0.05).mean(0)
    assert 0.02 <= within <= 0.09 and among > 0.99
    lds = classes + rng.random(60)
    row = lds_vs_support.relate_lds_to_supports(
        pairs(lds, (1 + np.argsort(np.argsort(-lds))).tolist()), 128, classes=classes
    )
    assert row["p"] < 0.01 and row["spearman"] == pytest.approx(1)


def test_the_margin_held_fixed():
    """Where the margin alone drives both, nothing is left once it is held fixed."""
    rng = np.random.default_rng(0)
    sure = rng.random(300)
    lds, sizes = -sure + rng.normal(0, 0.3, 300), np.argsort(np.argsort(sure + rng.normal(0, 0.3, 300))) + 1
    row = lds_vs_support.relate_lds_to_supports(pairs(lds, sizes.tolist()), 300, sure, resamples=50)
    assert row["spearman"] > 0.35 and row["sure"] < -0.5 and abs(row["partial"]) < 0.15


def test_within_a_target_its_difficulty_cancels_out():
    a = {t: (0.1 * t, found(t + 1)) for t in range(5)}
    b = {t: (0.1 * t + 0.05, found(t + 2)) for t in range(5)}  # always the higher LDS, always the larger support
    told = lds_vs_support.correlate_within_targets({"a": a, "b": b, "random": a}, 20)
    assert told["kendall"] == pytest.approx(-1) and told["n"] == 5 and told["rankings"] == ["a", "b"]
    b[4] = (0.9, a[4][1])
    told = lds_vs_support.correlate_within_targets({"a": a, "b": b}, 20)
    assert (told["n"], told["left_out"]) == (4, 1), "the same support under both says nothing"
    assert lds_vs_support.correlate_within_targets({"a": a}, 20)["kendall"] is None


def test_lds_of_single_targets(ws):
    got = lds_vs_support.compute(ws, ["trak-10", "random"], [0, 3, 5, 7, 8])
    assert got.values.shape == (2, 5) and np.nanmean(got.values[0]) > 0.1
    assert set(got.reliability) == {"trak-10", "random"} and 0 <= got.reliability["trak-10"] <= 1
    assert got.of_ranking("random").keys() == {0, 3, 5, 7, 8} and got.of_ranking("l2-moco") == {}
    with pytest.raises(UserError, match="a study of such rankings"):
        lds_vs_support.compute(ws, [], [0])


def test_a_ranking_without_every_score_is_not_asked_about_again(ws):
    name = "trak-2.compute"
    (ws.path / "rankings" / name).mkdir()
    np.save(ws.path / "rankings" / name / "ids.npy", np.tile(np.arange(20, dtype=np.int16), (tiny.VAL, 1, 1)))
    ws.record_part(f"rankings/{name}", {"method": "TRAK", "variant": True}, [f"rankings/{name}/ids.npy"])
    ws = Workspace.open(ws.path)
    study = Study(20, "default", {"remove": {one: {0: found(4)} for one in ("trak-10", "trak-10@true", name)}})
    lds_vs_support.save(ws, lds_vs_support.compute(ws, *lds_vs_support.rankings_and_targets(study)), {})
    kept = lds_vs_support.load(Workspace.open(ws.path))
    assert (
        lds_vs_support.count_missing(kept, study) == 0
        and kept.of_ranking(name) == {}
        and kept.of_ranking("trak-10@true").keys() == {0}
    )
    assert list(lds_vs_support.report(ws, study, kept)["kinds"]["remove"]["rankings"]) == ["trak-10", "trak-10@true"]


def test_lds_is_that_of_dattri(ws):
    """The same arrays, another library: dattri.metric.lds."""
    torch = pytest.importorskip("torch")
    from dattri.metric import lds

    from attribution.builds import halves

    masks, margins = halves.load_held_out_halves(ws)
    targets = np.arange(tiny.VAL)
    for name in ("trak-10", "l2-moco", "random"):
        scores = np.array(list(ws.ranking(name).all_scores()))
        subsets = torch.tensor(np.array([np.flatnonzero(row) for row in masks]))
        theirs, _ = lds(torch.tensor(scores.T.astype(float)), (torch.tensor(margins.mean(1).astype(float)), subsets))
        np.testing.assert_allclose(lds_vs_support.compute(ws, [name], targets).values[0], theirs, atol=1e-6)


def test_a_report_leaves_unfinished_and_wrong_targets_out(ws):
    store = ResultStore.for_workspace(ws)
    study = read_study(ws, store)
    store.close()
    names, targets = lds_vs_support.rankings_and_targets(study)
    assert names == ["trak-10", "random"] and targets.tolist() == [0]
    study.tables["remove"]["trak-10"] = {
        0: found(4),
        3: found(None),
        4: None,
        5: found(None, "already_wrong"),
        6: found(2),
        7: found(9),
        8: found(1),
    }
    got = lds_vs_support.compute(ws, names, range(9))
    told = lds_vs_support.report(ws, study, got)
    row = told["kinds"]["remove"]["rankings"]["trak-10"]
    assert (row["n"], row["censored"], told["K"], told["masks"], told["seeds"]) == (5, 1, 20, 20, 2)
    assert row["spearman"] is not None and "mislabel" not in told["kinds"]


def test_what_is_kept_holds_while_rankings_and_halves_do(ws):
    got = lds_vs_support.compute(ws, ["trak-10", "random"], [0, 3])
    assert lds_vs_support.load(ws) is None
    lds_vs_support.save(
        ws, got, command_provenance("evaluate lds-supports")
    )  # which has versions of its own: the libraries'
    ws = Workspace.open(ws.path)
    kept = lds_vs_support.load(ws)
    assert (
        kept.names == got.names
        and kept.of_ranking("trak-10") == got.of_ranking("trak-10")
        and kept.reliability == got.reliability
    )
    store = ResultStore.for_workspace(ws)
    study = read_study(ws, store)
    store.close()
    assert lds_vs_support.count_missing(kept, study) == 0
    study.tables["remove"]["trak-10"][5] = None
    assert lds_vs_support.count_missing(kept, study) == 1
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    ws._rankings.clear()
    assert lds_vs_support.load(ws).names == ("random",)
    ws.manifest["parts"]["lds"]["digest"] = "another"
    assert lds_vs_support.load(ws) is None
