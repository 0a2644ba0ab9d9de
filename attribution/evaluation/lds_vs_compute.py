"""What does a better ranking cost? LDS of TRAK by its checkpoints, of Datamodels by its models on random halves, and of
the baseline that trains no classifier, against the seconds they take: the figure of Park et al., TRAK (arXiv
2303.14186), on the halves of this workspace that no method was fitted on or tuned on.

Seconds are those of all trainings that a method asks for, and of its own work. Trainings are counted at what one takes,
measured apart (`training_seconds`), on the whole training set or on half of it; the method's work is measured as it is
done, see `timing.Stopwatch`. What a ranking brings along from where it was made was measured there, by the clock.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds import scores, timing
from attribution.builds.halves import load_half_margins, load_held_out_halves, train_halves
from attribution.errors import UserError
from attribution.evaluation.support_report import compare_on_same_targets
from attribution.experiments.halves import half_edit, half_seed
from attribution.files import read_array, write_json
from attribution.metrics import lds
from attribution.rankings.base import top_k
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace.parts import (
    check_library,
    load_json_part,
    ranking_origin,
    save_json_part,
    save_part,
    scratch_folder,
)
from attribution.workspace.parts import held_out_digest as halves_digest
from attribution.workspace.provenance import command_provenance

PART = "compute"
FILE = "compute.json"
CHECKPOINT_COUNTS = (1, 2, 5, 10)
HALF_COUNTS = (250, 500, 1000)
PROJECTION_DIM = 512  # the best of five in the demo, tuned on halves that are not held out
STORED_K = 256  # first images of each target that are kept of a variant, for studies of its supports
VARIANT_SUFFIX = ".compute"  # ends the name of a variant's ranking
FIT_SEQUENCE = 1  # the sequence of random halves that Datamodels is fitted on; `halves.HELD_OUT_SEQUENCE` is another
TIMED_TRAININGS = 3  # trainings of each kind
SELF_SUPERVISED = ("moco", "simclr", "dino")
#: measured on the demo, for what is said before: a checkpoint's gradients in trainings, and seconds of LASSO a
#: half-model, training and validation image, all its penalties with it
TRAININGS_PER_CHECKPOINT, LASSO_SECONDS = 4, 1.2e-8
Progress = Callable[[str, int, int], None]


def compute_variants(
    workspace,
    checkpoints=CHECKPOINT_COUNTS,
    halves=HALF_COUNTS,
    dim: int = PROJECTION_DIM,
    progress: Progress = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """Measures every variant: TRAK on the first 1, 2, ... of the base models (`checkpoints`; at most as many as there
    are), Datamodels on the first 250, 500, ... random halves, which the runner trains where they are missing, and what
    the workspace has besides: larger Datamodels, the exemplar SVM of its first self-supervised features, and random.
    Of a variant that is made here the first images are kept as a ranking, see `variant_ranking`.

    {"dim", "masks", "seeds", "ceiling", "training": see `training_seconds`, "rows": [{"name", "method", "models",
    "lds", "ci", "n_targets", "training_seconds", "computing_seconds", "seconds", "bytes", "scores_bytes", "here"}]}.
    bytes: what the scores are made from (TRAK: projected gradients; Datamodels: masks and margins; SVM: features);
    scores_bytes: the scores themselves as a workspace keeps them. here: whether its own work was measured now; such a
    row of models has "version", that of its ranking, None where the workspace came with another one of that name.

    What is done is kept in the data folder; broken off, it goes on. Raises UserError where there are no base models or
    held-out halves, where dattri or scikit-learn is missing, and for too few halves.
    """
    _check_inputs(workspace, halves, dim)
    for library in ("dattri", "sklearn"):
        check_library(library)
    masks, margins = load_held_out_halves(workspace)
    kept = scratch_folder(workspace, "compute")
    training = training_seconds(workspace, kept, progress)
    variants = _list_variants(
        workspace, _check_checkpoints(workspace, checkpoints), halves, dim, training, kept, progress
    )
    rows = []
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        for at, (name, key, make, ranked) in enumerate(variants):
            progress("compute: variants", at, len(variants))
            file = kept / f"{name}-{_cache_key(workspace, key, resamples)}.json"
            if ranked and file.exists() and workspace.can_add(f"rankings/{name}{VARIANT_SUFFIX}"):
                version = _variant_version(workspace, name)
                if version is None or json.loads(file.read_text()).get("version", version) != version:
                    file.unlink()  # its figures are known, and its ranking was taken out, or is of other dimensions
            rows.append(
                _cached_json(
                    file, lambda name=name, make=make: {"name": name, **_judge_variant(make, masks, margins, resamples)}
                )
            )
    progress("compute: variants", len(variants), len(variants))
    return {
        "dim": dim,
        "masks": len(masks),
        "seeds": margins.shape[1],
        "ceiling": lds.noise_ceiling(margins).mean,
        "training": training,
        "rows": rows,
    }


def training_seconds(workspace, kept: Path, progress: Progress = lambda *at: None) -> dict:
    """Seconds of one training on all images and of one on a random half, medians of TIMED trainings each:
    {"whole", "half", "n", "device", "library", "threads", "clock"}. clock: "processor" or "wall"."""

    def measured():
        from attribution.training.trainer import LIBRARY, Trainer

        recipe = recipes.get_recipe(workspace.recipe)
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
            **{name: round(float(np.median(some)), 2) for name, some in seconds.items()},
            "n": TIMED_TRAININGS,
            "device": trainer.device_kind,
            "library": LIBRARY,
            "threads": recipe.threads,
            "clock": "processor" if kind == "cpu" else "wall",
        }

    return _cached_json(kept / f"training-{recipes.get_recipe(workspace.recipe).hash}.json", measured)


def missing_work(workspace, checkpoints=CHECKPOINT_COUNTS, halves=HALF_COUNTS, dim: int = PROJECTION_DIM) -> dict:
    """What `compute_variants` has yet to do, as `full_cost`. Raises UserError as `compute_variants` does."""
    _check_inputs(workspace, halves, dim)
    kept, recipe = scratch_folder(workspace, "compute"), recipes.get_recipe(workspace.recipe)
    seeds = _base_provenance(workspace).get("seeds", [])[: max(_check_checkpoints(workspace, checkpoints))]
    gradients = sum(not (kept / f"{recipe.hash}-{seed}-{dim}.npz").exists() for seed in seeds)
    with ResultStore.for_workspace(workspace) as store:
        trainings = sum(
            store.get(store.key(recipe.hash, _half(workspace, number), half_seed(FIT_SEQUENCE, number, 0))) is None
            for number in range(max(halves))
        )
    return _estimate_cost(
        workspace,
        gradients,
        trainings,
        [count for count in halves if not list(kept.glob(f"datamodels-{count}-*.json"))],
    )


def full_cost(workspace) -> dict:
    """What `compute_variants` does where nothing is known, and about how long it takes one core, judged by what a base model took:
    {"checkpoints", "trainings", "fits", "seconds"}."""
    return _estimate_cost(
        workspace, max(_check_checkpoints(workspace, CHECKPOINT_COUNTS)), max(HALF_COUNTS), HALF_COUNTS
    )


def _estimate_cost(workspace, gradients, trainings, fits) -> dict:
    each = _base_provenance(workspace).get("seconds", 0)
    seconds = (trainings / 2 + gradients * TRAININGS_PER_CHECKPOINT) * each + sum(
        fits
    ) * LASSO_SECONDS * workspace.n_train * workspace.n_val
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


# -- variants: (name, what else its figures rest on, make() -> (score rows, targets or None, its row so far), whether
# make keeps a ranking of it)


def _list_variants(workspace, checkpoints, halves, dim, training, kept, progress) -> list[tuple]:
    found = [
        (
            f"trak-{count}",
            [count, dim, training],
            lambda count=count: _trak_variant(workspace, count, dim, training, kept, progress),
            True,
        )
        for count in checkpoints
    ]
    found += [
        (
            f"datamodels-{count}",
            [count, training],
            lambda count=count: _datamodels_variant(workspace, count, training, progress),
            True,
        )
        for count in sorted(halves)
    ]
    for name in workspace.rankings():
        part = workspace.manifest["parts"].get(f"rankings/{name}", {})
        if (
            part.get("method") == "Datamodels"
            and part.get("models", 0) > max(halves)
            and "seconds" in part
            and (part.get("made_for") or {}).get("hash") == recipes.get_recipe(workspace.recipe).hash
        ):
            found.append(
                (
                    name,
                    [workspace.ranking(name).version, training],
                    lambda name=name, part=part: _stored_variant(workspace, name, part, training),
                    False,
                )
            )
    features = [
        name
        for name in workspace.features()
        if name in SELF_SUPERVISED and "seconds" in workspace.manifest["parts"][f"features/{name}"]
    ]
    live = [f"esvm-{name}" for name in features[:1]]
    return found + [
        (name, [workspace.ranking(name).version], lambda name=name: _live_variant(workspace, name), False)
        for name in (*live, "random")
    ]


def variant_ranking(row: dict) -> str:
    """The ranking whose supports are those of a row of `compute_variants`."""
    return f"{row['name']}{VARIANT_SUFFIX}" if row["here"] and row["models"] else row["name"]


def support_aucs(workspace, store, answer: dict) -> dict[str, dict]:
    """The supports of what `compute_variants` has measured, `support_report.compare_on_same_targets`, of kinds that any variant was studied for. A
    variant whose ranking is another by now has none."""
    rows = [
        row
        for row in answer["rows"]
        if "version" not in row
        or row["version"] is not None
        and row["version"] == _variant_version(workspace, row["name"])
    ]
    found = compare_on_same_targets(workspace, store, [variant_ranking(row) for row in rows])
    return {kind: one for kind, one in found.items() if any(name.endswith(VARIANT_SUFFIX) for name in one["rankings"])}


def _save_top_k(workspace, name: str, method: str, count: int, seeds, lists: list[np.ndarray]) -> str | None:
    """Keeps the first images of each target, at most LISTED, as the ranking that a study takes for a variant, and
    returns its version; None where the workspace came with another one."""
    part = f"rankings/{name}{VARIANT_SUFFIX}"
    ids = np.full((len(lists), STORED_K), -1, np.int16 if workspace.n_train < 2**15 else np.int32)
    for row, found in zip(ids, lists):
        row[: len(found)] = found
    if workspace.can_add(part):
        about = {
            **command_provenance("evaluate compute"),
            "method": method,
            "signed": False,
            "variant": True,
            "models": count,
            "made_for": ranking_origin(workspace, seeds),
            "about": f"{count:,} model{'s' * (count != 1)} · first {STORED_K} of each target, the helpful end alone",
        }
        save_part(workspace, part, {"ids": ids[:, None]}, about)
    elif not np.array_equal(read_array(workspace.folder(part) / "ids.npy"), ids[:, None]):
        return None
    return _variant_version(workspace, name)


def _variant_version(workspace, name: str) -> str | None:
    """That of a variant's ranking; None where there is none."""
    return workspace.manifest["parts"].get(f"rankings/{name}{VARIANT_SUFFIX}", {}).get("digest")


