"""Which validation images to look at: by class, by what the base models predict, by how sure they are."""

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
    class, both ends included. tested: the targets of that kind. Raises UserError for an unknown kind, and for what
    asks of predictions where there are no base models.
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
    if (low, high) != (0.0, 1.0):  # float32 probabilities of a sure model round past 1
        fits = fits & (ws.base.confidence >= low - 1e-6) & (ws.base.confidence <= high + 1e-6)
    return np.flatnonzero(fits)


def ranked_targets(ws: Workspace) -> np.ndarray:
    """The targets that as many rankings as possible rank training images for, int64 ascending: all of them, unless
    some ranking was made for a part of them."""
    parts = [targets for targets in (ws.ranking(name).targets for name in ws.rankings()) if len(targets) < ws.n_val]
    counts = np.zeros(ws.n_val, np.int64)
    for targets in parts:
        counts[targets] += 1
    return np.flatnonzero(counts == counts.max(initial=0))


def previous_and_next(targets: np.ndarray, target: int) -> tuple[int | None, int | None]:
    """The targets before and after `target` in the ascending `targets`, which need not hold it; None at an end."""
    before, after = targets[targets < target], targets[targets > target]
    return (int(before[-1]) if len(before) else None), (int(after[0]) if len(after) else None)


def draw_stable_targets(workspace, count: int, seed: int) -> list[int]:
    """`count` stable targets, the first of a random order of all of them: a larger study holds the smaller one.

    Raises UserError where there are fewer."""
    return _draw_targets(workspace, stable_targets(workspace), "stable", count, seed)


def draw_wrong_targets(workspace, count: int, seed: int) -> list[int]:
    """`count` targets of `wrong_targets`, as `draw_stable_targets` draws them: what a study of repairs is made of."""
    return _draw_targets(workspace, wrong_targets(workspace), "surely wrong", count, seed)


def _draw_targets(workspace, every, what, count, seed):
    if not 1 <= count <= len(every):
        raise UserError(
            f"{count} targets were asked for and {workspace.name} has {len(every)} {what} ones; give 1 to {len(every)}"
        )
    return [int(target) for target in np.random.default_rng(seed).permutation(every)[:count]]


def stable_targets(workspace) -> list[int]:
    """The stable targets, ascending."""
    return [target for target in range(workspace.n_val) if workspace.base.target_status(target) == "stable"]


def wrong_targets(workspace) -> list[int]:
    """The targets that at most 1 of 10 base models reads right, ascending: `stable_targets` mirrored."""
    base = workspace.base
    return [int(target) for target in np.flatnonzero(base.n_right <= 0.1 * base.n_models)]
