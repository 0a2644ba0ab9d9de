"""Computing what a workspace holds: base models, features, models on random halves, TRAK, Datamodels.

Long work is resumable: base models, half-models and self-supervised networks are kept under the data folder, or in the
result store, and are not trained twice. Functions that store put provenance beside what they store.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.builds.base_models import BASE_SEEDS, load_base_networks, restore_network, train_base_models
from attribution.builds.halves import load_half_margins, train_halves
from attribution.builds.timing import Stopwatch
from attribution.errors import UserError
from attribution.experiments.study import STUDY_SEED
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from attribution.metrics import lds
from attribution.training import recipes
from attribution.workspace.parts import Progress, cached_npz, check_library, ranking_origin, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

#: of the halves that Datamodels is fitted on, at most so many of the last ones tune it and TRAK
MAX_TUNING_HALVES = 200
TUNING_TARGETS = 60


# -- base models


# -- features


# -- models on random halves


# -- rankings


def build_trak(workspace: Workspace, name: str, dim: int, progress: Progress) -> dict:
    """TRAK by dattri on the workspace's base models, stored as `name`. It goes on at the model where it was stopped."""
    importing.check_part_name(workspace, name)
    start = time.perf_counter()
    workspace.check_base()
    seeds, kept = workspace.manifest["parts"]["base"]["seeds"], scratch_folder(workspace, "trak")
    scores = trak_score_reader(workspace, len(seeds), dim, kept, progress)
    about = importing.import_ranking(
        workspace,
        ForeignRanking("TRAK", True, np.arange(workspace.n_val), read_scores=scores),
        name,
        force=True,
        progress=progress,
        provenance={
            "about": f"{len(seeds)} models · dim {dim:,}",
            "models": len(seeds),
            "made_for": ranking_origin(workspace, seeds),
            "seconds": round(time.perf_counter() - start, 1),
            **command_provenance(f"rankings build trak --dim {dim}"),
        },
    )
    shutil.rmtree(kept, ignore_errors=True)
    return about


def trak_score_reader(workspace: Workspace, count: int, dim: int, kept: Path, progress: Progress) -> Callable:
    """rows(start, stop) -> TRAK scores float32 [stop - start, n_train], on the first `count` base models. What the
    folder `kept` has of a model is not computed again."""
    from attribution.rankings import trak

    parts = compute_trak_factors(workspace, count, dim, kept, progress)
    return lambda start, stop: trak.scores(parts, start, stop)


def compute_trak_factors(workspace: Workspace, count: int, dim: int, kept: Path, progress: Progress) -> list[dict]:
    """What TRAK needs of each of the first `count` base models (`trak.compute_factors`), and the `seconds` it took, see
    `Stopwatch`. What the folder `kept` has of a model is not computed again."""
    check_library("dattri")
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, recipes.get_recipe(workspace.recipe))
    seeds = workspace.manifest["parts"]["base"]["seeds"][:count]
    return _compute_factors(workspace, trainer, seeds, load_base_networks(workspace, trainer), dim, kept, progress)


def compute_recipe_factors(
    workspace: Workspace, recipe, numbers: range, dim: int, kept: Path, progress: Progress
) -> tuple[list[dict], float]:
    """As `compute_trak_factors`, of models of any recipe, which are trained first, with the seeds and projections of the base
    models of these numbers; and their mean accuracy on the validation images."""
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, recipe)
    seeds = [BASE_SEEDS.start + number for number in numbers]
    probabilities, weights, _ = train_base_models(trainer, seeds, kept, progress)
    right = round(float((probabilities.argmax(2) == workspace.val_labels).mean()), 4)
    trained = (restore_network(trainer, row) for row in weights)
    return _compute_factors(workspace, trainer, seeds, trained, dim, kept, progress, numbers.start), right


def _compute_factors(workspace, trainer, seeds, trained, dim, kept, progress, start=0) -> list[dict]:
    """`trak.compute_factors` of trained networks; start: the number of the first one's projection."""
    from attribution.rankings import trak

    parts = []
    for number, (seed, network) in enumerate(zip(seeds, trained), start):

        def factors(number=number, network=network):
            watch = Stopwatch(trainer.device.type)
            found = trak.compute_factors(
                trainer,
                network,
                workspace.val_labels,
                dim,
                number,
                progress=lambda *at: progress(
                    f"TRAK, {dim} dimensions, model {number - start + 1} of {len(seeds)}: images", *at
                ),
            )
            return {**found, "seconds": np.float64(watch.seconds)}

        parts.append(cached_npz(kept / f"{trainer.recipe.hash}-{seed}-{dim}.npz", factors))
    return parts


def build_datamodels(workspace: Workspace, name: str, count: int, progress: Progress) -> dict:
    """Datamodels on `count` random halves, trained where they are missing, stored as `name`. The penalty is tuned on
    the last tenth of the halves."""
    check_library("sklearn")
    sequence = {"draw": 1, "count": count, "seeds": [0]}
    importing.check_part_name(workspace, name)
    if count < 30:
        raise UserError(f"{count} half-models are too few to fit Datamodels on; give at least 30")
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    weights, about = fit_tuned_datamodels(
        masks, margins.mean(1), min(MAX_TUNING_HALVES, count // 10 or 1), name, progress
    )
    incoming = ForeignRanking(
        "Datamodels",
        True,
        np.arange(workspace.n_val),
        zero_is_none=True,
        read_scores=lambda start, stop: weights[start:stop],
    )
    return importing.import_ranking(
        workspace,
        incoming,
        name,
        force=True,
        progress=progress,
        provenance={
            "about": f"{count:,} half-models · α 0.5",
            "models": count,
            "made_for": ranking_origin(workspace, "halves"),
            **about,
            **command_provenance(f"rankings build datamodels --models {count}"),
        },
    )


def fit_tuned_datamodels(
    masks: np.ndarray, margins: np.ndarray, tuning: int, name: str, progress: Progress
) -> tuple[np.ndarray, dict]:
    """LASSO weights float32 [n_val, n_train] on masks [models, n_train] and margins [models, n_val], and how they were
    tuned: each penalty is fitted without the last `tuning` models, and judged by LDS on these, on some targets."""
    from attribution.rankings import datamodels as method

    n_val = margins.shape[1]
    some = np.random.default_rng(STUDY_SEED).choice(n_val, min(TUNING_TARGETS, n_val), replace=False)

    def quality(weights, held_masks, held_margins):
        return lds.lds(held_masks, held_margins[:, None], weights, resamples=0).mean

    tried = method.tune_penalty(
        masks, margins[:, some], tuning, quality, lambda done, total: progress(f"{name}: penalties tried", done, total)
    )
    penalty = max(tried, key=tried.get)
    weights = method.fit_lasso(masks, margins, penalty, lambda done: progress(f"{name}: targets", done, n_val))
    return weights, {
        "penalty": penalty,
        "tuning": tried,
        "nonzero": round(float((weights != 0).sum(1).mean()), 1),
        "tuned_on": f"{tuning} halves that are not held out, {len(some)} targets",
    }


# -- storing
