"""Scores of the rankings that are computed from trained models: TRAK and Datamodels.

A build that was stopped goes on where it was: models come from the workspace or the result store, and what TRAK needs
of each model is cached under the data folder.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution.builds import firsts, own_models
from attribution.builds.base_models import BASE_SEEDS, load_base_networks, of_model, restore_network, train_base_models
from attribution.builds.halves import load_half_margins, train_halves
from attribution.builds.timing import Stopwatch
from attribution.errors import UserError
from attribution.experiments.study import STUDY_SEED
from attribution.files.libraries import check_library
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from attribution.metrics import lds
from attribution.training.all_recipes import AnyRecipe
from attribution.training.own import OwnRecipe
from attribution.workspace.parts import Progress, base_seeds, cached_npz, ranking_origin, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

#: of the halves that Datamodels is fitted on, at most so many of the last ones tune it and TRAK
MAX_TUNING_HALVES = 200
TUNING_TARGETS = 60
MIN_DATAMODELS_HALVES = 30


def build_trak(workspace: Workspace, name: str, dim: int, progress: Progress) -> dict:
    """TRAK by dattri on the workspace's base models, projected to `dim` dimensions and saved as the ranking `name`;
    returns its provenance. It goes on at the model where it was stopped.

    Raises UserError where there are no base models, dattri is missing or the name is taken. Source: TRAK, Park et al.
    (arXiv 2303.14186).
    """
    importing.check_part_name(workspace, name)
    start = time.perf_counter()
    workspace.check_base()
    seeds, cache_folder = base_seeds(workspace), scratch_folder(workspace, "trak")
    factors = compute_trak_factors(workspace, len(seeds), dim, cache_folder, progress)
    recipe = workspace.get_recipe()
    provenance = importing.import_ranking(
        workspace,
        ForeignRanking("TRAK", True, np.arange(workspace.n_val), read_scores=_score_reader(factors)),
        name,
        force=True,
        progress=progress,
        provenance={
            "about": f"{len(seeds)} models · dim {dim:,}",
            "models": len(seeds),
            "made_for": ranking_origin(workspace, seeds),
            **(own_models.how_had(factors) if recipe.kind == "own" else {}),
            "seconds": round(time.perf_counter() - start, 1),
            **command_provenance(f"rankings build trak --dim {dim}{of_model(workspace)}"),
        },
    )
    readers = [_score_reader([part]) for part in factors]
    kept = firsts.compute(name, workspace.n_train, np.arange(workspace.n_val), readers, progress)
    firsts.save(workspace, kept, command_provenance(f"rankings build trak --dim {dim}{of_model(workspace)}"))
    shutil.rmtree(cache_folder, ignore_errors=True)
    return provenance


def trak_score_reader(
    workspace: Workspace, count: int, dim: int, cache_folder: Path, progress: Progress
) -> Callable[[int, int], np.ndarray]:
    """read(start, stop) -> TRAK scores float32 [stop - start, n_train] of these targets, by the first `count` base
    models. cache_folder: as `compute_trak_factors` takes it."""
    return _score_reader(compute_trak_factors(workspace, count, dim, cache_folder, progress))


def _score_reader(factors: list[dict]) -> Callable[[int, int], np.ndarray]:
    from attribution.rankings import trak

    return lambda start, stop: trak.scores(factors, start, stop)


def compute_trak_factors(
    workspace: Workspace, count: int, dim: int, cache_folder: Path, progress: Progress
) -> list[dict]:
    """What TRAK needs of each of the first `count` base models (`trak.compute_factors`), and the `seconds` it took, see
    `Stopwatch`. Models that are in `cache_folder` are not computed again. Raises UserError as `build_trak` does."""
    check_library("dattri")
    if workspace.get_recipe().kind == "own":
        text = f"TRAK, {dim} dimensions, "
        return own_models.compute_with_base(workspace, "trak", count, cache_folder, progress, text, dim)
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, workspace.get_recipe())
    seeds = base_seeds(workspace)[:count]
    networks = load_base_networks(workspace, trainer)
    return _compute_factors(workspace, trainer, seeds, networks, dim, cache_folder, progress)


def compute_recipe_factors(
    workspace: Workspace, recipe: AnyRecipe, numbers: range, dim: int, cache_folder: Path, progress: Progress
) -> tuple[list[dict], float]:
    """As `compute_trak_factors`, of models of any recipe, which are trained first, with the seeds and projections of
    the base models of these numbers; and their mean accuracy on the validation images."""
    seeds = [BASE_SEEDS.start + number for number in numbers]
    if isinstance(recipe, OwnRecipe):
        text = f"TRAK, {dim} dimensions, {recipe.name}, "
        own = own_models.compute(workspace, recipe, seeds, "trak", cache_folder, progress, text, dim, numbers.start)
        right = [part["probabilities"].argmax(1) == workspace.val_labels for part in own]
        return own, round(float(np.mean(right)), 4)
    from attribution.training.trainer import Trainer

    trainer = Trainer(workspace, recipe)
    probabilities, weights, _ = train_base_models(trainer, seeds, cache_folder, progress)
    accuracy = round(float((probabilities.argmax(2) == workspace.val_labels).mean()), 4)
    networks = (restore_network(trainer, row) for row in weights)
    return _compute_factors(workspace, trainer, seeds, networks, dim, cache_folder, progress, numbers.start), accuracy


def _compute_factors(workspace, trainer, seeds, networks, dim, cache_folder, progress, start=0) -> list[dict]:
    """`trak.compute_factors` of trained networks; start: the number of the first one's projection."""
    from attribution.rankings import trak

    factors = []
    for number, (seed, network) in enumerate(zip(seeds, networks), start):
        text = f"TRAK, {dim} dimensions, model {number - start + 1} of {len(seeds)}: images"

        def compute(number=number, network=network, text=text):
            watch = Stopwatch(trainer.device.type)
            arrays = trak.compute_factors(
                trainer,
                network,
                workspace.val_labels,
                dim,
                number,
                progress=lambda *count: progress(text, *count),
            )
            return {**arrays, "seconds": np.float64(watch.seconds)}

        factors.append(cached_npz(cache_folder / f"{trainer.recipe.hash}-{seed}-{dim}.npz", compute))
    return factors


