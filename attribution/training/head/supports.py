"""Supports of a target under a head: how many of its first images have to go, or change their label, until it flips.

A refit takes milliseconds and has no seed, so that a verdict is exact and no search asks for several. Influence
foretells the margin, and chooses where to refit next; what counts is refitted. Two orders: a ranking's own
(`find_prefix_support`), and influence computed anew after every few images (`find_adaptive_support`), which a ranking's
greedy prefix can only approximate (Hu et al., arXiv 2409.18153).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attribution.training.head.head import Head, margins_of

FLIPPED, CENSORED, ALREADY_WRONG = "flipped", "censored", "already_wrong"


@dataclass(frozen=True)
class HeadSupport:
    """What a search found.

    status: "flipped", "censored" (it survived the largest k) or "already_wrong" (nothing was searched). support: the
    fewest first images that flip it, with one fewer refitted and surviving; None unless it flipped. ids: the images in
    the order in which they go, int64, as many as the support or the largest k. trace: (k, margin, predicted class) of
    every refit, in the order tried; the first is of k = 0.
    """

    status: str
    support: int | None
    ids: np.ndarray
    trace: tuple[tuple[int, float, int], ...]


def search(
    margin_at: Callable[[int], float], k_max: int, margin: float, foretold: np.ndarray | None = None
) -> tuple[int | None, list[tuple[int, float]]]:
    """The smallest k found with a margin below 0, such that k - 1 has one of at least 0; and the (k, margin) tried.

    margin_at(k): exact, for 1 <= k <= k_max; k_max is asked first, and None returned where it survives. margin: at
    k = 0, at least 0. foretold: float [k_max + 1], what the margin is expected to be at each k, up to what the ends of
    the bracket say; None for a straight line between them. Like every bisection it assumes that what flips at k does so
    at every larger k, and where that fails it still ends at a k that flips above one that does not.
    """
    guess = np.linspace(1, 0, k_max + 1) if foretold is None else np.asarray(foretold, float)
    tried = [(k_max, margin_at(k_max))]
    if tried[0][1] >= 0:
        return None, tried
    low, high = (0, margin), tried[0]
    moved: list[str] = []
    while high[0] - low[0] > 1:
        inside = np.arange(low[0] + 1, high[0])
        if len(moved) >= 2 and moved[-1] == moved[-2]:  # foretelling brings one end alone
            k = (low[0] + high[0]) // 2
            moved.clear()
        else:
            share = (inside - low[0]) / (high[0] - low[0])
            off = (low[1] - guess[low[0]]) * (1 - share) + (high[1] - guess[high[0]]) * share
            below = np.flatnonzero(guess[inside] + off < 0)
            k = int(inside[below[0]] if len(below) else inside[-1])
        tried.append((k, margin_at(k)))
        if tried[-1][1] < 0:
            high = tried[-1]
            moved.append("high")
        else:
            low = tried[-1]
            moved.append("low")
    return high[0], tried


def find_prefix_support(
    head: Head,
    features: np.ndarray,
    label: int,
    order: np.ndarray,
    k_max: int,
    relabel_to: int | None = None,
    influence: np.ndarray | None = None,
) -> HeadSupport:
    """The support of one target by the images of a ranking, in their order.

    features: of the target, float [d]. label: its true class. order: training images, best first, int [m]; those that
    carry `relabel_to` already have to be left out. k_max: the largest k, at most m and at most n_train - 1. relabel_to:
    the label that images get, instead of being removed. influence: scores of this edit, float [n_train], where they are
    known. Raises UserError as `Head.refit`.
    """
    features, order = np.asarray(features)[None], np.asarray(order, np.int64)
    k_max = min(k_max, len(order), head.n_train - (relabel_to is None))
    margin, first = _says(head, head.weights, features, label)
    if margin < 0 or not k_max:
        status = ALREADY_WRONG if margin < 0 else CENSORED
        return HeadSupport(status, None, order[:0], ((0, margin, first),))
    if influence is None:
        influence = head.influence(features, np.array([label]), relabel_to=relabel_to)[0]
    foretold = margin - np.concatenate([[0], np.cumsum(influence[order[:k_max]])])
    fits, predicted = {0: head.weights}, {0: first}

    def margin_at(k: int) -> float:
        near = min(fits, key=lambda other: abs(other - k))
        fits[k] = _refit(head, order[:k], relabel_to, fits[near])
        reached, predicted[k] = _says(head, fits[k], features, label)
        return reached

    support, tried = search(margin_at, k_max, margin, foretold)
    status = CENSORED if support is None else FLIPPED
    trace = tuple((k, reached, predicted[k]) for k, reached in [(0, margin), *tried])
    return HeadSupport(status, support, order[: support or k_max], trace)


def find_adaptive_support(
    head: Head, features: np.ndarray, label: int, k_max: int, batch: int = 8, relabel_to: int | None = None
) -> HeadSupport:
    """As `find_prefix_support`, by influence that is computed anew at the refitted head after every `batch` images, on
    the margin against the class that is then the next best.

    Where a batch flips the target, its own prefix is searched, so that here, too, one image fewer survives.
    """
    features = np.asarray(features)[None]
    labels, removed = np.array([label]), np.zeros(0, np.int64)
    k_max = min(k_max, head.n_train - (relabel_to is None))
    weights = head.weights
    margin, first = _says(head, weights, features, label)
    trace = [(0, margin, first)]
    if margin < 0:
        return HeadSupport(ALREADY_WRONG, None, removed, tuple(trace))
    while len(removed) < k_max:
        keep, edited = _edit(head, removed, relabel_to)
        at = {} if not len(removed) else {"weights": weights, "keep": keep, "train_labels": edited}
        scores = head.influence(features, labels, relabel_to=relabel_to, **at)[0]
        scores[removed] = -np.inf
        if relabel_to is not None:
            scores[head.labels == relabel_to] = -np.inf
        count = min(batch, k_max - len(removed), int(np.isfinite(scores).sum()))
        if not count:
            break
        following = np.argsort(-scores, kind="stable")[:count]
        start, before = weights, removed
        fits: dict[int, np.ndarray] = {}
        predicted: dict[int, int] = {}

        def margin_at(k, following=following, before=before, start=start, fits=fits, predicted=predicted) -> float:
            fits[k] = _refit(head, np.concatenate([before, following[:k]]), relabel_to, start)
            reached, predicted[k] = _says(head, fits[k], features, label)
            return reached

        foretold = margin - np.concatenate([[0], np.cumsum(scores[following])])
        support, tried = search(margin_at, count, margin, foretold)
        trace += [(len(before) + k, value, predicted[k]) for k, value in tried]
        removed = np.concatenate([before, following[: support or count]])
        if support is not None:
            return HeadSupport(FLIPPED, len(removed), removed, tuple(trace))
        weights, margin = fits[count], tried[0][1]
    return HeadSupport(CENSORED, None, removed, tuple(trace))


def _says(head: Head, weights: np.ndarray, features: np.ndarray, label: int) -> tuple[float, int]:
    """The margin of one target, features [1, d], and its predicted class."""
    logits = head.logits(weights, features)
    return float(margins_of(logits, np.array([label]))[0]), int(logits[0].argmax())


def _edit(head: Head, ids: np.ndarray, relabel_to: int | None) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What `Head.refit` takes for the removal of images, or for giving them a label: keep and labels."""
    if relabel_to is None:
        stays = np.ones(head.n_train, bool)
        stays[ids] = False
        return np.flatnonzero(stays), None
    labels = head.labels.copy()
    labels[ids] = relabel_to
    return None, labels


def _refit(head: Head, ids: np.ndarray, relabel_to: int | None, start: np.ndarray) -> np.ndarray:
    keep, labels = _edit(head, ids, relabel_to)
    return head.refit(keep, labels, start)
