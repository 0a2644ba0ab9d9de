"""Calibration: what is foretold and measured of each set, and fits whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from attribution import UserError, Workspace
from attribution.evaluation import calibration
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.support_table import to_stored_table
from attribution.training.edits import no_edit, remove
from attribution.training.recipes import get_recipe
from attribution.workspace import provenance
from attribution.workspace.base_models import mean_base_margins
from tests import tiny


def made(slope=2.0, noise=0.0, targets=20, sets=6):
    """Rows of one ranking "a" whose changes are `slope` times what it says, its own sets and those of "b"."""
    rng = np.random.default_rng(0)
    target, source = np.repeat(np.arange(targets), sets), np.tile(np.arange(sets) % 2, targets)
    predicted = -rng.random(len(target))
    measured = slope * predicted + rng.normal(0, noise, len(target))
    k = np.tile([4, 4, 20, 20, 100, 200], targets)
    return calibration.Removals(
        ("a",),
        ("a", "b"),
        target,
        k,
        source,
        np.full(len(target), 5),
        np.zeros(len(target), bool),
        measured,
        predicted[None],
    )


def test_a_perfect_line():
    one = calibration.fit_scale(made(), "a", "own", 0.0, 50)
    assert one["slope"] == pytest.approx(2) and one["r2"] == pytest.approx(1) and one["spearman"] == pytest.approx(1)
    assert one["slope_ci"] == pytest.approx([2, 2]) and one["reachable"] == 1
    assert one["r2_splits"] == pytest.approx([1, 1]) and (one["n"], one["targets"]) == (60, 20)
    assert {label: size["n"] for label, size in one["sizes"].items()} == {"1 to 8": 20, "9 to 32": 20, "33 to 128": 20}


def test_no_target_is_both_fitted_and_judged():
    rows = made()
    fitted = calibration.split_targets(rows.target)
    assert fitted.shape == (120, calibration.N_SPLITS) and (fitted.sum(0) == 60).all()
    assert (fitted.reshape(20, 6, -1) == fitted.reshape(20, 6, -1)[:, :1]).all(), "rows of one target hang together"
    assert (~fitted).any(1).all()


def test_what_is_judged_does_not_move_its_slope():
    """One target of 8 with all the weight: whatever it says, it is foretold by the others' slope alone."""
    x = np.array([1.0] * 7 + [100.0])
    rows = calibration.Removals(
        ("a",),
        ("a",),
        np.arange(8),
        np.full(8, 4),
        np.zeros(8, int),
        np.full(8, 5),
        np.zeros(8, bool),
        np.array([2.0] * 7 + [0.0]),
        x[None],
    )
    one = calibration.fit_scale(rows, "a", "own", 0.0, 50)
    fitted = calibration.split_targets(rows.target)
    slopes = [(x * rows.measured)[part].sum() / (x[part] ** 2).sum() for part in fitted.T]
    errors = [
        np.mean([(rows.measured[i] - slopes[s] * x[i]) ** 2 for s in range(calibration.N_SPLITS) if not fitted[i, s]])
        for i in range(8)
    ]
    assert errors[7] == pytest.approx(200**2), "the slope of the others is 2"
    assert one["r2"] == pytest.approx(1 - sum(errors) / (7 * 0.25**2 + 1.75**2))


def test_noise_is_told_from_a_bad_prediction():
    rows = made(noise=0.3, targets=400)
    one = calibration.fit_scale(rows, "a", "own", 0.3 / np.sqrt(1 / 5), 50)
    assert one["r2"] == pytest.approx(one["reachable"], abs=0.05) and one["r2"] < 0.85
    assert one["r2_ci"][0] < one["r2"] < one["r2_ci"][1]


def test_the_base_models_noise_is_in_what_was_measured_too():
    rows = made(noise=0.3)
    spread = np.var(rows.measured[rows.source == 0])
    known, of_three = (calibration.fit_scale(rows, "a", "own", 0.3, 5, base)["reachable"] for base in (np.inf, 3))
    assert known == pytest.approx(1 - 0.09 / 5 / spread)
    assert of_three == pytest.approx(1 - 0.09 * (1 / 5 + 1 / 3) / spread)


