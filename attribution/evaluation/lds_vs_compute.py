"""What does a better ranking cost? LDS of TRAK by its checkpoints, of Datamodels by its models on random halves, and of
the baseline that trains no classifier, against the seconds they take: the figure of Park et al., TRAK (arXiv
2303.14186), on the halves of this workspace that no method was fitted or tuned on.

Seconds are those of all trainings that a method needs, plus its own work. A training counts as long as one takes on
the whole training set or on half of it, measured separately (`training_seconds`); the method's work is measured as
it is done (`timing.Stopwatch`). Seconds of a stored ranking were measured where it was made, by the clock.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds import scores, timing
from attribution.builds.halves import load_half_margins, load_held_out_halves, train_halves
from attribution.errors import UserError
from attribution.evaluation.support_report import compare_on_same_targets
from attribution.experiments.halves import half_edit, half_seed
from attribution.files import read_array, read_json, write_json
from attribution.files.libraries import check_library
from attribution.metrics import lds
from attribution.rankings.base import top_k
from attribution.store.results import ResultStore
from attribution.workspace.parts import (
    Part,
    Progress,
    base_digest,
    base_seeds,
    held_out_digest,
    ranking_origin,
    ranking_versions,
    save_part,
    scratch_folder,
)
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

STORED = Part("compute", "compute.json")
PART = STORED.name
CHECKPOINT_COUNTS = (1, 2, 5, 10)
HALF_COUNTS = (250, 500, 1000)
PROJECTION_DIM = 512  # the best of five in the demo, tuned on halves that are not held out
STORED_K = 128  # top images of each target that are stored of a variant, for studies of its supports
VARIANT_SUFFIX = ".compute"  # ends the name of a variant's ranking
FIT_SEQUENCE = 1  # the sequence of random halves that Datamodels is fitted on; `halves.HELD_OUT_SEQUENCE` is another
TIMED_TRAININGS = 3  # trainings of each kind
SELF_SUPERVISED = ("moco", "simclr", "dino")
#: measured on the demo, to estimate costs: a checkpoint's gradients in trainings, and seconds of LASSO for each
#: half-model, training image and validation image, over all penalties
TRAININGS_PER_CHECKPOINT, LASSO_SECONDS = 4, 1.2e-8


def compute(
    workspace: Workspace,
    checkpoints: Iterable[int] = CHECKPOINT_COUNTS,
    halves: Collection[int] = HALF_COUNTS,
    dim: int = PROJECTION_DIM,
    progress: Progress = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """Measures every variant: TRAK on the first 1, 2, ... of the base models (`checkpoints`; at most as many as there
    are), Datamodels on the first 250, 500, ... random `halves`, which the runner trains where they are missing, and
    what else the workspace has: larger Datamodels, the exemplar SVM of its first self-supervised features, and random.
    The top images of a variant that is computed here are stored as a ranking, see `variant_ranking`.

    {"dim", "masks", "seeds", "ceiling", "training": `training_seconds`, "rows": [{"name", "method", "models",
    "lds", "ci", "n_targets", "training_seconds", "computing_seconds", "seconds", "bytes", "scores_bytes", "here"}]}.
    bytes: what the scores are made from (TRAK: projected gradients; Datamodels: masks and margins; SVM: features);
    scores_bytes: the scores themselves as a workspace stores them. here: whether its own work was measured now; such a
    row of models has "version", that of its ranking, None where the workspace came with another one of that name.

    Finished work is cached in the data folder: if interrupted, call it again to go on. Raises UserError where there are
    no base models or held-out halves, where dattri or scikit-learn is missing, and for too few halves.
    """
    _check_inputs(workspace, halves, dim)
    for library in ("dattri", "sklearn"):
        check_library(library)
    masks, margins = load_held_out_halves(workspace)
    cache_folder = scratch_folder(workspace, "compute")
    training = training_seconds(workspace, cache_folder, progress)
    checkpoints = _check_checkpoints(workspace, checkpoints)
    variants = _list_variants(workspace, checkpoints, halves, dim, training, cache_folder, progress)
    rows = []
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for at, variant in enumerate(variants):
            progress("compute: variants", at, len(variants))
            name = variant.name
            file = cache_folder / f"{name}-{_cache_key(workspace, variant.depends_on, resamples)}.json"
            if variant.stores_ranking and file.exists() and workspace.can_add(f"rankings/{name}{VARIANT_SUFFIX}"):
                version = _variant_version(workspace, name)
                if version is None or read_json(file).get("version", version) != version:
                    file.unlink()  # its ranking was removed since, or is of other dimensions
            rows.append(_cached_json(file, partial(_measure_variant, variant, masks, margins, resamples)))
    progress("compute: variants", len(variants), len(variants))
    return {
        "dim": dim,
        "masks": len(masks),
        "seeds": margins.shape[1],
        "ceiling": lds.noise_ceiling(margins).mean,
        "training": training,
        "rows": rows,
    }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "compute"; provenance, record: as `Part.save`."""
    listed = set(workspace.rankings())
    stored_or_live = [
        row["name"] for row in answer["rows"] if not row["here"] or row["models"] == 0 and row["name"] in listed
    ]
    computed_with = {
        "halves": held_out_digest(workspace),
        "base": base_digest(workspace),
        "recipe": workspace.recipe,
        "hash": workspace.get_recipe().hash,
        "trained_on": {"draw": FIT_SEQUENCE, "seeds": [0]},
        "seeds": _base_provenance(workspace).get("seeds"),
        "masks": answer["masks"],
        "of": ranking_versions(workspace, stored_or_live),
    }
    STORED.save(workspace, answer, {**computed_with, **provenance}, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute`, as `Part.load`."""
    return STORED.load(workspace)


def training_seconds(workspace: Workspace, cache_folder: Path, progress: Progress = lambda *at: None) -> dict:
    """Seconds of one training on all images and of one on a random half, medians of TIMED_TRAININGS each:
    {"whole", "half", "n", "device", "library", "threads", "clock"}. clock: "processor" or "wall"."""

    def measure():
        from attribution.training.trainer import LIBRARY, Trainer

        recipe = workspace.get_recipe()
        trainer = Trainer(workspace, recipe)
        kind = trainer.device.type
        trainer.train(_half(workspace, 0), 0)  # the first training of a process is slower and is not timed
        seconds: dict = {"whole": [], "half": []}
        for number in range(TIMED_TRAININGS):
            for name, edit in (("whole", None), ("half", _half(workspace, number))):
                progress("compute: one training's seconds", 2 * number + (name == "half"), 2 * TIMED_TRAININGS)
                watch = timing.Stopwatch(kind)
                trainer.run(edit, seed=number)
                seconds[name].append(watch.seconds)
        return {
            **{name: round(float(np.median(taken)), 2) for name, taken in seconds.items()},
            "n": TIMED_TRAININGS,
            "device": trainer.device_kind,
            "library": LIBRARY,
            "threads": recipe.threads,
            "clock": "processor" if kind == "cpu" else "wall",
        }

    return _cached_json(cache_folder / f"training-{workspace.get_recipe().hash}.json", measure)


def missing_work(
    workspace: Workspace,
    checkpoints: Iterable[int] = CHECKPOINT_COUNTS,
    halves: Collection[int] = HALF_COUNTS,
    dim: int = PROJECTION_DIM,
) -> dict:
    """What `compute` has yet to do, as `full_cost`. Raises UserError as `compute` does."""
    _check_inputs(workspace, halves, dim)
    cache_folder, recipe = scratch_folder(workspace, "compute"), workspace.get_recipe()
    seeds = base_seeds(workspace)[: max(_check_checkpoints(workspace, checkpoints))]
    gradients = sum(not (cache_folder / f"{recipe.hash}-{seed}-{dim}.npz").exists() for seed in seeds)
    store = ResultStore.for_workspace(workspace)
    trainings = sum(
        store.get(store.key(recipe.hash, _half(workspace, number), half_seed(FIT_SEQUENCE, number, 0))) is None
        for number in range(max(halves))
    )
    store.close()
    fits = [count for count in halves if not list(cache_folder.glob(f"datamodels-{count}-*.json"))]
    return _estimate_cost(workspace, gradients, trainings, fits)


def full_cost(workspace: Workspace) -> dict:
    """What `compute` does where nothing is cached: {"checkpoints", "trainings", "fits", "seconds": of one core,
    estimated from what a base model took}."""
    checkpoints = max(_check_checkpoints(workspace, CHECKPOINT_COUNTS))
    return _estimate_cost(workspace, checkpoints, max(HALF_COUNTS), HALF_COUNTS)


def variant_ranking(row: dict) -> str:
    """The ranking whose supports are those of a row of `compute`."""
    return f"{row['name']}{VARIANT_SUFFIX}" if row["here"] and row["models"] else row["name"]


def label(row: dict) -> str:
    """ "TRAK of 10 models": a row's name on pages, told from the stored ranking trak-10, which was made another time;
    of a row without trained models the ranking's name."""
    return f"{row['method']} of {row['models']:,} model{'s' * (row['models'] != 1)}" if row["models"] else row["name"]


def support_aucs(workspace: Workspace, store: ResultStore, answer: dict) -> dict[str, dict]:
    """Supports of the variants in an answer of `compute`, as `support_report.compare_on_same_targets`, of the kinds for
    which any variant was studied. A variant whose ranking has changed since has none."""
    names = [
        variant_ranking(row)
        for row in answer["rows"]
        if "version" not in row
        or row["version"] is not None
        and row["version"] == _variant_version(workspace, row["name"])
    ]
    compared = compare_on_same_targets(workspace, store, names)
    return {
        kind: supports
        for kind, supports in compared.items()
        if any(name.endswith(VARIANT_SUFFIX) for name in supports["rankings"])
    }


def _estimate_cost(workspace, gradients, trainings, fits) -> dict:
    training = _base_provenance(workspace).get("seconds", 0)
    lasso = LASSO_SECONDS * workspace.n_train * workspace.n_val
    seconds = (trainings / 2 + gradients * TRAININGS_PER_CHECKPOINT) * training + sum(fits) * lasso
    return {"checkpoints": gradients, "trainings": trainings, "fits": len(fits), "seconds": round(seconds)}


def _check_inputs(workspace, halves, dim):
    workspace.check_base()
    load_held_out_halves(workspace)
    if not halves or min(halves) < 30:
        raise UserError("Datamodels needs at least 30 half-models to be fitted on; give larger numbers of halves")
    if dim < 1:
        raise UserError(f"{dim} dimensions are too few to project gradients to; give at least 1")


def _check_checkpoints(workspace, checkpoints) -> list[int]:
    return sorted({min(count, workspace.base.n_models) for count in checkpoints})


def _base_provenance(workspace) -> dict:
    return workspace.manifest["parts"].get("base", {})


def _half(workspace, number):
    return half_edit(workspace, FIT_SEQUENCE, number)


class _Variant(NamedTuple):
    """A variant to measure."""

    name: str
    depends_on: list  # JSON: what its figures depend on, besides what `_cache_key` adds
    build_scores: Callable[[], tuple]  # returns (score rows, targets or None for all, its row without LDS)
    stores_ranking: bool = False


def _list_variants(workspace, checkpoints, halves, dim, training, cache_folder, progress) -> list[_Variant]:
    parts, recipe_hash = workspace.manifest["parts"], workspace.get_recipe().hash
    variants = []
    for count in checkpoints:
        build_scores = partial(_trak_variant, workspace, count, dim, training, cache_folder, progress)
        variants.append(_Variant(f"trak-{count}", [count, dim, training], build_scores, True))
    for count in sorted(halves):
        build_scores = partial(_datamodels_variant, workspace, count, training, progress)
        variants.append(_Variant(f"datamodels-{count}", [count, training], build_scores, True))
    live = ["random"]
    for name in workspace.features():
        if name in SELF_SUPERVISED and "seconds" in parts[f"features/{name}"]:
            live = [f"esvm-{name}", "random"]
            break
    for name in workspace.rankings():
        part = parts.get(f"rankings/{name}", {})
        models = part.get("models", 0)
        larger = part.get("method") == "Datamodels" and isinstance(models, int) and models > max(halves)
        if larger and "seconds" in part and (part.get("made_for") or {}).get("hash") == recipe_hash:
            build_scores = partial(_stored_variant, workspace, name, part, training)
            variants.append(_Variant(name, [workspace.ranking(name).version, training], build_scores))
    for name in live:
        variants.append(_Variant(name, [workspace.ranking(name).version], partial(_live_variant, workspace, name)))
    return variants


def _save_top_k(workspace, name: str, method: str, count: int, seeds, lists: list[np.ndarray]) -> str | None:
    """Stores the top images of each target, at most STORED_K, as the ranking with which a study measures a variant.
    Returns its version; None where the workspace came with another one. lists: int [k] each, best first."""
    part = f"rankings/{name}{VARIANT_SUFFIX}"
    ids = np.full((len(lists), STORED_K), -1, np.int16 if workspace.n_train < 2**15 else np.int32)
    for row, order in zip(ids, lists):
        row[: len(order)] = order
    if workspace.can_add(part):
        provenance = {
            **command_provenance("evaluate compute"),
            "method": method,
            "signed": False,
            "variant": True,
            "models": count,
            "made_for": ranking_origin(workspace, seeds),
            "about": f"{count:,} model{'s' * (count != 1)} · first {STORED_K} of each target, the helpful end alone",
        }
        save_part(workspace, part, {"ids": ids[:, None]}, provenance)
    elif not np.array_equal(read_array(workspace.folder(part) / "ids.npy"), ids[:, None]):
        return None
    return _variant_version(workspace, name)


def _variant_version(workspace, name: str) -> str | None:
    """The version of a variant's ranking; None where there is none."""
    return workspace.manifest["parts"].get(f"rankings/{name}{VARIANT_SUFFIX}", {}).get("digest")


def _trak_variant(workspace, count, dim, training, cache_folder, progress):
    from attribution.rankings import trak

    factors = scores.compute_trak_factors(workspace, count, dim, cache_folder, progress)
    watch = timing.Stopwatch()
    rows = trak.scores(factors, 0, workspace.n_val)
    seconds = watch.seconds
    seeds, lists = base_seeds(workspace)[:count], [top_k(row, STORED_K) for row in rows]
    row = {
        "method": "TRAK",
        "models": count,
        "version": _save_top_k(workspace, f"trak-{count}", "TRAK", count, seeds, lists),
        "training_seconds": count * training["whole"],
        "computing_seconds": float(sum(model["seconds"] for model in factors)) + seconds,
        "bytes": sum(model[name].nbytes for model in factors for name in ("train", "val", "doubt")),
        "scores_bytes": 2 * rows.size,
        "here": True,
    }
    return rows, None, row


def _datamodels_variant(workspace, count, training, progress):
    from attribution.rankings import datamodels

    name, sequence = f"datamodels-{count}", {"draw": FIT_SEQUENCE, "count": count, "seeds": [0]}
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    margins = margins.mean(1)
    watch = timing.Stopwatch()
    n_tuning = min(scores.MAX_TUNING_HALVES, count // 10)
    weights, tuning = scores.fit_tuned_datamodels(masks, margins, n_tuning, name, progress)
    seconds = watch.seconds
    effects = datamodels.marginal_effects(masks, margins)
    tails = datamodels.zero_weight_tails(weights, effects, STORED_K)[:, 0].astype(np.int64)
    lists = [
        np.concatenate([np.argsort(-row, kind="stable")[: (row > 0).sum()], tail[row[tail] == 0]])[:STORED_K]
        for row, tail in zip(weights, tails)
    ]
    row = {
        "method": "Datamodels",
        "models": count,
        "version": _save_top_k(workspace, name, "Datamodels", count, "halves", lists),
        "training_seconds": count * training["half"],
        "computing_seconds": seconds,
        "bytes": _halves_bytes(workspace, count),
        "scores_bytes": 4 * int((weights != 0).sum()) + 8 * (len(weights) + 1),
        "here": True,
        **tuning,
    }
    return weights, None, row


def _stored_variant(workspace, name, part, training):
    ranking = workspace.ranking(name)
    sizes = {Path(file).stem: size for file, size in part["files"].items()}
    row = {
        "method": "Datamodels",
        "models": part["models"],
        "training_seconds": part["models"] * training["half"],
        "computing_seconds": part["seconds"],
        "bytes": _halves_bytes(workspace, part["models"]),
        "scores_bytes": sum(sizes.get(array, 0) for array in ("data", "columns", "starts")) or sum(sizes.values()),
        "here": False,
    }
    return ranking.all_scores(), ranking.targets, row


def _live_variant(workspace, name):
    ranking = workspace.ranking(name)
    part = workspace.manifest["parts"].get(f"features/{name.partition('-')[2]}", {})
    watch = timing.Stopwatch()
    rows = list(ranking.all_scores())
    row = {
        "method": ranking.method,
        "models": 0,
        "training_seconds": part.get("seconds", 0),
        "computing_seconds": watch.seconds if name != "random" else 0,
        "bytes": sum(part.get("files", {}).values()),
        "scores_bytes": 0,
        "here": True,
    }
    return rows, ranking.targets, row


def _halves_bytes(workspace, count: int) -> int:
    """Bytes of the masks, packed, and float16 margins of `count` halves."""
    return count * (-(-workspace.n_train // 8) + 2 * workspace.n_val)


def _measure_variant(variant: _Variant, masks, margins, resamples) -> dict:
    rows, targets, row = variant.build_scores()
    score = lds.lds(masks, margins, rows, targets, resamples=resamples)
    return {
        "name": variant.name,
        **row,
        "seconds": row["training_seconds"] + row["computing_seconds"],
        "lds": score.mean,
        "ci": score.ci,
        "n_targets": len(score.per_target),
    }


def _cache_key(workspace, depends_on, resamples) -> str:
    """A digest of all that a variant's figures depend on, the halves, base models and recipe included."""
    recipe_hash = workspace.get_recipe().hash
    key = [depends_on, resamples, held_out_digest(workspace), base_digest(workspace), recipe_hash]
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:12]


def _cached_json(file: Path, compute: Callable[[], dict]) -> dict:
    """The JSON in `file`, which is computed and written where it does not exist."""
    if not file.exists():
        write_json(file, compute())
    return read_json(file)
