"""Queues of suspect labels: order, filters, controls, and how often what was looked at is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.audit import detectors, review_queue
from attribution.audit.decision_log import DecisionLog
from attribution.audit.detectors import out_of_sample
from attribution.audit.detectors.base import Detector


@pytest.fixture
def known(monkeypatch):
    """known(scores, suggestion) makes them those of the only detector, "doubt"."""

    def make(scores, suggestion=None):
        one = Detector("doubt", "test", "made up for a test", False, np.asarray(scores, np.float32), suggestion, None)
        monkeypatch.setattr(detectors, "names", lambda ws: ["doubt"])
        monkeypatch.setattr(detectors, "default_detector", lambda ws: "doubt")
        monkeypatch.setattr(detectors, "load", lambda ws, name: one)

    return make


def test_the_most_suspicious_come_first_with_what_is_suggested(ws, known):
    scores = np.linspace(0, 1, ws.n_train)
    suggestion = (ws.train_labels + 1) % 3
    known(scores, suggestion)
    items = review_queue.build_items(ws, review_queue.queue_spec(ws, size=5, random=False))
    assert items.images.tolist() == [59, 58, 57, 56, 55]
    np.testing.assert_array_equal(items.suggestions, suggestion[items.images])
    np.testing.assert_allclose(items.scores, scores[items.images], rtol=1e-6)
    assert not items.controls.any()


def test_filters_of_the_given_and_the_suggested_label(ws, known):
    known(np.linspace(0, 1, ws.n_train), (ws.train_labels + 1 + (np.arange(ws.n_train) < 30)) % 3)
    items = review_queue.build_items(ws, review_queue.queue_spec(ws, given=0, suggested=1))
    assert set(ws.train_labels[items.images]) == {0} and set(items.suggestions) == {1}
    assert items.images.min() >= 30 and np.all(np.diff(items.images) < 0)
    with pytest.raises(UserError, match="no training image fits these filters"):
        review_queue.build_items(ws, review_queue.queue_spec(ws, given=0, suggested=0))


def test_chosen_images_are_put_in_order_too(ws, known):
    known(np.linspace(0, 1, ws.n_train))
    asked = review_queue.queue_spec(ws, images=[3, 40, 9], origin={"from": 1})
    assert review_queue.build_items(ws, asked).images.tolist() == [40, 9, 3]
    assert asked["from"] == 1 and asked["size"] == 3


def test_random_controls_are_others_and_in_random_places(ws, known):
    known(np.linspace(0, 1, ws.n_train))
    items = review_queue.build_items(ws, review_queue.queue_spec(ws, size=40, controls=True, seed=1))
    assert items.controls.sum() == 2 == round(0.05 * 40) and len(items.images) == 42
    suspects, controls = items.images[~items.controls], items.images[items.controls]
    assert suspects.tolist() == list(range(59, 19, -1)) and controls.max() < 20
    again = review_queue.build_items(ws, review_queue.queue_spec(ws, size=40, controls=True, seed=1))
    np.testing.assert_array_equal(items.images, again.images)
    other = review_queue.build_items(ws, review_queue.queue_spec(ws, size=40, controls=True, seed=2))
    assert other.images.tolist() != items.images.tolist()
    one = review_queue.build_items(ws, review_queue.queue_spec(ws, size=5, given=2, controls=True))
    assert set(ws.train_labels[one.images]) == {2} and one.controls.sum() == 1
    every = review_queue.build_items(ws, review_queue.queue_spec(ws, size=60, controls=True))
    assert len(every.images) == 60 and not every.controls.any(), "there are no others"


def test_a_detector_without_an_opinion_takes_the_one_of_models_that_did_not_see_the_image(ws, known, monkeypatch):
    known(np.linspace(0, 1, ws.n_train))
    said = np.full((ws.n_train, 3), [0.2, 0.3, 0.5], np.float32)
    said[7] = np.nan
    monkeypatch.setattr(out_of_sample, "out_of_sample_predictions", lambda ws: SimpleNamespace(probabilities=said))
    found = review_queue.suggested_labels(ws, detectors.load(ws, "doubt"))
    assert found[0] == 2 and found[2] == 1, "of a given 2 the likeliest other one is 1"
    assert found[7] == ws.train_labels[7], "no model has an opinion"
    monkeypatch.setattr(out_of_sample, "out_of_sample_predictions", lambda ws: None)
    np.testing.assert_array_equal(review_queue.suggested_labels(ws, detectors.load(ws, "doubt")), ws.train_labels)


@pytest.mark.parametrize(
    "asked, says",
    [
        ({"size": 0}, "a queue of 0 images"),
        ({"size": 10**6}, "give 1 to 10,000"),
        ({"given": 3}, "class 3 is out of range; give 0 to 2"),
        ({"images": [60]}, "training image 60 is out of range"),
    ],
)
def test_what_cannot_be_asked(ws, known, asked, says):
    known(np.zeros(ws.n_train))
    with pytest.raises(UserError, match=says):
        review_queue.queue_spec(ws, **asked)


def test_without_a_detector_it_says_how_to_get_one(ws):
    with pytest.raises(UserError, match="detectors build"):
        review_queue.queue_spec(ws)


def test_precision_counts_what_was_judged():
    def stands(action, conflict=()):
        return SimpleNamespace(action=action, conflict=conflict)

    standing = {
        0: stands("relabel"),
        1: stands("remove"),
        2: stands("keep"),
        3: stands("unsure"),
        4: stands("relabel", ("another answer",)),
        5: stands("keep"),
    }
    found = review_queue.queue_precision(range(8), [False] * 5 + [True] * 3, standing)
    assert (found["suspects"]["wrong"], found["suspects"]["judged"]) == (2, 3)
    low, high = found["suspects"]["ci"]
    assert low == pytest.approx(0.2077, abs=1e-3) and high == pytest.approx(0.9385, abs=1e-3)  # Wilson, 2 of 3
    assert found["controls"] == {"wrong": 0, "judged": 1, "share": 0.0, "ci": [0.0, pytest.approx(0.7935, abs=1e-3)]}
    assert review_queue.queue_precision([9], [False], {})["suspects"]["share"] is None


def test_whether_validation_images_led_to_a_decision(ws, monkeypatch):
    monkeypatch.setattr(detectors, "load", lambda ws, name: SimpleNamespace(version="1", uses_val=name == "reads"))
    specs = [
        review_queue.queue_spec(ws, "reads"),
        review_queue.queue_spec(ws, "plain"),
        review_queue.queue_spec(ws, "plain", images=[3], origin={"from": 7}),
        review_queue.queue_spec(ws, "plain", images=[3], origin={"of": "conflicts"}),
    ]
    rows = [SimpleNamespace(number=number, spec=spec) for number, spec in enumerate(specs, 1)]
    log = SimpleNamespace(queues=lambda: rows)
    # what the detectors are now does not matter to a queue that was made
    monkeypatch.setattr(detectors, "load", lambda ws, name: pytest.fail("it was looked at again"))

    def used(*asked):
        return review_queue.uses_validation(
            ws, log, {i: SimpleNamespace(queue=number) for i, number in enumerate(asked)}
        )

    assert used(2, 1) and not used(2) and not used()
    assert used(2, 3), "a target named the images"
    assert used(4), "whoever named these images before is not known"
    assert used(2, None), "nobody knows what led to an imported decision"
    monkeypatch.setattr(detectors, "names", lambda ws: ["harm-trak-10"])
    assert used(2) and not used(), "harmed ones are shown beside every image"


def test_a_queue_made_while_harmed_images_are_shown_remembers_it(ws, known, monkeypatch):
    known(np.zeros(ws.n_train))
    assert not review_queue.queue_spec(ws)["uses_val"]
    monkeypatch.setattr(detectors, "names", lambda ws: ["doubt", "harm-trak-10"])
    assert review_queue.queue_spec(ws)["uses_val"]


def test_the_targets_whose_suspects_were_decided_about(ws, known, tmp_path):
    known(np.zeros(ws.n_train))
    with DecisionLog(tmp_path / "log", ws.fingerprint, ws.n_train, 3) as log:
        for target in (7, 2, 9):
            asked = review_queue.queue_spec(ws, images=[3, 4], origin={"from": target})
            log.add_queue(asked, [3, 4], [False, False], None, None, "Ann")
        assert review_queue.starting_targets(log) == []
        for queue in (1, 2):
            log.append([{"uid": f"in {queue}", "item": 3, "action": "remove", "seen": 0}], "Ann", "tab", queue)
        log.append([{"uid": "back", "action": "undo", "of": "in 1", "seen": 0}], "Ann", "tab", 1)
        assert review_queue.starting_targets(log) == [2, 7], "taken back or not, it was looked at"


def test_fifty_thousand_images(monkeypatch):
    n = 50_000
    rng = np.random.default_rng(0)
    ws = SimpleNamespace(n_train=n, classes=list("abcdefghij"), train_labels=rng.integers(0, 10, n))
    monkeypatch.setattr(detectors, "names", lambda ws: [])
    scores, suggestion = rng.random(n, np.float32), rng.integers(0, 10, n)
    one = Detector("doubt", "test", "made up for a test", False, scores, suggestion, None)
    monkeypatch.setattr(detectors, "default_detector", lambda ws: "doubt")
    monkeypatch.setattr(detectors, "load", lambda ws, name: one)
    items = review_queue.build_items(ws, review_queue.queue_spec(ws, controls=True))
    assert len(items.images) == 1050 == len(set(items.images.tolist()))
