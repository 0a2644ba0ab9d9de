"""Supports under a head: the search alone on known curves, and both orders on scikit-learn's digits."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_digits

from attribution.training.head import Head
from attribution.training.head.supports import find_adaptive_support, find_prefix_support, search


@pytest.fixture(scope="module")
def digits():
    """A head of 300 images of four digits, the features of 100 others and their labels."""
    x, y = load_digits(return_X_y=True)
    some = y < 4
    x, y = x[some][:, x[some].std(0) > 0].astype(np.float32), y[some]
    return Head.fit(x[:300], y[:300], 4, 1e-3), x[300:400], y[300:400]


@pytest.mark.parametrize("flips_at", [1, 2, 37, 63, 64])
@pytest.mark.parametrize("guess", ["none", "right", "too soon", "too late", "nonsense"])
def test_the_bracket_is_one_image_wide_and_both_its_ends_were_tried(flips_at, guess):
    curve = 2 - 2.01 * np.arange(65) / flips_at
    curve[flips_at] = min(curve[flips_at], -1e-9)
    foretold = {"none": None, "right": curve, "too soon": 2 * curve - 2, "too late": 1 + curve / 2,
                "nonsense": np.random.default_rng(0).standard_normal(65)}[guess]  # fmt: skip
    found, tried = search(lambda k: float(curve[k]), 64, float(curve[0]), foretold)
    assert found == flips_at and tried[0][0] == 64
    known = {0: 2.0} | dict(tried)
    assert known[flips_at] < 0 <= known[flips_at - 1] and len(known) == len(tried) + 1, "nothing is tried twice"
    assert len(tried) <= (3 if guess == "right" else 20)


def test_a_target_that_survives_costs_one_refit():
    assert search(lambda k: 0.5, 64, 1.0) == (None, [(64, 0.5)])


def is_wrong(head, features, label, removed):
    keep = np.setdiff1d(np.arange(head.n_train), removed)
    return head.margins(head.refit(keep), features[None], [label])[0] < 0


@pytest.mark.parametrize("method", ["prefix", "adaptive"])
def test_removals(digits, method):
    head, val, labels = digits
    margins = head.margins(head.weights, val, labels)
    sizes = []
    for target in np.argsort(np.where(margins > 0, margins, np.inf))[:8].tolist():
        features, label = val[target], int(labels[target])
        if method == "prefix":
            order = np.argsort(-head.influence(val[[target]], labels[[target]])[0])
            found = find_prefix_support(head, features, label, order, 60)
        else:
            found = find_adaptive_support(head, features, label, 60)
        if found.status == "censored":
            assert found.support is None and len(found.ids) == 60
            assert not is_wrong(head, features, label, found.ids)
            continue
        sizes.append(found.support)
        assert found.status == "flipped" and len(np.unique(found.ids)) == found.support
        assert is_wrong(head, features, label, found.ids) and not is_wrong(head, features, label, found.ids[:-1])
        assert found.trace[0] == (0, pytest.approx(margins[target], abs=1e-3), label)
        assert all((margin < 0) == (predicted != label) for _, margin, predicted in found.trace)
        assert {k: margin for k, margin, _ in found.trace}[found.support] < 0
    assert len(sizes) >= 4


def test_the_adaptive_order_needs_no_more_images_in_all(digits):
    head, val, labels = digits
    margins = head.margins(head.weights, val, labels)
    targets = np.argsort(np.where(margins > 0, margins, np.inf))[:8].tolist()
    sizes = {"prefix": 0, "adaptive": 0}
    for target in targets:
        order = np.argsort(-head.influence(val[[target]], labels[[target]])[0])
        prefix = find_prefix_support(head, val[target], int(labels[target]), order, 60)
        adaptive = find_adaptive_support(head, val[target], int(labels[target]), 60, batch=4)
        sizes["prefix"] += prefix.support or 60
        sizes["adaptive"] += adaptive.support or 60
    assert sizes["adaptive"] <= sizes["prefix"]


def test_labels_can_change_instead(digits):
    head, val, labels = digits
    target = int(np.argmax(labels == 3))
    other = 1
    scores = head.influence(val[[target]], labels[[target]], relabel_to=other)[0]
    assert np.abs(scores[head.labels == other]).max() < 1e-12, "those that carry it already change nothing"
    order = np.argsort(-scores)
    order = order[head.labels[order] != other]
    prefix = find_prefix_support(head, val[target], 3, order, 100, relabel_to=other)
    adaptive = find_adaptive_support(head, val[target], 3, 100, relabel_to=other)
    for found in (prefix, adaptive):
        assert found.status == "flipped" and not (head.labels[found.ids] == other).any()
        for ids, wrong in ((found.ids, True), (found.ids[:-1], False)):
            edited = head.labels.copy()
            edited[ids] = other
            assert (head.margins(head.refit(labels=edited), val[[target]], [3])[0] < 0) == wrong


def test_influence_of_a_label_orders_the_refits(digits):
    head, val, labels = digits
    images = np.flatnonzero(head.labels != 2)[:40]
    scores = head.influence(val[:1], labels[:1], relabel_to=2)[0, images]
    before = head.margins(head.weights, val[:1], labels[:1])[0]
    falls = []
    for image in images:
        edited = head.labels.copy()
        edited[image] = 2
        falls.append(before - head.margins(head.refit(labels=edited), val[:1], labels[:1])[0])
    assert spearmanr(scores, falls).statistic > 0.9  # the first order alone: a label far from the image does less


def test_a_wrong_target_is_not_searched(digits):
    head, val, labels = digits
    wrong = (int(labels[0]) + 1) % 4
    for found in (
        find_prefix_support(head, val[0], wrong, np.arange(300), 50),
        find_adaptive_support(head, val[0], wrong, 50),
    ):
        assert found.status == "already_wrong" and found.support is None and len(found.trace) == 1


def test_an_order_may_be_shorter_than_k(digits):
    head, val, labels = digits
    found = find_prefix_support(head, val[0], int(labels[0]), np.arange(3), 50)
    assert found.status == "censored" and found.trace[-1][0] == 3
    nothing = find_prefix_support(head, val[0], int(labels[0]), np.arange(0), 50)
    assert nothing.status == "censored" and len(nothing.ids) == 0
