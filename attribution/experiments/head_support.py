"""Supports under a head, searched where the head is: a refit takes milliseconds, and its verdict is exact.

The search of `attribution.training.head.supports` takes a ranking's own images; what it does not know, repairs and
groups of near-duplicates, is bisected as under any other recipe, with one training a probe.
"""

from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from attribution.experiments import support_search
from attribution.experiments.prefixes import build_edit
from attribution.experiments.support_search import Support, TargetOutcome
from attribution.training.head.recipe import HeadTrainer
from attribution.training.head.supports import find_prefix_support
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from attribution.experiments.support import SupportSpec

SEED = 0  # stands in the trace for a training that has none


def find_support(spec: "SupportSpec", workspace: Workspace, trainer: HeadTrainer) -> dict:
    """The answer of a support search under a head, as `SupportSpec.search` returns it."""
    workspace = workspace.with_model(spec.model)
    parts, label = spec.steps(workspace), int(workspace.val_labels[spec.target])
    if spec.kind == "repair" or spec.groups:
        support = _bisect(spec, workspace, trainer, parts, label)
    else:
        support = _search_prefix(spec, workspace, trainer, np.concatenate(parts or [np.zeros(0, np.int64)]), label)
    answer = asdict(support)
    if spec.groups:
        answer["images"] = answer["hi"] and sum(map(len, parts[: answer["hi"]]))
    return answer


def _search_prefix(spec, workspace, trainer, order, label) -> Support:
    if not len(order):
        support_search.search(label, 0)  # raises the sentence for that
    edit = build_edit(workspace, spec.target, spec.kind, order[:1])
    relabel_to = int(edit.labels[0]) if spec.kind == "mislabel" else None
    features = trainer.val[spec.target]
    found = find_prefix_support(trainer.head, features, label, order, len(order), relabel_to)
    if found.status == "already_wrong":
        return Support("already_wrong", None, None, None)
    rows = [_row(k, predicted, label, margin) for k, margin, predicted in found.trace if k]
    lo, hi = (len(order), None) if found.support is None else (found.support - 1, found.support)
    return Support(found.status, found.support, lo, hi, rows, len(rows))


def _row(k: int, predicted: int, label: int, margin: float) -> dict:
    wrong = int(predicted != label)
    return {
        "k": int(k),
        "seeds": [SEED],
        "predictions": [int(predicted)],
        "wrong": wrong,
        "flipped": bool(wrong),
        "margin": float(margin) if isfinite(margin) else None,
    }


def _bisect(spec, workspace, trainer, parts, label) -> Support:
    unedited = trainer.run()
    search = support_search.search(
        label,
        len(parts),
        already_wrong=bool(unedited.predicted[spec.target] != label),
        repair=spec.kind == "repair",
        seeds=(SEED,),
        confirm_seeds=(),
    )

    def train(k: int, seeds: Sequence[int]) -> list[TargetOutcome]:
        outcome = trainer.run(build_edit(workspace, spec.target, spec.kind, np.concatenate(parts[:k])))
        return [
            TargetOutcome(seed, int(outcome.predicted[spec.target]), float(outcome.margins[spec.target]))
            for seed in seeds
        ]

    return support_search.run_search(search, train)
