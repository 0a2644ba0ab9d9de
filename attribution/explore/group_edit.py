"""What becomes of a group without its ranking's first images, or with another label on them: a job of
`experiments.group`, seconds under a head, minutes under a network.
"""

import numpy as np

from attribution.errors import UserError
from attribution.experiments import jobs
from attribution.experiments.group import GroupSpec, group_spec
from attribution.explore.groups import SEED, Group, GroupRanking, class_number, rank_difference, rank_group, read_group
from attribution.rankings.base import check_k
from attribution.rankings.influence import Influence
from attribution.training.edits import Edit, relabel, remove
from attribution.training.head.recipe import PREFIX as HEAD_PREFIX
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
    draws: int | None = None,
    seed: int = SEED,
    against: str | None = None,
    other_model: str | None = None,
    progress: Progress = lambda *at: None,
) -> dict:
    """The first `top` training images of a ranking for the group `name` (`read_group`), and with `k` what an edit of
    the first k does.

    against: another ranking; the images are then those whose scores by the two differ most (`rank_difference`), and the
    edit is made under `other_model`, too, if not given the head that an influence explains.
    end: helpful or harmful; None takes the group's. to: a class whose label these images are given; None removes them.
    {"workspace", "recipe", "recipe_hash", "group", "about", "members", "errors": those that are wrong, "ranking",
    "end", "by": "sum" of scores or "mean rank", "heuristic", "seed", "checked": whether halves were drawn, "read",
    "judged": the members of each, "ranked": how many of "read" the ranking ranks, "listed": training images at that
    end, "first": [{"image", "label", "score"}], "edit": `GroupSpec.answer`, or None, and with another
    ranking "against" and "other": {"recipe", "recipe_hash", "edit"}, or None where nothing is edited}. Raises UserError
    as `read_group`, `rank_group`, `first_images` and `jobs.run_job`, and for a class without a k.
    """
    if to is not None and k is None:
        raise UserError("it is not said how many images are relabelled; give their number with --k")
    group = read_group(workspace, name)
    number = None if to is None else class_number(workspace, to)
    end = end or group.end
    read, _ = group.halves(seed)
    if against is None:
        ranked = rank_group(workspace, workspace.ranking(ranking), read, end)
    else:
        ranked = rank_difference(workspace, workspace.ranking(ranking), workspace.ranking(against), read, end)
    answer = describe(workspace, group, ranking, ranked, end, top, seed)
    if against is not None:
        answer |= {"against": against, "other": None}
        other_model = other_model or head_of(workspace, against)
    if k is not None:
        edit = first_images(workspace, ranked.ids, k, number)
        answer["edit"] = _change(workspace, group, edit, draws, seed, None, progress)
        if against is not None and other_model:
            other = workspace.with_model(other_model)
            change = _change(workspace, group, edit, draws, seed, other.recipe, progress)
            answer["other"] = {"recipe": other.recipe, "recipe_hash": other.get_recipe().hash, "edit": change}
    return answer


def head_of(workspace: Workspace, ranking: str) -> str | None:
    """The head that an influence is of, None of another ranking."""
    found = workspace.ranking(ranking)
    return f"{HEAD_PREFIX}{found.feature}" if isinstance(found, Influence) else None


def _change(
    workspace: Workspace,
    group: Group,
    edit: Edit,
    draws: int | None,
    seed: int,
    recipe: str | None,
    progress: Progress,
) -> dict:
    """`GroupSpec.answer`, trained first where it is not known."""
    spec = edit_spec(workspace, group, edit, draws, seed, recipe)
    change = jobs.answered(workspace, spec, lambda: jobs.run_job(workspace, spec, progress))
    return {name: value for name, value in change.items() if name != "cached"}


def edit_spec(
    workspace: Workspace,
    group: Group,
    edit: Edit,
    draws: int | None = None,
    seed: int = SEED,
    recipe: str | None = None,
    ranking: str | None = None,
    against: str | None = None,
    end: str | None = None,
) -> GroupSpec:
    """The job that asks what an edit does to a group. seed: draws the halves; the others as of `group_spec`."""
    return group_spec(workspace, group.name, *group.halves(seed), edit, draws, recipe, ranking, against, end)


def describe(
    workspace: Workspace, group: Group, ranking: str, ranked: GroupRanking, end: str, top: int, seed: int = SEED
) -> dict:
    """What `compute` says of a group and its ranking, without an edit. ranked: of the half of the members that
    influence is read from."""
    read, judged = group.halves(seed)
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
        "edit": None,
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