def _trak_variant(workspace, count, dim, training, kept, progress):
    from attribution.rankings import trak

    parts = scores.compute_trak_factors(workspace, count, dim, kept, progress)
    watch = timing.Stopwatch()
    rows = trak.scores(parts, 0, workspace.n_val)
    taken = watch.seconds
    version = _save_top_k(
        workspace,
        f"trak-{count}",
        "TRAK",
        count,
        _base_provenance(workspace)["seeds"][:count],
        [top_k(row, STORED_K) for row in rows],
    )
    return (
        rows,
        None,
        {
            "method": "TRAK",
            "models": count,
            "version": version,
            "training_seconds": count * training["whole"],
            "computing_seconds": float(sum(one["seconds"] for one in parts)) + taken,
            "bytes": sum(one[name].nbytes for one in parts for name in ("train", "val", "doubt")),
            "scores_bytes": 2 * rows.size,
            "here": True,
        },
    )


def _datamodels_variant(workspace, count, training, progress):
    from attribution.rankings import datamodels as method

    sequence = {"draw": FIT_SEQUENCE, "count": count, "seeds": [0]}
    train_halves(workspace, sequence, progress)
    masks, margins = load_half_margins(workspace, sequence)
    watch = timing.Stopwatch()
    weights, about = scores.fit_tuned_datamodels(
        masks, margins.mean(1), min(scores.MAX_TUNING_HALVES, count // 10), f"datamodels-{count}", progress
    )
    taken = watch.seconds
    tails = method.zero_weight_tails(weights, method.marginal_effects(masks, margins.mean(1)), STORED_K)[:, 0].astype(
        np.int64
    )
    version = _save_top_k(
        workspace,
        f"datamodels-{count}",
        "Datamodels",
        count,
        "halves",
        [
            np.concatenate([np.argsort(-row, kind="stable")[: (row > 0).sum()], tail[row[tail] == 0]])[:STORED_K]
            for row, tail in zip(weights, tails)
        ],
    )
    nonzero = int((weights != 0).sum())
    return (
        weights,
        None,
        {
            "method": "Datamodels",
            "models": count,
            "version": version,
            "training_seconds": count * training["half"],
            "computing_seconds": taken,
            "bytes": _halves_bytes(workspace, count),
            "scores_bytes": 4 * nonzero + 8 * (len(weights) + 1),
            "here": True,
            **about,
        },
    )


def _stored_variant(workspace, name, part, training):
    ranking = workspace.ranking(name)
    sizes = {Path(file).stem: size for file, size in part["files"].items()}
    return (
        ranking.all_scores(),
        ranking.targets,
        {
            "method": "Datamodels",
            "models": part["models"],
            "training_seconds": part["models"] * training["half"],
            "computing_seconds": part["seconds"],
            "bytes": _halves_bytes(workspace, part["models"]),
            "scores_bytes": sum(sizes.get(array, 0) for array in ("data", "columns", "starts")) or sum(sizes.values()),
            "here": False,
        },
    )


def _live_variant(workspace, name):
    ranking = workspace.ranking(name)
    part = workspace.manifest["parts"].get(f"features/{name.partition('-')[2]}", {})
    watch = timing.Stopwatch()
    rows = list(ranking.all_scores())
    return (
        rows,
        ranking.targets,
        {
            "method": ranking.method,
            "models": 0,
            "training_seconds": part.get("seconds", 0),
            "computing_seconds": watch.seconds if name != "random" else 0,
            "bytes": sum(part.get("files", {}).values()),
            "scores_bytes": 0,
            "here": True,
        },
    )


def _halves_bytes(workspace, count: int) -> int:
    """Bytes of the masks, packed, and float16 margins of `count` halves."""
    return count * (-(-workspace.n_train // 8) + 2 * workspace.n_val)


def _judge_variant(make, masks, margins, resamples) -> dict:
    rows, targets, row = make()
    one = lds.lds(masks, margins, rows, targets, resamples=resamples)
    return {
        **row,
        "seconds": row["training_seconds"] + row["computing_seconds"],
        "lds": one.mean,
        "ci": one.ci,
        "n_targets": len(one.per_target),
    }


def _cache_key(workspace, on, resamples) -> str:
    """Another for other held-out halves, base models, recipes and what else a variant rests on."""
    base = _base_provenance(workspace).get("digest")
    what = [on, resamples, halves_digest(workspace), base, recipes.get_recipe(workspace.recipe).hash]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def _cached_json(file: Path, compute: Callable[[], dict]) -> dict:
    """The JSON that `file` keeps, computed where it is not there yet."""
    if not file.exists():
        write_json(file, compute())
    return json.loads(file.read_text())


# -- kept, so that a page need not compute


def save(workspace, answer: dict, about: dict, record: Callable | None = None) -> None:
    """Keeps what was measured as the part "compute", where a user's parts go, or as record(part, file, answer, about)
    stores it; about: further provenance."""
    known = set(workspace.rankings())
    about = {
        "halves": halves_digest(workspace),
        "base": _base_provenance(workspace).get("digest"),
        "recipe": workspace.recipe,
        "hash": recipes.get_recipe(workspace.recipe).hash,
        "trained_on": {"draw": FIT_SEQUENCE, "seeds": [0]},
        "seeds": _base_provenance(workspace).get("seeds"),
        "masks": answer["masks"],
        "of": {
            row["name"]: workspace.ranking(row["name"]).version
            for row in answer["rows"]
            if not row["here"] or row["models"] == 0 and row["name"] in known
        },
        **about,
    }
    save_json_part(workspace, PART, FILE, answer, about, record)


def load(workspace) -> dict | None:
    """What was kept last; None where nothing was, or where the halves, the base models or a ranking of it are others
    by now. Raises UserError where it cannot be read."""
    return load_json_part(workspace, PART, FILE)
