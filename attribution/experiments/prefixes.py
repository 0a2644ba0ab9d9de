"""From a ranking's first k images to an edit, and to the matched random edit it is compared with.

Source: the brittleness protocol, Singla et al. (arXiv 2311.03386), section 4; the controls are ours.
"""

from collections.abc import Iterable

import numpy as np

from attribution.errors import UserError
from attribution.features import near_duplicates
from attribution.rankings.base import check_k, most_harmful
from attribution.training.edits import Edit, relabel, remove
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import Workspace

EDIT_KINDS = ("remove", "mislabel")
#: kinds of support: a repair removes, too, but from the harmful end
SUPPORT_KINDS = (*EDIT_KINDS, "repair")
#: random controls beside a retraining; a head's refits take milliseconds, and have no seeds to repeat them with
CONTROL_DRAWS, HEAD_CONTROL_DRAWS = 1, 20


def editable_prefix(workspace: Workspace, ranking, target: int, kind: str, k: int, without=()) -> np.ndarray:
    """The first k training images of a ranking that a support of this kind may edit, int64 [k'], k' <= k.

    kind: "remove"; "mislabel", which passes over images that already carry the new label (k counts labels changed)
    and raises UserError where there are no base models: they choose that label; or "repair": see `most_harmful`.
    without: training images that are passed over.
    """
    check_support_kind(kind)
    k, without = check_k(k), np.asarray(without, np.int64)
    if kind == "repair":
        ids = most_harmful(ranking, target, k + len(without))
    elif kind == "remove":
        ids = ranking.top(target, k + len(without)).ids
    else:
        ids = changeable_ids(workspace, target, kind, ranking.top(target, workspace.n_train).ids)
    return ids[~np.isin(ids, without)][:k]


def edit_steps(
    workspace: Workspace, ranking: str, target: int, kind: str, k_max: int, groups: dict | None = None, without=()
) -> list[np.ndarray]:
    """What each further k of a support edits, in order, int64 arrays: one training image each, or with `groups` (a
    `near_duplicates.grouping_spec`) the ranking's next image with all its near-duplicates; at most `k_max` of them.

    kind, without: as `editable_prefix` takes them.
    """
    ids = editable_prefix(
        workspace, workspace.ranking(ranking), target, kind, workspace.n_train if groups else k_max, without
    )
    if groups:
        parts = near_duplicates.groups_of_images(workspace, ids, groups)[:k_max]
    else:
        parts = [ids[at : at + 1] for at in range(len(ids))]
    everything = kind != "mislabel" and sum(map(len, parts)) == workspace.n_train
    return parts[:-1] if everything else parts  # something has to be left to train on


def changeable_ids(workspace: Workspace, target: int, kind: str, ids) -> np.ndarray:
    """Those of the training images `ids` that an edit of this kind changes, int64, in the order given."""
    ids = np.asarray(ids, np.int64)
    if check_edit_kind(kind) == "remove":
        return ids
    return ids[workspace.train_labels[ids] != workspace.base.likeliest_wrong_class[target]]


def build_edit(workspace: Workspace, target: int, kind: str, ids) -> Edit:
    """Removes the training images `ids`, or gives them the target's most likely wrong class by the base models."""
    if check_support_kind(kind) == "mislabel":
        return relabel(ids, int(workspace.base.likeliest_wrong_class[target]))
    return remove(ids)


def random_control(workspace: Workspace, edit: Edit, draw: int) -> Edit:
    """A random edit of the same kind with the same number of images of each given class; draw 0, 1, 2... differ.

    Images of the edit itself may be drawn again: it answers "any k images of these classes", not "any others".
    """
    return _controls(workspace, edit, [draw])[0]


def random_controls(workspace: Workspace, edit: Edit, draws: int) -> list[Edit]:
    """The first `draws` random controls of an edit."""
    return _controls(workspace, edit, range(draws))


def _controls(workspace: Workspace, edit: Edit, draws: Iterable[int]) -> list[Edit]:
    if not edit.indices:
        return [edit for _ in draws]
    labels, number = workspace.train_labels, int(edit.hash[:12], 16)
    edit.check(len(labels))
    classes, counts = np.unique(labels[list(edit.indices)], return_counts=True)
    pools = [(np.flatnonzero(labels == c), n) for c, n in zip(classes, counts)]
    controls = []
    for draw in draws:
        rng = np.random.default_rng([number, draw])
        ids = np.concatenate([rng.choice(pool, n, replace=False) for pool, n in pools])
        controls.append(remove(ids) if edit.kind == "remove" else relabel(ids, edit.labels[0]))
    return controls


def control_draws(recipe: str) -> int:
    """How many random controls stand beside a retraining under a recipe, by its name, where nobody says how many."""
    return HEAD_CONTROL_DRAWS if is_head(recipe) else CONTROL_DRAWS


def check_edit_kind(kind: str) -> str:
    """`kind`. Raises UserError when it is not a kind of edit."""
    if kind not in EDIT_KINDS:
        raise UserError(f"kind {kind!r} is not known; say {' or '.join(EDIT_KINDS)}")
    return kind


def check_support_kind(kind: str) -> str:
    """`kind`. Raises UserError when it is not a kind of support."""
    if kind not in SUPPORT_KINDS:
        raise UserError(f"kind {kind!r} is not known; say {', '.join(EDIT_KINDS)} or {SUPPORT_KINDS[-1]}")
    return kind


def check_groups(kind: str, groups: dict | None) -> None:
    """Raises UserError where near-duplicates are asked for together with wrong labels."""
    if groups and kind == "mislabel":
        raise UserError("near-duplicates are removed together, not relabelled; choose a kind that removes")
