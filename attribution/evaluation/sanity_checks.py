"""Two checks that a ranking should stand: does it notice whether the model was trained, and what becomes of it when its
best training image is there more than once?

Untrained: TRAK on networks as they are initialised, beside TRAK on the same networks trained, after the model parameter
randomisation of Adebayo et al., "Sanity Checks for Saliency Maps" (arXiv 1810.03292). What hardly changes does not
explain what was learned. Similarity asks no classifier, and cannot change.

Duplicates: exact copies of the most helpful image of some targets are planted in the training set, 1, 2, 4 or 8 of it;
other targets get none, since an image that was chosen for its high score scores lower when it is measured again. TRAK
is computed anew on models of the larger set; L2 and exemplar SVM on the same features, in which copies are equal.
"""

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
from scipy.stats import spearmanr
from threadpoolctl import threadpool_limits

from attribution.builds.halves import load_held_out_halves
from attribution.builds.scores import compute_trak_factors
from attribution.errors import UserError
from attribution.metrics import lds
from attribution.metrics.rank_agreement import jaccard
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings.base import top_k
from attribution.rankings.similarity import METHODS
from attribution.training import recipes
from attribution.training.edits import no_edit
from attribution.workspace.parts import (
    cached_npz,
    check_library,
    held_out_digest,
    load_json_part,
    save_json_part,
    scratch_folder,
)
from attribution.workspace.workspace import FeatureSet, Workspace

PART, FILE = "sanity", "sanity.json"
N_CHECKPOINTS, PROJECTION_DIM, K = 3, 512, 20
N_TARGETS = 200  # that orders are compared for
COPY_COUNTS = (0, 1, 2, 4, 8)
TARGETS_PER_COUNT = 20  # targets for each number of copies
SIMILARITY_METHODS = ("esvm", "l2")
TARGET_SEED = 41  # draws targets
Progress = Callable[[str, int, int], None]


def compute(
    workspace,
    checkpoints: int = N_CHECKPOINTS,
    dim: int = PROJECTION_DIM,
    each: int = TARGETS_PER_COUNT,
    progress: Progress = lambda *at: None,
    resamples: int = 500,
) -> dict:
    """Both checks on TRAK with the first `checkpoints` of the base models, and on exemplar SVM and L2 in the first
    feature set: {"checkpoints", "dim", "k", "features", "seeds", "untrained": see `compare_untrained`, "copies": how many
    copies, "each": targets for each number of them, "duplicates": {"TRAK" and names: see `measure_dilution`}}. What was computed
    of a model is kept in the data folder; broken off, it goes on.

    Raises UserError where there are no base models, fewer than `checkpoints`, no features, or dattri is missing, and
    for an `each` or a `dim` below 1.
    """
    workspace.check_base()
    check_library("dattri")
    seeds = workspace.manifest["parts"]["base"]["seeds"]
    if not 1 <= checkpoints <= len(seeds):
        raise UserError(
            f"{checkpoints} checkpoints were asked for and {workspace.name} has {len(seeds)} base models; "
            f"give 1 to {len(seeds)}"
        )
    if not workspace.features():
        raise UserError(
            f"{workspace.name} has no features, and similarity cannot be checked without; train some with: "
            "python -m attribution features train moco"
        )
    most = workspace.n_val // len(COPY_COUNTS)
    if not 1 <= each <= most:
        raise UserError(
            f"{each} targets for each number of copies were asked for, and {workspace.n_val} validation "
            f"images give 1 to {most}"
        )
    if dim < 1:
        raise UserError(f"{dim} dimensions are too few to project gradients to; give at least 1")
    from attribution.training.trainer import Trainer

    kept, recipe, seeds = (
        scratch_folder(workspace, PART),
        recipes.get_recipe(workspace.recipe),
        seeds[: 2 * checkpoints],
    )
    features = workspace.features()[0]
    names = [f"{method}-{features}" for method in SIMILARITY_METHODS]
    # the same as `evaluate compute` keeps
    trained = compute_trak_factors(workspace, len(seeds), dim, scratch_folder(workspace, "compute"), progress)
    trainer, before = Trainer(workspace, recipe), _trak_scores(trained[:checkpoints])

    def of_each(what, key, trainer, network):
        """TRAK's scores on network(seed) of the first seeds, float32 [n_val, images of the trainer]."""
        return _trak_scores(
            [
                cached_npz(
                    kept / f"{what}-{key}-{seed}-{dim}.npz",
                    lambda number=number, seed=seed: _cached_factors(
                        trainer, network(seed), dim, number, f"{what}, model {number + 1} of {checkpoints}", progress
                    ),
                )
                for number, seed in enumerate(seeds[:checkpoints])
            ]
        )

    base = f"{recipe.hash}-{workspace.manifest['parts']['base'].get('digest')}"
    rows = {
        "trained": before,
        "untrained": of_each("untrained", recipe.hash, trainer, lambda seed: trainer.untrained(seed).eval()),
    }
    if len(seeds) == 2 * checkpoints:
        rows["other"] = _trak_scores(trained[checkpoints:])
    planted = draw_copies(workspace, before, each)
    larger = enlarged_workspace(workspace, planted, features)
    learner = Trainer(larger, recipe)
    after = of_each(f"duplicates-{each}-{checkpoints}", base, learner, lambda seed: learner.train(no_edit(), seed))
    methods = {"TRAK": (before.__getitem__, after.__getitem__)}
    for method, name in zip(SIMILARITY_METHODS, names):
        methods[name] = workspace.ranking(name).scores, METHODS[method](larger, features).scores
    with threadpool_limits(1):  # of small products, where BLAS threads mostly wait for each other
        return {
            "checkpoints": checkpoints,
            "dim": dim,
            "k": K,
            "features": features,
            "seeds": seeds[:checkpoints],
            "untrained": compare_untrained(workspace, rows, names, resamples),
            "copies": len(larger.copy_of),
            "each": each,
            "duplicates": {name: measure_dilution(larger, planted, *one) for name, one in methods.items()},
        }


