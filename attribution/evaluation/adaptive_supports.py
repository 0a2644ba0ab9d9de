"""How much smaller a support under a head gets when the order is computed anew after every few images removed.

A ranking is computed once, with all images there, and a support is one of its prefixes. Published theory says that such
a greedy prefix is not optimal (Hu et al., arXiv 2409.18153): images that are much alike stand in for each other, and
what is left over after some are gone matters otherwise than before. Here the gap is measured, over all validation
images that the head gets right: the prefix of influence on the full set, beside influence computed anew at the refitted
head (`attribution.training.head.supports`). Both end at a k that flips, with one image fewer refitted and surviving.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.experiments.support_search import Support
from attribution.files import make_folder, read_table
from attribution.metrics import support_curves
from attribution.metrics.statistics import median_with_interval, share_with_interval
from attribution.training.head.recipe import HeadTrainer, is_head
from attribution.training.head.supports import FLIPPED, HeadSupport, find_adaptive_support, find_prefix_support
from attribution.workspace import heads
from attribution.workspace.parts import Part, Progress, scratch_folder
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

STORED = Part("adaptive_supports", "supports.parquet")
PART = STORED.name
ORDERS = ("prefix", "adaptive")
#: what an order is called on pages: there "adaptive" is a protocol of the search
ORDER_NAMES = {"prefix": "fixed order", "adaptive": "recomputed order"}
#: images between two computations of influence
BATCH = 8
COLUMNS = ["target", *(f"{order}{what}" for order in ORDERS for what in ("_status", ""))]


@dataclass(frozen=True)
class AdaptiveSupports:
    """Supports in both orders, a row a target. recipe, recipe_hash: of the head. k_max: the largest k tried; batch:
    images between two computations of influence. table: columns COLUMNS, statuses as of `HeadSupport`, and sizes, None
    where no k up to k_max flips."""

    recipe: str
    recipe_hash: str
    k_max: int
    batch: int
    table: "pd.DataFrame"

    def supports(self, order: str) -> dict[int, Support]:
        """target -> its support, in one of ORDERS."""
        rows = zip(self.table.target, self.table[f"{order}_status"], self.table[order])
        return {
            int(target): Support(status, int(size), int(size) - 1, int(size))
            if status == FLIPPED
            else Support(status, None, self.k_max, None)
            for target, status, size in rows
        }


def find_both(trainer: HeadTrainer, target: int, k_max: int, batch: int = BATCH) -> dict[str, HeadSupport]:
    """The supports of one target in both of ORDERS."""
    head, features, label = trainer.head, trainer.val[target], int(trainer.val_labels[target])
    influence = head.influence(features[None], np.array([label]))[0]
    order = np.argsort(-influence, kind="stable")
    return {
        "prefix": find_prefix_support(head, features, label, order, k_max, influence=influence),
        "adaptive": find_adaptive_support(head, features, label, k_max, batch),
    }


def right_targets(workspace: Workspace) -> list[int]:
    """The validation images that the head gets right, ascending. Raises UserError where the model is no head."""
    if not is_head(workspace.recipe):
        raise UserError(
            f"{workspace.recipe} is no head, and each step of a recomputed order would be a training; choose one: "
            f"--recipe {next(iter(heads.names(workspace)), 'head-moco')}"
        )
    return np.flatnonzero(workspace.base.prediction == workspace.val_labels).tolist()


def compute(
    workspace: Workspace,
    k_max: int = support_curves.DEFAULT_K_MAX,
    batch: int = BATCH,
    workers: int = 1,
    progress: Progress = lambda *at: None,
) -> AdaptiveSupports:
    """The supports of all right validation images in both orders, under the head that the workspace is seen by.

    Each is written down in the data folder as soon as it is found, so that a broken-off run goes on. workers:
    processes, of one thread each. Raises UserError where the model is no head.
    """
    import pandas as pd

    targets, recipe = right_targets(workspace), workspace.get_recipe()
    k_max = min(k_max, workspace.n_train - 1)
    file = scratch_folder(workspace, PART) / f"{recipe.hash}-{k_max}-{batch}.jsonl"
    known = _read_rows(file)
    missing = [target for target in targets if target not in known]
    make_folder(file.parent)
    with file.open("a") as stream, _searcher(workspace, workers if missing else 1) as search:
        for row in search(missing, k_max, batch):
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            known[row["target"]] = row
            progress("adaptive supports", len(known), len(targets))
    table = pd.DataFrame([known[target] for target in targets], columns=COLUMNS)
    table = table.astype(dict.fromkeys(ORDERS, "Int64"))
    return AdaptiveSupports(recipe.name, recipe.hash, k_max, batch, table)


def save(workspace: Workspace, found: AdaptiveSupports, provenance: dict, record: Callable | None = None) -> None:
    """Stores supports as the head's part; provenance, record: as `Part.save`."""
    computed_with = {"recipe": found.recipe, "hash": found.recipe_hash, "k_max": found.k_max, "batch": found.batch}
    STORED.save(workspace, found.table, {**provenance, **computed_with, "targets": len(found.table)}, record)


