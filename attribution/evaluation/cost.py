"""What a ranking costs, beside its LDS and support AUC: bytes stored, seconds to build it, milliseconds a query.

Bytes and seconds are those of the ranking's own part and of every part that it was made from, as the provenance in the
workspace has them: a similarity is made from features, TRAK from base models, Datamodels from models on random halves.
Seconds were measured on the machines that made the parts; milliseconds are measured here.
"""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.evaluation import lds_report
from attribution.evaluation.support_report import compare_on_same_targets
from attribution.rankings.base import Ranking
from attribution.rankings.similarity import METHODS
from attribution.store.results import ResultStore
from attribution.workspace.parts import Part, Progress
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import Workspace

STORED = Part("cost", "cost.json")
PART = STORED.name
QUERY_TARGETS = 20
QUERY_K = 20  # images a query asks for
AUC_KEYS = {"remove": "auc", "mislabel": "mislabel_auc"}  # kind of support -> name of its AUC in a row of `cost_rows`
HALVES_PART = "halves"  # stands for models on random halves, which are no part


def compute(workspace: Workspace, names: list[str] | None = None, progress: Progress = lambda *at: None) -> dict:
    """The cost of the rankings `names` (all, if not given).

    {"k", "targets", "machine", "rankings": {name: {"method", "live", "bytes": {part: bytes}, "seconds": {part: seconds,
    or None where nobody timed it}, "query_ms": median over targets of the milliseconds on one thread, after a first
    query that loads what it needs, "version"}}}.

    Raises UserError for an unknown ranking.
    """
    names = names or workspace.rankings()
    rankings, rows = [workspace.ranking(name) for name in names], {}
    for done, ranking in enumerate(rankings, 1):
        parts = underlying_parts(workspace, ranking)
        rows[ranking.name] = {
            "method": ranking.method,
            "live": ranking.live,
            "bytes": {part: _part_bytes(workspace, part) for part in parts},
            "seconds": {part: _build_seconds(workspace, ranking, part) for part in parts},
            "query_ms": query_ms(ranking),
            "version": ranking.version,
        }
        progress("cost: rankings", done, len(rankings))
    return {"k": QUERY_K, "targets": QUERY_TARGETS, "machine": machine_name(), "rankings": rows}


def save(workspace: Workspace, costs: dict, provenance: dict, record: Callable | None = None) -> None:
    """Stores an answer of `compute` as the part "cost"; provenance, record: as `Part.save`."""
    STORED.save(workspace, costs, provenance, record)


def load(workspace: Workspace) -> dict | None:
    """The stored answer of `compute` and "made", its day, without the rankings that have changed since; None where
    nothing is left. Raises UserError where it cannot be read."""
    if not STORED.exists(workspace):
        return None
    costs, names = STORED.read_json(workspace), set(workspace.rankings())
    try:
        rows = {
            name: row
            for name, row in costs["rankings"].items()
            if name in names and workspace.ranking(name).version == row["version"]
        }
    except (KeyError, TypeError) as error:
        raise STORED.unreadable(workspace, error) from None
    return {**costs, "rankings": rows, "made": STORED.provenance(workspace).get("made", "")} if rows else None


def underlying_parts(workspace: Workspace, ranking: Ranking) -> list[str]:
    """The parts that a ranking consists of and was made from, its own first; HALVES_PART: models on halves."""
    ranking, parts = getattr(ranking, "inner", ranking), workspace.manifest["parts"]  # other candidates cost no more
    if combined := getattr(ranking, "parts", None):
        return list(dict.fromkeys(part for one in combined for part in underlying_parts(workspace, one)))
    own = f"rankings/{ranking.name}"
    if own not in parts:
        feature = getattr(ranking, "feature", None)
        return [f"features/{feature}"] if feature else []
    seeds = (ranking.made_for or {}).get("seeds")
    if seeds == HALVES_PART:
        return [own, HALVES_PART]
    base = parts.get("base", {})
    trained = seeds and base.get("hash") == ranking.made_for.get("hash") and set(seeds) <= set(base.get("seeds", []))
    return [own, "base"] if trained else [own]


def query_ms(ranking: Ranking) -> float | None:
    """Median milliseconds of a query for a target's QUERY_K top images, over QUERY_TARGETS targets drawn at random, on
    one thread; None for a ranking of no target."""
    targets = np.random.default_rng(0).permutation(ranking.targets)[: QUERY_TARGETS + 1].tolist()
    if not targets:
        return None
    seconds = []
    with threadpool_limits(1):
        ranking.top(targets[0], QUERY_K)
        for target in targets[1:] or targets:
            start = time.perf_counter()
            ranking.top(target, QUERY_K)
            seconds.append(time.perf_counter() - start)
    return float(np.median(seconds) * 1000)


