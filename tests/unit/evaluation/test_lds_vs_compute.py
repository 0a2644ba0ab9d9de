"""What a better ranking costs: seconds and bytes by hand, on stand-ins for the trainings and their gradients."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.builds import scores
from attribution.evaluation import lds_vs_compute
from attribution.experiments.halves import half_edit, half_seed, random_half
from attribution.store.results import ResultStore
from attribution.training import recipes
from tests import tiny
from tests.unit.evaluation.test_candidate_sets import give_halves

DIM = 4


@pytest.fixture(autouse=True)
def halves_and_seconds(ws, monkeypatch):
    """The tiny workspace with held-out halves; a training takes 8 s, on a half 4 s, a checkpoint's gradients 3 s."""
    give_halves(ws)
    ws.manifest["parts"]["base"] = {"seeds": list(range(tiny.MODELS)), "seconds": 8.0, "digest": "b"}
    rng = np.random.default_rng(3)
    trained = []

    def factors(workspace, count, dim, kept, progress):
        return [
            {
                "train": np.ones((dim, tiny.TRAIN), np.float32) * np.arange(tiny.TRAIN, dtype=np.float32),
                "val": np.ones((dim, tiny.VAL), np.float32),
                "doubt": np.ones(tiny.TRAIN, np.float32),
                "seconds": np.float64(3),
            }
            for _ in range(count)
        ]

    def half_margins(workspace, sequence):
        masks = np.stack([random_half(tiny.TRAIN, sequence["draw"], i) for i in range(sequence["count"])])
        return masks, rng.normal(size=(len(masks), 1, tiny.VAL))

    def unit(workspace, kept, progress):
        return {"whole": 8.0, "half": 4.0, "n": 3, "device": "cpu", "library": "x", "threads": 1, "clock": "processor"}

    monkeypatch.setattr(scores, "compute_trak_factors", factors)
    monkeypatch.setattr(lds_vs_compute, "load_half_margins", half_margins)
    monkeypatch.setattr(lds_vs_compute, "train_halves", lambda workspace, sequence, progress: trained.append(sequence))
    monkeypatch.setattr(lds_vs_compute, "training_seconds", unit)
    ws.trained = trained


def test_seconds_and_bytes_by_hand(ws):
    answer = lds_vs_compute.compute(ws, checkpoints=(1, 2, 50), halves=(30, 40), dim=DIM, resamples=0)
    rows = {row["name"]: row for row in answer["rows"]}
    assert list(rows) == ["trak-1", "trak-2", "trak-10", "datamodels-30", "datamodels-40", "random"]
    two = rows["trak-2"]
    assert two["training_seconds"] == 16 and two["computing_seconds"] == pytest.approx(6, abs=0.5)
    assert two["seconds"] == two["training_seconds"] + two["computing_seconds"]
    assert two["bytes"] == 2 * 4 * (DIM * tiny.TRAIN + DIM * tiny.VAL + tiny.TRAIN)
    assert two["scores_bytes"] == 2 * tiny.TRAIN * tiny.VAL
    fitted = rows["datamodels-30"]
    assert fitted["training_seconds"] == 30 * 4 and fitted["penalty"] in map(float, fitted["tuning"])
    assert fitted["bytes"] == 30 * (8 + 2 * tiny.VAL)  # 60 bits of a mask are 8 bytes
    assert [one["count"] for one in ws.trained] == [30, 40] and ws.trained[0]["draw"] == 1
    assert rows["random"]["seconds"] == 0 and rows["random"]["models"] == 0
    assert all(row["n_targets"] == tiny.VAL for row in answer["rows"])


def test_the_first_images_are_kept_as_a_ranking_that_is_not_listed(ws):
    answer = lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=0)
    names = [lds_vs_compute.variant_ranking(row) for row in answer["rows"]]
    assert names == ["trak-1.compute", "datamodels-30.compute", "random"] and not set(names[:2]) & set(ws.rankings())
    trak, fitted = (ws.ranking(name) for name in names[:2])
    np.testing.assert_array_equal(trak.top(3, 5).ids, tiny.TRAIN - 1 - np.arange(5))  # scores are the images' numbers
    assert (trak.method, trak.signed, trak.complete, trak.version is None) == ("TRAK", False, False, False)
    ids = fitted.top(3, tiny.TRAIN).ids
    assert len(set(ids.tolist())) == len(ids) and trak.made_for["seeds"] == [0]
    ws.remove_part("rankings/trak-1.compute")
    lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=0)
    assert ws.ranking("trak-1.compute").version, "made again"


