"""A group of targets at once: an order of the training images for all of them, and what an edit does to them."""

import numpy as np

from attribution.metrics.statistics import mean_with_interval


def mean_ranks(lists: list[np.ndarray], n: int) -> np.ndarray:
    """Mean rank, from 1, of `n` training images over several targets' lists, each int [length], best first, without
    repeats. An image that a list leaves out has the rank after its last. float64 [n].

    >>> mean_ranks([np.array([2, 0]), np.array([2])], 3).tolist()
    [2.0, 2.5, 1.0]
    """
    total = np.zeros(n)
    for ids in lists:
        ranks = np.full(n, len(ids) + 1.0)
        ranks[ids] = np.arange(1, len(ids) + 1)
        total += ranks
    return total / len(lists)


def change_of_group(before: np.ndarray, after: np.ndarray, controls: np.ndarray) -> dict:
    """What an edit does to the members of a group, beside random edits.

    before, after  float [T], the members' margins without and with the edit, in logits; below 0 is an error
    controls       float [draws, T], their margins after random edits
    Returns {"n": T, "before", "after": errors, "control": errors after random edits {"mean", "low", "high"},
    "error_rate", "margin": the mean change, after less before, "error_rate_difference", "margin_difference": that less
    the mean change by random edits}; the last four as `statistics.mean_with_interval`, over members. Raises ValueError
    for shapes that do not fit and without draws.

    Source: removing what is ranked first, beside random images: the counterfactual evaluation of Singla et al. (arXiv
    2311.03386, section 4), here of a group of targets.

    >>> change = change_of_group(np.array([-1.0, -1.0]), np.array([1.0, -1.0]), np.array([[-1.0, 0.5], [-1.0, -1.0]]))
    >>> change["after"], change["control"], change["error_rate"]["mean"], change["error_rate_difference"]["mean"]
    (1, {'mean': 1.5, 'low': 1, 'high': 2}, -0.5, -0.25)
    """
    if not len(controls) or not after.shape == before.shape == controls.shape[1:]:
        raise ValueError(f"margins {before.shape}, {after.shape} and {controls.shape} are not of the same members")
    wrong, now, random_wrong = before < 0, after < 0, controls < 0
    by_random = controls.mean(0) - before
    return {
        "n": len(before),
        "before": int(wrong.sum()),
        "after": int(now.sum()),
        "control": mean_and_range(random_wrong.sum(1)),
        "error_rate": mean_with_interval(now.astype(float) - wrong),
        "error_rate_difference": mean_with_interval(now - random_wrong.mean(0)),
        "margin": mean_with_interval(after - before),
        "margin_difference": mean_with_interval(after - before - by_random),
    }


def change_of_rest(before: np.ndarray, after: np.ndarray, controls: np.ndarray) -> dict:
    """What an edit does to the other validation images; margins as of `change_of_group`.

    Returns {"n", "newly_wrong", "newly_right", "net": by how much errors rise, "control": that of random edits {"mean",
    "low", "high"}}.

    >>> change_of_rest(np.array([1.0, 1.0, -1.0]), np.array([-1.0, 1.0, 1.0]), np.ones((1, 3)))["net"]
    0
    """
    wrong, now = before < 0, after < 0
    newly_wrong, newly_right = int((now & ~wrong).sum()), int((wrong & ~now).sum())
    nets = (controls < 0).sum(1) - wrong.sum()
    return {
        "n": len(before),
        "newly_wrong": newly_wrong,
        "newly_right": newly_right,
        "net": newly_wrong - newly_right,
        "control": mean_and_range(nets),
    }


def mean_and_range(counts: np.ndarray) -> dict:
    """{"mean", "low", "high"} of whole numbers, int [draws].

    >>> mean_and_range(np.array([1, 2]))
    {'mean': 1.5, 'low': 1, 'high': 2}
    """
    return {"mean": float(counts.mean()), "low": int(counts.min()), "high": int(counts.max())}
