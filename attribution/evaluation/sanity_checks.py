"""Two checks that a ranking should pass: does it notice whether the model was trained, and what happens to its scores
when its best training image is there more than once?

Untrained: TRAK on networks as they are initialised, beside TRAK on the same networks trained, after the model parameter
randomisation of Adebayo et al., "Sanity Checks for Saliency Maps" (arXiv 1810.03292). Scores that hardly change do not
explain what was learned. Similarity uses no classifier and cannot change.

Duplicates: 1, 2, 4 or 8 exact copies of the most helpful image of some targets are added to the training set. Other
targets get none, because an image that was chosen for its high score scores lower when it is measured again. TRAK is
computed anew on models of the larger set, L2 and exemplar SVM on the same features, in which copies are equal.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import scipy
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.builds.scores import compute_trak_factors
from attribution.errors import UserError
from attribution.files.libraries import check_library
from attribution.metrics import lds
from attribution.metrics.rank_agreement import jaccard
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings.base import top_k
from attribution.rankings.similarity import METHODS
from attribution.training.edits import no_edit
from attribution.workspace.parts import (
    Part,
    Progress,
    base_digest,
    base_seeds,
    cached_npz,
    held_out_digest,
    ranking_versions,
    scratch_folder,
)
from attribution.workspace.workspace import FeatureSet, Workspace

STORED = Part("sanity", "sanity.json")
PART = STORED.name
N_CHECKPOINTS, PROJECTION_DIM, K = 3, 512, 20
N_TARGETS = 200  # targets for which orders are compared
COPY_COUNTS = (0, 1, 2, 4, 8)
TARGETS_PER_COUNT = 20  # targets for each number of copies
SIMILARITY_METHODS = ("esvm", "l2")
TARGET_SEED = 41  # draws targets


def compute(
    workspace: Workspace,
    checkpoints: int = N_CHECKPOINTS,
    dim: int = PROJECTION_DIM,
    targets_per_count: int = TARGETS_PER_COUNT,
    progress: Progress = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """Both checks on TRAK with the first `checkpoints` of the base models, and on exemplar SVM and L2 in the first
    feature set.

    {"checkpoints", "dim", "k", "features", "seeds", "untrained": `compare_untrained`, "copies": their number,
    "each": targets for each number of copies, "duplicates": {"TRAK" and names: `measure_dilution`}}.

    What was computed of a model is cached in the data folder: if interrupted, call it again to go on. Raises UserError
    where there are no base models, fewer than `checkpoints`, no features, or dattri is missing, and for a
    `targets_per_count` or `dim` below 1.
    """
    workspace.check_base()
    check_library("dattri")
    seeds = base_seeds(workspace)
    if not 1 <= checkpoints <= len(seeds):
        raise UserError(
            f"{checkpoints} checkpoints were asked for and {workspace.name} has {len(seeds)} base models; "
            f"give 1 to {len(seeds)}"
        )
    if not workspace.features():
        raise UserError(
            f"{workspace.name} has no features, and similarity cannot be checked without any; train some with: "
            "python -m attribution features train moco"
        )
    most = workspace.n_val // len(COPY_COUNTS)
    if not 1 <= targets_per_count <= most:
        raise UserError(
            f"{targets_per_count} targets for each number of copies were asked for, and {workspace.n_val} validation "
            f"images give 1 to {most}"
        )
    if dim < 1:
        raise UserError(f"{dim} dimensions are too few to project gradients to; give at least 1")
    from attribution.training.trainer import Trainer

    cache_folder, recipe = scratch_folder(workspace, PART), workspace.get_recipe()
    seeds = seeds[: 2 * checkpoints]
    features = workspace.features()[0]
    names = [f"{method}-{features}" for method in SIMILARITY_METHODS]
    # shares the cache of `lds_vs_compute`
    trainer = Trainer(workspace, recipe)  # first: it refuses a recipe of the user's
    trained = compute_trak_factors(workspace, len(seeds), dim, scratch_folder(workspace, "compute"), progress)
    before = _trak_scores(trained[:checkpoints])

    def scores_on(description, key, trainer, network):
        """TRAK's scores on network(seed) of the first seeds, float32 [n_val, images of the trainer]."""
        return _trak_scores(
            [
                cached_npz(
                    cache_folder / f"{description}-{key}-{seed}-{dim}.npz",
                    lambda number=number, seed=seed: _compute_factors(
                        trainer,
                        network(seed),
                        dim,
                        number,
                        f"{description}, model {number + 1} of {checkpoints}",
                        progress,
                    ),
                )
                for number, seed in enumerate(seeds[:checkpoints])
            ]
        )

    base = f"{recipe.hash}-{base_digest(workspace)}"
    rows = {
        "trained": before,
        "untrained": scores_on("untrained", recipe.hash, trainer, lambda seed: trainer.untrained(seed).eval()),
    }
    if len(seeds) == 2 * checkpoints:
        rows["other"] = _trak_scores(trained[checkpoints:])
    planted = draw_copies(workspace, before, targets_per_count)
    larger = enlarged_workspace(workspace, planted, features)
    learner = Trainer(larger, recipe)
    after = scores_on(
        f"duplicates-{targets_per_count}-{checkpoints}", base, learner, lambda seed: learner.train(no_edit(), seed)
    )
    methods = {"TRAK": (before.__getitem__, after.__getitem__)}
    for method, name in zip(SIMILARITY_METHODS, names):
        methods[name] = workspace.ranking(name).scores, METHODS[method](larger, features).scores
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        return {
            "checkpoints": checkpoints,
            "dim": dim,
            "k": K,
            "features": features,
            "seeds": seeds[:checkpoints],
            "untrained": compare_untrained(workspace, rows, names, resamples),
            "copies": len(larger.copy_of),
            "each": targets_per_count,
            "duplicates": {name: measure_dilution(larger, planted, *scores) for name, scores in methods.items()},
        }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "sanity"; provenance, record: as `Part.save`."""
    names = [f"{method}-{answer['features']}" for method in SIMILARITY_METHODS]
    computed_with = {
        **({"halves": held_out_digest(workspace)} if "lds" in workspace.manifest["parts"] else {}),
        "base": base_digest(workspace),
        "recipe": workspace.recipe,
        "hash": workspace.get_recipe().hash,
        "of": ranking_versions(workspace, names),
    }
    STORED.save(workspace, answer, {**computed_with, **provenance}, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute`, as `Part.load`."""
    return STORED.load(workspace)


