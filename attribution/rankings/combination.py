"""Combinations of rankings, `unrolled-5+datamodels-2k`: the sum of their scores, each in units of its own spread.

Each part's scores for a target, those that LDS sums, are centred and divided by their standard deviation over all
training images, and added: where the parts agree is what counts. Nothing is stored but the name, and that where
somebody wants the combination listed (`remember`); every combination of a workspace's rankings can be had by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.rankings.base import Ranking
from attribution.rankings.candidates import CANDIDATES_MARK

if TYPE_CHECKING:
    from attribution.workspace.workspace import Workspace

MARK = "+"
MAX_PARTS = 8
FOLDER = "combinations/"  # of the parts of the manifest that say which combinations are listed


class Combination(Ranking):
    """The standardised sum of several rankings, for the targets that all of them rank. It has a harmful end where all
    of them are signed."""

    method = "Combination"
    live = True

    def __init__(self, workspace: Workspace, parts: list[Ranking]):
        super().__init__(workspace)
        self.parts = parts
        self.name = MARK.join(part.name for part in parts)
        self.signed = all(part.signed for part in parts)
        made_for = [part.made_for for part in parts if part.made_for]
        self.made_for = made_for[0] if made_for else None

    @property
    def description(self) -> str:  # type: ignore[override]
        """See `Ranking.description`; with how many targets all parts rank, where these are not all."""
        some = len(self.targets) < self.workspace.n_val
        few = f"the {len(self.targets):,} targets that all of them rank" if some else ""
        of = f" {MARK} ".join(part.name for part in self.parts)
        return " · ".join(filter(None, [of, "standardised sum", few, "live"]))

    @property
    def version(self):
        """See `Ranking.version`."""
        return MARK.join(f"{part.name}:{part.version}" for part in self.parts)

    @cached_property
    def targets(self) -> np.ndarray:
        """See `Ranking.targets`."""
        shared = self.parts[0].targets
        for part in self.parts[1:]:
            shared = np.intersect1d(shared, part.targets)
        return shared

    def values(self, target, candidates):
        """See `Ranking.values`: NaN for a target that one of the parts does not rank."""
        if target not in self.targets:
            return np.full(len(candidates), np.nan)
        return np.sum([standardised(part.scores(target)) for part in self.parts], axis=0)[candidates]

    def candidates(self, target, candidate_set=None):
        """See `Ranking.candidates`; none for a target that one of the parts does not rank."""
        pool = super().candidates(target, candidate_set)
        return pool if target in self.targets else pool[:0]

    def all_scores(self, candidates=None) -> Iterator[np.ndarray]:
        """See `Ranking.all_scores`."""
        rows = [self._rows(part) for part in self.parts]
        for target, scores in zip(self.targets.tolist(), zip(*rows, strict=True), strict=True):
            total = np.sum([standardised(row) for row in scores], axis=0)
            yield self._contributions(self.candidates(target, candidates), total)

    def _contributions(self, pool: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """`scores` of all training images as what each adds to a prediction, as in `Ranking.scores`."""
        dense = np.zeros(len(scores))
        dense[pool] = scores[pool] - (0 if self.signed else scores[pool].min(initial=np.inf))
        return dense

    def _rows(self, part: Ranking) -> Iterator[np.ndarray]:
        """A part's scores for the targets of all, in order."""
        if len(part.targets) == len(self.targets):
            return iter(part.all_scores())
        return (part.scores(target) for target in self.targets.tolist())


def standardised(scores: np.ndarray) -> np.ndarray:
    """Scores of all training images for a target, float [n_train], less their mean and divided by their standard
    deviation, float64 of that shape; zeros where all are the same.

    >>> standardised(np.array([1.0, 1.0, 4.0, 2.0])).round(3).tolist()
    [-0.816, -0.816, 1.633, 0.0]
    """
    centred = np.asarray(scores, np.float64) - np.mean(scores, dtype=np.float64)
    spread = centred.std()
    return centred / spread if spread > 0 else np.zeros_like(centred)


def names(workspace: Workspace) -> list[str]:
    """The combinations that are listed: those that somebody named for it and whose rankings all exist."""
    from attribution.rankings import part_names

    known = part_names(workspace)
    named = [part.removeprefix(FOLDER) for part in workspace.manifest["parts"] if part.startswith(FOLDER)]
    return [name for name in named if known.issuperset(name.split(MARK))]


def load(workspace: Workspace, name: str) -> Combination:
    """The combination `name`, "A+B": of rankings of the workspace. Raises UserError where a part does not exist, is
    named twice or keeps only its first images, and where no target is ranked by all."""
    from attribution.rankings.unrolled import on_demand

    words = name.split(MARK)
    if CANDIDATES_MARK in name:
        raise UserError(
            f"{name!r} names candidates inside a combination; name them at its end, as in A+B{CANDIDATES_MARK}true"
        )
    if not 2 <= len(words) <= MAX_PARTS or not all(words) or len(set(words)) < len(words):
        raise UserError(
            f"{name!r} is no combination; join 2 to {MAX_PARTS} different rankings, as in trak-10+influence-all"
        )
    parts = []
    for word in words:
        try:
            parts.append(workspace.ranking(word))
        except UserError as error:
            raise UserError(f"{name} cannot be had: {error}") from None
        if word == on_demand.NAME:
            raise UserError(
                f"{name} cannot be had: {word} has scores of a target only once they were asked for; take a ranking "
                "that is stored"
            )
        if not parts[-1].complete:
            raise UserError(
                f"{name} cannot be had: {word} keeps only the first images of each target, and a combination needs "
                "every score; import it again with --dense"
            )
    found = Combination(workspace, parts)
    if not len(found.targets):
        raise UserError(f"{name} cannot be had: no target is ranked by all of {', '.join(words)}; choose others")
    return found


def remember(workspace: Workspace, name: str, provenance: dict) -> Combination:
    """Lists a combination among the workspace's rankings from now on. Raises UserError as `load`."""
    found = load(workspace, name)
    workspace.check_can_add(FOLDER + name)
    workspace.add_part(FOLDER + name, {"members": [part.name for part in found.parts], **provenance})
    return found


def forget(workspace: Workspace, name: str) -> None:
    """Takes a combination out of the list. Raises UserError where it is not listed, and where it came with a workspace
    that may not be written to."""
    if FOLDER + name not in workspace.manifest["parts"]:
        raise UserError(f"{workspace.name} lists no combination {name}; `info` has the rankings that it lists")
    workspace.remove_part(FOLDER + name)