def load(workspace: Workspace) -> AdaptiveSupports | None:
    """What is stored of the head that the workspace is seen by; None where nothing is, or the head was another one.
    Raises UserError where it cannot be read."""
    if not is_head(workspace.recipe) or not STORED.exists(workspace):
        return None
    made = STORED.provenance(workspace)
    if made.get("hash") != workspace.get_recipe().hash:
        return None
    table = read_table(workspace.folder(PART) / STORED.file, *COLUMNS)
    return AdaptiveSupports(made["recipe"], made["hash"], int(made["k_max"]), int(made["batch"]), table)


def report(found: AdaptiveSupports) -> dict:
    """What `evaluate adaptive-supports` prints: {"recipe", "recipe_hash", "K", "batch", "targets", "orders": {ORDER:
    `support_curves.summarise_supports`, with "flipped" of `share_with_interval`}, "difference": of the areas, adaptive
    less prefix, as `support_curves.compare_pair`; of the targets that both flip "both", their number, "smaller",
    "equal", "larger", and "ratio": the median of the adaptive size by the prefix's, with its interval; "gained",
    "lost": targets that the recomputed order alone flips, and the fixed order alone}. Intervals are over targets."""
    supports = {order: found.supports(order) for order in ORDERS}
    sizes = {
        order: np.array([supports[order][target].support or np.inf for target in supports[order]], float)
        for order in ORDERS
    }
    prefix, adaptive = sizes["prefix"], sizes["adaptive"]
    both = np.isfinite(prefix) & np.isfinite(adaptive)
    orders = {}
    for order in ORDERS:
        summary = support_curves.summarise_supports(supports[order].values(), found.k_max)
        flipped = share_with_interval(int(np.isfinite(sizes[order]).sum()), len(sizes[order]))
        orders[order] = {**summary, "flipped": flipped}
    return {
        "recipe": found.recipe,
        "recipe_hash": found.recipe_hash,
        "K": found.k_max,
        "batch": found.batch,
        "targets": len(prefix),
        "orders": orders,
        "difference": support_curves.compare_pair(supports["adaptive"], supports["prefix"], found.k_max),
        "both": int(both.sum()),
        "smaller": int((adaptive < prefix)[both].sum()),
        "equal": int((adaptive == prefix)[both].sum()),
        "larger": int((adaptive > prefix)[both].sum()),
        "ratio": median_with_interval(adaptive[both] / prefix[both]),
        "gained": int((np.isfinite(adaptive) & ~np.isfinite(prefix)).sum()),
        "lost": int((np.isfinite(prefix) & ~np.isfinite(adaptive)).sum()),
    }


def curves(found: AdaptiveSupports) -> dict[str, dict]:
    """order -> {"share", "low", "high"}: of the targets flipped at k = 0 .. K, with the Wilson interval at each k."""
    drawn = {}
    for order in ORDERS:
        sizes = support_curves.support_sizes(found.supports(order).values())
        shares = [share_with_interval(int((sizes <= k).sum()), len(sizes)) for k in range(found.k_max + 1)]
        ends = [row["ci"] or [None, None] for row in shares]
        low, high = map(list, zip(*ends))
        drawn[order] = {"share": [row["share"] for row in shares], "low": low, "high": high}
    return drawn


# -- the work, here or in processes


def _row(trainer: HeadTrainer, target: int, k_max: int, batch: int) -> dict:
    found = find_both(trainer, target, k_max, batch)
    cells = {
        column: value
        for order, support in found.items()
        for column, value in ((f"{order}_status", support.status), (order, support.support))
    }
    return {"target": target, **cells}


@contextmanager
def _searcher(workspace: Workspace, workers: int) -> Iterator[Callable]:
    """A function (targets, k_max, batch) -> rows as they are found."""
    if workers < 2:
        trainer = heads.make_trainer(workspace, workspace.recipe)
        with threadpool_limits(1):
            yield lambda targets, *how: (_row(trainer, target, *how) for target in targets)
        return
    opened = (str(workspace.path), workspace.recipe)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_open_in_worker, initargs=opened)
    with pool:
        yield lambda targets, *how: pool.map(_row_in_worker, targets, *([value] * len(targets) for value in how))


_trainer: HeadTrainer | None = None  # a worker's


def _open_in_worker(path: str, model: str) -> None:
    global _trainer
    threadpool_limits(1)
    _trainer = heads.make_trainer(Workspace.open(path, model), model)


def _row_in_worker(target: int, k_max: int, batch: int) -> dict:
    assert _trainer is not None
    return _row(_trainer, target, k_max, batch)


def _read_rows(file: Path) -> dict[int, dict]:
    """target -> its row, of what an earlier run has found; a line that it was interrupted in is left out."""
    rows = {}
    if file.exists():
        for line in file.read_text().splitlines():
            try:
                row = json.loads(line)
                rows[int(row["target"])] = {column: row[column] for column in COLUMNS}
            except (ValueError, KeyError, TypeError):
                continue
    return rows
