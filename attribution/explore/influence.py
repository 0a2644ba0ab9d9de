"""The influence of a training image, the look-up in reverse: the targets that it helps and harms most.

A ranking orders training images for one target; here one training image is looked at over all targets. Signed scores
are sorted over targets, which is sound where their unit is the same for all of them. Datamodels' is, a margin. TRAK's
is meant to be, but targets with large gradients, mostly those the models are unsure of, come first. A similarity has no
harmful end, and a target's nearest image may be far: its targets are sorted by the image's rank in their lists.
"""

from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.explore import hubs
from attribution.inputs.limits import read_whole, shortened
from attribution.workspace.workspace import Workspace

DEFAULT_TARGETS = 12


@dataclass(frozen=True)
class InfluenceEnd:
    """targets int [n], the most helped (or harmed) first. scores float32 [n], or None where they are sorted by rank.
    ranks int [n]: the image's rank in each target's list, from 1, 0 where it is beyond hubs.LIST_DEPTH or unknown.
    n_lists: in how many targets' top k it stands; hub_rank: 1 + how many images stand in more; None where unknown."""

    targets: np.ndarray
    scores: np.ndarray | None
    ranks: np.ndarray
    n_lists: int | None
    hub_rank: int | None


@dataclass(frozen=True)
class ImageInfluence:
    """helped: None where the lists must be computed first (`hubs`). harmed: None there and where scores have no sign.
    n_targets: targets whose candidates, as published, include the image. k: of `InfluenceEnd.n_lists`."""

    ranking: str
    signed: bool
    helped: InfluenceEnd | None
    harmed: InfluenceEnd | None
    n_targets: int
    k: int


def image_influence(
    workspace: Workspace, image: int, name: str, n: int = DEFAULT_TARGETS, k: int = hubs.DEFAULT_K
) -> ImageInfluence:
    """The n targets that the training image helps and harms most under one ranking, of those that it helps or harms.

    Raises UserError for an image or a ranking that is not there."""
    image = check_image(workspace, image)
    ranking, lists = workspace.ranking(name), hubs.load(workspace, name)
    column = ranking.image_scores(image) if ranking.signed else None
    ends = {end: _influence_end(lists, column, image, end, n, k) for end in hubs.ENDS[: 1 + ranking.signed]}
    n_targets = len(ranking.targets)
    if ranking.conditioned:
        n_targets = int((workspace.val_labels[ranking.targets] == workspace.train_labels[image]).sum())
    return ImageInfluence(name, ranking.signed, ends["helpful"], ends.get("harmful"), n_targets, k)


def check_image(workspace: Workspace, image: int | str) -> int:
    """`image` as an int. Raises UserError where it is not the number of a training image."""
    number = read_whole(image)
    if number is None or not 0 <= number < workspace.n_train:
        raise UserError(
            f"training image {shortened(image)} is not there; give a number from 0 to {workspace.n_train - 1}"
        )
    return number


def _influence_end(
    lists: hubs.TopLists | None, column: np.ndarray | None, image: int, end: str, n: int, k: int
) -> InfluenceEnd | None:
    if lists is None and column is None:
        return None
    targets, ranks = lists.lists_with_image(image, end) if lists else (np.zeros(0, np.int64), np.zeros(0, np.int64))
    scores = None
    if column is not None:
        value = np.nan_to_num(column if end == "helpful" else -column)
        order = np.argsort(-value, kind="stable")[:n]
        order = order[value[order] > 0]
        rank_of = dict(zip(targets.tolist(), ranks.tolist()))
        targets, scores = order, column[order]
        ranks = np.array([rank_of.get(target, 0) for target in order.tolist()], np.int64)
    n_lists = hub_rank = None
    if lists:
        counts = lists.count_lists(k, end)
        n_lists, hub_rank = int(counts[image]), int((counts > counts[image]).sum()) + 1
    return InfluenceEnd(targets[:n], scores, ranks[:n], n_lists, hub_rank)
