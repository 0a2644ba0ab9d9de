"""Two learning algorithms on the same images: which training images' influence changes most?

TRAK is computed from MODELS_PER_RECIPE models of each of two recipes. Its scale is arbitrary, so a target's scores are
standardised (mean 0, variance 1 over the training images), and an image's change is the difference of these. Models
that differ only in the seed disagree, too: as many more models of the first recipe, with the second one's seeds, show
how much of the change is noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.builds.scores import compute_recipe_factors, compute_trak_factors
from attribution.errors import UserError
from attribution.files.libraries import check_library
from attribution.metrics import lds
from attribution.metrics.rank_agreement import jaccard
from attribution.metrics.statistics import bootstrap_interval, spearman_correlation
from attribution.rankings.base import top_k
from attribution.workspace.parts import Part, Progress, base_digest, held_out_digest, scratch_folder
from attribution.workspace.workspace import Workspace

STORED = Part("algorithms")
PART = STORED.name
MODELS_PER_RECIPE = 5
PROJECTION_DIM = 512  # of TRAK's projection, as in `lds_vs_compute`
IMAGES_PER_LIST = 12  # images stored of each list of a target
STORED_KEYS = ("models", "dim", "k", "hashes", "accuracy", "spearman", "jaccard", "moved", "lds")  # of the summary
#: lists stored of a target: the most helpful under either recipe, and what rose and fell most from first to second
LIST_NAMES = ("first", "second", "risen", "fallen")


@dataclass(frozen=True)
class InfluenceChange:
    """How the influence of training images differs between two recipes; L lists of K images each (LIST_NAMES).

    recipes  names of the two
    ids      int64 [n_val, L, K], training images
    scores   float32 [n_val, L, K, 2], their standardised scores under the first and the second recipe
    change   float32 [n_train], root mean square over targets of the change of an image's standardised score
    noise    float32 [n_train], the same between two sets of models of the first recipe
    summary  what `compute` says of the comparison, JSON
    """

    recipes: tuple[str, str]
    ids: np.ndarray
    scores: np.ndarray
    change: np.ndarray
    noise: np.ndarray
    summary: dict


def check_recipe(workspace: Workspace, other_recipe: str) -> None:
    """Raises UserError where the workspace's recipe cannot be compared with `other_recipe`."""
    workspace.get_recipe(other_recipe)
    if other_recipe == workspace.recipe:
        raise UserError(
            f"{other_recipe} is this workspace's own recipe; name another one, such as "
            f"{next(name for name in workspace.recipe_names() if name != other_recipe)}"
        )
    workspace.check_base()
    if workspace.base.n_models < 2 * MODELS_PER_RECIPE:
        raise UserError(
            f"a change is told from the noise of seeds by {2 * MODELS_PER_RECIPE} base models, and {workspace.name} "
            f"has {workspace.base.n_models}; train more with: python -m attribution base train --models "
            f"{2 * MODELS_PER_RECIPE}"
        )


