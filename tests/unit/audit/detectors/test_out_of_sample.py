"""What models say of images that they did not see: from the workspace, from the store, or trained for it."""

from dataclasses import replace

import numpy as np

from attribution.audit import detectors
from attribution.audit.detectors import out_of_sample
from attribution.experiments import jobs
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.training.edits import remove


def brought(ws, probabilities, counts):
    """The part `out_of_subset` of a workspace."""
    (ws.path / "out_of_subset").mkdir()
    np.save(ws.path / "out_of_subset" / "sums.npy", (probabilities * counts[:, None]).astype(np.float32))
    np.save(ws.path / "out_of_subset" / "counts.npy", counts)
    ws.record_part("out_of_subset", {}, ["out_of_subset/sums.npy", "out_of_subset/counts.npy"])


def said(ws, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(3), ws.n_train)


def trained(ws, edit, probabilities, seed=0):
    store = ResultStore.for_workspace(ws)
    store.put(
        recipes.get_recipe(ws.recipe).hash,
        edit,
        seed,
        predicted=np.zeros(12, int),
        margins=np.zeros(12),
        seconds=1.0,
        device="cpu",
        library="none",
        threads=1,
        out_of_subset=probabilities[list(edit.indices)],
    )
    store.close()


def test_the_opinion_of_the_workspace(ws):
    assert out_of_sample.out_of_sample_predictions(ws) is None and out_of_sample.trainings_needed(ws) == 8
    probabilities, counts = said(ws), np.full(60, 500)
    counts[7] = 0
    brought(ws, probabilities, counts)
    found = out_of_sample.out_of_sample_predictions(ws)
    known = np.arange(60) != 7
    assert np.allclose(found.probabilities[known], probabilities[known], atol=1e-6)
    assert np.isnan(found.probabilities[7]).all() and found.models.tolist() == counts.tolist()
    assert found.description == "500 models that did not see the image" and out_of_sample.trainings_needed(ws) == 0


def test_the_opinion_of_the_store(ws):
    probabilities = said(ws)
    trained(ws, remove(range(30)), probabilities)
    found = out_of_sample.out_of_sample_predictions(ws)
    assert np.allclose(found.probabilities[:30], probabilities[:30], atol=1e-6)
    assert np.isnan(found.probabilities[30:]).all() and found.models.tolist() == [1] * 30 + [0] * 30
    assert out_of_sample.trainings_needed(ws) == 8, "some images were never left out"
    for seed in range(4):
        trained(ws, remove(range(60)[1:]), probabilities, seed)
        trained(ws, remove([0]), probabilities, seed)
    assert out_of_sample.trainings_needed(ws) == 0
    brought(ws, said(ws, 1), np.full(60, 9))
    assert np.allclose(out_of_sample.out_of_sample_predictions(ws).probabilities, said(ws, 1), atol=1e-6), (
        "what is brought is first"
    )


def test_the_detectors(ws):
    probabilities, counts = said(ws), np.full(60, 500)
    counts[[7, 8]] = 0
    brought(ws, probabilities, counts)
    known, labels = np.setdiff1d(np.arange(60), [7, 8]), ws.train_labels
    found = out_of_sample.compute(ws, ["confident", "out-of-subset"], lambda *at: None)
    plain = found["out-of-subset"]
    assert np.allclose(plain.scores[known], 1 - probabilities[known, labels[known]], atol=1e-6)
    assert np.allclose(plain.scores[[7, 8]], np.median(plain.scores[known]))
    assert plain.suggestion[[7, 8]].tolist() == labels[[7, 8]].tolist() and plain.extra == {"unknown": 2}
    assert np.array_equal(plain.suggestion[known], probabilities[known].argmax(1)) and not plain.uses_val

    # cleanlab's rule: less the mean confidence of each class, moved above zero, to a sum of one
    p, given = probabilities[known], labels[known]
    limits = np.array([p[given == c, c].mean() for c in range(3)])
    adjusted = p - limits + limits.max()
    quality = (adjusted / adjusted.sum(1, keepdims=True))[np.arange(len(known)), given]
    assert np.allclose(found["confident"].scores[known], 1 - quality, atol=1e-5)
    assert found["confident"].description == "cleanlab on 500 models that did not see the image"


def test_without_cleanlab_the_other_one_is_there(ws, monkeypatch):
    monkeypatch.setattr(out_of_sample, "find_spec", lambda name: None)
    assert "pip install" in out_of_sample.missing_requirement(
        ws, "confident"
    ) and not out_of_sample.missing_requirement(ws, "out-of-subset")


def test_where_nothing_is_known_pairs_of_halves_are_trained_first(ws, monkeypatch):
    """Real trainings; broken off, they go on."""
    monkeypatch.setenv("LINEUP_WORKERS", "1")
    monkeypatch.setenv("LINEUP_IDLE", "2")
    follow, specs = jobs.run_job, []
    monkeypatch.setattr(
        jobs,
        "run_job",
        lambda workspace, spec, progress: specs.append(spec) or follow(workspace, replace(spec, count=1), progress),
    )
    detectors.build_detectors(ws, ["out-of-subset"])
    assert out_of_sample.out_of_sample_predictions(ws).models.tolist() == [1] * 60
    monkeypatch.setattr(jobs, "run_job", lambda *asked: specs.append(asked[1]) or follow(*asked))
    assert "confident" in detectors.build_detectors(ws)
    store = ResultStore.for_workspace(ws)
    assert store.count() == 8, "the first two were not trained again"
    store.close()
    assert specs[0] == specs[1] and specs[0]["both"] and specs[0].total == 8
    assert out_of_sample.out_of_sample_predictions(ws).models.tolist() == [4] * 60
    assert set(detectors.build_detectors(ws)) == {"out-of-subset", "combined"}, "it was of fewer models"
    found = detectors.load(ws, "out-of-subset")
    assert found.scores[3] > np.median(found.scores) and found.description == "4 models that did not see the image"