def compare_untrained(
    workspace: Workspace, rows: dict[str, np.ndarray], names: list[str], resamples: int = 500
) -> dict:
    """How far TRAK's order on trained networks agrees with that on the same ones untrained ("untrained") and on other
    trained ones ("other", where there are any); how far the others agree with the untrained ("unrelated", which share
    neither seeds nor projections); and how far similarity rankings agree with those without a classifier.

    rows: float [n_val, n_train], scores of "trained", "untrained" and maybe "other".

    {"targets", "chance": Jaccard of random orders, "pairs": {"untrained", "other", "unrelated", names:
    `compare_scores`}, "lds": {"trained", "untrained", "other": {"lds", "ci"}} and "ceiling", None where there are no
    held-out halves}. Intervals resample targets (pairs), or halves and targets (LDS).
    """
    n = workspace.n_train
    targets = np.sort(np.random.default_rng(TARGET_SEED).permutation(workspace.n_val)[:N_TARGETS])
    pairs = {
        name: compare_scores([(rows["trained"][target], rows[name][target]) for target in targets])
        for name in ("untrained", "other")
        if name in rows
    }
    if "other" in rows:
        pairs["unrelated"] = compare_scores([(rows["other"][target], rows["untrained"][target]) for target in targets])
    blind = Workspace(
        workspace.path,
        {
            **workspace.manifest,
            "parts": {
                part: provenance
                for part, provenance in workspace.manifest["parts"].items()
                if part.startswith("features/")
            },
        },
    )
    for name in names:  # scores of the published candidates, images of the true class
        pairs[name] = compare_scores(
            [(workspace.ranking(name).scores(target), blind.ranking(name).scores(target)) for target in targets]
        )
    scored, ceiling = None, None
    if "lds" in workspace.manifest["parts"]:
        masks, margins = load_held_out_halves(workspace)
        measured = {name: lds.lds(masks, margins, scores, resamples=resamples) for name, scores in rows.items()}
        scored = {name: {"lds": score.mean, "ci": score.ci} for name, score in measured.items()}
        ceiling = lds.noise_ceiling(margins).mean
    k = min(K, n)
    return {"targets": len(targets), "chance": k / (2 * n - k), "pairs": pairs, "lds": scored, "ceiling": ceiling}