def compute(
    workspace: Workspace, other_recipe: str, progress: Progress = lambda *at: None, resamples: int = 500
) -> InfluenceChange:
    """Computes TRAK under the workspace's recipe and under `other_recipe`; models that are missing are trained. If
    interrupted, call it again to go on.

    summary: {"models", "dim", "hashes": [2], "k", "accuracy": [first, second] on the validation images, "spearman" and
    "jaccard" (of the first k): {"between": the recipes, "within": two sets of models of the first; each {"mean", "ci"}:
    95 % over targets}, "lds": {recipe: {"lds", "ci"}} where there are held-out halves, which are of the first recipe,
    "moved": share of training images whose change exceeds their noise}. Raises UserError as `check_recipe` does, or
    where dattri is missing.
    """
    check_recipe(workspace, other_recipe)
    check_library("dattri")
    from attribution.rankings import trak

    cache_folder = scratch_folder(workspace, "compute")
    own_factors = compute_trak_factors(workspace, 2 * MODELS_PER_RECIPE, PROJECTION_DIM, cache_folder, progress)
    other_factors, other_accuracy = compute_recipe_factors(
        workspace,
        workspace.get_recipe(other_recipe),
        range(MODELS_PER_RECIPE, 2 * MODELS_PER_RECIPE),
        PROJECTION_DIM,
        cache_folder,
        progress,
    )
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        progress("algorithms: comparing", 0, 1)
        raw = [
            trak.scores(factors, 0, workspace.n_val)
            for factors in (own_factors[:MODELS_PER_RECIPE], other_factors, own_factors[MODELS_PER_RECIPE:])
        ]
        a, b, again = map(_standardised, raw)
        targets = np.arange(workspace.n_val)
        lists = np.array(
            [[top_k(row, IMAGES_PER_LIST) for row in (a[t], b[t], b[t] - a[t], a[t] - b[t])] for t in targets]
        )
        listed = np.stack([np.take_along_axis(scores[:, None], lists, 2) for scores in (a, b)], 3)
        change, noise = (np.sqrt(np.mean((scores - a) ** 2, 0)) for scores in (b, again))
        summary = {
            "models": MODELS_PER_RECIPE,
            "dim": PROJECTION_DIM,
            "k": IMAGES_PER_LIST,
            "hashes": [workspace.get_recipe(name).hash for name in (workspace.recipe, other_recipe)],
            "accuracy": [round(float((workspace.base.predicted == workspace.val_labels).mean()), 4), other_accuracy],
            "spearman": {
                "between": _mean_with_interval(spearman_correlation(a, b)),
                "within": _mean_with_interval(spearman_correlation(a, again)),
            },
            "jaccard": {
                "between": _mean_with_interval(_jaccard(a, b)),
                "within": _mean_with_interval(_jaccard(a, again)),
            },
            "moved": round(float(np.mean(change > noise)), 4),
        }
        if "lds" in workspace.manifest["parts"]:
            masks, margins = load_held_out_halves(workspace)
            measured = [lds.lds(masks, margins, scores, resamples=resamples) for scores in raw[:2]]
            summary["lds"] = {
                name: {"lds": score.mean, "ci": score.ci}
                for name, score in zip((workspace.recipe, other_recipe), measured)
            }
    progress("algorithms: comparing", 1, 1)
    return InfluenceChange(
        (workspace.recipe, other_recipe),
        lists,
        listed.astype(np.float32),
        change.astype(np.float32),
        noise.astype(np.float32),
        summary,
    )


def save(workspace: Workspace, change: InfluenceChange, provenance: dict, record: Callable | None = None) -> None:
    """Stores a comparison as the part "algorithms"; provenance, record: as `Part.save`."""
    id_type = np.int16 if workspace.n_train < 2**15 else np.int32
    arrays = {
        "ids": change.ids.astype(id_type),
        "scores": change.scores.astype(np.float16),
        "change": change.change,
        "noise": change.noise,
    }
    computed_with = {"recipes": list(change.recipes), **change.summary, **_digests(workspace)}
    STORED.save(workspace, arrays, {**computed_with, **provenance}, record)


def load(workspace: Workspace) -> InfluenceChange | None:
    """The stored comparison; None where nothing is stored, or the base models, a recipe or the halves have changed.
    Raises UserError where it cannot be read."""
    if not STORED.exists(workspace):
        return None
    made = STORED.provenance(workspace)
    if any(made[key] != digest for key, digest in _digests(workspace).items()) or any(
        name not in workspace.recipe_names() or workspace.get_recipe(name).hash != recipe_hash
        for name, recipe_hash in zip(made["recipes"], made["hashes"])
    ):
        return None
    shapes = {
        "ids": (workspace.n_val, len(LIST_NAMES), None),
        "scores": (workspace.n_val, len(LIST_NAMES), None, 2),
        "change": (workspace.n_train,),
        "noise": (workspace.n_train,),
    }
    arrays = STORED.read_arrays(workspace, shapes)
    arrays["ids"] = arrays["ids"].astype(np.int64)
    return InfluenceChange(
        tuple(made["recipes"]), **arrays, summary={key: made[key] for key in STORED_KEYS if key in made}
    )


def most_changed_images(change: InfluenceChange, count: int = 20) -> list[int]:
    """The training images whose influence changes most beyond noise: by change squared minus noise squared."""
    return top_k(change.change**2 - change.noise**2, count).tolist()


def _digests(workspace) -> dict[str, str | None]:
    return {"base": base_digest(workspace), "halves": held_out_digest(workspace)}


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and variance 1; zeros where a row is constant."""
    spread = scores.std(1, keepdims=True)
    return np.divide(scores - scores.mean(1, keepdims=True), spread, out=np.zeros_like(scores), where=spread > 0)


def _jaccard(a, b, k: int = 20) -> np.ndarray:
    return np.array([jaccard(top_k(x, k), top_k(y, k)) for x, y in zip(a, b)])


def _mean_with_interval(values) -> dict:
    ends = bootstrap_interval(values, resamples=1000)
    return {"mean": float(np.mean(values)), "ci": list(ends) if ends else None}
