"""Influence rankings: what the removal of each training image would do to the target's margin under a head, a linear
classifier on a frozen feature set (`attribution.training.head`), computed on demand.

They are signed, and all training images are candidates. `influence-<features>` is exact to first order for that head;
`influence-all` adds up those of the learned feature sets. Under another model they are a guess, as similarities are.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attribution.rankings.base import Ranking
from attribution.rankings.similarity import feature_dim
from attribution.training.head import Head
from attribution.training.head.head import MAX_FACTORED, VERSION

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

PREFIX, ALL = "influence", "all"
_BATCH = 50  # targets whose scores are computed together


class Influence(Ranking):
    """By how much the removal of a training image would lower the target's margin, in logits of the head, to first
    order; see `Head.influence`. The class explained is the target's true one, against the one that the head takes for
    the next best."""

    method = "Influence"
    signed, live = True, True

    def __init__(self, workspace: Workspace, feature: str):
        super().__init__(workspace)
        self.name = f"{PREFIX}-{feature}"
        self.feature = feature
        self.description = f"on the margin of a linear classifier on {feature} features · live"

    @cached_property
    def features(self):
        """The feature set it is computed in."""
        return self.workspace.feature(self.feature)

    @cached_property
    def head(self) -> Head:
        """The workspace's head on these features, fitted when first asked for: some seconds. Raises UserError as
        `Head.fit`."""
        return self.workspace.head(str(self.feature)).head

    @property
    def version(self):
        """See `Ranking.version`."""
        digest = self.workspace.manifest["parts"][f"features/{self.feature}"].get("digest")
        return "+".join(filter(None, [digest, f"head{VERSION}"]))

    def values(self, target, candidates):
        """See `Ranking.values`."""
        return self.scores_of(np.array([target]))[0, candidates]

    def all_scores(self, candidates=None):
        """See `Ranking.all_scores`."""
        return _all_scores(self, candidates)

    def image_scores(self, image):
        """See `Ranking.image_scores`."""
        labels = self.workspace.val_labels
        return self.head.image_influence(image, self.features.val, labels).astype(np.float32)

    def scores_of(self, targets: np.ndarray) -> np.ndarray:
        """Scores of all training images for some targets, float32 [targets, n_train]."""
        labels = self.workspace.val_labels[targets]
        return self.head.influence(self.features.val[targets], labels).astype(np.float32)


class SummedInfluence(Ranking):
    """The sum of the influences by several feature sets, each in units of its standard deviation over the training
    images for that target: where the sets agree is what counts."""

    method = "Influence"
    signed, live = True, True

    def __init__(self, workspace: Workspace, features: list[str]):
        super().__init__(workspace)
        self.name = f"{PREFIX}-{ALL}"
        self.features = features
        self.description = f"sum over {', '.join(features)} · live"

    @property
    def version(self):
        """See `Ranking.version`."""
        return "+".join(f"{part.feature}:{part.version}" for part in self._parts)

    def values(self, target, candidates):
        """See `Ranking.values`."""
        return self.scores_of(np.array([target]))[0, candidates]

    def all_scores(self, candidates=None):
        """See `Ranking.all_scores`."""
        return _all_scores(self, candidates)

    def scores_of(self, targets: np.ndarray) -> np.ndarray:
        """See `Influence.scores_of`."""
        total = np.zeros((len(targets), self.workspace.n_train), np.float32)
        for part in self._parts:
            scores = part.scores_of(targets)
            spread = scores.std(1, keepdims=True)
            total += np.divide(scores, spread, out=np.zeros_like(scores), where=spread > 0)
        return total

    @cached_property
    def _parts(self) -> list[Influence]:
        found = [self.workspace.ranking(f"{PREFIX}-{feature}") for feature in self.features]  # which may be fitted
        return [
            part if isinstance(part, Influence) else Influence(self.workspace, feature)  # an import of that name
            for feature, part in zip(self.features, found)
        ]


def _all_scores(ranking: Influence | SummedInfluence, candidates: str | None) -> Iterator[np.ndarray]:
    for at in range(0, len(ranking.targets), _BATCH):
        targets = ranking.targets[at : at + _BATCH]
        for target, scores in zip(targets.tolist(), ranking.scores_of(targets)):
            pool = ranking.candidates(target, candidates)
            dense = np.zeros_like(scores)
            dense[pool] = scores[pool]
            yield dense


def names(workspace: Workspace) -> list[str]:
    """Names of the influence rankings of a workspace: one of each feature set whose head's Hessian can be factored, and
    `influence-all` where there are several learned ones of these."""
    features = _features(workspace)
    several = ALL not in features and len(_learned(features)) > 1
    return [f"{PREFIX}-{feature}" for feature in features] + [f"{PREFIX}-{ALL}"] * several


def load(workspace: Workspace, name: str) -> Ranking:
    """The ranking `name`, one of `names`."""
    feature = name.removeprefix(f"{PREFIX}-")
    features = _features(workspace)
    return Influence(workspace, feature) if feature in features else SummedInfluence(workspace, _learned(features))


def _features(workspace: Workspace) -> list[str]:
    """The feature sets whose scores take milliseconds: conjugate gradients for a wider one take seconds a target."""
    classes = len(workspace.classes)
    sizes = {feature: (feature_dim(workspace, feature) + 1) * classes for feature in workspace.features()}
    return [feature for feature, size in sizes.items() if size <= MAX_FACTORED]


def _learned(features: list[str]) -> list[str]:
    return [feature for feature in features if feature != "pixels"]
