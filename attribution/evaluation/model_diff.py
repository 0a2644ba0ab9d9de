"""Two learning algorithms on the same images: which training images' influence changes most?

TRAK is made of MODELS models of each of two recipes. Its scale is arbitrary, so a target's scores are standardised
(mean 0, variance 1 over the training images), and an image's change is the difference of these. Models that differ in
the seed alone disagree, too: MODELS more of the first recipe, of the second one's seeds, say how much of it is noise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.builds.scores import compute_recipe_factors, compute_trak_factors
from attribution.errors import UserError
from attribution.files import read_array
from attribution.metrics import lds, statistics
from attribution.metrics.statistics import spearman_correlation
from attribution.rankings.base import top_k
from attribution.training import recipes
from attribution.workspace.parts import check_library, save_part, scratch_folder

PART = "algorithms"
MODELS_PER_RECIPE = 5
PROJECTION_DIM = 512  # of TRAK's projection, as in `compute`
IMAGES_PER_LIST = 12  # images kept of each list of a target
#: what is kept of a target: the most helpful under either, and what rose and fell most from the first to the second
LIST_NAMES = ("first", "second", "risen", "fallen")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class InfluenceChange:
    """recipes: the two names. ids: int64 [n_val, len(LISTS), K], training images; scores: float32 [n_val, len(LISTS),
    K, 2], their standardised scores under the first and the second. change, noise: float32 [n_train], root mean square
    over the targets of what an image's standardised score changes by between the recipes, and between two sets of
    models of the first. about: what `compare_recipes` says of both, JSON."""

    recipes: tuple[str, str]
    ids: np.ndarray
    scores: np.ndarray
    change: np.ndarray
    noise: np.ndarray
    about: dict


def check_recipe(workspace, other: str) -> None:
    """Raises UserError where the workspace's recipe cannot be compared with the recipe `other`."""
    recipes.get_recipe(other)
    if other == workspace.recipe:
        raise UserError(
            f"{other} is this workspace's own recipe; name another one, such as "
            f"{next(name for name in recipes.NAMES if name != other)}"
        )
    workspace.check_base()
    if workspace.base.n_models < 2 * MODELS_PER_RECIPE:
        raise UserError(
            f"a change is told from the noise of seeds by {2 * MODELS_PER_RECIPE} base models, and {workspace.name} "
            f"has {workspace.base.n_models}; train more with: python -m attribution base train --models "
            f"{2 * MODELS_PER_RECIPE}"
        )


