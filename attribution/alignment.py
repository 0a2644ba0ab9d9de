"""The alignment check: does a ranking speak of this data set's images, in this order and with this sign?

A mis-indexed matrix is the classic silent error of attribution. Any method worth the name puts training images of the
target's own class first far more often than chance does; one that is transposed, negated or of another order does not.
"""

from dataclasses import dataclass

import numpy as np

#: below this multiple of chance a ranking is taken for misaligned
TIMES_CHANCE = 3.0


@dataclass(frozen=True)
class Alignment:
    """top1_same_class: the share of n targets whose first training image has the target's label; chance: what that
    share would be for random training images; bottom1_same_class: the same of the harmful end, None without one."""

    top1_same_class: float
    chance: float
    n: int
    bottom1_same_class: float | None = None

    @property
    def bar(self) -> float:
        """The least share that passes: three times chance, or half-way to 1 where there are few classes."""
        return min(TIMES_CHANCE * self.chance, (1 + self.chance) / 2)

    @property
    def warning(self) -> str | None:
        """What is wrong and what it may be, or None."""
        if not self.n:
            return "it ranks no training image for any target"
        if self.top1_same_class >= self.bar:
            return None
        said = (
            f"its first training image has the target's class for {self.top1_same_class:.1%} of {self.n:,} "
            f"targets, where chance gives {self.chance:.1%} and at least {self.bar:.0%} is expected"
        )
        if (self.bottom1_same_class or 0) >= self.bar:
            return f"{said}; its last one has it for {self.bottom1_same_class:.1%}, so the sign looks turned round"
        return f"{said}; it may be transposed, or of other images, or of the same in another order"

    def to_json(self) -> dict:
        """What a workspace's manifest keeps of it."""
        rounded = None if self.bottom1_same_class is None else round(self.bottom1_same_class, 4)
        return {
            "top1_same_class": round(self.top1_same_class, 4),
            "chance": round(self.chance, 4),
            "n": self.n,
            "bottom1_same_class": rounded,
            "warning": self.warning,
        }


def align(
    first: np.ndarray,
    targets: np.ndarray,
    train_labels: np.ndarray,
    val_labels: np.ndarray,
    last: np.ndarray | None = None,
) -> Alignment:
    """first: int [T], the training image that each of `targets` (int [T]) has at rank 1, -1 for none; last: the same of
    the harmful end."""
    share = [_share(ids, targets, train_labels, val_labels) for ids in (first, last) if ids is not None]
    asked = val_labels[targets[first >= 0]]
    classes, counts = np.unique(train_labels, return_counts=True)
    frequency = dict(zip(classes.tolist(), counts / len(train_labels)))
    chance = float(np.mean([frequency.get(int(label), 0.0) for label in asked])) if len(asked) else 0.0
    return Alignment(share[0], chance, int((first >= 0).sum()), share[1] if len(share) > 1 else None)


def of(ranking, at_most: int = 1000) -> Alignment:
    """The check of a `Ranking` that is in a workspace, on at most so many targets, evenly spaced."""
    targets = ranking.targets[:: max(1, len(ranking.targets) // at_most)]
    ends = [
        np.array([(*ranking.top(target, 1, "all", end).ids, -1)[0] for target in targets], np.int64)
        for end in (("helpful", "harmful") if ranking.signed else ("helpful",))
    ]
    labels = ranking.workspace.train_labels, ranking.workspace.val_labels
    return align(ends[0], targets, *labels, ends[1] if ranking.signed else None)


def _share(ids, targets, train_labels, val_labels) -> float:
    known = ids >= 0
    same = train_labels[ids[known]] == val_labels[targets[known]]
    return float(same.mean()) if len(same) else 0.0
