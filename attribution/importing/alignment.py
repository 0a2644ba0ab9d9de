"""The alignment check: is a ranking about this data set's images, in this order and with this sign?

A matrix with wrong indices is a common silent error of attribution. A useful method puts training images of the
target's own class first far more often than chance; a matrix that is transposed, negated or in another order does not.
Where images are sorted by class, an order that is shifted by one or shuffled within classes passes this first check. So
a second one asks whether scores correlate with the similarity of images within the target's class. It only warns, since
the scores of some methods do not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.rankings.base import Ranking

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

#: below this multiple of chance a ranking is taken for misaligned
MIN_TIMES_CHANCE = 3.0
#: Within classes: targets, and training images of all their classes (at least MIN_IMAGES of each class). At 50 to
#: 200 targets the demo's rankings, whole or their first 20 to 500, have correlations of 0.11 to 0.75 and z of 10 to 76
#: in the right order, and z of -3.2 to 2.6 in a wrong one.
MAX_TARGETS, MAX_IMAGES, MIN_IMAGES = 200, 2000, 20
#: the z from which on scores go with similarity, and the mean correlation that has to reach it for a lower one to say
#: anything
Z, EFFECT = 3.0, 0.05
#: pixels of a side that images are compared at, by leaving out others
SIDE = 32


@dataclass(frozen=True)
class WithinClass:
    """How scores go with similarity `on` "pixels" or a feature set, among training images of the target's class.

    spearman: mean correlation over n targets. z: in standard deviations of what any order within classes gives; None
    where there is nothing to correlate. detectable: whether a correlation of EFFECT would have a z of Z.
    """

    spearman: float
    z: float | None
    n: int
    on: str | None
    detectable: bool

    @property
    def conclusive(self) -> bool:
        """False where there are so few targets or images of a class that the order may be right or wrong."""
        return self.detectable or (self.z is not None and self.z >= Z)

    @property
    def warning(self) -> str | None:
        """What is wrong and what it may be; None where nothing is, or it cannot be told."""
        if not self.conclusive or self.z >= Z:
            return None
        return (
            f"within the target's class its scores do not go with similarity in {self.on} (mean Spearman correlation "
            f"{self.spearman:+.3f} over {self.n:,} targets, z {self.z:.1f}, at least {Z:.0f} is expected); the "
            "training images may be shifted by one or in another order within classes, or the method sees other things"
        )

    def to_json(self) -> dict:
        """What a workspace's manifest keeps of it."""
        z = None if self.z is None else round(self.z, 1)
        return {"spearman": round(self.spearman, 4), "z": z, "n": self.n, "on": self.on, "conclusive": self.conclusive}


@dataclass(frozen=True)
class Alignment:
    """top1_same_class: the share of n targets whose first training image has the target's label; chance: what that
    share would be for random training images; bottom1_same_class: the same of the harmful end, None without one;
    within_class: the second check, None where it was not made."""

    top1_same_class: float
    chance: float
    n: int
    bottom1_same_class: float | None = None
    within_class: WithinClass | None = None

    @property
    def threshold(self) -> float:
        """The least share that passes: three times chance, or half-way to 1 where there are few classes."""
        return min(MIN_TIMES_CHANCE * self.chance, (1 + self.chance) / 2)

    @property
    def refusal(self) -> str | None:
        """What is wrong by the first check and what it may be, or None."""
        if not self.n:
            return "it ranks no training image for any target"
        if self.top1_same_class >= self.threshold:
            return None
        finding = (
            f"its first training image has the target's class for {self.top1_same_class:.1%} of {self.n:,} "
            f"targets, where chance gives {self.chance:.1%} and at least {self.threshold:.0%} is expected"
        )
        if (self.bottom1_same_class or 0) >= self.threshold:
            return f"{finding}; its last one has it for {self.bottom1_same_class:.1%}, so the sign looks turned round"
        return f"{finding}; it may be transposed, or of other images, or of the same in another order"

    @property
    def warning(self) -> str | None:
        """What is wrong by either check, or None."""
        return self.refusal or (self.within_class and self.within_class.warning)

    def to_json(self) -> dict:
        """What a workspace's manifest keeps of it."""
        rounded = None if self.bottom1_same_class is None else round(self.bottom1_same_class, 4)
        return {
            "top1_same_class": round(self.top1_same_class, 4),
            "chance": round(self.chance, 4),
            "n": self.n,
            "bottom1_same_class": rounded,
            "warning": self.warning,
            **({"within_class": self.within_class.to_json()} if self.within_class else {}),
        }


def compute_alignment(
    first_ids: np.ndarray,
    targets: np.ndarray,
    train_labels: np.ndarray,
    val_labels: np.ndarray,
    last_ids: np.ndarray | None = None,
) -> Alignment:
    """The first check. first_ids: int [T], the training image that each of `targets` (int [T]) has at rank 1, -1 for
    none; last_ids: the same of the harmful end. train_labels, val_labels: int [n_train] and [n_val]."""
    share = [
        _same_class_share(ids, targets, train_labels, val_labels) for ids in (first_ids, last_ids) if ids is not None
    ]
    listed = val_labels[targets[first_ids >= 0]]
    classes, counts = np.unique(train_labels, return_counts=True)
    frequency = dict(zip(classes.tolist(), counts / len(train_labels)))
    chance = float(np.mean([frequency.get(int(label), 0.0) for label in listed])) if len(listed) else 0.0
    return Alignment(share[0], chance, int((first_ids >= 0).sum()), share[1] if len(share) > 1 else None)