def compare_untrained(workspace, rows: dict[str, np.ndarray], names: list[str], resamples: int = 500) -> dict:
    """How far TRAK's order on trained networks is that on the same ones untrained ("untrained") and that on other
    trained ones ("other", where there are any); how far that on the others is that on the untrained ("unrelated", which
    share neither seeds nor projections); and how far similarity rankings are those of a workspace without a classifier.

    rows: scores [n_val, n_train] of "trained", "untrained" and maybe "other". {"targets", "chance": Jaccard of random
    orders, "pairs": {"untrained", "other", "unrelated", names: {"jaccard": of the first K, "spearman": of all scores,
    {"mean", "ci", "n"} each}}, "lds": {"trained", "untrained", "other": {"lds", "ci"}} and "ceiling", None where there
    are no held-out halves}. Intervals resample targets (pairs), or halves and targets (LDS).
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
                part: about for part, about in workspace.manifest["parts"].items() if part.startswith("features/")
            },
        },
    )
    for name in names:  # `scores` among the candidates, those of the true class
        pairs[name] = compare_scores(
            [(workspace.ranking(name).scores(target), blind.ranking(name).scores(target)) for target in targets]
        )
    scored, ceiling = None, None
    if "lds" in workspace.manifest["parts"]:
        masks, margins = load_held_out_halves(workspace)
        found = {name: lds.lds(masks, margins, one, resamples=resamples) for name, one in rows.items()}
        scored, ceiling = (
            {name: {"lds": one.mean, "ci": one.ci} for name, one in found.items()},
            lds.noise_ceiling(margins),
        )
    k = min(K, n)
    return {
        "targets": len(targets),
        "chance": k / (2 * n - k),
        "pairs": pairs,
        "lds": scored,
        "ceiling": ceiling and ceiling.mean,
    }


def compare_scores(pairs) -> dict:
    """Jaccard of the first K and Spearman's correlation of all, over pairs of score rows, as `statistics.mean_with_interval`."""
    return {
        "jaccard": mean_with_interval(np.array([jaccard(top_k(a, K), top_k(b, K)) for a, b in pairs])),
        "spearman": mean_with_interval(np.array([spearmanr(a, b).statistic for a, b in pairs])),
    }


