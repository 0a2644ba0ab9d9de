"""A training image's reach: the look-up in reverse. Whom does it help and harm, and in whose lists does it stand?

Rankings are made for a target; here one training image is looked at over all targets. Where scores have a sign they are
sorted over targets: that is sound where a ranking's unit is the same for all of them. Datamodels' is, a margin. TRAK's
is meant to be, and targets whose gradients are large, mostly doubtful ones, come first. A similarity has no harmful
end, and a target's nearest image may be far: its targets are sorted by the image's rank in their lists.
"""

from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.explore import hubs

DEFAULT_TARGETS = 12


@dataclass(frozen=True)
class InfluenceEnd:
    """targets int [n], the most helped (or harmed) first. scores float32 [n], or None where they are sorted by rank.
    ranks int [n]: the image's 1-based rank in each target's list, 0 where it is not in the first hubs.DEPTH or unknown.
    lists: in how many targets' first k it stands, place: 1 + how many images stand in more; None where unknown."""

    targets: np.ndarray
    scores: np.ndarray | None
    ranks: np.ndarray
    lists: int | None
    place: int | None


@dataclass(frozen=True)
class ImageInfluence:
    """helped: None where lists must be kept first (`hubs`). harmed: None there and where scores have no sign.
    possible: targets that rank the image as published. k: as in `End.lists`."""

    ranking: str
    signed: bool
    helped: InfluenceEnd | None
    harmed: InfluenceEnd | None
    possible: int
    k: int


def image_influence(
    workspace, image: int, name: str, n: int = DEFAULT_TARGETS, k: int = hubs.DEFAULT_K
) -> ImageInfluence:
    """The n targets that the training image helps and harms most under one ranking, of those that it helps or harms.

    Raises UserError for an image or a ranking that is not there."""
    image = check_image(workspace, image)
    ranking, lists = workspace.ranking(name), hubs.load(workspace, name)
    column = ranking.image_scores(image) if ranking.signed else None
    ends = {end: _influence_end(lists, column, image, end, n, k) for end in hubs.ENDS[: 1 + ranking.signed]}
    possible = len(ranking.targets)
    if ranking.conditioned:
        possible = int((workspace.val_labels[ranking.targets] == workspace.train_labels[image]).sum())
    return ImageInfluence(name, ranking.signed, ends["helpful"], ends.get("harmful"), possible, k)


def check_image(workspace, image) -> int:
    """`image` as an int. Raises UserError where it is not the number of a training image."""
    try:
        number = int(image)
    except (TypeError, ValueError):
        number = -1
    if not 0 <= number < workspace.n_train:
        raise UserError(f"training image {image} is not there; give a number from 0 to {workspace.n_train - 1}")
    return number


def _influence_end(lists, column, image, end, n, k) -> InfluenceEnd | None:
    if lists is None and column is None:
        return None
    targets, ranks = lists.places(image, end) if lists else (np.zeros(0, np.int64), np.zeros(0, np.int64))
    scores = None
    if column is not None:
        value = np.nan_to_num(column if end == "helpful" else -column)
        order = np.argsort(-value, kind="stable")[:n]
        order = order[value[order] > 0]
        known = dict(zip(targets.tolist(), ranks.tolist()))
        targets, scores = order, column[order]
        ranks = np.array([known.get(target, 0) for target in order.tolist()], np.int64)
    count = place = None
    if lists:
        counts = lists.counts(k, end)
        count, place = int(counts[image]), int((counts > counts[image]).sum()) + 1
    return InfluenceEnd(targets[:n], scores, ranks[:n], count, place)