def machine_name() -> str:
    """This machine in words, such as "Intel Xeon Processor, 2 cores"."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = named[0] if named and named[0] != "unknown" else platform.processor() or platform.machine()
    cores = os.cpu_count() or 1
    return f"{name}, {cores} core{'s' * (cores != 1)}"


def sum_or_none(values: dict[str, float | None]) -> float | None:
    """The sum over parts; None where one of them is unknown."""
    return None if None in values.values() else sum(values.values())


def lds_and_support_aucs(workspace: Workspace, store: ResultStore) -> tuple[dict | None, dict]:
    """What to compare cost with: `lds_report.load`, and `support_report.compare_on_same_targets` of all rankings, by
    the usual protocol: the figures that the study itself shows."""
    names = workspace.rankings()
    return lds_report.load(workspace), compare_on_same_targets(workspace, store, names, usual_first=True)


def lds_and_feature_aucs(workspace: Workspace, store: ResultStore) -> tuple[dict | None, dict]:
    """What to compare feature sets with: as `lds_and_support_aucs`, by the protocol that most similarities were studied
    with."""
    names = [f"{method}-{features}" for features in workspace.features() for method in METHODS]
    known = [name for name in names if name in workspace.rankings()]
    return lds_report.load(workspace), compare_on_same_targets(workspace, store, known, ("remove",))


def cost_rows(costs: dict, lds: dict | None, supports: dict) -> list[dict]:
    """What `evaluate cost` prints: a row for each ranking in an answer of `compute`.

    "ranking", "method", "live", "bytes", "build_seconds" (None where not all of it was timed), "query_ms", "lds",
    "lds_ci", for removals "auc", "auc_ci", "auc_n", and for relabellings "mislabel_auc", "mislabel_auc_ci",
    "mislabel_auc_n" (None where not measured). lds, supports: what `lds_and_support_aucs` returns.
    """
    rows = []
    for name, measured in costs["rankings"].items():
        lds_row = (lds or {}).get("rankings", {}).get(name, {})
        row = {
            "ranking": name,
            "method": measured["method"],
            "live": measured["live"],
            "bytes": sum_or_none(measured["bytes"]),
            "build_seconds": sum_or_none(measured["seconds"]),
            "query_ms": measured["query_ms"],
            "lds": lds_row.get("lds"),
            "lds_ci": lds_row.get("ci"),
        }
        for kind, key in AUC_KEYS.items():
            summary = supports.get(kind, {}).get("rankings", {}).get(name, {})
            summary = summary if summary.get("n") else {}
            row |= {key: summary.get("auc"), f"{key}_ci": summary.get("auc_ci"), f"{key}_n": summary.get("n")}
        rows.append(row)
    return rows


def feature_rows(workspace: Workspace, lds: dict | None, supports: dict) -> list[dict]:
    """A row for each feature set: "features", "dim", "knn_accuracy", "measured_on", "seconds", and of its
    rankings "lds" {method: row of `lds.evaluate_rankings`} and "auc" {method: `support_curves.summarise_supports`}.
    lds, supports: what `lds_and_feature_aucs` returns."""
    lds_rows = (lds or {}).get("rankings", {})
    summaries = supports.get("remove", {}).get("rankings", {})
    rows = []
    for name in workspace.features():
        provenance = workspace.manifest["parts"][f"features/{name}"]
        rows.append(
            {
                "features": name,
                "dim": provenance.get("dim"),
                "knn_accuracy": provenance.get("knn_accuracy"),
                "measured_on": provenance.get("measured_on", ""),
                "seconds": provenance.get("seconds"),
                "lds": {method: lds_rows[f"{method}-{name}"] for method in METHODS if f"{method}-{name}" in lds_rows},
                "auc": {
                    method: summaries[f"{method}-{name}"]
                    for method in METHODS
                    if summaries.get(f"{method}-{name}", {}).get("n")
                },
            }
        )
    return rows


def cost_provenance() -> dict:
    """`command_provenance`, with the machine in words."""
    return {**command_provenance("evaluate cost"), "device": machine_name()}


def _part_bytes(workspace, part: str) -> int:
    """Bytes on disk that a query needs, of a ranking or features; what only the build needs is not counted."""
    if part in ("base", HALVES_PART):
        return 0
    files = workspace.manifest["parts"][part].get("files", {})
    if part == "features/pixels" and not files:  # the images themselves, where they are copied
        files = {
            name: size
            for name, size in workspace.manifest["parts"].get("data", {}).get("files", {}).items()
            if name.startswith("images/")
        }
    return sum(files.values())


def _build_seconds(workspace, ranking: Ranking, part: str) -> float | None:
    if part == HALVES_PART:
        return workspace.manifest.get("steps", {}).get("halves")
    provenance = workspace.manifest["parts"][part]
    if "format" in provenance:  # its own seconds are those of the import; the file may say how it was made
        origins = provenance.get("origin") or {}
        seconds = [origin.get("seconds") for name, origin in origins.items() if "/" in name]
        return sum(seconds) if seconds and None not in seconds else None
    seconds = provenance.get("seconds")
    if part == "base" and seconds is not None:  # of one training
        return round(seconds * len(ranking.made_for["seeds"]), 1)
    return seconds
