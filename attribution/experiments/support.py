"""The support of one target: how few of a ranking's first images have to go until the prediction changes."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.experiments import adaptive_search, support_search, support_table
from attribution.experiments.estimate import JobCost, cost_of
from attribution.experiments.prefixes import build_edit, check_groups, check_support_kind, edit_steps
from attribution.experiments.replay import replay_search
from attribution.experiments.spec import SEEDS, UNEDITED_SEEDS, Search, Spec, common_fields, needed_seeds
from attribution.rankings.base import check_k
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit
from attribution.training.head.recipe import is_head
from attribution.workspace.base_models import agreement_status, base_of_recipe
from attribution.workspace.workspace import Workspace

PROTOCOLS = ("default", "adaptive", "paper")


@dataclass(frozen=True, kw_only=True, eq=False)
class SupportSpec(Spec):
    """Find one target's support under a ranking.

    kind: "remove", "mislabel" or "repair"; protocol: one of PROTOCOLS; k_max: the largest k tried; groups: a
    `near_duplicates.grouping_spec`, each image goes with its near-duplicates and k counts such groups; without:
    training images that are passed over.
    """

    verb = "support"

    target: int
    ranking: str
    kind: str
    protocol: str
    k_max: int
    groups: dict | None = None
    without: list[int] | None = None

    def describe(self) -> str:
        """As `Spec.describe`."""
        along = " with near-duplicates" if self.groups else ""
        return f"target {self.target}: {self.kind} support of {self.ranking}{along}"

    def steps(self, workspace: Workspace) -> list[np.ndarray]:
        """What each further k edits, in order: see `prefixes.edit_steps`."""
        workspace = workspace.with_model(self.model)
        return edit_steps(workspace, self.ranking, self.target, self.kind, self.k_max, self.groups, self.without or ())

    def search(self, workspace: Workspace) -> Search:
        """The search, which returns its `support_search.Support` as a dict; with groups also "images", how many
        training images the support holds."""
        if is_head(self.recipe):
            return (yield [self])[0]
        workspace = workspace.with_model(self.model)
        parts, label = self.steps(workspace), workspace.val_labels[self.target]
        prediction, noise = yield from self._unedited(workspace)
        options = {"already_wrong": prediction == "already_wrong", "repair": self.kind == "repair"}
        if workspace.get_recipe(self.recipe).deterministic:
            options |= {"seeds": SEEDS[:1], "confirm_seeds": ()}
        if self.protocol == "adaptive":
            search = adaptive_search.search(label, len(parts), noise=noise, **options)
        else:
            search = support_search.search(label, len(parts), protocol=self.protocol, **options)
        outcomes = None
        while True:
            try:
                request = search.send(outcomes)
            except StopIteration as stop:
                answer = dataclasses.asdict(stop.value)
                if self.groups:
                    answer["images"] = answer["hi"] and sum(map(len, parts[: answer["hi"]]))
                return answer
            edit = build_edit(
                workspace, self.target, self.kind, np.concatenate(parts[: request.k] or [np.zeros(0, np.int64)])
            )
            results = yield [(edit, seed) for seed in request.seeds]
            outcomes = [
                support_search.TargetOutcome(
                    seed, int(result.predicted[self.target]), float(result.margins[self.target])
                )
                for seed, result in zip(request.seeds, results)
            ]

    def _unedited(self, workspace) -> Search:
        """What the models of the unedited images say of the target: its status and the margins' noise over seeds (see
        `BaseModels`). They are base models that the recipe which retrains has made, or else as many trainings of it."""
        if base := base_of_recipe(workspace, self.recipe, self.recipe_hash):
            weighs_margins = self.protocol == "adaptive"  # a single base model, enough otherwise, has no noise
            return base.target_status(self.target), base.noise if weighs_margins else None
        models = yield [(no_edit(), seed) for seed in needed_seeds(workspace, self.recipe, UNEDITED_SEEDS)]
        right = sum(model.predicted[self.target] == workspace.val_labels[self.target] for model in models)
        if len(models) < 2:
            return agreement_status(right, len(models)), 0.0
        spread = np.nanvar([model.margins.astype(float) for model in models], axis=0, ddof=1)
        return agreement_status(right, len(models)), float(np.sqrt(np.nanmean(spread)))

    def search_and_save(self, workspace: Workspace, store: ResultStore) -> Search:
        """`search`, and its answer stored."""
        answer = yield from self.search(workspace)
        version = workspace.with_model(self.model).ranking(self.ranking).version_of(self.target)
        support_table.save(store, self, version, answer)

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`."""
        yield self.search_and_save(workspace, store)

    def bounds(self) -> tuple[int, int]:
        """Fewest and most trainings of the search: censored at once, or bisected to the end and confirmed."""
        if self.protocol == "adaptive":
            return adaptive_search.FIRST_TRAININGS, adaptive_search.MAX_TRAININGS
        bisections = min(support_search.MAX_BISECTIONS, math.ceil(math.log2(self.k_max))) if self.k_max > 1 else 0
        most = (1 + bisections) * len(SEEDS)
        if self.protocol == "paper":
            return len(SEEDS), most
        return len(SEEDS) // 2 + 1, most + 2 * len(support_search.CONFIRM_SEEDS)

    def cost(self, workspace: Workspace, store: ResultStore) -> JobCost:
        """As `Spec.cost`."""
        played = replay_search(workspace, store, self)
        bounds = (played.trained, played.trained) if played.answer else self.bounds()
        return cost_of(workspace, store, self.recipe_hash, *bounds, played.trained)

    def answer(self, workspace: Workspace, store: ResultStore) -> dict | None:
        """The answer, one that the workspace brings included: see `support_table.load`."""
        return support_table.load(workspace, store, self)


def support_spec(
    workspace: Workspace,
    target: int,
    ranking: str,
    kind: str,
    protocol: str = "default",
    k_max: int = support_search.DEFAULT_K_MAX,
    *,
    groups: dict | None = None,
    recipe: str | None = None,
) -> SupportSpec:
    """Find one target's support. groups: a `near_duplicates.grouping_spec`: each image is removed with its
    near-duplicates, and k counts such groups. recipe: by name, the workspace's if not given. Raises UserError for a
    target, ranking, kind, protocol or recipe that does not fit the workspace, and where there are no base models to say
    what the target was taken for."""
    protocol = search_protocol(workspace, protocol, recipe)
    workspace.ranking(ranking)
    check_groups(check_support_kind(kind), groups)
    return SupportSpec(
        **common_fields(workspace, recipe),
        target=workspace.check_target(target),
        ranking=ranking,
        kind=kind,
        protocol=protocol,
        k_max=check_k(k_max),
        groups=groups or None,
    )


def check_protocol(protocol: str) -> str:
    """`protocol`. Raises UserError when it is not one of a support search."""
    if protocol not in PROTOCOLS:
        raise UserError(f"protocol {protocol!r} is not known; say {', '.join(PROTOCOLS[:-1])} or {PROTOCOLS[-1]}")
    return protocol


def search_protocol(workspace: Workspace, protocol: str, recipe: str | None = None) -> str:
    """The protocol to search by: the one asked for, but "default" for a deterministic recipe, of which one training
    says all. Raises UserError where supports cannot be searched so: without base models, or without the noise that the
    adaptive one needs."""
    workspace.check_base()
    check_protocol(protocol)
    if workspace.get_recipe(recipe).deterministic:
        return "default"
    if protocol == "adaptive" and not workspace.base.noise > 0:
        raise UserError(
            "the adaptive protocol weighs margins by how much base models differ, and these do not; "
            "bring more of them, or ask for the default protocol"
        )
    return protocol
