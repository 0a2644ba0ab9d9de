"""How many labels are wrong: which decisions count as what, and whether the interval holds the truth."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors, error_estimate, review_queue
from attribution.audit.decision_log import Queue
from attribution.audit.decisions import CurrentDecision
from attribution.audit.detectors import imported, out_of_sample
from attribution.importing.formats.predictions import Predictions
from attribution.metrics.label_detection import suspicion_order, tie_order
from tests.benchmarks import error_count
from tests.unit.importing.test_base_predictions import soft


def made(items, drawn=(), scores=None, number=1, suggestions=None, **spec):
    scores = scores or [1 - at / 100 for at in range(len(items))]
    spec = {"random": bool(drawn)} | spec
    marks = [item in drawn for item in items]
    return Queue(number, spec, list(items), marks, scores, suggestions or [1] * len(items), "me", 0.0)


def decided(item, action="keep", label=None, queue=1, at=0.0, conflict=(), who="me"):
    decided.count = getattr(decided, "count", 0) + 1
    row = (decided.count, str(decided.count), at, who, "tab", item, action, label, None, None, "", queue, 0)
    return CurrentDecision(*row, conflict)


def current(*decisions):
    return {decision.item: decision for decision in decisions}


def looked_at(n, queues, decisions):
    return tuple(np.flatnonzero(mask).tolist() for mask in error_estimate.split_looked_at(n, queues, decisions))


def test_a_queue_counts_up_to_the_last_place_decided():
    queue = made([5, 9, 6, 7], drawn=[9], scores=[0.9, 0.1, 0.8, 0.7])
    assert looked_at(10, [queue], current(decided(5))) == ([5], [])
    assert looked_at(10, [queue], current(decided(5), decided(6))) == ([5, 6], [9]), "9 was passed over"


def test_a_drawn_image_that_would_have_come_up_as_a_suspect_counts_as_one():
    queue = made([5, 9, 6, 7], drawn=[9], scores=[0.9, 0.85, 0.8, 0.7])
    assert looked_at(10, [queue], current(decided(5), decided(9))) == ([5], [9])
    assert looked_at(10, [queue], current(decided(5), decided(9), decided(6))) == ([5, 6, 9], [])
    later = made([5, 6, 7, 9], drawn=[9], scores=[0.9, 0.8, 0.7, 0.85])
    assert looked_at(10, [later], current(decided(5), decided(6))) == ([5, 6, 9], []), "it stands further down"


def test_equally_suspicious_images_are_in_the_order_of_every_queue():
    first, second, third = np.argsort(tie_order(10))[:3].tolist()
    queue = made([second, third, first], drawn=[first], scores=[0.5, 0.5, 0.5])
    assert looked_at(10, [queue], current(decided(second), decided(third), decided(first)))[1] == []
    queue = made([first, third, second], drawn=[third], scores=[0.5, 0.5, 0.5])
    assert looked_at(10, [queue], current(decided(first), decided(third))) == ([first], [third])


def test_the_suspects_of_another_queue_are_no_sample():
    whole, other = made([5, 9, 6], drawn=[9], scores=[0.9, 0.1, 0.8]), made([9, 4], number=2, images=[9, 4])
    assert looked_at(10, [whole, other], current(decided(5), decided(9), decided(6))) == ([5, 6], [9])
    decisions = current(decided(5), decided(9), decided(6), decided(4, queue=2))
    assert looked_at(10, [whole, other], decisions) == ([4, 5, 6, 9], [])
    conflicts = made([9], number=2, images=[9], of="conflicts")
    decisions = current(decided(5), decided(6), decided(9, queue=2))
    assert looked_at(10, [whole, conflicts], decisions) == ([5, 6], [9]), "it was looked at because it was drawn"
    imported = current(decided(5), decided(6), decided(9, queue=None), decided(2, queue=None))
    assert looked_at(10, [whole], imported) == ([2, 5, 6, 9], []), "nobody knows why it was looked at"
    controls = made([5, 9, 6], drawn=[9], controls=True, random=False)
    assert looked_at(10, [controls], current(decided(6))) == ([5, 6, 9], []), "those leave the suspects out"


def test_the_estimate_by_hand():
    """100 images: of 4 suspects 2 are wrong, of 5 drawn ones 1 is; one suspect is unsure."""
    labels = np.zeros(100, int)
    queue = made(range(10), drawn=[1, 3, 5, 7, 9], scores=[0.9, 0.1] * 5, suggestions=[1] * 10)
    decisions = [decided(at) for at in (2, 3, 5, 7, 9)]
    decisions += [decided(0, "relabel", 1), decided(1, "remove"), decided(4, "relabel", 2), decided(6, "unsure")]
    decisions += [decided(8, "relabel", 0)]  # for the label that it has
    found = error_estimate.estimate(labels, 3, [queue], current(*decisions))
    assert found["certain"] == {"wrong": 2, "right": 2, "unknown": 1}
    assert found["drawn"] == {"wrong": 1, "right": 4, "unknown": 0}
    assert (found["decided"], found["found"], found["next"]) == (9, 3, None)
    assert found["total"]["errors"] == 2 + 1 * 0.5 + 95 * 0.2
    low, high = error_estimate.total_errors(error_estimate.Counts(0, 0), error_estimate.Counts(1, 4), 95)["ci"]
    assert found["total"]["ci"] == [2 + low, 2 + 1 + high]
    assert found["classes"][0] == {"class": 0, "images": 100, "found": 3, "drawn": 5, "errors": None, "ci": None}
    share = found["suggestions"]
    assert (share["count"], share["n"]) == (1, 2), "what was removed has no label that could be suggested"


def test_a_class_has_an_estimate_where_enough_of_it_was_drawn():
    labels = np.r_[np.zeros(50, int), np.ones(50, int)]
    queue = made(range(60), drawn=range(25, 55), scores=[1.0] * 25 + [0.1] * 35)
    found = error_estimate.estimate(
        labels, 2, [queue], current(*(decided(i, "remove" if i < 3 else "keep") for i in range(55)))
    )
    first, second = found["classes"]
    assert (first["errors"], first["ci"]) == (3, [3, 3]), "all fifty were looked at"
    assert second["errors"] is None and second["drawn"] == 5


def test_decisions_about_pictures_and_conflicts_say_nothing_of_labels():
    queue = made([5, 6, 7], of="faults", fault=None)
    found = error_estimate.estimate(np.zeros(10, int), 2, [queue], current(decided(5, "remove"), decided(6)))
    assert (found["decided"], found["found"], found["next"], found["total"]) == (0, 0, None, None)
    other = decided(5, "remove", conflict=(decided(5),))
    assert error_estimate.estimate(np.zeros(10, int), 2, [made([5, 6])], current(other))["decided"] == 0


def test_what_comes_next_speaks_of_the_suspects_of_one_queue_at_a_persons_speed():
    labels = np.zeros(200, int)
    queue = made(range(60), drawn=range(0, 60, 10), scores=[0.5] * 60)
    decisions = current(*(decided(i, "keep" if i % 2 else "remove", at=3.0 * i) for i in range(50)))
    found = error_estimate.estimate(labels, 2, [queue], decisions)["next"]
    assert found["ahead"] == 100 and found["seconds"] == 3 and 20 < found["errors"] < 45
    assert error_estimate.estimate(labels, 2, [queue], decisions, number=1)["next"] == found
    assert error_estimate.estimate(labels, 2, [queue], decisions, number=2)["next"] is None
    assert error_estimate.estimate(labels, 2, [], {})["next"] is None


@pytest.mark.parametrize("share", [0.01, 0.08])
def test_the_interval_holds_the_truth(share):
    """Of 100 planted draws from a model of scores, at a fifth, a half and the end of the queue."""
    measured = error_count.measure(lambda rng: error_count.score_model(rng, 2000), share, 100, n_guesses=0)
    assert [90 <= 100 * stop["total"]["coverage"] <= 100 for stop in measured["stops"]] == [True] * 3
    widths = [stop["total"]["width"] for stop in measured["stops"]]
    assert widths == sorted(widths, reverse=True) and widths[-1] < 0.12 * 2000
    assert all(stop["next"]["coverage"] >= 0.8 for stop in measured["stops"])


def test_the_interval_holds_the_truth_on_held_out_predictions():
    ws = Workspace.open()
    probabilities = out_of_sample.out_of_sample_predictions(ws).probabilities
    measured = error_count.measure(lambda rng: (np.asarray(ws.train_labels), probabilities), 0.03, 100, n_guesses=0)
    assert all(stop["total"]["coverage"] >= 0.9 for stop in measured["stops"])


def test_a_tenth_of_a_queue_is_drawn_from_the_whole_set(ws, monkeypatch):
    scores = np.linspace(0, 1, ws.n_train).astype(np.float32)
    doubt = detectors.Detector("doubt", "test", "made up", False, scores, None, None)
    monkeypatch.setattr(detectors, "default_detector", lambda ws: "doubt")
    monkeypatch.setattr(detectors, "load", lambda ws, name: doubt)
    spec = review_queue.queue_spec(ws, size=40, seed=3)
    items = review_queue.build_items(ws, spec)
    assert spec["random"] and len(items.images) == 40 == len(set(items.images.tolist()))
    assert items.controls.reshape(4, 10).sum(1).tolist() == [1] * 4, "one in each ten places"
    order, drawn = suspicion_order(scores), items.images[items.controls]
    assert items.images[~items.controls].tolist() == [i for i in order if i not in drawn][:36]
    np.testing.assert_array_equal(review_queue.build_items(ws, spec).images, items.images)
    times = np.zeros(ws.n_train)
    for seed in range(300):
        items = review_queue.build_items(ws, review_queue.queue_spec(ws, size=40, seed=seed))
        times[items.images[items.controls]] += 1
    assert times.sum() == 1200 and times.min() > 5 and times.max() < 45, "each as likely as any other: 20 times"
    assert not review_queue.build_items(ws, review_queue.queue_spec(ws, size=1)).controls.any()
    old = {key: value for key, value in spec.items() if key != "random"}
    assert not review_queue.build_items(ws, old).controls.any(), "a spec of an earlier version"
    for more in ({"given": 1}, {"images": [3]}, {"controls": True}):
        assert not review_queue.queue_spec(ws, **more)["random"]
        with pytest.raises(UserError, match="drawn from the whole set"):
            review_queue.queue_spec(ws, random=True, **more)


def test_the_first_guess_is_by_held_out_predictions_else_by_folds(ws, monkeypatch):
    pytest.importorskip("cleanlab")
    probabilities = np.full((ws.n_train, 3), 0.05)
    probabilities[np.arange(ws.n_train), ws.train_labels] = 0.9
    probabilities[4] = np.nan
    known = out_of_sample.OutOfSamplePredictions(probabilities, np.ones(ws.n_train, int), "two models")
    monkeypatch.setattr(out_of_sample, "out_of_sample_predictions", lambda ws: known)
    guess = error_estimate.first_guess(ws)
    assert (guess["by"], guess["images"], guess["errors"]) == ("two models", ws.n_train - 1, pytest.approx(0))
    monkeypatch.setattr(out_of_sample, "out_of_sample_predictions", lambda ws: None)
    guess = error_estimate.first_guess(ws)
    assert "fold" in guess["by"] and guess["images"] == ws.n_train and 0 <= guess["errors"] <= ws.n_train
    monkeypatch.setattr(error_estimate.out_of_fold, "names", lambda ws: [])
    with pytest.raises(UserError, match="needs models that did not see"):
        error_estimate.first_guess(ws)
    monkeypatch.setattr(error_estimate, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs cleanlab"):
        error_estimate.first_guess(ws)


def test_the_first_guess_is_by_probabilities_of_ones_own(ws, monkeypatch):
    pytest.importorskip("cleanlab")
    assert imported.probability_names(ws) == []
    said = Predictions(soft(ws.truth()["original"].to_numpy())[None], ["probs.npy"], matched=False)
    imported.import_probabilities(ws, "mine", said)
    again = Workspace.open(ws.path)
    assert imported.probability_names(again) == ["mine"]
    guess = error_estimate.first_guess(again)
    assert guess["by"] == "imported probabilities (mine)" and guess["images"] == 60
