"""Accuracy after so many decisions: the steps, and each point against a refit by hand."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from attribution import UserError
from attribution.audit import accuracy_curve
from attribution.store.results import ResultStore
from attribution.training.edits import correct, no_edit, relabel
from attribution.training.head import Head
from attribution.workspace.validation_split import validation_halves


def decided(number, action, label=None, conflict=()):
    return SimpleNamespace(id=number, queue=1, action=action, label=label, conflict=conflict)


#: the log has image 7 first, 3 second, 5 last
DECIDED = {3: decided(2, "relabel", 0), 5: decided(3, "keep"), 7: decided(1, "remove")}


def test_the_steps_follow_the_log(ws):
    assert accuracy_curve.decision_steps(ws, {}) == [(0, no_edit())]
    assert accuracy_curve.decision_steps(ws, DECIDED) == [
        (0, no_edit()),
        (1, correct({}, [7])),
        (2, correct({3: 0}, [7])),
        (3, correct({3: 0}, [7])),
    ]
    many = {image: decided(image + 1, "keep") for image in range(60)}
    counts = [count for count, _ in accuracy_curve.decision_steps(ws, many)]
    assert len(counts) == accuracy_curve.POINTS and (counts[0], counts[1], counts[-1]) == (0, 5, 60)


def test_a_head_is_chosen(ws):
    assert accuracy_curve.choose_head(ws) == "head-moco"
    assert accuracy_curve.choose_head(ws.with_model("head-moco")) == "head-moco"


def test_each_point_is_a_refit(ws):
    """Half of the images are turned wrong, so that something is to be gained."""
    labels = {image: (ws.train_labels[image] + 1) % 3 for image in range(0, 60, 2)}
    steps = [(0, no_edit()), (30, relabel(list(labels), list(labels.values()))), (60, no_edit())]
    answer = accuracy_curve.measure(ws, "head-moco", steps)
    train, val = (np.asarray(array) for array in (ws.feature("moco").train, ws.feature("moco").val))
    penalty, after = ws.head("moco").head.penalty, np.array(ws.train_labels)
    after[list(labels)] = list(labels.values())
    right = []
    for given in (ws.train_labels, after):
        head = Head.fit(train, given, 3, penalty)
        right.append((head.logits(head.weights, val).argmax(1) == ws.val_labels).mean())
    assert [point["accuracy"] for point in answer["curve"]] == [right[0], right[1], right[0]]
    first, second, third = (point["gain"] for point in answer["curve"])
    assert first == third == {"mean": 0.0, "ci": [0.0, 0.0], "n": 12}
    assert second["mean"] == pytest.approx(right[1] - right[0]) and right[1] < right[0]
    assert (answer["n"], answer["uses_val"], answer["recipe"]) == (12, False, "head-moco")
    assert json.loads(json.dumps(answer)) == answer


def test_images_that_led_to_a_decision_do_not_judge(ws):
    steps, judging = [(0, no_edit())], validation_halves(ws)[1]
    assert accuracy_curve.measure(ws, "head-moco", steps, True)["n"] == 6
    assert accuracy_curve.measure(ws, "head-moco", steps, True, tuple(judging[:2]))["n"] == 4
    with pytest.raises(UserError, match="too few validation images"):
        accuracy_curve.measure(ws, "head-moco", steps, without=tuple(range(12)))
    with pytest.raises(UserError, match="removes every training image"):
        accuracy_curve.measure(ws, "head-moco", [(60, correct({}, range(60)))])


def test_an_answer_is_kept_under_its_question(ws):
    steps, other = [(0, no_edit()), (1, correct({}, [7]))], [(0, no_edit()), (1, correct({}, [8]))]
    at = []
    with ResultStore.for_workspace(ws) as store:
        assert accuracy_curve.load(ws, store, "head-moco", steps) is None
        assert accuracy_curve.load_latest(ws, store, "head-moco") is None
        answer = accuracy_curve.measure(ws, "head-moco", steps, progress=lambda *now: at.append(now[1:]))
        kept = accuracy_curve.load(ws, store, "head-moco", steps)
        assert {name: kept[name] for name in answer} == answer and kept["created"] > 0
        assert at == [(0, 2), (1, 2), (2, 2)]
        for asked in ((other,), (steps, True), (steps, False, (3,))):
            assert accuracy_curve.load(ws, store, "head-moco", *asked) is None
        assert accuracy_curve.load_latest(ws, store, "head-moco") == kept
        later = accuracy_curve.measure(ws, "head-moco", other)
        assert accuracy_curve.load_latest(ws, store, "head-moco")["curve"] == later["curve"]
