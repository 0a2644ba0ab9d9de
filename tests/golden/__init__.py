"""The golden files, how a person would declare each, and reading one through: what the tests of formats share."""

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking, get_format

FOLDER = Path(__file__).resolve().parent
HELPFUL = Declaration(sign="helpful")


@dataclass(frozen=True)
class Golden:
    """One way to bring something of `tests/golden`: `path` in it is the file or folder that is named."""

    format: str
    path: str
    order: str
    declared: Declaration = field(default_factory=Declaration)

    def __str__(self):
        return self.path


ALL = [
    Golden("traker", "traker", "traker", Declaration(part="val")),
    Golden("traker", "traker/scores/val.mmap", "traker"),
    Golden("traker", "traker_old", "traker_old"),
    Golden("traker", "traker_old/scores/scores_val.npy", "traker_old"),
    Golden("datamodels", "datamodels/test_50pct.pt", "datamodels"),
    Golden("kronfluence", "kronfluence/scores_whole", "kronfluence_whole", HELPFUL),
    Golden("kronfluence", "kronfluence/scores_modules", "kronfluence_modules", HELPFUL),
    Golden("kronfluence", "kronfluence/scores_parts", "kronfluence_parts", HELPFUL),
    Golden("kronfluence", "kronfluence/scores_some", "kronfluence_some", HELPFUL),
    Golden("feldman-zhang", "feldman_zhang/cifar100_infl_matrix.npz", "feldman_zhang"),
    Golden("parquet", "parquet/ranking.parquet", "topk"),
    Golden("topk", "topk/all.npy", "topk"),
    Golden("topk", "topk/few.npy", "topk"),
    Golden("tensor", "tensors/dattri.pt", "dattri", HELPFUL),
    Golden("tensor", "tensors/captum.pt", "captum", HELPFUL),
    Golden("tensor", "tensors/captum.npy", "captum", HELPFUL),
    Golden("tensor", "tensors/captum.safetensors", "captum", HELPFUL),
    Golden("csv", "csv/matrix.csv", "captum", HELPFUL),
    Golden("csv", "csv/pairs.csv", "captum", HELPFUL),
    Golden("tensor", "quanda", "quanda", HELPFUL),
]
STORE = Golden("datamodels-store", "datamodels_store", "datamodels")


def order(name: str) -> np.ndarray:
    """The library's own order, int64 [targets, images], most helpful first."""
    return np.load(FOLDER / "orders" / f"{name}.npy")


@cache
def sizes() -> DataSetSizes:
    return DataSetSizes(order("train_labels"), order("val_labels"))


def load(golden: Golden, folder: Path = FOLDER, declared: Declaration | None = None) -> ForeignRanking:
    return get_format(golden.format).load(folder / golden.path, declared or golden.declared, sizes())


def read(incoming: ForeignRanking, step: int = 4) -> tuple[np.ndarray, np.ndarray | None]:
    """All rows, or lists, read by blocks: images in order, most helpful first, and scores as they come."""
    blocks = [(at, min(at + step, len(incoming.targets))) for at in range(0, len(incoming.targets), step)]
    if incoming.read_scores:
        scores = np.concatenate([incoming.read_scores(*block) for block in blocks])
        return np.argsort(-scores, axis=1, kind="stable"), scores
    found = [incoming.read_lists(*block) for block in blocks]
    scores = None if found[0][1] is None else np.concatenate([scores for _, scores in found])
    return np.concatenate([ids for ids, _ in found]), scores