def compare_scores(pairs) -> dict:
    """{"jaccard" of the top K, "spearman" of all scores: `mean_with_interval`} over pairs of score rows [n_train]."""
    return {
        "jaccard": mean_with_interval(np.array([jaccard(top_k(a, K), top_k(b, K)) for a, b in pairs])),
        "spearman": mean_with_interval(np.array([scipy.stats.spearmanr(a, b).statistic for a, b in pairs])),
    }


def draw_copies(
    workspace: Workspace, scores: np.ndarray, targets_per_count: int = TARGETS_PER_COUNT
) -> list[tuple[int, int, int]]:
    """(target, its most helpful image of its own class, copies to plant) of random targets, `targets_per_count` for
    each of COPY_COUNTS; no image twice. scores: float [n_val, n_train]. Raises UserError where there are too few
    targets."""
    total = targets_per_count * len(COPY_COUNTS)
    planted, taken = [], set()
    for target in np.random.default_rng(TARGET_SEED).permutation(workspace.n_val).tolist():
        pool = np.flatnonzero(workspace.train_labels == workspace.val_labels[target])
        if not len(pool):
            continue
        image = int(pool[scores[target][pool].argmax()])
        if len(planted) < total and image not in taken and scores[target][image] > 0:
            planted.append((target, image, COPY_COUNTS[len(planted) % len(COPY_COUNTS)]))
            taken.add(image)
    if len(planted) < total:
        raise UserError(
            f"{total} targets with different images that help most are needed, and there are "
            f"{len(planted)}; use a workspace with more validation images"
        )
    return planted


def enlarged_workspace(workspace: Workspace, planted: list[tuple[int, int, int]], features: str) -> SimpleNamespace:
    """The workspace with the copies after its training images, with what trainings and similarity rankings read of it;
    copy_of: int64 [copies], the image that each copy is of. planted: what `draw_copies` returns."""
    copy_of = np.concatenate([np.full(count, image) for _, image, count in planted])
    ids, original = np.concatenate([np.arange(workspace.n_train), copy_of]), workspace.feature(features)
    feature_set = FeatureSet(features, np.asarray(original.train)[ids], original.val)
    return SimpleNamespace(
        train_images=np.asarray(workspace.train_images)[ids],
        n_train=len(ids),
        train_labels=workspace.train_labels[ids],
        val_images=workspace.val_images,
        val_labels=workspace.val_labels,
        n_val=workspace.n_val,
        classes=workspace.classes,
        feature={features: feature_set}.__getitem__,
        copy_of=copy_of,
    )


def measure_dilution(
    larger: SimpleNamespace, planted: list[tuple[int, int, int]], before: Callable, after: Callable
) -> dict:
    """What happens to an image's score when copies are added: {copies: {"one": its score with the copies over that
    without any, "sum": the same of image and copies together, "places": how many of the top K they hold}}, each
    {"mean", "ci", "n"} over targets. before, after: target -> scores of the training images without and with the
    copies."""
    n = larger.n_train - len(larger.copy_of)
    values: dict = {count: [] for count in COPY_COUNTS}
    for target, image, count in planted:
        same = np.append(image, n + np.flatnonzero(larger.copy_of == image))
        without, now = before(target)[image], after(target)
        values[count].append([now[image] / without, now[same].sum() / without, np.isin(top_k(now, K), same).sum()])
    return {
        str(count): {
            name: mean_with_interval(np.array(column)) for name, column in zip(("one", "sum", "places"), zip(*rows))
        }
        for count, rows in values.items()
        if rows
    }


def _compute_factors(trainer, network, dim, number, description, progress) -> dict:
    from attribution.rankings import trak

    return trak.compute_factors(
        trainer,
        network,
        trainer.val_labels.numpy(),
        dim,
        number,
        progress=lambda *at: progress(f"TRAK, {description}: images", *at),
    )


def _trak_scores(factors: list[dict]) -> np.ndarray:
    from attribution.rankings import trak

    return trak.scores(factors, 0, factors[0]["val"].shape[1])