def test_resampled_correlations_are_those_of_the_rows_drawn():
    rng = np.random.default_rng(0)
    x, y, target = rng.integers(0, 9, 40), rng.integers(0, 9, 40), np.repeat(np.arange(10), 4)
    drawn = calibration._resample_weights(target, 7)
    assert drawn.sum(0).tolist() == [40] * 7
    assert (drawn.reshape(10, 4, 7) == drawn.reshape(10, 4, 7)[:, :1]).all(), "rows of one target hang together"
    for got, counts in zip(calibration._correlations(x, y, drawn), drawn.T.astype(int)):
        assert got == pytest.approx(spearmanr(np.repeat(x, counts), np.repeat(y, counts)).statistic)


def test_where_a_half_of_the_targets_is_foretold_nothing():
    rows = made(targets=8)
    rows.predicted[:, rows.target > 0] = 0
    rows.predicted[:, rows.target == 0] = 1
    one = calibration.fit_scale(rows, "a", "own", 0, 20)
    without = (rows.measured**2).sum() / ((rows.measured - rows.measured.mean()) ** 2).sum()
    assert one["r2_splits"][1] <= 1 - 0.5 * without, "no split without a slope counts as foretold perfectly"


def test_too_few_targets_have_no_fit():
    one = calibration.fit_scale(made(targets=6), "a", "own", 0.1, 50)
    assert one["slope"] is None and one["r2"] is None and one["n"] == 18 and one["sizes"] == {}
    assert calibration.fit_scale(made(), "a", "random", 0.1, 50)["n"] == 0


def test_supports_are_added_up_by_hand(ws):
    rows = calibration.compute(ws)
    assert rows.names == ("trak-10",) and rows.sources == ("trak-10", "random")
    assert rows.target.tolist() == [0, 0] and rows.k.tolist() == [4, 19] and rows.seeds.tolist() == [5, 5]
    ranking, base = ws.ranking("trak-10"), mean_base_margins(ws)
    first = ranking.top(0, 4).ids
    assert rows.predicted[0, 0] == pytest.approx(-ranking.scores(0)[first].sum()) and rows.predicted[0, 0] < 0
    at_random = ws.ranking("random").top(0, 20).ids
    assert rows.predicted[0, 1] == pytest.approx(-ranking.scores(0)[at_random].sum())
    assert base[0] == pytest.approx(np.log(0.9 / 0.05), abs=1e-4)
    assert rows.measured.tolist() == pytest.approx([0.25 - base[0]] * 2) and not rows.paired.any()
    assert calibration.rows_of_origin(rows, "trak-10", "own").tolist() == [True, False]
    assert calibration.rows_of_origin(rows, "trak-10", "random").tolist() == [False, True]


def test_a_ranking_s_own_sets_are_no_others_by_another_name(ws):
    table = pd.read_parquet(ws.path / "supports.parquet")
    pd.concat([table, table.assign(ranking=table.ranking + "@true")]).to_parquet(ws.path / "supports.parquet")
    rows = calibration.compute(ws)
    assert rows.sources == ("trak-10", "random") and not calibration.rows_of_origin(rows, "trak-10", "others").any()


def test_relabelled_sets_are_left_out_and_confirmations_pooled(ws):
    table = pd.read_parquet(ws.path / "supports.parquet").to_dict("records")
    probe = {
        "k": 4,
        "seeds": [5, 6],
        "predictions": [0, 0],
        "wrong": 0,
        "flipped": False,
        "margin": 0.95,
        "confirm": True,
    }
    rows = [
        {
            **table[0],
            "trace": [
                {"k": 4, "seeds": [0, 1, 2], "predictions": [2] * 3, "wrong": 3, "flipped": True, "margin": 0.2},
                probe,
            ],
        },
        {**table[0], "kind": "mislabel", "trace": [probe]},
        {**table[0], "target": 3, "trace": [{**probe, "margin": None}]},
    ]
    to_stored_table(rows).to_parquet(ws.path / "supports.parquet")
    found = calibration.compute(ws)
    assert found.k.tolist() == [4] and found.seeds.tolist() == [5]
    assert found.measured[0] + mean_base_margins(ws)[0] == pytest.approx((3 * 0.2 + 2 * 0.95) / 5)


