"""Do rankings order training images as leaving each of them out alone does? Under a head, where that is exact.

A random sample of training images is left out one at a time and the head refitted each time: no approximation by the
Hessian, but the solution, FINER times as exact as other refits, since one image changes most margins by less than their
tolerance. One refit serves all targets. With networks the noise between two seeds drowns one image (Nguyen et al.,
arXiv 2305.19765).

A class-conditioned ranking scores no image of another class, so that part of its correlation is knowledge of the class,
as in LDS. The correlation among the target's own class alone stands beside it.
"""

from collections.abc import Callable

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.metrics.leave_one_out import leave_one_out_correlation
from attribution.metrics.statistics import mean_with_interval
from attribution.rankings import default_rankings
from attribution.rankings.base import Ranking
from attribution.workspace import heads
from attribution.workspace.parts import Part, Progress
from attribution.workspace.workspace import Workspace

STORED = Part("leave_one_out", "leave_one_out.json", command="evaluate loo")
PART = STORED.name
N_IMAGES, SEED = 1000, 0
FINER = 100


def compute(
    workspace: Workspace,
    names: list[str] | None = None,
    n_images: int = N_IMAGES,
    seed: int = SEED,
    progress: Progress = lambda *at: None,
) -> dict:
    """Spearman's correlation, for each target that a ranking ranks, between its scores and by how much the margin falls
    without each of `n_images` training images (all, where there are fewer), drawn by `seed`.

    {"recipe", "recipe_hash", "images": number left out, "seed", "targets", "typical": median absolute change of a
    margin, in logits, "rankings": {NAME: {"correlation", "same_class": among the images with the target's label}}},
    each with "mean", "ci" (95 % bootstrap over targets) and "n". Raises UserError where the model is no head, and for a
    ranking that keeps its first images alone.
    """
    heads.check_seen(workspace, "with networks the noise between two seeds drowns what one image does")
    rankings = [_check_complete(workspace.ranking(name)) for name in names or complete_names(workspace)]
    sample = np.random.default_rng(seed).permutation(workspace.n_train)[:n_images]
    same_class = workspace.val_labels[:, None] == workspace.train_labels[sample]
    rows = {}
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        falls = leave_out(workspace, sample, progress)
        for at, ranking in enumerate(rankings):
            progress("leave-one-out: rankings", at, len(rankings))
            of = ranking.targets
            scores = np.stack([row[sample] for row in ranking.all_scores()])
            rows[ranking.name] = {
                "correlation": mean_with_interval(leave_one_out_correlation(falls[of], scores)),
                "same_class": mean_with_interval(leave_one_out_correlation(falls[of], scores, same_class[of])),
            }
    progress("leave-one-out: rankings", len(rankings), len(rankings))
    return {
        "recipe": workspace.recipe,
        "recipe_hash": workspace.get_recipe().hash,
        "images": len(sample),
        "seed": seed,
        "targets": workspace.n_val,
        "typical": float(np.median(np.abs(falls))),
        "rankings": rows,
    }


def save(workspace: Workspace, answer: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "leave_one_out"; provenance, record: as `Part.save`."""
    STORED.save_answer(workspace, answer, provenance, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer, as `Part.load_answer`."""
    return STORED.load_answer(workspace)


def leave_out(workspace: Workspace, images: np.ndarray, progress: Progress = lambda *at: None) -> np.ndarray:
    """By how much every validation image's margin is lower without each training image, float64 [n_val, images], in
    logits of the head that the workspace is seen by."""
    trainer = heads.make_trainer(workspace, workspace.recipe)
    head, val, labels = trainer.head, trainer.val, trainer.val_labels
    everything = np.arange(head.n_train)
    whole = head.margins(head.refit(finer=FINER), val, labels)
    falls = np.empty((len(val), len(images)))
    for at, image in enumerate(images):
        progress("leave-one-out: refits", at, len(images))
        falls[:, at] = whole - head.margins(head.refit(np.delete(everything, image), finer=FINER), val, labels)
    return falls


def complete_names(workspace: Workspace) -> list[str]:
    """The rankings that are measured where none are named: those a page opens with, as far as they keep every score."""
    return [name for name in default_rankings(workspace) if workspace.ranking(name).complete]


def _check_complete(ranking: Ranking) -> Ranking:
    if not ranking.complete:
        raise UserError(
            f"{ranking.name} keeps its first images alone, and leave-one-out needs every score; "
            "import it again with --dense, or leave it out"
        )
    return ranking
