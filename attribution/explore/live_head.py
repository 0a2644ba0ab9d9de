"""What a head says without the first images of each row: exact, in milliseconds, for any target."""

from dataclasses import dataclass

import numpy as np

from attribution.inputs import limits
from attribution.rankings.base import check_k
from attribution.training.head.recipe import HeadTrainer
from attribution.training.head.supports import find_prefix_support
from attribution.workspace.workspace import Workspace

MAX_ROWS = 40
CURVE_K = 128  # the largest k that a curve shows


@dataclass(frozen=True)
class LiveRow:
    """A row of the lineup: ranking and end; candidates as in `Ranking.top`."""

    ranking: str
    end: str = "helpful"
    candidates: str | None = None


def cut_verdicts(workspace: Workspace, trainer: HeadTrainer, target: int, rows: list[LiveRow], k: int) -> list[dict]:
    """{"predicted" (a class), "margin"} of the target without the first k images of each row. Raises UserError for what
    is not of the workspace."""
    target, k = workspace.check_target(target), check_k(k)
    label = int(workspace.val_labels[target])
    return [_refit(trainer, target, label, _ids(workspace, row, target, k)) for row in rows]


def margin_curve(workspace: Workspace, trainer: HeadTrainer, target: int, row: LiveRow) -> dict:
    """How the margin falls with the first images of a row: {"foretold": margins at k = 0, 1, ..., by influence,
    "refitted": [[k, margin], ...] of refits, ascending, "flip": the k that flips the target while k - 1 does not, None
    where no k up to the last does}. Raises UserError as `cut_verdicts`."""
    target = workspace.check_target(target)
    label, features = int(workspace.val_labels[target]), trainer.val[target]
    ids, head = _ids(workspace, row, target, CURVE_K), trainer.head
    ids = ids[: head.n_train - 1]
    influence = head.influence(np.asarray(features)[None], np.array([label]))[0]
    found = find_prefix_support(head, features, label, ids, len(ids), influence=influence)
    refitted = {int(k): margin for k, margin, _ in found.trace}
    for k in (len(ids) // 4, len(ids)):
        if k and k not in refitted:
            refitted[k] = _refit(trainer, target, label, ids[:k])["margin"]
    foretold = refitted[0] - np.concatenate([[0], np.cumsum(influence[ids])])
    return {
        "foretold": [round(float(margin), 4) for margin in foretold],
        "refitted": [[k, round(refitted[k], 4)] for k in sorted(refitted)],
        "flip": found.support,
    }


def read_rows(rows: object) -> list[LiveRow]:
    """Rows from JSON: [[ranking, end, candidates or None], ...]. Raises ValueError where it is nothing of the kind."""
    if not isinstance(rows, list) or len(rows) > MAX_ROWS:
        raise ValueError("no rows")
    read = [LiveRow(*row) for row in rows if isinstance(row, list) and len(row) == 3]
    if len(read) != len(rows) or not all(
        isinstance(row.ranking, str) and row.end in ("helpful", "harmful") and isinstance(row.candidates, str | None)
        for row in read
    ):
        raise ValueError("no rows")
    return read


def _ids(workspace: Workspace, row: LiveRow, target: int, k: int) -> np.ndarray:
    k = min(k, limits.MAX_IMAGES, workspace.n_train - 1)
    return workspace.ranking(row.ranking).top(target, k, candidates=row.candidates, end=row.end).ids


def _refit(trainer: HeadTrainer, target: int, label: int, ids: np.ndarray) -> dict:
    keep = np.ones(trainer.head.n_train, bool)
    keep[ids] = False
    weights = trainer.head.refit(np.flatnonzero(keep))
    logits = trainer.head.logits(weights, np.asarray(trainer.val[target])[None])
    margin = float(trainer.head.margins(weights, np.asarray(trainer.val[target])[None], np.array([label]))[0])
    return {"predicted": int(logits[0].argmax()), "margin": margin}
