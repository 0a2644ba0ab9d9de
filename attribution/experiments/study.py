"""A study: the supports of many targets under several rankings, and the answers of all studies in one table.

A support found on a target that somebody picked is no draw: it would bias the comparison, and is left out here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from attribution.errors import UserError
from attribution.experiments import support_table
from attribution.experiments.estimate import StudyCost, default_workers, median_training_seconds
from attribution.experiments.prefixes import SUPPORT_KINDS, check_support_kind
from attribution.experiments.spec import SEEDS, Search, Spec, common_fields, needed_seeds, request
from attribution.experiments.support import SupportSpec, search_protocol
from attribution.experiments.support_search import DEFAULT_K_MAX, Support
from attribution.rankings.base import check_k
from attribution.store.queue import Job
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit
from attribution.training.head.recipe import is_head
from attribution.workspace.kept import once
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

STUDY_SEED = 7  # draws the targets of a study where nobody says otherwise


@dataclass(frozen=True, kw_only=True, eq=False)
class StudySpec(Spec):
    """Find the supports of `targets` under `rankings` for `kinds` of edit; protocol, k_max: as of a `SupportSpec`."""

    verb = "study"
    long = True

    targets: list[int]
    rankings: list[str]
    kinds: list[str]
    protocol: str
    k_max: int

    def describe(self) -> str:
        """As `Spec.describe`."""
        return f"study: {len(self.targets)} targets, {', '.join(self.rankings)}, {' and '.join(self.kinds)}"

    @property
    def total(self) -> int:
        """As `Spec.total`."""
        return 1 + len(self.supports())

    def supports(self) -> list[SupportSpec]:
        """Its support searches, target by target, so that a study cut short holds whole targets."""
        shared = {name: getattr(self, name) for name in ("workspace", "recipe", "hash", "model", "protocol", "k_max")}
        return [
            SupportSpec(**shared, target=target, ranking=ranking, kind=kind)
            for target in self.targets
            for kind in self.kinds
            for ranking in self.rankings
        ]

    def searches(self, workspace: Workspace, store: ResultStore) -> Iterator[Search]:
        """As `Spec.searches`."""
        control = [] if is_head(self.recipe) else needed_seeds(workspace, self.recipe, SEEDS)
        yield request([(no_edit(), seed) for seed in control])  # the control that all probes share
        supports = self.supports()
        answered = support_table.is_answered(self._known(workspace, store), supports)
        for spec, known in zip(supports, answered):
            yield request([]) if known else spec.search_and_save(workspace, store)

    def cost(self, workspace: Workspace, store: ResultStore, answers: "pd.DataFrame | None" = None) -> StudyCost:
        """What the study costs. answers: `support_table.load_support_table` of the store, where it was read already."""
        supports = self.supports()
        answers = self._known(workspace, store) if answers is None else answers
        answers = answers[
            (answers.protocol == self.protocol) & (answers.k_max == self.k_max) & answers.kind.isin(self.kinds)
        ]
        means = {
            **answers.groupby("kind").trainings.mean(),
            **answers.groupby(["kind", "ranking"]).trainings.mean(),
        }
        answered = support_table.is_answered(answers, supports)
        trainings = sum(
            means.get((spec.kind, spec.ranking), means.get(spec.kind, sum(spec.bounds()) / 2))
            for spec, known in zip(supports, answered)
            if not known
        )
        each = median_training_seconds(workspace, store, self.recipe_hash)
        return StudyCost(len(supports), sum(answered), float(trainings), len(answers), each, default_workers())

    def _known(self, workspace, store):
        seen = workspace.with_model(self.model)
        return support_table.load_support_table(seen, store, self.recipe, self.recipe_hash, traces=False)


def study_spec(
    workspace: Workspace,
    targets: list[int],
    rankings: list[str],
    kinds: list[str],
    protocol: str = "default",
    k_max: int = DEFAULT_K_MAX,
    recipe: str | None = None,
) -> StudySpec:
    """Find the supports of many targets under several rankings and kinds. Raises UserError as `support_spec` does, and
    where repairs are asked for together with other kinds: they are of other targets."""
    protocol = search_protocol(workspace, protocol, recipe)
    if "repair" in kinds and len(set(kinds)) > 1:
        raise UserError("repairs are of wrong targets, the other kinds of right ones; make two studies")
    if not (targets and rankings and kinds):
        raise UserError("a study needs at least one target, one ranking and one kind")
    for ranking in rankings:
        workspace.ranking(ranking)
    return StudySpec(
        **common_fields(workspace, recipe),
        targets=[workspace.check_target(target) for target in targets],
        rankings=list(rankings),
        kinds=[check_support_kind(kind) for kind in kinds],
        protocol=protocol,
        k_max=check_k(k_max),
    )


@dataclass
class Study:
    """tables: kind -> ranking -> {target: Support, or None while unfinished}; job: the study under way or paused, or
    None."""

    k_max: int
    protocol: str
    tables: dict[str, dict[str, dict[int, Support | None]]] = field(default_factory=dict)
    job: Job | None = None

    @cached_property
    def version(self) -> str:
        """Changes whenever a result does."""
        return repr(
            [
                (kind, name, sorted((target, row and (row.status, row.support)) for target, row in supports.items()))
                for kind, rankings in self.tables.items()
                for name, supports in rankings.items()
            ]
        )


def read_study(
    workspace: Workspace, store: ResultStore, protocol: str | None = None, recipe: str | None = None
) -> Study:
    """The study a workspace brings, together with those asked for since (jobs in the store).

    Of a study under way or paused every target is in, unfinished or not; of one that was cut short, those with all its
    searches done: the others would bias it, for targets that never flip are done first. Where there are several K, it
    is the usual one if that is among them, else the one most answers have. protocol and recipe (by name): None means
    the workspace's usual ones.
    """
    protocol = protocol or support_table.default_protocol(workspace)
    recipe = recipe or workspace.recipe
    asked = ("study", id(workspace), id(store), protocol, recipe)
    return once(asked, lambda: _read_study(workspace, store, protocol, recipe))


def _read_study(workspace, store, protocol, recipe) -> Study:
    bundled = support_table.load_support_table(workspace, recipe=recipe, traces=False, protocol=protocol)
    jobs = [(job, StudySpec.from_json(job.spec)) for job in store.studies()]
    jobs = [
        (job, spec)
        for job, spec in jobs
        if spec.protocol == protocol and spec.recipe == recipe and spec.model == workspace.model
    ]
    sizes = Counter([int(k) for k in bundled.k_max]) + Counter(spec.k_max for _, spec in jobs)
    k_max = DEFAULT_K_MAX if DEFAULT_K_MAX in sizes or not sizes else sizes.most_common(1)[0][0]

    targets: dict[tuple[str, str], set[int]] = {}
    for pair, studied in bundled[bundled.k_max == k_max].groupby(["kind", "ranking"], sort=False).target:
        targets[pair] = set(studied.tolist())
    jobs = [(job, spec) for job, spec in jobs if spec.k_max == k_max]
    known = load_supports(workspace, store, protocol, k_max, recipe)
    for job, spec in jobs:
        pairs = [(kind, ranking) for kind in spec.kinds for ranking in spec.rankings]
        whole = {
            target
            for target in spec.targets
            if not job.has_ended or all(target in known[kind].get(ranking, {}) for kind, ranking in pairs)
        }
        for pair in pairs:
            if whole:
                targets.setdefault(pair, set()).update(whole)

    unfinished = sorted((job for job, _ in jobs if not job.has_ended), key=lambda job: not job.is_open)
    result = Study(k_max, protocol, job=unfinished[0] if unfinished else None)
    order = workspace.rankings()
    for kind in SUPPORT_KINDS:
        names = [name for studied_kind, name in targets if studied_kind == kind]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        if names:
            result.tables[kind] = {
                name: {target: known.get(kind, {}).get(name, {}).get(target) for target in sorted(targets[kind, name])}
                for name in names
            }
    return result


def only_rankings(study: Study, names: Iterable[str]) -> Study:
    """The study of these rankings alone, without kinds that none of them was studied for."""
    tables = {
        kind: {name: supports for name, supports in table.items() if name in names}
        for kind, table in study.tables.items()
    }
    return replace(study, tables={kind: table for kind, table in tables.items() if table})


def select_rankings(workspace: Workspace, study: Study, names: list[str] | None = None) -> Study:
    """The study of the named rankings alone.

    names: None means all that the workspace lists: a ranking that is there to be measured alone (`rankings.names`)
    would stand beside itself, and every p is corrected for all pairs. Raises UserError for a ranking not studied.
    """
    if names is None:
        return only_rankings(study, workspace.rankings())
    studied = dict.fromkeys(name for table in study.tables.values() for name in table)
    for name in names:
        if name not in studied:
            raise UserError(
                f"{name} was not studied under the protocol {study.protocol}; there is "
                f"{', '.join(studied) or 'no study'}"
            )
    return only_rankings(study, names)


def load_supports(
    workspace: Workspace,
    store: ResultStore | None = None,
    protocol: str = "default",
    k_max: int = DEFAULT_K_MAX,
    recipe: str | None = None,
    answers: "pd.DataFrame | None" = None,
) -> dict[str, dict[str, dict[int, Support]]]:
    """kind -> ranking -> {target: Support}: the answers a workspace brings and, with a store, those found since, under
    a recipe, the workspace's if not given. answers: `support_table.load_support_table` of these, where it was read
    already. Their traces are left out."""
    if answers is None:
        answers = support_table.load_support_table(workspace, store, recipe, traces=False)
    answers = answers[(answers.protocol == protocol) & (answers.k_max == k_max)]
    tables: dict = {kind: {} for kind in SUPPORT_KINDS}
    sizes = (answers[name].to_numpy(object, na_value=None) for name in support_table.SIZE_COLUMNS)
    names = ("kind", "ranking", "target", "status", "trainings")
    for kind, ranking, target, status, trainings, *ends in zip(*(answers[name].tolist() for name in names), *sizes):
        size, lo, hi = (None if end is None else int(end) for end in ends)
        tables[kind].setdefault(ranking, {})[int(target)] = Support(status, size, lo, hi, trainings=int(trainings))
    return tables
