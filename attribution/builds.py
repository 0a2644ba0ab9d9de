"""Computing what a workspace holds: base models, features, models on random halves, TRAK, Datamodels.

Long work is resumable: base models, half-models and self-supervised networks are kept under the data folder, or in the
result store, and are not trained twice. Functions that store put provenance beside what they store.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attribution import features
from attribution.errors import UserError
from attribution.experiments import jobs
from attribution.experiments.halves import half_edit, half_seed, random_half, subsets_spec
from attribution.experiments.study import STUDY_SEED
from attribution.features import knn
from attribution.files import read_array
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from attribution.metrics import lds
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace.parts import Progress, cached_npz, check_library, ranking_origin, save_part, scratch_folder
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

BASE_SEEDS = range(200, 210)
#: random halves: sequence, how many, seeds. The held-out ones judge rankings and never make or tune one.
HELD_OUT_SEQUENCE = {"draw": 2, "count": 100, "seeds": [0, 1, 2, 3, 4]}
#: of the halves that Datamodels is fitted on, at most so many of the last ones tune it and TRAK
MAX_TUNING_HALVES = 200
TUNING_TARGETS = 60


# -- base models


def train_base_models(trainer, seeds, scratch: Path, progress: Progress) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Models that differ in the seed alone: probabilities float32 [models, n_val, classes], flat weights float32
    [models, parameters] and the seconds of each training. Those that `scratch_folder` keeps are not trained again."""
    kept = []
    for done, seed in enumerate(seeds):
        progress("base models", done, len(seeds))

        def train(seed=seed):
            if not kept:
                trainer.run(seed=0)  # the first training of a process is slower and is not timed
            outcome = trainer.run(seed=seed)
            return {
                "probabilities": outcome.probabilities,
                "weights": flatten_weights(outcome.network),
                "seconds": np.float64(outcome.seconds),
            }

        kept.append(cached_npz(scratch / f"{trainer.recipe.hash}-{seed}.npz", train))
    progress("base models", len(seeds), len(seeds))
    return (
        np.array([one["probabilities"] for one in kept]),
        np.array([one["weights"] for one in kept]),
        [float(one["seconds"]) for one in kept],
    )


def flatten_weights(network) -> np.ndarray:
    """All of a network's weights and running statistics, float32 [parameters]."""
    import torch

    return torch.cat([value.float().flatten() for value in network.state_dict().values()]).cpu().numpy()


def restore_network(trainer, weights: np.ndarray):
    """The trained network that `flatten_weights` took apart, in evaluation mode."""
    import torch

    network, at = trainer.untrained(0), 0
    state = network.state_dict()
    for name, value in state.items():
        state[name] = torch.as_tensor(weights[at : at + value.numel()].copy()).reshape(value.shape).to(value.dtype)
        at += value.numel()
    network.load_state_dict(state)
    return network.eval()


def load_base_networks(workspace: Workspace, trainer) -> list:
    """The base models, from the weights the workspace keeps. Raises UserError where it has none."""
    workspace.check_base()
    return [restore_network(trainer, row) for row in read_array(workspace.folder("base") / "weights.npy")]


def build_base_models(workspace: Workspace, count: int, progress: Progress) -> dict:
    """Trains the workspace's base models and stores them; returns their provenance."""
    from attribution.training.trainer import LIBRARY, Trainer

    workspace.check_free("base")
    recipe = recipes.get_recipe(workspace.recipe)
    trainer = Trainer(workspace, recipe)
    seeds = [BASE_SEEDS.start + number for number in range(count)]
    probabilities, weights, seconds = train_base_models(trainer, seeds, scratch_folder(workspace, "base"), progress)
    right = (probabilities.argmax(2) == workspace.val_labels).mean(1)
    about = {
        "recipe": recipe.name,
        "hash": recipe.hash,
        "seeds": seeds,
        "accuracy": round(float(right.mean()), 4),
        "accuracy_std": round(float(right.std(ddof=1)), 4) if count > 1 else None,
        "measured_on": "the validation images",
        "seconds": round(float(np.median(seconds)), 2),
        "library": LIBRARY,
        "device": trainer.device.type,
        "threads": recipe.threads,
    }
    return save_part(
        workspace,
        "base",
        {"probabilities": probabilities.astype(np.float16), "weights": weights},
        {**about, **command_provenance(f"base train --models {count}")},
    )


# -- features


def build_features(workspace: Workspace, name: str, epochs: int | None, progress: Progress) -> dict:
    """Trains a feature set on the workspace's training images, embeds both splits and stores it (float32)."""
    workspace.check_free(f"features/{name}")
    images = np.asarray(workspace.train_images)
    train, val, about = train_and_embed(workspace, name, images, [np.asarray(workspace.val_images)], epochs, progress)
    words = f"features train {name}" + (f" --epochs {epochs}" if epochs else "")
    return save_part(
        workspace,
        f"features/{name}",
        {"train": train.astype(np.float32), "val": val.astype(np.float32)},
        {**knn.measure_knn(workspace, train, val), **about, **command_provenance(words)},
    )


