"""Heads: exact against scikit-learn, influence against finite differences, and what is refused."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from attribution.errors import UserError
from attribution.training.head import Head, head, solver
from attribution.training.head.head import best_others, margins_of
from attribution.training.head.solver import ABSENT_LOGIT

PENALTY = 1e-3


def digits():
    """Features [1200, 61] of training images, their labels, and the same of 300 others. Ten classes; no column is
    constant."""
    x, y = load_digits(return_X_y=True)
    x = x[:, x.std(0) > 0].astype(np.float32)
    return x[:1200], y[:1200], x[1200:1500], y[1200:1500]


@pytest.fixture(scope="module")
def fitted():
    x, y, _, _ = digits()
    return Head.fit(x, y, 10, PENALTY)


def reference(fitted, keep, labels, models):
    """scikit-learn's logits of the validation images: the same objective, over the sum of losses. models: those of
    before, by the number of classes, to begin with."""
    x, _, val, _ = digits()
    train = fitted.standardise(x)[keep, :-1].astype(np.float64)
    strength = 1 / (fitted.penalty * fitted.n_train)
    model = models.setdefault(
        len(np.unique(labels[keep])),
        LogisticRegression(C=strength, tol=1e-10, max_iter=100_000, solver="newton-cg", warm_start=True),
    )
    model.fit(train, labels[keep])
    logits = np.full((len(val), 10), ABSENT_LOGIT)
    found = model.decision_function(fitted.standardise(val)[:, :-1].astype(np.float64))
    logits[:, model.classes_] = found
    return logits


def draw_edits(count):
    """Edits (keep, labels) of several kinds: images removed at random, of one class, a random half, labels changed."""
    _, y, _, _ = digits()
    rng = np.random.default_rng(7)
    for number in range(count):
        labels, removed = y.copy(), np.zeros(0, int)
        if number % 5 == 0:
            removed = rng.choice(1200, rng.integers(1, 300), replace=False)
        elif number % 5 == 1:
            removed = rng.permutation(np.flatnonzero(y == rng.integers(10)))[: rng.integers(1, 100)]
        elif number % 5 == 2:
            removed = rng.choice(1200, 600, replace=False)
        elif number % 5 == 3:
            labels[rng.choice(1200, rng.integers(1, 128), replace=False)] = rng.integers(10)
        else:
            removed = np.flatnonzero(y == rng.integers(10))
        yield np.setdiff1d(np.arange(1200), removed), labels


def test_fifty_edits_have_scikit_learns_margins(fitted):
    _, _, val, val_labels = digits()
    worst, models = 0.0, {}
    for keep, labels in draw_edits(50):
        weights = fitted.refit(keep, labels)
        assert weights.shape == (62, 10) and weights.dtype == np.float64
        ours = fitted.margins(weights, val, val_labels)
        worst = max(worst, np.abs(ours - margins_of(reference(fitted, keep, labels, models), val_labels)).max())
    assert worst < 1e-4


def test_without_an_edit_it_is_the_full_solution(fitted):
    _, _, val, _ = digits()
    assert np.abs(fitted.logits(fitted.refit(), val) - fitted.logits(fitted.weights, val)).max() < 1e-6


def test_intercepts_sum_to_0_and_are_not_penalised(fitted):
    keep = np.arange(0, 1200, 3)
    weights = fitted.refit(keep)
    assert abs(weights[-1].sum()) < 1e-9
    probabilities = np.exp(fitted.standardise(digits()[0])[keep].astype(float) @ weights)
    probabilities /= probabilities.sum(1, keepdims=True)
    # where intercepts are free, each class gets as much probability in all as it has images
    assert np.allclose(probabilities.sum(0), np.bincount(digits()[1][keep], minlength=10), atol=1e-3)


def test_the_penalty_counts_the_full_set_whatever_is_left(fitted):
    keep = np.arange(600)
    half = Head.fit(digits()[0], digits()[1], 10, 2 * PENALTY)
    twice = np.abs(fitted.refit(keep) - half.refit(keep)).max()
    assert twice > 0.01  # a penalty for those that are left would be the same as twice as much for all


def test_where_it_begins_changes_nothing_but_the_time(fitted):
    _, _, val, _ = digits()
    keep = np.arange(100, 1200)
    near = fitted.refit(np.arange(90, 1200))
    assert np.abs(fitted.logits(fitted.refit(keep), val) - fitted.logits(fitted.refit(keep, start=near), val)).max() < (
        2 * solver.TOLERANCE
    )


def test_a_class_that_is_emptied_leaves_the_softmax(fitted):
    _, y, val, val_labels = digits()
    keep = np.flatnonzero(y != 4)
    weights = fitted.refit(keep)
    logits = fitted.logits(weights, val)
    assert (logits[:, 4] == ABSENT_LOGIT).all() and not weights[:-1, 4].any()
    assert abs(np.delete(weights[-1], 4).sum()) < 1e-9
    margins = fitted.margins(weights, val, val_labels)
    assert np.isfinite(margins).all() and (margins[val_labels == 4] < -900).all()
    assert (margins[val_labels != 4] > -100).all()
    # and comes back where another edit begins there
    again = fitted.refit(np.arange(1200), start=weights)
    assert np.abs(fitted.logits(again, val) - fitted.logits(fitted.weights, val)).max() < 2 * solver.TOLERANCE


def test_a_label_given_to_a_class_that_had_no_image():
    x, y, val, _ = digits()
    few = Head.fit(x, np.where(y == 9, 3, y), 10, PENALTY)
    assert (few.logits(few.weights, val)[:, 9] == ABSENT_LOGIT).all()
    weights = few.refit(labels=y)
    all_ten = Head.fit(x, y, 10, PENALTY)
    assert np.abs(few.logits(weights, val) - all_ten.logits(all_ten.weights, val)).max() < 2 * solver.TOLERANCE
    assert few.influence(val[:2], np.array([1, 2])).shape == (2, 1200)


def test_one_class_alone_is_all_that_is_predicted(fitted):
    _, y, val, val_labels = digits()
    weights = fitted.refit(np.flatnonzero(y == 2))
    assert (fitted.logits(weights, val).argmax(1) == 2).all()
    assert np.isfinite(fitted.margins(weights, val, val_labels)).all()


def test_influence_is_the_derivative_by_an_images_weight(fitted):
    _, _, val, val_labels = digits()
    targets, step = np.array([3, 40, 77]), 1e-3
    scores = fitted.influence(val[targets], val_labels[targets])
    assert scores.shape == (3, 1200) and scores.dtype == np.float64
    others = best_others(fitted.logits(fitted.weights, val[targets]), val_labels[targets])
    rows = np.arange(3)
    for image in [*np.abs(scores[0]).argsort()[-3:], 5, 600]:
        ends = []
        for weight in (1 + step, 1 - step):
            weights = np.ones(1200)
            weights[image] = weight
            theta, _ = fitted._solve(fitted._problem(weights, fitted.labels), None, tolerance=1e-10)
            logits = fitted.standardise(val[targets]).astype(float) @ theta.T
            ends.append(logits[rows, val_labels[targets]] - logits[rows, others])
        derivative = (ends[0] - ends[1]) / (2 * step)  # by how much it raises the margin: what its removal takes away
        assert np.abs(derivative - scores[:, image]).max() < 1e-5


def test_one_images_influence_is_its_column(fitted, monkeypatch):
    x, y, val, val_labels = digits()
    scores = fitted.influence(val, val_labels)
    monkeypatch.setattr(head, "MAX_FACTORED", 100)
    wide = Head.fit(x, y, 10, PENALTY)
    for image in (0, 17, 1199):
        assert np.allclose(fitted.image_influence(image, val, val_labels), scores[:, image], atol=1e-9)
        assert np.allclose(wide.image_influence(image, val, val_labels), scores[:, image], atol=1e-5)


def test_removing_what_helps_lowers_the_margin(fitted):
    _, _, val, val_labels = digits()
    order = np.argsort(-fitted.influence(val[:1], val_labels[:1])[0])
    before = fitted.margins(fitted.weights, val[:1], val_labels[:1])[0]
    helpful = fitted.margins(fitted.refit(np.setdiff1d(np.arange(1200), order[:10])), val[:1], val_labels[:1])[0]
    harmful = fitted.margins(fitted.refit(np.setdiff1d(np.arange(1200), order[-10:])), val[:1], val_labels[:1])[0]
    assert helpful < before < harmful


def test_influence_after_an_edit(fitted):
    _, y, val, val_labels = digits()
    keep = np.arange(200, 1200)
    weights = fitted.refit(keep)
    scores = fitted.influence(val[:2], val_labels[:2], weights=weights, keep=keep)
    assert not scores[:, :200].any()
    x = digits()[0]
    fresh = Head.fit(x[keep], y[keep], 10, fitted.penalty * 1200 / 1000)
    # a head of those images alone standardises by another mean, so that only the order is comparable
    other = fresh.influence(val[:2], val_labels[:2])
    for ours, theirs in zip(scores[:, 200:], other):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.99


def test_without_a_factor_it_goes_by_conjugate_gradients(fitted, monkeypatch):
    monkeypatch.setattr(head, "MAX_FACTORED", 100)
    x, y, val, val_labels = digits()
    wide = Head.fit(x, y, 10, PENALTY)
    assert not isinstance(wide._preconditioner, solver.Factor)
    keep = np.flatnonzero(np.arange(1200) % 7 > 0)
    difference = wide.margins(wide.refit(keep), val, val_labels) - fitted.margins(fitted.refit(keep), val, val_labels)
    assert np.abs(difference).max() < 2 * solver.TOLERANCE
    assert np.abs(wide.influence(val[:3], val_labels[:3]) - fitted.influence(val[:3], val_labels[:3])).max() < 1e-5


def test_the_penalty_is_chosen_by_cross_validated_accuracy():
    x, y, _, _ = digits()
    first, second = Head.fit(x[:400], y[:400], 10), Head.fit(x[:400], y[:400], 10)
    assert first.choice == second.choice and np.array_equal(first.weights, second.weights)
    accuracies = first.choice.accuracies
    assert list(accuracies) == list(head.PENALTIES) and first.penalty == max(
        penalty for penalty, accuracy in accuracies.items() if accuracy == max(accuracies.values())
    )
    assert max(accuracies.values()) > 0.9
    assert Head.fit(x[:400], y[:400], 10, 0.01).choice.accuracies == {}


def test_constant_columns_have_no_weight():
    x, y, val, _ = digits()
    constant = np.full((1200, 2), 0.1, np.float32) * [1, 1e6]
    head_ = Head.fit(np.hstack([x, constant]), y, 10, PENALTY)
    assert (head_.std[-2:] == 1).all() and not np.abs(head_.weights[-3:-1]).max() > 1e-6
    with_ones = head_.logits(head_.weights, np.hstack([val, np.full((300, 2), 5.0)]))
    plain = Head.fit(x, y, 10, PENALTY)
    assert np.abs(with_ones - plain.logits(plain.weights, val)).max() < 1e-3


def test_bad_features_are_refused():
    x, y, val, _ = digits()
    broken = x.copy()
    broken[5, 3], broken[9, 8] = np.nan, np.inf
    with pytest.raises(UserError, match="2 of 61 columns .* not finite, column 3 the first"):
        Head.fit(broken, y, 10, PENALTY)
    with pytest.raises(UserError, match="at most 8,192"):
        Head.fit(np.zeros((3, 10_000), np.float32), np.array([0, 1, 2]), 3)
    with pytest.raises(UserError, match=r"take 75 GiB in memory, 10,000,000 x 2,000"):
        Head.fit(np.broadcast_to(np.float32(0), (10_000_000, 2000)), np.zeros(10_000_000, int), 3)
    for wrong in (np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0)), np.array([["a"]])):
        with pytest.raises(UserError, match="a head takes features"):
            Head.fit(wrong, np.zeros(len(wrong), int), 3)


def test_bad_labels_penalties_and_targets_are_refused(fitted):
    x, y, val, _ = digits()
    for labels, words in (
        (y[:-1], "1,200 labels"),
        (y + 1, "labels go from 0 to 9"),
        (y.astype(float), "1,200 labels"),
    ):
        with pytest.raises(UserError, match=words):
            Head.fit(x, labels, 10, PENALTY)
        with pytest.raises(UserError, match=words):
            fitted.refit(labels=labels)
    with pytest.raises(UserError, match="two classes"):
        Head.fit(x, np.zeros(1200, int), 1, PENALTY)
    for penalty in (0, -1, np.nan, np.inf):
        with pytest.raises(UserError, match="above 0"):
            Head.fit(x, y, 10, penalty)
    for keep, words in (([], "leaves none"), ([0, 1200], "numbers from 0 to 1199"), ([-1], "numbers from 0")):
        with pytest.raises(UserError, match=words):
            fitted.refit(np.array(keep, int))
    with pytest.raises(UserError, match=r"features \[n, 61\]"):
        fitted.logits(fitted.weights, val[:, :5])
    with pytest.raises(UserError, match="not finite"):
        fitted.logits(fitted.weights, np.full((1, 61), np.nan))