def test_supports_of_a_ranking_are_not_those_of_another_one_of_its_name(ws, monkeypatch):
    asked = {"checkpoints": (1,), "halves": (30,), "resamples": 0}
    studied = []
    monkeypatch.setattr(
        lds_vs_compute, "compare_on_same_targets", lambda workspace, store, names: studied.append(names) or {}
    )
    first = lds_vs_compute.compute(ws, dim=DIM, **asked)
    version, factors = ws.ranking("trak-1.compute").version, scores.compute_trak_factors
    monkeypatch.setattr(
        scores, "compute_trak_factors", lambda *more: [{**one, "train": -one["train"]} for one in factors(*more)]
    )  # in other dimensions another order
    other = lds_vs_compute.compute(ws, dim=DIM + 1, **asked)
    assert ws.ranking("trak-1.compute").version != version
    for answer in (first, other):
        lds_vs_compute.support_aucs(ws, None, answer)
    assert "trak-1.compute" not in studied[0] and "trak-1.compute" in studied[1]
    monkeypatch.setattr(scores, "compute_trak_factors", factors)
    again = lds_vs_compute.compute(ws, dim=DIM, **asked)
    assert ws.ranking("trak-1.compute").version == version == again["rows"][0]["version"]
    monkeypatch.setattr(type(ws), "can_add", lambda self, part: False)  # as those that the demo brings
    assert lds_vs_compute.compute(ws, dim=DIM + 2, **asked)["rows"][0]["version"] == version, "the same first images"


def test_lds_is_that_of_the_scores(ws):
    """TRAK's scores here are the numbers of the images: their sums over the halves, against the margins."""
    from scipy.stats import spearmanr

    row = lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=0)["rows"][0]
    masks = np.unpackbits(np.load(ws.path / "lds" / "masks.npy"), axis=1, count=tiny.TRAIN)
    margins = np.load(ws.path / "lds" / "margins.npy").astype(float).mean(1)
    expected = np.mean(
        [spearmanr(masks @ np.arange(tiny.TRAIN), margins[:, target]).statistic for target in range(tiny.VAL)]
    )
    assert row["lds"] == pytest.approx(expected)


def test_it_goes_on_where_it_was_stopped(ws, monkeypatch):
    asked = {"checkpoints": (1,), "halves": (30,), "dim": DIM, "resamples": 0}
    first = lds_vs_compute.compute(ws, **asked)
    monkeypatch.setattr(scores, "fit_tuned_datamodels", None)  # would raise where it is called again
    assert lds_vs_compute.compute(ws, **asked) == first
    with pytest.raises(TypeError):
        lds_vs_compute.compute(ws, **{**asked, "halves": (30, 31)})
    give_halves(ws, seed=1)
    with pytest.raises(TypeError):  # judged on others, it is done anew
        lds_vs_compute.compute(ws, **asked)


def test_self_supervised_features_cost_what_their_training_took(ws):
    ws.manifest["parts"]["features/moco"] |= {"seconds": 600, "files": {"a": 70, "b": 30}}
    rows = {
        row["name"]: row
        for row in lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=0)["rows"]
    }
    row = rows["esvm-moco"]
    assert row["training_seconds"] == 600 and row["computing_seconds"] > 0 and row["bytes"] == 100


def test_what_is_missing(ws):
    cost = lds_vs_compute.missing_work(ws, checkpoints=(1, 2), halves=(30, 40), dim=DIM)
    assert (cost["checkpoints"], cost["trainings"], cost["fits"]) == (2, 40, 2)
    assert cost["seconds"] == round(40 * 4 + 2 * lds_vs_compute.TRAININGS_PER_CHECKPOINT * 8)
    store, recipe = ResultStore.for_workspace(ws), recipes.get_recipe(ws.recipe).hash
    store.put(
        recipe,
        half_edit(ws, 1, 5),
        half_seed(1, 5, 0),
        predicted=np.zeros(tiny.VAL, int),
        margins=np.zeros(tiny.VAL),
        seconds=1,
        device="cpu",
        library="x",
        threads=1,
    )
    store.close()
    assert lds_vs_compute.missing_work(ws, (1, 2), (30, 40), DIM)["trainings"] == 39
    lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=0)
    assert lds_vs_compute.missing_work(ws, (1, 2), (30, 40), DIM)["fits"] == 1
    assert lds_vs_compute.full_cost(ws)["trainings"] == 1000 and lds_vs_compute.full_cost(ws)["checkpoints"] == 10


def test_mistakes_are_told(ws):
    with pytest.raises(UserError, match="at least 30"):
        lds_vs_compute.compute(ws, halves=(20,))
    with pytest.raises(UserError, match="0 dimensions"):
        lds_vs_compute.compute(ws, dim=0)
    ws.manifest["parts"].pop("lds")
    with pytest.raises(UserError, match="halves train"):
        lds_vs_compute.compute(ws)


def test_what_is_kept_holds_while_its_ground_does(ws):
    answer = lds_vs_compute.compute(ws, checkpoints=(1,), halves=(30,), dim=DIM, resamples=20)
    assert lds_vs_compute.load(ws) is None
    lds_vs_compute.save(ws, answer, {"command": "x", "versions": {"numpy": "2"}})
    assert lds_vs_compute.load(ws) == json.loads(json.dumps(answer))
    ws.manifest["parts"]["base"]["digest"] = "another"
    assert lds_vs_compute.load(ws) is None
    ws.manifest["parts"]["base"]["digest"] = "b"
    (ws.path / lds_vs_compute.PART / lds_vs_compute.STORED.file).write_text("{")
    with pytest.raises(UserError, match="measure again"):
        lds_vs_compute.load(ws)
    give_halves(ws, seed=1)
    assert lds_vs_compute.load(ws) is None