def build_backbone_features(
    workspace: Workspace, name: str, backbone: str, weights: Path, side: int | None, progress: Progress
) -> dict:
    """Embeds both splits with a pretrained network (see `Backbone`), and stores the features as `name`. Returns their
    provenance."""
    from attribution.features.backbone import Backbone

    importing.check_part_name(workspace, name, "features")
    network, folder = Backbone(backbone, weights, side), scratch_folder(workspace, "features") / name
    start = time.perf_counter()
    train, val = (
        network.embed(images, folder / split, lambda *at, split=split: progress(f"{name}: {split}", *at))
        for split, images in (("train", workspace.train_images), ("val", workspace.val_images))
    )
    words = (
        f"features embed {name} --backbone {backbone} --weights {network.weights.name} --side {network.spec['side']}"
    )
    return importing.import_features(
        workspace,
        train,
        val,
        name,
        {
            **knn.measure_knn(workspace, train, val),
            "seconds": round(time.perf_counter() - start, 1),
            **command_provenance(words),
            "device": network.device,
            "backbone": network.spec,
        },
    )


def train_and_embed(
    workspace: Workspace,
    name: str,
    images: np.ndarray,
    others: list[np.ndarray],
    epochs: int | None,
    progress: Progress,
) -> tuple:
    """Features of the training images and of each of `others` under a network trained on `images`, and provenance."""
    folder = scratch_folder(workspace, "features") / name
    if name == "supervised":
        from attribution.features import supervised

        about = supervised.train(workspace, folder)
        return (*(supervised.embed(folder, some) for some in (images, *others)), about)
    about = features.train(name, images, folder, epochs=epochs, progress=lambda *at: progress(f"{name}: epochs", *at))
    return (*(features.embed(name, folder, some) for some in (images, *others)), about)


# -- models on random halves


def train_halves(workspace: Workspace, sequence: dict, progress: Progress, both: bool = False) -> None:
    """Has the runner train every half of a sequence, with `both` its complement, too, under each of its seeds. Where
    all of them are known it is not asked: it may be busy with a study for hours."""
    spec = subsets_spec(workspace, 0, sequence["count"], sequence["seeds"], sequence["draw"], both)
    store = ResultStore.of(workspace)
    missing = spec.missing(workspace, store)
    store.close()
    if missing:
        jobs.run_job(workspace, spec, progress)


def load_half_margins(workspace: Workspace, sequence: dict) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [count, n_train] and margins float16 [count, seeds, n_val] of trained halves, from the store."""
    kept, recipe = ResultStore.of(workspace), recipes.get_recipe(workspace.recipe).hash
    masks = np.stack([random_half(workspace.n_train, sequence["draw"], i) for i in range(sequence["count"])])
    margins = []
    for number in range(sequence["count"]):
        edit = half_edit(workspace, sequence["draw"], number)
        seeds = [half_seed(sequence["draw"], number, seed) for seed in sequence["seeds"]]
        margins.append([kept.get(kept.key(recipe, edit, seed)).margins for seed in seeds])
    kept.close()
    return masks, np.array(margins)


def build_held_out_halves(workspace: Workspace, sequence: dict, progress: Progress) -> dict:
    """Trains the halves that judge rankings by LDS, and stores their masks and margins."""
    workspace.check_free("lds")
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    return save_part(
        workspace,
        "lds",
        {"masks": np.packbits(masks, axis=1), "margins": margins.astype(np.float16)},
        {**held_out_provenance(workspace, sequence), **command_provenance("halves train")},
    )


def held_out_provenance(workspace: Workspace, sequence: dict) -> dict:
    """Provenance of held-out halves."""
    return {
        "alpha": 0.5,
        "masks": sequence["count"],
        "seeds": sequence["seeds"],
        "training": "equal epochs: half as many steps",
        "recipe": workspace.recipe,
        "hash": recipes.get_recipe(workspace.recipe).hash,
    }


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
        ForeignRanking("TRAK", True, np.arange(workspace.n_val), rows=scores),
        name,
        force=True,
        progress=progress,
        about={
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


class Stopwatch:
    """Seconds since it was made: of this process's processor time where a processor works, which leaves out what else
    the machine does, and by the clock where another device does."""

    def __init__(self, device: str = "cpu"):
        self.clock = time.process_time if device == "cpu" else time.perf_counter
        self.start = self.clock()

    @property
    def seconds(self) -> float:
        return self.clock() - self.start


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
        "Datamodels", True, np.arange(workspace.n_val), zero_is_none=True, rows=lambda start, stop: weights[start:stop]
    )
    return importing.import_ranking(
        workspace,
        incoming,
        name,
        force=True,
        progress=progress,
        about={
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