def compare_recipes(
    workspace, other: str, progress: Progress = lambda *at: None, resamples: int = 500
) -> InfluenceChange:
    """Makes TRAK under the workspace's recipe and under `other`; models that are missing are trained. Broken off, it
    goes on.

    about: {"models", "dim", "hashes": [2], "k", "accuracy": [first, second] on the validation images, "spearman" and
    "jaccard" (of the first k): {"between": the recipes, "within": two sets of models of the first; each {"mean", "ci"}:
    95 % over targets}, "lds": {recipe: {"lds", "ci"}} where there are held-out halves, which are of the first recipe,
    "moved": share of training images whose change is more than their noise}. Raises UserError as `check_recipe` does, and
    where dattri is missing.
    """
    check_recipe(workspace, other)
    check_library("dattri")
    from attribution.rankings import trak

    kept = scratch_folder(workspace, "compute")
    own = compute_trak_factors(workspace, 2 * MODELS_PER_RECIPE, PROJECTION_DIM, kept, progress)
    trained, right = compute_recipe_factors(
        workspace,
        recipes.get_recipe(other),
        range(MODELS_PER_RECIPE, 2 * MODELS_PER_RECIPE),
        PROJECTION_DIM,
        kept,
        progress,
    )
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        progress("algorithms: comparing", 0, 1)
        raw = [
            trak.scores(parts, 0, workspace.n_val)
            for parts in (own[:MODELS_PER_RECIPE], trained, own[MODELS_PER_RECIPE:])
        ]
        a, b, again = map(_standardised, raw)
        targets = np.arange(workspace.n_val)
        lists = np.array(
            [[top_k(row, IMAGES_PER_LIST) for row in (a[t], b[t], b[t] - a[t], a[t] - b[t])] for t in targets]
        )
        shown = np.stack([np.take_along_axis(side[:, None], lists, 2) for side in (a, b)], 3)
        change, noise = (np.sqrt(np.mean((other_side - a) ** 2, 0)) for other_side in (b, again))
        about = {
            "models": MODELS_PER_RECIPE,
            "dim": PROJECTION_DIM,
            "k": IMAGES_PER_LIST,
            "hashes": [recipes.get_recipe(name).hash for name in (workspace.recipe, other)],
            "accuracy": [round(float((workspace.base.predicted == workspace.val_labels).mean()), 4), right],
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
            found = [lds.lds(masks, margins, side, resamples=resamples) for side in raw[:2]]
            about["lds"] = {
                name: {"lds": one.mean, "ci": one.ci} for name, one in zip((workspace.recipe, other), found)
            }
    progress("algorithms: comparing", 1, 1)
    return InfluenceChange(
        (workspace.recipe, other),
        lists,
        shown.astype(np.float32),
        change.astype(np.float32),
        noise.astype(np.float32),
        about,
    )


def _standardised(scores: np.ndarray) -> np.ndarray:
    """Each row with mean 0 and variance 1; zeros where a row is constant."""
    spread = scores.std(1, keepdims=True)
    return np.divide(scores - scores.mean(1, keepdims=True), spread, out=np.zeros_like(scores), where=spread > 0)


def _jaccard(a, b, k: int = 20) -> np.ndarray:
    """Of the first k of each row."""
    shared = np.array([len(np.intersect1d(top_k(x, k), top_k(y, k))) for x, y in zip(a, b)])
    return shared / (2 * min(k, a.shape[1]) - shared)


def _mean_with_interval(values) -> dict:
    ends = statistics.bootstrap_interval(values, resamples=1000)
    return {"mean": float(np.mean(values)), "ci": list(ends) if ends else None}


def most_changed_images(found: InfluenceChange, count: int = 20) -> list[int]:
    """The training images whose influence changes most beyond noise: by change squared less noise squared."""
    return top_k(found.change**2 - found.noise**2, count).tolist()


# -- kept, so that a page need not compute

STORED_KEYS = ("models", "dim", "k", "hashes", "accuracy", "spearman", "jaccard", "moved", "lds")
STORED_DIGESTS = {"base": "base", "halves": "lds"}  # what a comparison keeps the digest of -> that part


def save(workspace, found: InfluenceChange, about: dict, record: Callable | None = None) -> None:
    """Keeps a comparison as the part "algorithms", where a user's parts go, or as record(part, arrays, about) stores
    it; about: further provenance."""
    small = np.int16 if workspace.n_train < 2**15 else np.int32
    arrays = {
        "ids": found.ids.astype(small),
        "scores": found.scores.astype(np.float16),
        "change": found.change,
        "noise": found.noise,
    }
    rests = {name: workspace.manifest["parts"].get(part, {}).get("digest") for name, part in STORED_DIGESTS.items()}
    about = {"recipes": list(found.recipes), **found.about, **rests, **about}
    (record or (lambda *part: save_part(workspace, *part)))(PART, arrays, about)


def load(workspace) -> InfluenceChange | None:
    """What was kept last; None where nothing was, or the base models, a recipe or the halves are others by now.
    Raises UserError where it cannot be read."""
    parts = workspace.manifest["parts"]
    about = parts.get(PART)
    if about is None or any(about[name] != parts.get(part, {}).get("digest") for name, part in STORED_DIGESTS.items()):
        return None
    if any(
        name not in recipes.NAMES or recipes.get_recipe(name).hash != hash_
        for name, hash_ in zip(about["recipes"], about["hashes"])
    ):
        return None
    shapes = {
        "ids": (workspace.n_val, len(LIST_NAMES), None),
        "scores": (workspace.n_val, len(LIST_NAMES), None, 2),
        "change": (workspace.n_train,),
        "noise": (workspace.n_train,),
    }
    arrays = {
        name: np.asarray(read_array(workspace.folder(PART) / f"{name}.npy", *shape)) for name, shape in shapes.items()
    }
    return InfluenceChange(
        tuple(about["recipes"]),
        **{**arrays, "ids": arrays["ids"].astype(np.int64)},
        about={name: about[name] for name in STORED_KEYS if name in about},
    )
