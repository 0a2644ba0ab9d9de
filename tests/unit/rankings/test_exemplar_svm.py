"""The exemplar SVM against scikit-learn's LinearSVC, on scikit-learn's bundled digits (8 x 8 pixels)."""

import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from attribution.errors import UserError
from attribution.rankings import exemplar_svm
from attribution.rankings.exemplar_svm import MAX_ONE_BY_ONE, ExemplarSVM, scores, solve


def reference(candidates, target, max_iter=10_000):
    x = np.concatenate([target[None], candidates]).astype(float)
    svm = LinearSVC(class_weight="balanced", C=0.1, dual=False, tol=1e-6, max_iter=max_iter)
    svm.fit(x, np.arange(len(x)) == 0)
    return svm.coef_[0], svm.intercept_[0]


def split(kind):
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32) / 16
    if kind == "unit norm":
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    elif kind == "large norm":  # few candidates are active
        x = 4 * x
    elif kind.startswith("wide"):  # more features than candidates
        x = np.concatenate([x, x**2, np.sin(5 * x), np.cos(3 * x)], axis=1)
        if kind == "wide unit norm":  # nearly all are active
            x = x / np.linalg.norm(x, axis=1, keepdims=True)
    odd = y % 2 == 1
    return (x[odd][:150] if kind.startswith("wide") else x[odd][:800]), x[~odd][:40]


@pytest.mark.parametrize("kind", ["as they are", "unit norm", "large norm", "wide", "wide unit norm"])
@pytest.mark.parametrize("together", [False, True])
def test_agrees_with_scikit_learn(kind, together):
    candidates, targets = split(kind)
    targets = targets if together else targets[:MAX_ONE_BY_ONE]
    w, b = solve(candidates, targets)
    assert w.shape == targets.shape and b.shape == (len(targets),) and w.dtype == b.dtype == np.float32
    ours = scores(candidates, targets)
    assert ours.shape == (len(targets), len(candidates)) and ours.dtype == np.float32
    for i in range(0, len(targets), 3):
        w_i, b_i = reference(candidates, targets[i])
        theirs = candidates @ w_i + b_i
        assert kendalltau(ours[i], theirs).statistic >= (0.999 if together else 0.9995)
        assert np.abs(ours[i] - theirs).max() < (0.01 if together else 1e-3) * theirs.std()
        assert np.linalg.norm(w[i] - w_i) < 0.01 * np.linalg.norm(w_i)


@pytest.mark.parametrize("m", [1, 20])
def test_ill_scaled_features_come_to_a_lower_objective_than_liblinear(m):
    # On raw grey values liblinear gives up, far enough off to change the order: no reference, but a bound.
    candidates, targets = split("as they are")
    candidates, target = candidates * 255, targets[m - 1] * 255
    w, b = (a[-1] for a in solve(candidates, targets[:m] * 255))

    def objective(w, b):
        n = len(candidates)
        f = candidates.astype(float) @ w + b
        return (
            w @ w
            + b**2
            + 0.1 * (n + 1) * (np.maximum(0, 1 + f) ** 2).mean()
            + 0.1 * (n + 1) * max(0, 1 - target @ w - b) ** 2
        ) / 2

    with pytest.warns(ConvergenceWarning):
        assert objective(w.astype(float), float(b)) <= objective(*reference(candidates, target, max_iter=200))


def test_a_kept_object_gives_what_a_new_one_gives_whatever_the_batch():
    candidates, targets = split("as they are")
    svm = ExemplarSVM(candidates)
    together = svm.scores(targets)
    np.testing.assert_allclose(svm.scores(targets[:20]), together[:20], atol=2e-3)
    np.testing.assert_allclose(svm.scores(targets[3:4])[0], together[3], atol=2e-3)


def one_by_one(candidates, targets):
    return np.concatenate(
        [scores(candidates, targets[i : i + MAX_ONE_BY_ONE]) for i in range(0, len(targets), MAX_ONE_BY_ONE)]
    )


