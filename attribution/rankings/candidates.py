"""A ranking among other candidates than those of the published method: `trak-10@true`, `esvm-moco@all`.

Such a ranking is not listed; `candidate_sets` loads it by name, to measure what the candidates change.
"""

from attribution.rankings.base import Ranking

CANDIDATES_MARK = "@"


class RankingAmong(Ranking):
    """The ranking `inner` with `candidate_set` as its default candidates; see `Ranking.candidates`."""

    def __init__(self, inner: Ranking, candidate_set: str):
        super().__init__(inner.workspace)
        self.inner, self.candidate_set = inner, candidate_set
        self.name = f"{inner.name}{CANDIDATES_MARK}{candidate_set}"
        self.method, self.signed, self.complete, self.live = inner.method, inner.signed, inner.complete, inner.live
        self.by_target = inner.by_target
        self.conditioned, self.made_for = candidate_set == "true", inner.made_for
        self.description = f"{inner.description} · candidates: {candidate_set}"

    @property
    def version(self):
        """The version of `inner`; for "pair", whose classes depend on the base models, theirs too."""
        return "+".join(filter(None, [self.inner.version, self._base_version()])) or None

    def _base_version(self):
        return self.workspace.manifest["parts"].get("base", {}).get("digest") if self.candidate_set == "pair" else None

    def version_of(self, target):
        """See `Ranking.version_of`."""
        return "+".join(filter(None, [self.inner.version_of(target), self._base_version()])) or None

    @property
    def targets(self):
        """See `Ranking.targets`."""
        return self.inner.targets

    def missing(self, target):
        """See `Ranking.missing`."""
        return self.inner.missing(target)

    def description_of(self, target):
        """See `Ranking.description_of`."""
        return f"{self.inner.description_of(target)} · candidates: {self.candidate_set}"

    def candidates(self, target, candidate_set=None):
        """See `Ranking.candidates`."""
        return self.inner.candidates(target, candidate_set or self.candidate_set)

    def values(self, target, candidates):
        """See `Ranking.values`."""
        return self.inner.values(target, candidates)

    def top(self, target, k, candidates=None, end="helpful"):
        """See `Ranking.top`."""
        return self.inner.top(target, k, candidates or self.candidate_set, end)

    def scores(self, target, candidates=None):
        """See `Ranking.scores`."""
        return self.inner.scores(target, candidates or self.candidate_set)

    def all_scores(self, candidates=None):
        """See `Ranking.all_scores`."""
        return self.inner.all_scores(candidates or self.candidate_set)