def build_datamodels(workspace: Workspace, name: str, count: int, progress: Progress) -> dict:
    """Datamodels on `count` random halves, trained where they are missing, saved as the ranking `name`; returns its
    provenance. The penalty is tuned on the last tenth of the halves, at most MAX_TUNING_HALVES.

    Raises UserError for too few halves, a name that is taken, and where scikit-learn is missing. Source: Datamodels,
    Ilyas et al. (arXiv 2202.00622).
    """
    check_library("sklearn")
    sequence = {"draw": 1, "count": count, "seeds": [0]}
    importing.check_part_name(workspace, name)
    if count < MIN_DATAMODELS_HALVES:
        raise UserError(f"{count} half-models are too few to fit Datamodels on; give at least {MIN_DATAMODELS_HALVES}")
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    tuning = min(MAX_TUNING_HALVES, count // 10)
    watch = Stopwatch()
    weights, tuned = fit_tuned_datamodels(masks, margins.mean(1), tuning, name, progress)
    incoming = ForeignRanking(
        "Datamodels",
        True,
        np.arange(workspace.n_val),
        zero_is_none=True,
        read_scores=lambda start, stop: weights[start:stop],
    )
    command = command_provenance(f"rankings build datamodels --models {count}{of_model(workspace)}")
    provenance = importing.import_ranking(
        workspace,
        incoming,
        name,
        force=True,
        progress=progress,
        provenance={
            "about": f"{count:,} half-models · α 0.5",
            "models": count,
            "seconds": round(watch.seconds, 1),  # of the fits; the halves are a part of their own
            "made_for": ranking_origin(workspace, "halves"),
            **tuned,
            **command,
        },
    )
    kept = fit_two_halves(name, masks, margins.mean(1), tuned["penalty"], progress)
    firsts.save(workspace, kept, command)
    return provenance


def fit_two_halves(
    name: str, masks: np.ndarray, margins: np.ndarray, penalty: float, progress: Progress
) -> firsts.Firsts:
    """The first images of two fits of Datamodels, each on every other one of the models, to see how far they agree.
    masks, margins, penalty: as `datamodels.fit_lasso` takes them."""
    from attribution.rankings import datamodels as method

    n_val = margins.shape[1]
    weights = []
    for half in (0, 1):
        text = f"{name}, fit {half + 1} of 2 on half of the models: targets"
        on_target = lambda done, text=text: progress(text, done, n_val)  # noqa: E731
        weights.append(method.fit_lasso(masks[half::2], margins[half::2], penalty, on_target))
    readers = [lambda start, stop, fit=fit: fit[start:stop] for fit in weights]
    return firsts.compute(name, masks.shape[1], np.arange(n_val), readers, progress, fits=True)


def fit_tuned_datamodels(
    masks: np.ndarray, margins: np.ndarray, tuning: int, name: str, progress: Progress
) -> tuple[np.ndarray, dict]:
    """LASSO weights float32 [n_val, n_train] on masks [models, n_train] and margins [models, n_val], and how they were
    tuned: each penalty is fitted without the last `tuning` models and judged by LDS on these, on TUNING_TARGETS."""
    from attribution.rankings import datamodels as method

    n_val = margins.shape[1]
    targets = np.random.default_rng(STUDY_SEED).choice(n_val, min(TUNING_TARGETS, n_val), replace=False)

    def quality(weights, held_masks, held_margins):
        return lds.lds(held_masks, held_margins[:, None], weights, resamples=0).mean

    scores = method.tune_penalty(
        masks,
        margins[:, targets],
        tuning,
        quality,
        lambda done, total: progress(f"{name}: penalties tried", done, total),
    )
    penalty = max(scores, key=scores.get)
    weights = method.fit_lasso(masks, margins, penalty, lambda done: progress(f"{name}: targets", done, n_val))
    return weights, {
        "penalty": penalty,
        "tuning": scores,
        "nonzero": round(float((weights != 0).sum(1).mean()), 1),
        "tuned_on": f"{tuning} halves that are not held out, {len(targets)} targets",
    }