def check_alignment(ranking: Ranking, max_targets: int = 1000) -> Alignment:
    """The first check of a `Ranking` that is in a workspace, on at most `max_targets` targets, evenly spaced."""
    targets = ranking.targets[:: max(1, len(ranking.targets) // max_targets)]
    ends = [
        np.array([(*ranking.top(target, 1, "all", end).ids, -1)[0] for target in targets], np.int64)
        for end in (("helpful", "harmful") if ranking.signed else ("helpful",))
    ]
    labels = ranking.workspace.train_labels, ranking.workspace.val_labels
    return compute_alignment(ends[0], targets, *labels, ends[1] if ranking.signed else None)


def within_class(workspace: "Workspace", targets: np.ndarray, score_row: Callable[[int], np.ndarray]) -> WithinClass:
    """The second check, on at most MAX_TARGETS of `targets` (int [T]), evenly spaced.

    score_row(target): scores of all training images, float [n_train], larger is more helpful; NaN where not scored, 0
    for those between the ends of a list. Similarity is the distance in pixels; where this shows nothing, or the images
    are not on this machine, that in the first feature set that shows something.
    """
    targets = np.sort(targets)[:: max(1, -(-len(targets) // MAX_TARGETS))]
    labels, parts = workspace.val_labels[targets], []
    n_images = max(MIN_IMAGES, MAX_IMAGES // max(1, len(np.unique(labels))))
    for label in np.unique(labels):
        rows, ids = targets[labels == label], np.flatnonzero(workspace.train_labels == label)
        scores = np.stack([score_row(int(target))[ids] for target in rows])
        ids, scores = ids[(known := ~np.isnan(scores).any(0))], scores[:, known]
        # half of them those with the strongest scores: a list names few; chosen by scores alone, no order is favoured
        strong = np.argsort(-np.abs(scores).max(0, initial=0), kind="stable")
        others = strong[n_images // 2 :]
        chosen = np.concatenate(
            [strong[: n_images // 2], others[:: max(1, -(-len(others) // (n_images - n_images // 2)))]]
        )
        if len(chosen) > 2:
            parts.append((rows, ids[chosen], _standard(scores[:, chosen])))
    best = WithinClass(0.0, None, 0, None, False)
    for name in ["pixels", *(name for name in workspace.features() if name != "pixels")]:
        try:
            correlated = _correlated(parts, name, *_vectors(workspace, name))
        except UserError:  # images that are not on this machine
            continue
        if correlated.z is not None and (best.z is None or correlated.z > best.z):
            best = correlated
        if best.z is not None and best.z >= Z:
            break
    return best


def _correlated(parts, name: str, train: Callable, val: Callable) -> WithinClass:
    """parts: of each class its targets [T], training images [m] and standardised ranks of the scores [T, m].

    Any order of a class's training images being as likely as the one there is, the sum of the correlations of its
    targets has the mean 0 and this variance (Hoeffding 1951, A combinatorial central limit theorem, theorem 2).
    """
    total, variance, n = 0.0, 0.0, 0
    for targets, ids, ranks in parts:
        a, b = val(targets), train(ids)
        near = _standard(2 * a @ b.T - (b**2).sum(1))  # by the distance's square, but for what belongs to the target
        total += float((ranks * near).sum())
        variance += float(((ranks @ ranks.T) * (near @ near.T)).sum()) / (len(ids) - 1)
        n += int((ranks.any(1) & near.any(1)).sum())
    if not variance > 0:
        return WithinClass(0.0, None, n, name, False)
    return WithinClass(total / n, total / variance**0.5, n, name, Z * variance**0.5 / n <= EFFECT)


def _standard(rows: np.ndarray) -> np.ndarray:
    """Ranks within each row, centred and of length 1, so that products are Spearman's correlations; 0 where all are
    equal."""
    from scipy.stats import rankdata  # half a second that `info` need not wait for

    ranks = rankdata(rows, axis=1)
    ranks -= ranks.mean(1, keepdims=True)
    length = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 1e-9)


def _vectors(workspace, name: str) -> tuple[Callable, Callable]:
    """Functions that give float64 [m, d] of training and of validation images, by their numbers."""
    if name != "pixels":
        features = workspace.feature(name)
        return tuple(lambda ids, array=array: np.asarray(array[ids], float) for array in (features.train, features.val))

    def pixels(images):
        thinned = tuple(slice(None, None, -(-side // SIDE)) for side in images.shape[1:3])
        return lambda ids: images[ids][:, *thinned].reshape(len(ids), -1) / 255

    return pixels(workspace.train_images), pixels(workspace.val_images)


def _same_class_share(ids, targets, train_labels, val_labels) -> float:
    listed = ids >= 0
    same = train_labels[ids[listed]] == val_labels[targets[listed]]
    return float(same.mean()) if len(same) else 0.0
