"""By how much does a target's margin fall without a ranking's first images, compared with random ones?

Of each target the first share of all training images is removed, and beside it as many random images of the same
classes, and as many of any class. A head is refitted after each removal, which is exact. For a network it takes
trainings, and only those are read that the store has already: without the images, without the random ones and with
nothing edited, under the seeds of a retraining.
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.experiments.prefixes import random_controls
from attribution.experiments.spec import SEEDS
from attribution.metrics.margin_removal import compare_falls
from attribution.rankings import default_rankings
from attribution.store.results import ResultStore
from attribution.training.edits import Edit, no_edit, remove
from attribution.training.head.recipe import is_head
from attribution.workspace import heads
from attribution.workspace.parts import Part, Progress
from attribution.workspace.workspace import Workspace

STORED = Part("removal", "removal.json")
PART = STORED.name
SHARE, N_TARGETS, DRAWS, SEED = 0.01, 200, 5, 0
#: margins of some targets after an edit, float64 [targets]; None where they are not known
Margins = Callable[[Edit, np.ndarray], np.ndarray | None]


def compute(
    workspace: Workspace,
    store: ResultStore,
    names: list[str] | None = None,
    share: float = SHARE,
    n_targets: int = N_TARGETS,
    draws: int = DRAWS,
    seed: int = SEED,
    progress: Progress = lambda *at: None,
) -> dict:
    """Removes the first `share` of the training images by each ranking, of `n_targets` validation images that all rank,
    drawn by `seed`; `draws` random sets of either kind stand beside each.

    {"recipe", "recipe_hash", "share", "k": images, "targets", "draws", "seed", "seeds": of each training, None of a
    head, "rankings": {NAME: {"removed": mean number of images, "same_classes", "any_class": `compare_falls` with random
    images of the same classes, and of any (None of a network)}}}. A signed ranking may have fewer than k images at its
    helpful end. Raises UserError where no target is ranked by all, and for a network where fewer than two targets have
    all the trainings that it takes.
    """
    rankings = [workspace.ranking(name) for name in dict.fromkeys(names or default_rankings(workspace))]
    k, exact = max(1, round(share * workspace.n_train)), is_head(workspace.recipe)
    targets = np.arange(workspace.n_val)
    for ranking in rankings:
        targets = np.intersect1d(targets, ranking.targets)
    if not len(targets):
        raise UserError("no target is ranked by all of these; name fewer rankings")
    if k >= workspace.n_train:
        raise UserError(f"{k} of {workspace.n_train} training images leave none to train on; give a smaller --share")
    targets = np.sort(np.random.default_rng(seed).permutation(targets)[:n_targets])
    margins = _refitted(workspace) if exact else _stored(workspace, store)
    whole = margins(no_edit(), targets)
    # images of any class are the same for all targets: a few refits
    any_sets = [remove(ids) for ids in _random_sets(workspace.n_train, k, draws, seed)] if exact else []
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        any_class = [margins(edit, targets) for edit in any_sets]
        rows, total = {}, len(rankings) * len(targets)
        for ranking in rankings:
            falls, matched, counts = np.full(len(targets), np.nan), np.full((len(targets), draws), np.nan), []
            for at, target in enumerate(targets):
                progress("removals", len(rows) * len(targets) + at, total)
                edit = remove(ranking.top(int(target), k).ids)
                counts.append(edit.k)
                found = [margins(edit, targets[[at]])]
                found += [margins(control, targets[[at]]) for control in random_controls(workspace, edit, draws)]
                if whole is not None and all(margin is not None for margin in found):
                    falls[at], *matched[at] = (whole[at] - margin[0] for margin in found if margin is not None)
            rows[ranking.name] = {
                "removed": float(np.mean(counts)),
                "same_classes": compare_falls(falls, matched),
                "any_class": compare_falls(falls, whole[:, None] - np.stack(any_class, 1)) if exact else None,
            }
        progress("removals", total, total)
    if not exact:
        _check_known(workspace, rows, k, len(targets), draws)
    return {
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "share": share,
        "k": k,
        "targets": len(targets),
        "draws": draws,
        "seed": seed,
        "seeds": None if exact else list(SEEDS),
        "rankings": rows,
    }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "removal"; provenance, record: as `Part.save`."""
    STORED.save_answer(workspace, answer, provenance, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer, as `Part.load_answer`."""
    return STORED.load_answer(workspace)


def _refitted(workspace: Workspace) -> Margins:
    trainer = heads.make_trainer(workspace, workspace.recipe)
    head = trainer.head

    def margins(edit: Edit, targets: np.ndarray) -> np.ndarray:
        keep, _ = edit.apply(head.labels)
        return head.margins(head.refit(keep), trainer.val[targets], trainer.val_labels[targets])

    return margins


def _stored(workspace: Workspace, store: ResultStore) -> Margins:
    recipe = workspace.get_recipe().hash

    def margins(edit: Edit, targets: np.ndarray) -> np.ndarray | None:
        known = []
        for seed in SEEDS:
            retraining = store.get(store.key(recipe, edit, seed))
            if retraining is None:
                return None
            known.append(retraining.margins[targets].astype(float))
        return np.mean(known, 0)

    return margins


def _random_sets(n_train: int, k: int, draws: int, seed: int) -> list[np.ndarray]:
    return [np.random.default_rng([seed, draw]).choice(n_train, k, replace=False) for draw in range(draws)]


def _check_known(workspace: Workspace, rows: dict, k: int, n_targets: int, draws: int) -> None:
    known = {name: row["same_classes"]["fall"]["n"] for name, row in rows.items()}
    if min(known.values()) < 2:
        trainings = (sum(n_targets - n for n in known.values()) * (1 + draws) + 1) * len(SEEDS)
        name = min(known, key=lambda name: known[name])
        raise UserError(
            f"under {workspace.recipe} this reads stored trainings, and {name} has them for {known[name]} of "
            f"{n_targets} targets; all would take up to {trainings:,} trainings, so choose a head with "
            f"--model {next(iter(heads.names(workspace)), 'head-moco')}, or train single targets with: "
            f"python -m attribution retrain --target N --ranking {name} --remove-top {k} --draws {draws}"
        )
