"""Disjoint supports: without the images of the first support, is there a second set that decides the prediction?

Each search goes over the same ranking and passes over the images of the supports before it; the training set is whole
again each time. Where one is censored, the ranking holds no further set up to K, and the chain ends. An unstable
support counts with the images it was measured at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from attribution.errors import UserError
from attribution.experiments.estimate import JobCost, cost_of
from attribution.experiments.spec import Search
from attribution.experiments.support import SupportSpec, support_spec
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

MAX_SUPPORTS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class DisjointSpec(SupportSpec):
    """Find up to `count` supports of one target that share no image."""

    verb = "disjoint"

    count: int

    def describe(self) -> str:
        """As `Spec.describe`."""
        along = " with near-duplicates" if self.groups else ""
        return f"target {self.target}: up to {self.count} disjoint {self.kind} supports of {self.ranking}{along}"

    def chain(self, workspace: Workspace, store: ResultStore) -> list[tuple[SupportSpec, dict | None]]:
        """The searches as far as they are decided, [(spec, its answer)], at least one and at most `count`; the last
        answer is None while that search is still to be done."""
        searches: list[tuple[SupportSpec, dict | None]] = []
        without: list[int] = []
        shared = _support_fields(self)
        while len(searches) < self.count:
            spec = SupportSpec(**shared | {"without": sorted(without) or None})
            answer = spec.answer(workspace, store)
            searches.append((spec, answer))
            if answer is None or answer["support"] is None:
                break
            without += np.concatenate(spec.steps(workspace)[: answer["support"]]).tolist()
        return searches

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`."""
        yield self._one_after_the_other(workspace, store)

    def _one_after_the_other(self, workspace, store) -> Search:
        while (last := self.chain(workspace, store)[-1])[1] is None:
            yield from last[0].search_and_save(workspace, store)

    def cost(self, workspace: Workspace, store: ResultStore) -> JobCost:
        """Of the search that the chain is in, and those after it."""
        searches = self.chain(workspace, store)
        spec, answer = searches[-1]
        if answer:
            return cost_of(workspace, store, self.recipe_hash, 0, 0, 0)
        cost = spec.cost(workspace, store)
        return replace(cost, max_trainings=cost.max_trainings + (self.count - len(searches)) * self.bounds()[1])

    def answer(self, workspace: Workspace, store: ResultStore) -> dict:
        """{"target", "ranking", "kind", "protocol", "k_max", "count", "supports": [an answer a support, as
        `SupportSpec.answer` gives it], "trainings", "complete"}."""
        answers = [answer for _, answer in self.chain(workspace, store)]
        known = [answer for answer in answers if answer is not None]
        return {
            **{name: self[name] for name in ("target", "ranking", "kind", "protocol", "k_max", "count")},
            "supports": known,
            "trainings": sum(answer["trainings"] for answer in known),
            "complete": known == answers,
        }


def disjoint_spec(workspace: Workspace, count: int = MAX_SUPPORTS, **support) -> DisjointSpec:
    """Find up to `count` supports of one target that share no image. support: as `support_spec`, which raises."""
    if not 2 <= count <= MAX_SUPPORTS:
        raise UserError(f"disjoint supports are 2 to {MAX_SUPPORTS}, not {count}; leave it out for the one support")
    return DisjointSpec(**_support_fields(support_spec(workspace, **support)), count=int(count))


def _support_fields(spec: SupportSpec) -> dict:
    return {field.name: getattr(spec, field.name) for field in fields(SupportSpec)}
