"""What becomes of a group without its ranking's first images, or with another label on them: exact, under a head.

The head is refitted once for the edit and once for each of the random edits beside it, which touch as many images of
the same classes; every validation image is looked at, since what mends one cell may break another.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.experiments.prefixes import HEAD_CONTROL_DRAWS, random_controls
from attribution.experiments.spec import SEEDS
from attribution.explore.groups import SEED, Group, GroupRanking, class_number, rank_group, read_group
from attribution.metrics.group_change import change_of_group, change_of_rest
from attribution.rankings.base import check_k
from attribution.training.edits import Edit, relabel, remove
from attribution.workspace import heads
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace


def compute(
    workspace: Workspace,
    name: str,
    ranking: str,
    end: str | None = None,
    top: int = 10,
    k: int | None = None,
    to: str | None = None,
    draws: int = HEAD_CONTROL_DRAWS,
    seed: int = SEED,
    progress: Progress = lambda *at: None,
) -> dict:
    """The first `top` training images of a ranking for the group `name` (`read_group`), and with `k` what an edit of
    the first k does.

    end: helpful or harmful; None takes the group's. to: a class whose label these images are given; None removes them.
    {"workspace", "recipe", "recipe_hash", "group", "about", "members", "errors": those that are wrong, "ranking",
    "end", "by": "sum" of scores or "mean rank", "heuristic", "seed", "checked": whether halves were drawn, "read",
    "judged": the members of each, "ranked": how many of "read" the ranking ranks, "listed": training images at that
    end, "first": [{"image", "label", "score"}], "edit": `change_by_edit`, or None}. Raises UserError as `read_group`,
    `rank_group`, `first_images` and `check_exact`, and for a class without a k.
    """
    if to is not None and k is None:
        raise UserError("it is not said how many images are relabelled; give their number with --k")
    group = read_group(workspace, name)
    number = None if to is None else class_number(workspace, to)
    if k is not None:
        check_exact(workspace, draws)
    read, judged = group.halves(seed)
    end = end or group.end
    ranked = rank_group(workspace, workspace.ranking(ranking), read, end)
    edit = None if k is None else first_images(workspace, ranked.ids, k, number)
    wrong = workspace.base.prediction != workspace.val_labels
    return {
        "workspace": workspace.name,
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "group": group.name,
        "about": group.about,
        "members": len(group.members),
        "errors": int(wrong[group.members].sum()),
        "ranking": ranking,
        "end": end,
        "by": ranked.by,
        "heuristic": ranked.heuristic,
        "seed": seed,
        "checked": group.checked,
        "read": read.tolist(),
        "judged": judged.tolist(),
        "ranked": len(ranked.targets),
        "listed": len(ranked.ids),
        "first": _rows(workspace, ranked, top),
        "edit": None if edit is None else change_by_edit(workspace, group, read, judged, edit, draws, progress),
    }


def _rows(workspace: Workspace, ranked: GroupRanking, top: int) -> list[dict]:
    shown = zip(ranked.ids[:top].tolist(), ranked.scores[:top].tolist())
    labels = workspace.train_labels
    return [{"image": image, "label": workspace.classes[labels[image]], "score": score} for image, score in shown]


def first_images(workspace: Workspace, ids: np.ndarray, k: int, to: int | None = None) -> Edit:
    """Removes the first `k` of the training images `ids`, fewer where there are fewer; or gives them the label `to`,
    passing over those that carry it. Raises UserError for a k below 1, where every image would go, and where none is
    left to relabel."""
    if to is None:
        ids = ids[: check_k(k)]
        if len(ids) == workspace.n_train:
            raise UserError("that removes every training image, and leaves none to train on; give a smaller --k")
        return remove(ids)
    ids = ids[workspace.train_labels[ids] != to][: check_k(k)]
    if not len(ids):
        raise UserError(f"each of these images is labelled {workspace.classes[to]} already; choose another class")
    return relabel(ids, to)


def check_exact(workspace: Workspace, draws: int) -> None:
    """Raises UserError where the workspace is not seen by a head: what a network would take is said."""
    heads.check_seen(
        workspace,
        f"a network would have to be trained {(2 + draws) * len(SEEDS):,} times for this ({2 + draws:,} training sets, "
        f"{len(SEEDS)} seeds each), which this command does not do yet",
    )


def change_by_edit(
    workspace: Workspace,
    group: Group,
    read: np.ndarray,
    judged: np.ndarray,
    edit: Edit,
    draws: int = HEAD_CONTROL_DRAWS,
    progress: Progress = lambda *at: None,
) -> dict:
    """What an edit does to the members that judge, to those that influence was read from, and to the other validation
    images, beside `draws` random edits of the same classes.

    {"kind": of the edit, "k": images it touches, "label": the class that they are given, None for a removal, "images",
    "classes": {class name: images of it}, "draws", "judged", "read": as `change_of_group`, "rest": as
    `change_of_rest`}. Raises UserError as `check_exact`.
    """
    check_exact(workspace, draws)
    trainer = heads.make_trainer(workspace, workspace.recipe)
    edits = [edit, *random_controls(workspace, edit, draws)]
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        before = trainer.run().margins
        margins = []
        for at, one in enumerate(edits):
            progress("group: refits", at, len(edits))
            margins.append(trainer.run(one).margins)
    progress("group: refits", len(edits), len(edits))
    after, controls = margins[0], np.stack(margins[1:])
    rest = np.setdiff1d(np.arange(len(before)), group.members)
    labels, counts = np.unique(workspace.train_labels[list(edit.indices)], return_counts=True)
    return {
        "kind": edit.kind,
        "k": edit.k,
        "label": workspace.classes[edit.labels[0]] if edit.labels else None,
        "images": list(edit.indices),
        "classes": {workspace.classes[label]: int(count) for label, count in zip(labels, counts)},
        "draws": draws,
        "judged": change_of_group(before[judged], after[judged], controls[:, judged]),
        "read": change_of_group(before[read], after[read], controls[:, read]),
        "rest": change_of_rest(before[rest], after[rest], controls[:, rest]),
    }