@pytest.mark.parametrize(
    "kind, way", [("as they are", exemplar_svm._ManyActive), ("large norm", exemplar_svm._FewActive)]
)
def test_the_way_fits_how_many_candidates_are_active(kind, way):
    candidates, targets = split(kind)
    svm = ExemplarSVM(candidates)
    svm.scores(targets)
    assert isinstance(svm._prepared, way)


@pytest.mark.parametrize("added", [2, exemplar_svm.MAX_ADDED, 300])
def test_working_sets_grow_to_all_active_candidates(added, monkeypatch):
    candidates, targets = split("large norm")
    exact = one_by_one(candidates, targets)
    active = (exact > -1).sum(axis=1)
    assert active.max() > exemplar_svm.MAX_ADDED
    monkeypatch.setattr(exemplar_svm, "MAX_ADDED", added)
    np.testing.assert_allclose(scores(candidates, targets), exact, atol=1e-5)


def test_targets_left_by_the_batch_are_solved_one_by_one(monkeypatch):
    candidates, targets = split("as they are")
    exact = one_by_one(candidates, targets)
    monkeypatch.setattr(exemplar_svm, "NEWTON_STEPS", 1)
    monkeypatch.setattr(exemplar_svm, "NEWTON_TOLERANCE", 0)
    monkeypatch.setattr(exemplar_svm, "CG_TOLERANCE", 0)
    np.testing.assert_allclose(scores(candidates, targets), exact, atol=1e-5)


@pytest.mark.parametrize("limit", ["ROUNDS", "SMALL_STEPS"])
def test_targets_left_by_the_working_sets_are_solved_one_by_one(limit, monkeypatch):
    candidates, targets = split("large norm")
    exact = one_by_one(candidates, targets)
    monkeypatch.setattr(exemplar_svm, limit, 1)
    np.testing.assert_allclose(scores(candidates, targets), exact, atol=1e-5)


@pytest.mark.parametrize("m", [1, 20])
@pytest.mark.parametrize("kind", ["as they are", "large norm"])
@pytest.mark.parametrize(
    "case",
    [
        "one candidate",
        "five candidates",
        "same candidate thrice",
        "target among candidates",
        "constant",
        "zero",
        "far away",
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")  # what numpy says of overflow and NaN
def test_odd_candidates(case, kind, m):
    candidates, targets = (a.astype(np.float64) for a in split(kind))
    targets = targets[:m]
    if case == "one candidate":
        candidates = candidates[:1]
    elif case == "five candidates":  # fewer than join a working set in a round
        candidates = candidates[:5]
    elif case == "same candidate thrice":
        candidates = candidates[[0, 0, 0]]
    elif case == "target among candidates":
        candidates = np.concatenate([candidates[:200], targets, targets])
    elif case == "constant":
        candidates, targets = candidates[:200].copy(), targets.copy()
        candidates[:, :40] = targets[:, :40] = 3
    elif case == "zero":
        candidates, targets = np.zeros((50, 5)), np.zeros((m, 5))
    elif case == "far away":  # without the target's own pull it would already be on its side
        candidates, targets = -np.ones((50, 1)), np.full((m, 1), 1000.0)
    ours = scores(candidates, targets)
    assert np.isfinite(ours).all()
    w, b = reference(candidates, targets[-1])
    np.testing.assert_allclose(ours[-1], candidates @ w + b, atol=5e-3)


def test_no_targets():
    candidates, targets = split("as they are")
    assert scores(candidates, targets[:0]).shape == (0, len(candidates))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c, t: (c[:0], t), "at least one candidate"),
        (lambda c, t: (c[0], t), "table"),
        (lambda c, t: (c, t[:, :5]), "same features"),
        (lambda c, t: (np.where(c == c.max(), np.nan, c), t), "candidates .* not finite"),
        (lambda c, t: (c, np.where(t == t.max(), np.inf, t)), "targets .* not finite"),
    ],
)
def test_what_cannot_be_solved_is_said(change, message):
    with pytest.raises(UserError, match=message):
        solve(*change(*split("as they are")))
    with pytest.raises(UserError, match="positive C"):
        solve(*split("as they are"), C=0)
