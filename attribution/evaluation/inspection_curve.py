"""Accuracy against images inspected, where it is known which labels are wrong: what does an order of inspection buy?

Somebody who never errs looks through the training images in an order, and gives each wrong label among the first m back
its true class. Under a head each point is an exact refit, so that there are no seeds. The head's features and its
penalty stay as they are.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.audit import detectors
from attribution.errors import UserError
from attribution.evaluation import label_errors
from attribution.experiments.paired_arms import judging_targets
from attribution.metrics.label_detection import suspicion_order
from attribution.metrics.statistics import mean_with_interval, mean_with_t_interval
from attribution.training.edits import relabel
from attribution.training.head.recipe import HeadTrainer
from attribution.workspace import heads
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

#: of the training images, inspected
SHARES = (0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1)
DRAWS, SEED = 20, 0  # of random orders


def compute(
    workspace: Workspace,
    names: list[str] | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
    progress: Progress = lambda *at: None,
) -> dict:
    """The accuracy of the head that is looked at after the first m images of each detector's order, and of `draws`
    random orders, JSON. names: of detectors, those of the
    workspace's own model first; its default one if not given. Accuracies are shares.

    {"recipe", "recipe_hash", "errors" ("planted" or "imported"), "n_errors", "n_train", "n": validation images it is
    measured on, "uses_val", "draws", "seed", "accuracy": {"none", "all"}, "orders": {NAME: a list of points}, "random":
    a list of points}. Where one of the detectors has read validation images ("uses_val") all is measured on the second
    half. A point of a detector is {"inspected", "found", "accuracy", "against_random": {"mean", "ci" (95 %, paired
    bootstrap over validation images), "n"}}; one of random orders {"inspected", "found" and "accuracy": means, "ci" (95
    %, t over draws)}.

    Raises UserError where the workspace is not seen by a head, where no error is known or no such detector is stored,
    and where no validation image is left.
    """
    heads.check_seen(workspace, "without seeds only a head can be refitted for each number of images")
    truth = workspace.truth()
    if truth is None or not truth["planted"].any():
        raise label_errors.no_truth(workspace)
    own = workspace.with_model(None)  # most detectors are of the workspace's own model: labels are no model's
    names = list(dict.fromkeys(names or detectors.names(own)[:1] or detectors.names(workspace)[:1]))
    if not names:
        raise label_errors.no_detectors(workspace)
    theirs = set(detectors.names(workspace)) - set(detectors.names(own))
    loaded = [detectors.load(workspace if name in theirs else own, name) for name in names]
    uses_val = any(detector.uses_val for detector in loaded)
    targets = judging_targets(workspace, uses_val)
    if not len(targets):
        raise UserError("there are too few validation images to measure accuracy on; bring more")
    orders = [suspicion_order(detector.scores) for detector in loaded]
    orders += [np.random.default_rng([seed, draw]).permutation(workspace.n_train) for draw in range(draws)]
    trainer = heads.make_trainer(workspace, workspace.recipe)
    wrong, original = truth["planted"].to_numpy(bool), truth["original"].to_numpy()
    inspected = sorted({round(share * workspace.n_train) for share in SHARES})
    found, right = _inspect(trainer, orders, inspected, wrong, original, targets, progress)
    by_detector, by_chance = right[: len(names)], right[len(names) :]
    return {
        "recipe": workspace.recipe,
        "recipe_hash": trainer.recipe.hash,
        "errors": "planted" if workspace.planted else "imported",
        "n_errors": int(wrong.sum()),
        "n_train": workspace.n_train,
        "n": len(targets),
        "uses_val": uses_val,
        "draws": draws,
        "seed": seed,
        "accuracy": {"none": float(right[0, 0].mean()), "all": float(right[0, -1].mean())},
        "orders": {
            name: [
                {
                    "inspected": m,
                    "found": int(found[order, at]),
                    "accuracy": float(by_detector[order, at].mean()),
                    "against_random": mean_with_interval(by_detector[order, at] - by_chance[:, at].mean(0)),
                }
                for at, m in enumerate(inspected)
            ]
            for order, name in enumerate(names)
        },
        "random": [
            {
                "inspected": m,
                "found": float(found[len(names) :, at].mean()),
                "accuracy": drawn["mean"],
                "ci": drawn["ci"],
            }
            for at, m in enumerate(inspected)
            for drawn in [mean_with_t_interval(by_chance[:, at].mean(1))]
        ],
    }


def _inspect(
    trainer: HeadTrainer,
    orders: list[np.ndarray],
    inspected: list[int],
    wrong: np.ndarray,
    original: np.ndarray,
    targets: np.ndarray,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """After the first m images of each order: errors found, int [orders, m]; and which validation images the refitted
    head gets right, float [orders, m, targets]."""
    found = np.zeros((len(orders), len(inspected)), int)
    right = np.zeros((len(orders), len(inspected), len(targets)))
    known: dict[str, np.ndarray] = {}  # none and all are the same of every order
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for row, order in enumerate(orders):
            progress("refits", row, len(orders))
            for at, m in enumerate(inspected):
                errors = order[:m][wrong[order[:m]]]
                edit = relabel(errors, original[errors])
                if edit.hash not in known:
                    known[edit.hash] = (trainer.run(edit).predicted == trainer.val_labels)[targets]
                found[row, at], right[row, at] = len(errors), known[edit.hash]
    progress("refits", len(orders), len(orders))
    return found, right
