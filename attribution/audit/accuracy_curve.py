"""Accuracy after so many decisions, in the order in which they were made: what the time of those who decide bought.

Under a head each point is an exact refit, so that there are no seeds; the head's features stay as they are. Answers are
kept in the result store.
"""

import hashlib

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.audit.decisions import CurrentDecision
from attribution.audit.gain import audit_edit
from attribution.errors import UserError
from attribution.experiments.paired_arms import judging_targets
from attribution.metrics.statistics import mean_with_interval
from attribution.store.results import ResultStore
from attribution.training.edits import Edit
from attribution.training.head.recipe import is_head
from attribution.workspace import heads
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

VERB = "inspection"  # of the questions under which answers are kept
POINTS = 12  # of a curve at most, the first and the last among them


def choose_head(workspace: Workspace) -> str | None:
    """The head that the curve is measured under: the one looked at, else the workspace's first; None without any."""
    return workspace.recipe if is_head(workspace.recipe) else next(iter(heads.names(workspace)), None)


def decision_steps(workspace: Workspace, current: dict[int, CurrentDecision]) -> list[tuple[int, Edit]]:
    """(number of decisions, the edit that they come to) of at most POINTS prefixes of the current decisions, from none
    to all, by the order in which the log has them. current: image -> decision."""
    in_order = sorted(current.items(), key=lambda pair: pair[1].id)
    counts = np.unique(np.linspace(0, len(in_order), POINTS).round().astype(int)).tolist()
    return [(count, audit_edit(workspace, dict(in_order[:count]))) for count in counts]


def check_judged(workspace: Workspace, uses_val: bool, without: tuple[int, ...] = ()) -> np.ndarray:
    """The validation images that accuracy is measured on, int64. Raises UserError where there is none."""
    targets = judging_targets(workspace, uses_val, without)
    if not len(targets):
        raise UserError("there are too few validation images to measure accuracy on; bring more")
    return targets


def load(
    workspace: Workspace,
    store: ResultStore,
    name: str,
    steps: list[tuple[int, Edit]],
    uses_val: bool = False,
    without: tuple[int, ...] = (),
) -> dict | None:
    """What `measure` said of these steps, with "created" (seconds since 1970); None where they were not measured."""
    return store.answer(workspace.get_recipe(name).hash, _question(steps, uses_val, without))


def load_latest(workspace: Workspace, store: ResultStore, name: str) -> dict | None:
    """The newest answer of `measure` under the head `name`, whatever was decided then; None without any."""
    answers = store.answers(workspace.get_recipe(name).hash, VERB)
    return answers[-1][1] if answers else None


def measure(
    workspace: Workspace,
    name: str,
    steps: list[tuple[int, Edit]],
    uses_val: bool = False,
    without: tuple[int, ...] = (),
    progress: Progress = lambda *at: None,
) -> dict:
    """The accuracy of the head `name` after each of `decision_steps`, JSON, which is also stored for `load`. uses_val,
    without: as of `gain.gain_spec`.

    {"recipe", "recipe_hash", "n": validation images it is measured on, "uses_val", "curve": a list of {"decided",
    "changed": images relabelled or removed, "accuracy", "gain": {"mean", "ci" (95 %, paired bootstrap over validation
    images), "n"} over the first point}}. Accuracies are shares. Raises UserError where no validation image is left,
    where every training image is removed, and as `heads.fit`.
    """
    targets = check_judged(workspace, uses_val, without)
    trainer, curve, before = heads.make_trainer(workspace.with_model(name), name), [], None
    with threadpool_limits(1):  # the products are small: BLAS threads would mostly wait for each other
        for done, (count, edit) in enumerate(steps):
            progress("refits along the decisions", done, len(steps))
            right = (trainer.run(edit).predicted == trainer.val_labels)[targets].astype(float)
            before = right if before is None else before
            gain = mean_with_interval(right - before)
            curve.append({"decided": count, "changed": edit.k, "accuracy": float(right.mean()), "gain": gain})
    progress("refits along the decisions", len(steps), len(steps))
    answer = {
        "recipe": name,
        "recipe_hash": trainer.recipe.hash,
        "n": len(targets),
        "uses_val": bool(uses_val),
        "curve": curve,
    }
    with ResultStore.for_workspace(workspace) as store:
        store.put_answer(trainer.recipe.hash, _question(steps, uses_val, without), answer)
    return answer


def _question(steps: list[tuple[int, Edit]], uses_val: bool, without: tuple[int, ...]) -> dict:
    """The key of a stored answer. Of the edits, which may be long, it has a digest."""
    edits = hashlib.sha256("".join(edit.hash for _, edit in steps).encode()).hexdigest()
    return {
        "verb": VERB,
        "decided": [count for count, _ in steps],
        "edits": edits,
        "uses_val": bool(uses_val),
        "without": sorted(int(target) for target in without),
    }
