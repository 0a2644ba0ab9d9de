"""A ranking among other candidates than those of the published method: `trak-10@true`, `esvm-moco@all`.

Such a ranking is not listed; `conditioning` loads it by name, to measure what the candidates change.
"""

from attribution.rankings.base import Ranking

CANDIDATES_MARK = "@"


class RankingAmong(Ranking):
    """`inner` with `which` as its default candidates; see `Ranking.candidates`."""

    def __init__(self, inner: Ranking, which: str):
        super().__init__(inner.workspace)
        self.inner, self.which = inner, which
        self.name = f"{inner.name}{CANDIDATES_MARK}{which}"
        self.method, self.signed, self.complete, self.live = inner.method, inner.signed, inner.complete, inner.live
        self.conditioned, self.made_for = which == "true", inner.made_for
        self.about = f"{inner.about} · candidates: {which}"

    @property
    def version(self):
        """The version of `inner`; for "pair", whose classes depend on the base models, theirs too."""
        base = self.workspace.manifest["parts"].get("base", {}).get("digest") if self.which == "pair" else None
        return "+".join(filter(None, [self.inner.version, base])) or None

    @property
    def targets(self):
        return self.inner.targets

    def candidates(self, target, which=None):
        return self.inner.candidates(target, which or self.which)

    def values(self, target, candidates):
        return self.inner.values(target, candidates)

    def top(self, target, k, candidates=None, end="helpful"):
        return self.inner.top(target, k, candidates or self.which, end)

    def scores(self, target, candidates=None):
        return self.inner.scores(target, candidates or self.which)

    def all_scores(self, candidates=None):
        return self.inner.all_scores(candidates or self.which)
