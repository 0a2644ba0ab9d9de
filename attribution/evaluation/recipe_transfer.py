"""Architecture transfer: the same rankings judged under several recipes, on targets that are stable under all of them.

Support sizes under different recipes are not comparable, because a network may be harder to flip altogether. Side by
side they show whether a ranking that beats the random control under one recipe does so under another. An edit is the
same under every recipe: the ranking's order, and the label that mislabelling gives, are the workspace's.
"""

import numpy as np

from attribution.errors import UserError
from attribution.experiments.spec import UNEDITED_SEEDS
from attribution.experiments.study import Study, read_study
from attribution.explore.targets import draw_stable_targets, stable_targets
from attribution.metrics import support_curves
from attribution.store.results import ResultStore
from attribution.training.edits import no_edit
from attribution.workspace.base_models import agreement_status
from attribution.workspace.workspace import Workspace


def check_recipes(workspace: Workspace, recipe_names: list[str]) -> list[str]:
    """`recipe_names`. Raises UserError for an unknown one, a repeated one, and for fewer than two."""
    for name in recipe_names:
        workspace.get_recipe(name)
    if len(set(recipe_names)) < max(2, len(recipe_names)):
        raise UserError(
            f"a comparison needs at least two different recipes; there is {', '.join(workspace.recipe_names())}"
        )
    return list(recipe_names)


def target_statuses(workspace: Workspace, store: ResultStore, recipe: str) -> np.ndarray | None:
    """`BaseModels.statuses` of every target under a recipe, str [n_val]: by the base models where it is the workspace's
    recipe, else by the trainings of `unedited_spec`; None while one of these is missing."""
    if recipe == workspace.recipe:
        return workspace.base.statuses
    recipe_hash = workspace.get_recipe(recipe).hash
    retrainings = [store.get(store.key(recipe_hash, no_edit(), seed)) for seed in UNEDITED_SEEDS]
    if None in retrainings:
        return None
    right = sum((retraining.predicted == workspace.val_labels).astype(int) for retraining in retrainings)
    return agreement_status(right, len(retrainings))


def draw_common_targets(
    workspace: Workspace, store: ResultStore, recipe_names: list[str], count: int, seed: int
) -> list[int]:
    """The first `count` targets that are stable under all these recipes, in the order of `draw_stable_targets`: a study
    of the workspace's recipe has the first of them already.

    Raises UserError where there are fewer, and where a recipe's models are still to be trained.
    """
    stable = np.ones(workspace.n_val, bool)
    for name in recipe_names:
        statuses = target_statuses(workspace, store, name)
        if statuses is None:
            raise UserError(f"no models of {name} are trained on the unedited images yet; run the study first")
        stable &= statuses == "stable"
    drawn = draw_stable_targets(workspace, len(stable_targets(workspace)), seed)
    common = [target for target in drawn if stable[target]]
    if not 1 <= count <= len(common):
        raise UserError(
            f"{count} targets were asked for and {len(common)} are stable under {' and '.join(recipe_names)}; "
            f"give 1 to {len(common)}"
        )
    return common[:count]


def studied_recipes(workspace: Workspace, store: ResultStore) -> list[str]:
    """Names of the recipes that have a study, the workspace's first."""
    studied = {job.spec["recipe"] for job in store.studies()} & set(workspace.recipe_names())
    return [workspace.recipe, *sorted(studied - {workspace.recipe})]


def common_studies(
    workspace: Workspace, store: ResultStore, recipe_names: list[str], protocol: str | None = None
) -> dict[str, Study]:
    """recipe -> its study, restricted to the kinds and rankings that all have, and to targets that are stable under all
    recipes and in the studies of all. protocol: that of the newest study under another recipe, if not given."""
    if protocol is None:
        others = [job.spec for job in store.studies() if job.spec["recipe"] in set(recipe_names) - {workspace.recipe}]
        protocol = others[0]["protocol"] if others else None
    studies = {name: read_study(workspace, store, protocol, name) for name in check_recipes(workspace, recipe_names)}
    statuses = [target_statuses(workspace, store, name) for name in recipe_names]
    if any(status is None for status in statuses) or len({study.k_max for study in studies.values()}) > 1:
        return {name: Study(study.k_max, study.protocol) for name, study in studies.items()}
    stable = set(np.flatnonzero(np.all([status == "stable" for status in statuses], axis=0)).tolist())
    first, *others = studies.values()
    tables: dict[str, dict] = {name: {} for name in recipe_names}
    for kind, rankings in first.tables.items():
        for ranking, supports in rankings.items():
            by_recipe = [supports, *(other.tables.get(kind, {}).get(ranking, {}) for other in others)]
            common = sorted(stable.intersection(*by_recipe))
            if common:
                for name, results in zip(recipe_names, by_recipe):
                    tables[name].setdefault(kind, {})[ranking] = {target: results[target] for target in common}
    return {name: Study(study.k_max, study.protocol, tables[name], study.job) for name, study in studies.items()}


def report(workspace: Workspace, store: ResultStore, recipe_names: list[str], protocol: str | None = None) -> dict:
    """What `evaluate transfer` prints as JSON: {"K", "protocol", "planted", "recipes": {name: {"hash", "kinds": as in
    `support_report.report`}}}."""
    studies = common_studies(workspace, store, recipe_names, protocol)
    first = next(iter(studies.values()))
    return {
        "K": first.k_max,
        "protocol": first.protocol,
        "planted": workspace.planted,
        "recipes": {
            name: {
                "hash": workspace.get_recipe(name).hash,
                "kinds": {
                    kind: support_curves.compare_rankings(rankings, study.k_max)
                    for kind, rankings in study.tables.items()
                },
            }
            for name, study in studies.items()
        },
    }
