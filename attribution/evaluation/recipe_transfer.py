"""Architecture transfer: the same rankings judged under several recipes, on targets that are stable in all of them.

Supports under different recipes are not comparable as numbers: another network may be harder to flip altogether. Put
side by side they show whether what a ranking is worth under one, beside the random control, it is worth under the next.
An edit is the same under every recipe: a ranking's order, and the label that relabelling gives, are the workspace's.
"""

import numpy as np

from attribution.errors import UserError
from attribution.experiments.spec import UNEDITED_SEEDS
from attribution.experiments.study import Study, read_study
from attribution.explore.targets import draw_stable_targets, stable_targets
from attribution.metrics import support_curves
from attribution.training import recipes
from attribution.training.edits import no_edit
from attribution.workspace.base_models import agreement_status


def check_recipes(names: list[str]) -> list[str]:
    """`names` of recipes. Raises UserError for an unknown one, a repeated one, and for fewer than two."""
    for name in names:
        recipes.get_recipe(name)
    if len(set(names)) < max(2, len(names)):
        raise UserError(f"a comparison needs at least two different recipes; there is {', '.join(recipes.NAMES)}")
    return list(names)


def target_statuses(workspace, store, recipe: str) -> np.ndarray | None:
    """`BaseModels.target_status` of every target under a recipe, str [n_val]: by the base models where it is the workspace's,
    else by the trainings of `unedited_spec`; None as long as one of these is missing."""
    if recipe == workspace.recipe:
        return workspace.base.statuses
    hash_ = recipes.get_recipe(recipe).hash
    found = [store.get(store.key(hash_, no_edit(), seed)) for seed in UNEDITED_SEEDS]
    if any(one is None for one in found):
        return None
    return agreement_status(sum((one.predicted == workspace.val_labels).astype(int) for one in found), len(found))


def draw_common_targets(workspace, store, names: list[str], count: int, seed: int) -> list[int]:
    """The first `count` targets, in the order of `targets.draw_stable_targets`, that are stable under all these recipes: a
    study of the workspace's recipe has the first of them already.

    Raises UserError where there are fewer, and where a recipe's models are still to be trained."""
    kept = np.ones(workspace.n_val, bool)
    for name in names:
        found = target_statuses(workspace, store, name)
        if found is None:
            raise UserError(f"no models of {name} are trained on the unedited images yet; run the study first")
        kept &= found == "stable"
    every = [target for target in draw_stable_targets(workspace, len(stable_targets(workspace)), seed) if kept[target]]
    if not 1 <= count <= len(every):
        raise UserError(
            f"{count} targets were asked for and {len(every)} are stable under {' and '.join(names)}; "
            f"give 1 to {len(every)}"
        )
    return every[:count]


def studied_recipes(workspace, store) -> list[str]:
    """Names of the recipes that some study is of, the workspace's first."""
    asked = {job.spec["recipe"] for job in store.studies()} & set(recipes.NAMES)
    return [workspace.recipe, *sorted(asked - {workspace.recipe})]


def common_studies(workspace, store, names: list[str], protocol: str | None = None) -> dict[str, Study]:
    """recipe -> its study, cut to the targets that are stable under all of them and in the studies of all, for the
    kinds and rankings that all have. protocol: None means that of the newest study under another recipe."""
    if protocol is None:
        others = [job.spec for job in store.studies() if job.spec["recipe"] in set(names) - {workspace.recipe}]
        protocol = others[0]["protocol"] if others else None
    found = {name: read_study(workspace, store, protocol, name) for name in check_recipes(names)}
    fits = [target_statuses(workspace, store, name) for name in names]
    if any(one is None for one in fits) or len({one.k_max for one in found.values()}) > 1:
        return {name: Study(one.k_max, one.protocol) for name, one in found.items()}
    sure = set(np.flatnonzero(np.all([one == "stable" for one in fits], axis=0)).tolist())
    first, *others = found.values()
    tables: dict[str, dict] = {name: {} for name in names}
    for kind, rankings in first.tables.items():
        for ranking, results in rankings.items():
            all_of = [results, *(other.tables.get(kind, {}).get(ranking, {}) for other in others)]
            common = sorted(sure.intersection(*all_of))
            if common:
                for name, one in zip(names, all_of):
                    tables[name].setdefault(kind, {})[ranking] = {target: one[target] for target in common}
    return {name: Study(one.k_max, one.protocol, tables[name], one.job) for name, one in found.items()}


def transfer_report(workspace, store, names: list[str], protocol: str | None = None) -> dict:
    """`evaluate transfer`: {"K", "protocol", "recipes": {name: {"hash", "kinds": as in `evaluate supports`}}}."""
    found = common_studies(workspace, store, names, protocol)
    first = next(iter(found.values()))
    return {
        "K": first.k_max,
        "protocol": first.protocol,
        "planted": workspace.planted,
        "recipes": {
            name: {
                "hash": recipes.get_recipe(name).hash,
                "kinds": {
                    kind: support_curves.compare_rankings(rankings, one.k_max) for kind, rankings in one.tables.items()
                },
            }
            for name, one in found.items()
        },
    }
