"""Retrainings that a workspace brings along: what they predict of one target, so that a first visitor's question about
it is answered before anything was trained here."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from attribution.files import read_table
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

    from attribution.experiments.retrain import RetrainSpec
    from attribution.store.results import ResultStore

PART, FILE = "retrainings", "retrainings.parquet"
#: key: of the retraining in a store; predicted and margin: of the target
COLUMNS = ["key", "target", "predicted", "margin", "seconds", "created"]


@dataclass(frozen=True)
class BundledRetraining:
    """What one training predicts of one target. created: seconds since 1970."""

    predicted: int
    margin: float
    seconds: float
    created: float


def load(workspace: Workspace, target: int) -> dict[str, BundledRetraining]:
    """Key of a retraining -> what it predicts of `target`; empty where the workspace brings none.

    Raises UserError for a table that cannot be read.
    """
    found = _all(workspace).get(target, {})
    return {key: retraining for key, retraining in found.items() if 0 <= retraining.predicted < len(workspace.classes)}


def targets(workspace: Workspace) -> set[int]:
    """The targets that the workspace brings retrainings about."""
    return set(_all(workspace))


def _all(workspace: Workspace) -> dict[int, dict[str, BundledRetraining]]:
    file = workspace.path / workspace.stored_name(FILE)
    if PART not in workspace.manifest["parts"] or not file.exists():
        return {}
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=8)
def _read(file: Path, changed: int) -> dict[int, dict[str, BundledRetraining]]:
    found: dict[int, dict[str, BundledRetraining]] = {}
    for key, target, *rest in read_table(file, *COLUMNS)[COLUMNS].itertuples(index=False):
        predicted, margin, seconds, created = rest
        found.setdefault(int(target), {})[str(key)] = BundledRetraining(
            int(predicted), float(margin), float(seconds), float(created)
        )
    return found


def table_of(workspace: Workspace, store: "ResultStore", specs: "list[RetrainSpec]") -> "pd.DataFrame":
    """The table of what the store holds of these questions, which are all answered there: COLUMNS, a row a training."""
    import pandas as pd

    rows = []
    for spec in specs:
        for key in sorted(spec.training_keys(workspace, store)):
            retraining = store.get(key)
            if retraining is not None:
                predicted, margin = int(retraining.predicted[spec.target]), float(retraining.margins[spec.target])
                rows.append((key, spec.target, predicted, margin, retraining.seconds, retraining.created))
    return pd.DataFrame(rows, columns=COLUMNS).drop_duplicates(["key", "target"])
