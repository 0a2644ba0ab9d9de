"""From a ranking's first k images to an edit, and to the matched random edit it is compared with.

Source: the brittleness protocol, Singla et al. (arXiv 2311.03386), section 4; the controls are ours (protocol.md).
"""

import numpy as np

from attribution.edits import Edit, relabel, remove
from attribution.errors import UserError
from attribution.rankings import check_k

KINDS = ("remove", "mislabel")
DRAWS = 3


def prefix(workspace, ranking, target: int, kind: str, k: int, candidates: str | None = None) -> np.ndarray:
    """The first k training images of a ranking that an edit of this kind can change, int64 [k'], k' <= k.

    kind: "remove", or "mislabel", which passes over images that already carry the new label (k counts labels changed)
    and raises UserError where there are no base models: they choose that label.
    """
    check_kind(kind)
    k = check_k(k)
    if kind == "remove":
        return ranking.top(target, k, candidates).ids
    return changeable(workspace, target, kind, ranking.top(target, workspace.n_train, candidates).ids)[:k]


def changeable(workspace, target: int, kind: str, ids) -> np.ndarray:
    """Those of the training images `ids` that an edit of this kind changes, int64, in the order given."""
    ids = np.asarray(ids, np.int64)
    if check_kind(kind) == "remove":
        return ids
    return ids[workspace.train_labels[ids] != workspace.base.runner_up[target]]


def edit_of(workspace, target: int, kind: str, ids) -> Edit:
    """Removes the training images `ids`, or gives them the target's most likely wrong class by the base models."""
    return remove(ids) if check_kind(kind) == "remove" else relabel(ids, int(workspace.base.runner_up[target]))


def control(workspace, edit: Edit, draw: int) -> Edit:
    """A random edit of the same kind with the same number of images of each given class; draw 0, 1, 2... differ.

    Images of the edit itself may be drawn again: it answers "any k images of these classes", not "any others".
    """
    if not edit.indices:
        return edit
    labels = workspace.train_labels
    rng = np.random.default_rng([int(edit.hash[:12], 16), draw])
    classes, counts = np.unique(labels[list(edit.indices)], return_counts=True)
    ids = np.concatenate([rng.choice(np.flatnonzero(labels == c), n, replace=False)
                          for c, n in zip(classes, counts)])
    return remove(ids) if edit.kind == "remove" else relabel(ids, edit.labels[0])


def largest_k(workspace, ranking, target: int, kind: str, k_max: int) -> int:
    """k_max, or as many images as this kind of edit can change for the target, where they are fewer."""
    return len(prefix(workspace, ranking, target, kind, k_max))


def check_kind(kind: str) -> str:
    """`kind`. Raises UserError when it is not a kind of support."""
    if kind not in KINDS:
        raise UserError(f"kind {kind!r} is not known; say {' or '.join(KINDS)}")
    return kind