def put(ws, store, edit, seed, margin):
    store.put(
        get_recipe(ws.recipe).hash,
        edit,
        seed,
        predicted=np.zeros(tiny.VAL, int),
        margins=np.full(tiny.VAL, margin),
        seconds=1,
        device="cpu",
        library="x",
        threads=1,
    )


def test_single_retrainings_and_their_controls(ws, store):
    spec = retrain_spec(ws, 3, None, "remove", 2, seeds=[0, 1], draws=1, ids=[0, 6])
    number = store.add_job(spec, "retrain")
    for kind, edits in spec.edits(ws).items():
        for edit in edits:
            for seed in (0, 1):
                put(ws, store, edit, seed, {"edit": 1.0, "none": 3.0, "random": 2.5}[kind])
    assert len(calibration.compute(ws, store).target) == 2, "a job that is not done"
    store.finish_job(number, "done")
    rows = calibration.compute(ws, store)
    assert rows.target.tolist() == [0, 0, 3, 3] and rows.sources == ("trak-10", "random", "chosen")
    assert rows.paired.tolist() == [False, False, True, True], "supports have seeds that are not there unedited"
    assert rows.measured[2:].tolist() == [-2, -0.5]
    assert rows.predicted[0, 2] == pytest.approx(-ws.ranking("trak-10").scores(3)[[0, 6]].sum())
    assert calibration.rows_of_origin(rows, "trak-10", "others").tolist() == [False, False, True, False]
    for seed in range(2, 5):
        put(ws, store, no_edit(), seed, 3.0)
    again = calibration.compute(ws, store)
    assert again.paired.all() and again.measured[0] == pytest.approx(0.25 - 3)
    assert store.get(store.key(get_recipe(ws.recipe).hash, remove([0, 6]), 0)) is not None


def test_what_cannot_be_measured_is_refused(tmp_path, ws):
    (ws.path / "supports.parquet").unlink()
    with pytest.raises(UserError, match="nothing was removed"):
        calibration.compute(ws)
    ws.manifest["parts"]["rankings/trak-10"]["signed"] = False
    ws._rankings.clear()
    with pytest.raises(UserError, match="no ranking of tiny has a sign"):
        calibration.compute(ws)
    with pytest.raises(UserError, match="no base models"):
        calibration.compute(tiny.write(tmp_path / "bare", base=False))


def test_a_summary_names_those_that_foretell_nothing(ws):
    told = calibration.report(ws, calibration.compute(ws), 20)
    assert {"l2-moco", "esvm-moco", "random"} <= set(told["unsigned"]) and "trak-10" not in told["unsigned"]
    assert set(told["rankings"]["trak-10"]) == set(calibration.ORIGINS)
    assert (told["sets"], told["paired"], told["targets"]) == (2, 0, 1)


def test_what_is_kept_holds_while_the_rankings_do(ws):
    rows = calibration.compute(ws)
    assert calibration.load(ws) is None and not calibration.is_equal(None, rows)
    calibration.save(
        ws, rows, provenance.command_provenance("evaluate calibration")
    )  # which has versions, too: the libraries'
    ws = Workspace.open(ws.path)
    assert calibration.is_equal(calibration.load(ws), rows)
    ws.manifest["parts"]["base"] = {"digest": "another"}
    assert calibration.load(ws) is None, "changes are against margins of base models"
    ws = Workspace.open(ws.path)
    ws.manifest["parts"]["rankings/trak-10"]["digest"] = "another"
    ws._rankings.clear()
    assert calibration.load(ws) is None