def draw_copies(workspace, scores: np.ndarray, each: int = TARGETS_PER_COUNT) -> list[tuple[int, int, int]]:
    """(target, its most helpful image of its own class, copies to plant) for `each` targets and number of COPIES, in a
    random order; no image twice. scores: [n_val, n_train]. Raises UserError where there are too few targets."""
    found, taken = [], set()
    for target in np.random.default_rng(TARGET_SEED).permutation(workspace.n_val).tolist():
        pool = np.flatnonzero(workspace.train_labels == workspace.val_labels[target])
        if not len(pool):
            continue
        image = int(pool[scores[target][pool].argmax()])
        if len(found) < each * len(COPY_COUNTS) and image not in taken and scores[target][image] > 0:
            found.append((target, image, COPY_COUNTS[len(found) % len(COPY_COUNTS)]))
            taken.add(image)
    if len(found) < each * len(COPY_COUNTS):
        raise UserError(
            f"{each * len(COPY_COUNTS)} targets with different images that help most are needed, and there are "
            f"{len(found)}; use a workspace with more validation images"
        )
    return found


def enlarged_workspace(workspace, planted, features: str) -> SimpleNamespace:
    """The workspace with the copies after its training images, as far as trainings and similarity rankings ask for
    it; copy_of: the image that each copy is of, int64."""
    copy_of = np.concatenate([np.full(count, image) for _, image, count in planted])
    every, known = np.concatenate([np.arange(workspace.n_train), copy_of]), workspace.feature(features)
    held = FeatureSet(features, np.asarray(known.train)[every], known.val)
    return SimpleNamespace(
        train_images=np.asarray(workspace.train_images)[every],
        n_train=len(every),
        train_labels=workspace.train_labels[every],
        val_images=workspace.val_images,
        val_labels=workspace.val_labels,
        n_val=workspace.n_val,
        classes=workspace.classes,
        feature={features: held}.__getitem__,
        copy_of=copy_of,
    )


def measure_dilution(larger, planted, before: Callable, after: Callable) -> dict:
    """What becomes of an image's score when there are more of it: {copies: {"one": its score with the copies by that
    without any, "sum": the same of all of them together, "places": how many of the first K they hold}, {"mean", "ci",
    "n"} over targets each}. before, after: target -> scores of the training images without and with the copies."""
    n = larger.n_train - len(larger.copy_of)
    found: dict = {count: [] for count in COPY_COUNTS}
    for target, image, count in planted:
        same = np.append(image, n + np.flatnonzero(larger.copy_of == image))
        then, now = before(target), after(target)
        found[count].append(
            [now[image] / then[image], now[same].sum() / then[image], np.isin(top_k(now, K), same).sum()]
        )
    return {
        str(count): {
            name: mean_with_interval(np.array(values)) for name, values in zip(("one", "sum", "places"), zip(*some))
        }
        for count, some in found.items()
        if some
    }


def _cached_factors(trainer, network, dim, number, what, progress) -> dict:
    from attribution.rankings import trak

    return trak.compute_factors(
        trainer,
        network,
        trainer.val_labels.numpy(),
        dim,
        number,
        progress=lambda *at: progress(f"TRAK, {what}: images", *at),
    )


def _trak_scores(factors: list[dict]) -> np.ndarray:
    from attribution.rankings import trak

    return trak.scores(factors, 0, factors[0]["val"].shape[1])


# -- kept, so that a page need not compute


def save(workspace, answer: dict, about: dict, record: Callable | None = None) -> None:
    """Keeps what was measured as the part "sanity", where a user's parts go, or as record(part, file, answer, about)
    stores it; about: further provenance."""
    parts, names = workspace.manifest["parts"], [f"{method}-{answer['features']}" for method in SIMILARITY_METHODS]
    save_json_part(
        workspace,
        PART,
        FILE,
        answer,
        {
            **({"halves": held_out_digest(workspace)} if "lds" in parts else {}),
            "base": parts["base"].get("digest"),
            "recipe": workspace.recipe,
            "hash": recipes.get_recipe(workspace.recipe).hash,
            "of": {name: workspace.ranking(name).version for name in names},
            **about,
        },
        record,
    )


def load(workspace) -> dict | None:
    """What was kept last; None where nothing was, or where the halves, the base models or the features are others by
    now. Raises UserError where it cannot be read."""
    return load_json_part(workspace, PART, FILE)
