"""Suspects of a wrong prediction: training images that rankings hold against the target, and whose label a detector
doubts. An audit that starts from one mistake looks at these first."""

from dataclasses import dataclass

import numpy as np

from attribution.audit import detectors, review_queue
from attribution.errors import UserError
from attribution.metrics import label_detection
from attribution.rankings import default_rankings
from attribution.rankings.base import most_harmful
from attribution.workspace.workspace import Workspace

K_PER_RANKING = 100  # images of each ranking
SUSPICIOUS_SHARE = 0.10  # of all training images: the most suspicious ones


@dataclass(frozen=True)
class Suspect:
    """A training image. given: its label; suggestion: what it would be instead (`review_queue.suggested_labels`), the
    given one where there is no other; score: its suspicion; suspicion_rank: among all training images, from 1;
    rankings: those that name it, and places: where each does, from 1; is_related: whether it argues for this error: its
    label is the class predicted, or its suggestion the true one."""

    image: int
    given: int
    suggestion: int
    score: float
    suspicion_rank: int
    rankings: tuple[str, ...]
    places: tuple[int, ...]
    is_related: bool

    @property
    def accuser(self) -> tuple[str, int]:
        """The ranking that names it first, and its place there."""
        return min(zip(self.rankings, self.places), key=lambda named: named[1])


def find_suspects(workspace: Workspace, target: int, detector: str) -> list[Suspect]:
    """The suspects of a wrong prediction: related ones first, by influence x suspicion.

    Each signed ranking names its K_PER_RANKING most harmful images, and each default similarity
    (`rankings.default_rankings`) its nearest ones of the predicted class (`base.most_harmful`); suspects are those of
    them that are among the SUSPICIOUS_SHARE most suspicious of all. A ranking that does not rank for the target names
    none. They are ordered by the product of two ranks, in suspicion and in influence; the latter is the mean place in
    the rankings' lists, K_PER_RANKING + 1 in one that does not name the image.

    Raises UserError for an unknown target or detector, where there are no base models, and for a target that they read
    right.
    """
    target = workspace.check_target(target)
    workspace.check_base()
    label, predicted = workspace.val_labels[target], workspace.base.prediction[target]
    if predicted == label:
        raise UserError(
            f"target {target} is predicted right, as {workspace.classes[label]}; suspects are of wrong predictions"
        )
    stored, named = detectors.load(workspace, detector), {}
    lists = [name for name in accusing_rankings(workspace) if target in workspace.ranking(name).targets]
    for name in lists:
        for place, image in enumerate(most_harmful(workspace.ranking(name), target, K_PER_RANKING), 1):
            named.setdefault(int(image), {})[name] = place
    order = label_detection.suspicion_order(stored.scores)[: count_suspicious(workspace)].tolist()
    suggestion = review_queue.suggested_labels(workspace, stored)
    found = []
    for rank, image in enumerate(order, 1):
        if image in named:
            given, other = int(workspace.train_labels[image]), int(suggestion[image])
            is_related = given == predicted or (other == label and other != given)
            score, places = float(stored.scores[image]), named[image]
            found.append(Suspect(image, given, other, score, rank, tuple(places), tuple(places.values()), is_related))
    return sorted(found, key=lambda suspect: (not suspect.is_related, _rank_product(suspect, len(lists))))


def _rank_product(suspect: Suspect, n_lists: int) -> float:
    """Rank in suspicion times mean place in the lists of the rankings."""
    unnamed = (n_lists - len(suspect.places)) * (K_PER_RANKING + 1)
    return suspect.suspicion_rank * (sum(suspect.places) + unnamed) / n_lists


def accusing_rankings(workspace: Workspace) -> list[str]:
    """The rankings that name suspects: the default ones, and any other that is stored and has a sign; not the random
    one."""
    rankings = [workspace.ranking(name) for name in workspace.rankings()]
    signed = [ranking.name for ranking in rankings if ranking.signed and not ranking.live]
    return [name for name in dict.fromkeys([*default_rankings(workspace), *signed]) if name != "random"]


def count_suspicious(workspace: Workspace) -> int:
    """How many training images count as suspicious."""
    return max(1, int(np.ceil(SUSPICIOUS_SHARE * workspace.n_train)))
