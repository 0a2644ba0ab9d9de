"""The protocol of every ranking: one method's ordering of the training images for each target."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.inputs import names

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace


CANDIDATES = ("true", "predicted", "all")


@dataclass(frozen=True)
class RankedImages:
    """ids: training indices, int64 [k], best first. scores: float [k] in the method's own units, or None."""

    ids: np.ndarray
    scores: np.ndarray | None


class Ranking(ABC):
    """A method's ordering of the training images for each target."""

    name: str
    method: str
    #: True where negative scores mean harm; a similarity has no harmful end
    signed = False
    #: True where only training images with the target's true label are ranked, as published
    conditioned = False
    #: False where only each target's first images are stored; LDS needs every score
    complete = True
    #: the feature set that a similarity is computed in, None for other methods
    feature: str | None = None
    #: True where it is computed on demand and never stored
    live = False
    #: True where targets are computed one by one as they are asked for, each with a version of its own
    by_target = False
    #: the trained models it was computed from, {"recipe", "data", "seeds"}, or None where there are none
    made_for: dict | None = None
    #: a line under the name: what it was computed from
    description = ""

    def __init__(self, workspace: Workspace):
        self.workspace = workspace

    def __repr__(self) -> str:
        about = ", ".join(filter(None, [self.method, self.description, "signed" if self.signed else "unsigned"]))
        return names.visible(f"<ranking {self.name} of {self.workspace.name}: {about}, {len(self.targets):,} targets>")

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return f"<code>{html.escape(repr(self))}</code>"

    @property
    def version(self) -> str | None:
        """A digest that changes whenever the order may have changed, so that results from another order are not reused;
        None where the data set alone fixes the order, or the workspace has no digests."""
        return None

    def version_of(self, target: int) -> str | None:
        """As `version`, of one target's order; another one only where the ranking is `by_target`."""
        return self.version

    @property
    def targets(self) -> np.ndarray:
        """The validation images that have a ranking, int64 [targets], ascending."""
        return np.arange(self.workspace.n_val)

    def missing(self, target: int) -> str | None:
        """Why a target has no ranking as long as nobody asks for it, a sentence without a full stop; None where it has
        one, or never will."""
        return None

    def description_of(self, target: int) -> str:
        """As `description`, with what is known of one target's order alone."""
        return self.description

    @abstractmethod
    def values(self, target: int, candidates: np.ndarray) -> np.ndarray:
        """Scores of the training images `candidates` (int [n]) for a target, float [n]; larger is more helpful.

        float32, or float64 where that would round away what they differ by."""

    def top(self, target: int, k: int, candidates: str | None = None, end: str = "helpful") -> RankedImages:
        """The first k training images at an end, best first; fewer where there are fewer candidates.

        candidates: "true" (training images with the target's true label), "predicted" (with the label that the base
        models predict), "all", or None for those of the published method. end: "helpful" or "harmful". Raises UserError
        for a k below 1, unknown candidates or end, and the harmful end of an unsigned method.
        """
        target, k = self.check(target, k, end)
        pool = self.candidates(target, candidates)
        values = self.values(target, pool) if len(pool) else np.zeros(0, np.float32)
        order = top_k(values if end == "helpful" else -values, k)
        return RankedImages(pool[order], values[order])

    def check(self, target, k, end: str) -> tuple[int, int]:
        """`target` and `k` as ints. Raises UserError as `top` does."""
        target, k = self.workspace.check_target(target), check_k(k)
        if end not in ("helpful", "harmful"):
            raise UserError(f"end {end!r} is not known; say helpful or harmful")
        if end == "harmful" and not self.signed:
            raise UserError(f"{self.name} has no harmful scores: its scores have no sign")
        return target, k

    def candidates(self, target: int, candidate_set: str | None = None) -> np.ndarray:
        """The training images that are ranked, int64 [n], ascending.

        candidate_set: as `candidates` of `top`, or "rival" for those of the class that the target is mistaken for
        (`BaseModels.confused_class`), or "pair" for those of this or the true class. Raises UserError for another word.
        """
        candidate_set = candidate_set or ("true" if self.conditioned else "all")
        labels = self.workspace.train_labels
        if candidate_set == "true":
            return np.flatnonzero(labels == self.workspace.val_labels[target])
        if candidate_set == "predicted":
            return np.flatnonzero(labels == self.workspace.base.prediction[target])
        if candidate_set == "rival":
            return np.flatnonzero(labels == self.workspace.base.confused_class[target])
        if candidate_set == "pair":
            return np.union1d(self.candidates(target, "true"), self.candidates(target, "rival"))
        if candidate_set == "all":
            return np.arange(len(labels))
        raise UserError(f"candidates {candidate_set!r} is not known; say {', '.join(CANDIDATES)}")

    def scores(self, target: int, candidates: str | None = None) -> np.ndarray:
        """Each training image's contribution to the prediction for a subset that holds it (for LDS), float [n_train].
        candidates: as in `top`.

        A similarity has no natural zero: its scores are differences to the least similar candidate, and images that are
        not candidates contribute 0.
        """
        pool = self.candidates(target, candidates)
        values = self.values(target, pool) if len(pool) else np.zeros(0, np.float32)
        dense = np.zeros(self.workspace.n_train, values.dtype)
        dense[pool] = values if self.signed else values - values.min(initial=np.inf)
        return dense

    def all_scores(self, candidates: str | None = None) -> Iterator[np.ndarray]:
        """`scores` of all `targets`, in order; overridden by methods that are faster on many targets at once."""
        return (self.scores(target, candidates) for target in self.targets)

    def image_scores(self, image: int) -> np.ndarray | None:
        """Scores of a training image for every validation image, float [n_val], NaN where it is not scored; None for
        methods that compute a target at a time."""
        return None


def check_k(k) -> int:
    """`k` as an int of at least 1. Raises UserError otherwise."""
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
        raise UserError(f"k = {k} is not a number of training images; give a whole number of at least 1")
    return int(k)


def top_k(values: np.ndarray, k: int) -> np.ndarray:
    """Positions of the k largest values, int64 [min(k, n)], largest first; ties in ascending position, so that the
    order is reproducible. values: [n]."""
    k = min(k, len(values))
    if k < len(values):
        threshold = np.partition(values, len(values) - k)[len(values) - k]
        chosen = np.flatnonzero(values > threshold)
        chosen = np.sort(np.concatenate([chosen, np.flatnonzero(values == threshold)[: k - len(chosen)]]))
    else:
        chosen = np.arange(len(values))
    return chosen[np.argsort(-values[chosen], kind="stable")]


def most_harmful(ranking: Ranking, target: int, k: int) -> np.ndarray:
    """The k training images that are most harmful to a target by a ranking, worst first, int64 [k'], k' <= k.

    Of a signed ranking these are its harmful end, without scores above 0. Of an unsigned one they are chosen by a
    heuristic: its first images of the class that the target is mistaken for (`BaseModels.confused_class`). These look
    like the target under another label; whether they do harm is not known.
    """
    if not ranking.signed:
        return ranking.top(target, k, "rival").ids
    ranked = ranking.top(target, k, end="harmful")
    return ranked.ids if ranked.scores is None else ranked.ids[ranked.scores <= 0]
