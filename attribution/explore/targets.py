"""Which validation images to look at: by class, by what the base models predict, by confidence."""

from collections.abc import Iterable

import numpy as np

from attribution.errors import UserError
from attribution.workspace.workspace import Workspace

#: Kinds of target. "right" and "wrong" go by the majority of the base models; "unstable" by how many agree; "tested"
#: are those whose support was searched, "ranked" those of `ranked_targets`.
TARGET_KINDS = ("all", "right", "wrong", "unstable", "tested", "ranked")


def choose_targets(
    ws: Workspace,
    kind: str = "all",
    label: int | None = None,
    predicted: int | None = None,
    confidence: tuple[float, float] = (0.0, 1.0),
    tested: Iterable[int] = (),
) -> np.ndarray:
    """The validation images that fit, int64 [m], ascending.

    label and predicted are class numbers or None for any; confidence bounds the mean probability of the predicted
    class, both ends included. tested: the targets of that kind. Raises UserError for an unknown kind, and where
    predictions are needed and there are no base models.
    """
    if kind not in TARGET_KINDS:
        raise UserError(f"no kind of target {kind!r}; choose one of {', '.join(TARGET_KINDS)}")
    fits = np.ones(ws.n_val, bool)
    if kind == "tested":
        fits = np.isin(np.arange(ws.n_val), list(tested))
    elif kind == "ranked":
        fits[:] = False
        fits[ranked_targets(ws)] = True
    elif kind == "unstable":
        fits = ws.base.statuses == "unstable"
    elif kind != "all":
        fits = (ws.base.prediction == ws.val_labels) == (kind == "right")
    if label is not None:
        fits = fits & (ws.val_labels == label)
    if predicted is not None:
        fits = fits & (ws.base.prediction == predicted)
    low, high = confidence
    if (low, high) != (0.0, 1.0):  # float32 probabilities round past 1
        fits = fits & (ws.base.confidence >= low - 1e-6) & (ws.base.confidence <= high + 1e-6)
    return np.flatnonzero(fits)


def ranked_targets(ws: Workspace) -> np.ndarray:
    """The targets that as many rankings as possible rank for, int64 ascending: all of them, unless a ranking is of some
    targets only."""
    parts = [targets for targets in (ws.ranking(name).targets for name in ws.rankings()) if len(targets) < ws.n_val]
    counts = np.zeros(ws.n_val, np.int64)
    for targets in parts:
        counts[targets] += 1
    return np.flatnonzero(counts == counts.max(initial=0))


def previous_and_next(targets: np.ndarray, target: int) -> tuple[int | None, int | None]:
    """The targets before and after `target` in the ascending `targets`, which need not hold it; None at an end."""
    before, after = targets[targets < target], targets[targets > target]
    return (int(before[-1]) if len(before) else None), (int(after[0]) if len(after) else None)


def draw_stable_targets(ws: Workspace, count: int, seed: int) -> list[int]:
    """`count` stable targets, the first of a random order of all of them: a larger study contains the smaller one.

    Raises UserError where there are fewer.

    >>> draw_stable_targets(Workspace.open(), 3, seed=7)
    [638, 979, 588]
    """
    return _draw_targets(ws, stable_targets(ws), "stable", count, seed)


def draw_wrong_targets(ws: Workspace, count: int, seed: int) -> list[int]:
    """`count` targets of `wrong_targets`, as `draw_stable_targets` draws them, for a study of repairs."""
    return _draw_targets(ws, wrong_targets(ws), "surely wrong", count, seed)


def stable_targets(ws: Workspace) -> list[int]:
    """The targets that the base models agree on and predict right, ascending."""
    return np.flatnonzero(ws.base.statuses == "stable").tolist()


def wrong_targets(ws: Workspace) -> list[int]:
    """The targets that at most 1 of 10 base models predicts right, ascending: the counterpart of `stable_targets`."""
    return np.flatnonzero(ws.base.n_right <= 0.1 * ws.base.n_models).tolist()


def _draw_targets(ws: Workspace, targets: list[int], adjective: str, count: int, seed: int) -> list[int]:
    if not 1 <= count <= len(targets):
        raise UserError(
            f"{count} targets were asked for and {ws.name} has {len(targets)} {adjective} ones; "
            f"give 1 to {len(targets)}"
        )
    return np.random.default_rng(seed).permutation(targets)[:count].tolist()
