"""Two models side by side: on which validation images their predictions differ, beside how far the networks of one
model differ by themselves."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from attribution.errors import UserError
from attribution.workspace.base_models import BaseModels
from attribution.workspace.workspace import Workspace


@dataclass(frozen=True)
class Comparison:
    """Two models' predictions, each what most of its networks say.

    names: their recipes. table: int [classes, classes], images that the first model takes for the class of the row and
    the second for that of the column. differ: the share on which they differ. within: the share on which two networks
    of one model differ, mean over all pairs, for each model, None where it has one network; across: the same for a
    network of each. right: images that both, the first alone, the second alone and neither are right on.
    """

    names: tuple[str, str]
    first: BaseModels
    second: BaseModels
    table: np.ndarray
    differ: float
    within: tuple[float | None, float | None]
    across: float
    right: tuple[int, int, int, int]

    @property
    def n(self) -> int:
        """How many validation images there are."""
        return len(self.first.labels)

    def cells(self) -> list[tuple[int, int, int]]:
        """(class of the first, class of the second, images) of all cells where they differ, most images first."""
        off = self.table.copy()
        np.fill_diagonal(off, 0)
        rows, columns = np.nonzero(off)
        cells = [(int(row), int(column), int(off[row, column])) for row, column in zip(rows, columns)]
        return sorted(cells, key=lambda cell: (-cell[2], cell[:2]))

    def images(self, row: int, column: int) -> np.ndarray:
        """The validation images of a cell, int64, those first where both models are surest."""
        ids = np.flatnonzero((self.first.prediction == row) & (self.second.prediction == column))
        return ids[np.argsort(-(self.first.confidence[ids] + self.second.confidence[ids]), kind="stable")]

    def to_json(self, classes: list[str]) -> dict:
        """As `base compare --json` prints it."""
        return {
            "models": list(self.names),
            "n": self.n,
            "differ": self.differ,
            "within": list(self.within),
            "across": self.across,
            "right": dict(zip(("both", "first", "second", "neither"), self.right)),
            "cells": [
                {"first": classes[row], "second": classes[column], "images": self.images(row, column).tolist()}
                for row, column, _ in self.cells()
            ],
        }


def compare(workspace: Workspace, first: str, second: str) -> Comparison:
    """Two models of a workspace, by their recipes. Raises UserError where it lacks one, or both are the same."""
    for name in (first, second):
        if name not in workspace.models():
            known = ", ".join(workspace.models()) or "none"
            raise UserError(f"{workspace.name} has no predictions of {name}; it has those of {known}")
    if first == second:
        raise UserError(f"{first} agrees with itself; give two models to compare")
    models = [workspace.with_model(name).base for name in (first, second)]
    predictions = [model.prediction for model in models]
    count = len(workspace.classes)
    table = np.zeros((count, count), np.int64)
    np.add.at(table, tuple(predictions), 1)
    rights = [prediction == workspace.val_labels for prediction in predictions]
    one, other = rights
    return Comparison(
        (first, second),
        *models,
        table,
        float((predictions[0] != predictions[1]).mean()),
        (_differ_within(models[0]), _differ_within(models[1])),
        float(np.mean([(row != models[1].predicted).mean() for row in models[0].predicted])),
        (int((one & other).sum()), int((one & ~other).sum()), int((~one & other).sum()), int((~one & ~other).sum())),
    )


def _differ_within(model: BaseModels) -> float | None:
    pairs = list(combinations(model.predicted, 2))
    return float(np.mean([(row != other).mean() for row, other in pairs])) if pairs else None
