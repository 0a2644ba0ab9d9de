"""What a ranking costs, beside what it is worth: bytes that it stores, seconds to build it, milliseconds a query.

Bytes and seconds are those of the ranking's own part and of every part that it rests on, as the workspace's provenance
has them: a similarity rests on its features, TRAK on base models, Datamodels on models on random halves. Seconds are of
the machines that these were made on; milliseconds are measured here.
"""

import json
import os
import platform
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from attribution.errors import UserError
from attribution.evaluation.lds_report import load_lds
from attribution.evaluation.support_report import compare_on_same_targets
from attribution.files import write_json
from attribution.rankings.base import Ranking
from attribution.rankings.similarity import METHODS
from attribution.workspace.provenance import command_provenance

PART = "cost"
QUERY_TARGETS = 20
QUERY_K = 20  # images a query asks for
AUC_KEYS = {"remove": "auc", "mislabel": "mislabel_auc"}  # kind of support -> name of its AUC in a row of `cost_rows`
HALVES_PART = "halves"  # what a ranking rests on that was fitted on models on random halves, which are no part


def compute(
    workspace, names: list[str] | None = None, progress: Callable[[str, int, int], None] = lambda *at: None
) -> dict:
    """The cost of rankings (all, if not named): {"k", "targets", "machine", "rankings": {name: {"method", "live",
    "bytes": {part: bytes}, "seconds": {part: seconds, or None where nobody timed it}, "query_ms": median over
    targets of the milliseconds on one thread, after a first query that reads what it needs, "version"}}}.

    progress(text, done, total) is called after each. Raises UserError for an unknown ranking.
    """
    names = names or workspace.rankings()
    rankings, rows = [workspace.ranking(name) for name in names], {}
    for done, ranking in enumerate(rankings, 1):
        rests = underlying_parts(workspace, ranking)
        rows[ranking.name] = {
            "method": ranking.method,
            "live": ranking.live,
            "bytes": {part: _part_bytes(workspace, part) for part in rests},
            "seconds": {part: _build_seconds(workspace, ranking, part) for part in rests},
            "query_ms": query_ms(ranking),
            "version": ranking.version,
        }
        progress("cost: rankings", done, len(rankings))
    return {"k": QUERY_K, "targets": QUERY_TARGETS, "machine": machine_name(), "rankings": rows}


def underlying_parts(workspace, ranking: Ranking) -> list[str]:
    """The parts that a ranking is made of and from, its own first; HALVES stands for models that are no part."""
    ranking, parts = getattr(ranking, "inner", ranking), workspace.manifest["parts"]  # other candidates cost no more
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


def _part_bytes(workspace, part: str) -> int:
    """Bytes that a query needs on disk: of a ranking or features; what is needed to build alone is not counted."""
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
    about = workspace.manifest["parts"][part]
    if "format" in about:  # its own seconds are those of the import; the file may say what it came from
        origin = [one.get("seconds") for name, one in (about.get("origin") or {}).items() if "/" in name]
        return sum(origin) if origin and None not in origin else None
    seconds = about.get("seconds")
    if part == "base" and seconds is not None:  # of one training
        return round(seconds * len(ranking.made_for["seeds"]), 1)
    return seconds


def query_ms(ranking: Ranking) -> float | None:
    """Median milliseconds of asking for a target's FIRST images, over TARGETS targets drawn at random, on one thread;
    None for a ranking of no target."""
    targets = np.random.default_rng(0).permutation(ranking.targets)[: QUERY_TARGETS + 1].tolist()
    if not targets:
        return None
    taken = []
    with threadpool_limits(1):
        ranking.top(targets[0], QUERY_K)
        for target in targets[1:] or targets:
            start = time.perf_counter()
            ranking.top(target, QUERY_K)
            taken.append(time.perf_counter() - start)
    return float(np.median(taken) * 1000)


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
    """The sum over parts; None where one of them is not known."""
    return None if None in values.values() else sum(values.values())


def save(workspace, found: dict, about: dict) -> None:
    """Keeps what was measured as the part "cost", where a user's parts go; about: provenance."""
    workspace.drop_part(PART)
    write_json(workspace.user_folder / PART / "cost.json", found)
    workspace.add_part(PART, about, [f"{PART}/cost.json"])


def load(workspace) -> dict | None:
    """What `compute` found last, with "made", its day; without the rankings that are others by now. None where nothing
    is left. Raises UserError where it cannot be read."""
    about = workspace.manifest["parts"].get(PART)
    if about is None:
        return None
    file = workspace.folder(PART) / "cost.json"
    try:
        found, known = json.loads(file.read_text()), set(workspace.rankings())
        rows = {
            name: row
            for name, row in found["rankings"].items()
            if name in known and workspace.ranking(name).version == row["version"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}); measure again with: python -m attribution evaluate cost "
            f"--workspace {shlex.quote(str(workspace.path))}"
        ) from None
    return {**found, "rankings": rows, "made": about.get("made", "")} if rows else None


def lds_and_support_aucs(workspace, store) -> tuple[dict | None, dict]:
    """What there is to set against cost: `load_lds`, and the supports of all rankings, `support_report.compare_on_same_targets`."""
    return load_lds(workspace), compare_on_same_targets(workspace, store, workspace.rankings())


def cost_rows(found: dict, lds: dict | None, supports: dict) -> list[dict]:
    """`evaluate cost`: a row for each ranking that was measured: "ranking", "method", "live", "bytes", "build_seconds"
    (None where not all of it was timed), "query_ms", "lds", "lds_ci", and for removals "auc", "auc_ci", "auc_n", for
    relabellings "mislabel_auc", "mislabel_auc_ci", "mislabel_auc_n" (None where not measured). lds and supports: as
    `lds_and_support_aucs`."""
    rows = []
    for name, one in found["rankings"].items():
        scored = (lds or {}).get("rankings", {}).get(name, {})
        row = {
            "ranking": name,
            "method": one["method"],
            "live": one["live"],
            "bytes": sum_or_none(one["bytes"]),
            "build_seconds": sum_or_none(one["seconds"]),
            "query_ms": one["query_ms"],
            "lds": scored.get("lds"),
            "lds_ci": scored.get("ci"),
        }
        for kind, key in AUC_KEYS.items():
            searched = supports.get(kind, {}).get("rankings", {}).get(name, {})
            searched = searched if searched.get("n") else {}
            row |= {key: searched.get("auc"), f"{key}_ci": searched.get("auc_ci"), f"{key}_n": searched.get("n")}
        rows.append(row)
    return rows


def feature_rows(workspace, lds: dict | None, supports: dict) -> list[dict]:
    """A row for each feature set: "features", "dim", "knn_accuracy", "measured_on", "seconds", and what is measured of
    its rankings: "lds" {method: row of lds.evaluate}, "auc" {method: row of `support_curves.summarise_supports`}."""
    scored = (lds or {}).get("rankings", {})
    searched = supports.get("remove", {}).get("rankings", {})
    rows = []
    for name in workspace.features():
        about = workspace.manifest["parts"][f"features/{name}"]
        rows.append(
            {
                "features": name,
                "dim": about.get("dim"),
                "knn_accuracy": about.get("knn_accuracy"),
                "measured_on": about.get("measured_on", ""),
                "seconds": about.get("seconds"),
                "lds": {method: scored[f"{method}-{name}"] for method in METHODS if f"{method}-{name}" in scored},
                "auc": {
                    method: searched[f"{method}-{name}"]
                    for method in METHODS
                    if searched.get(f"{method}-{name}", {}).get("n")
                },
            }
        )
    return rows


def cost_provenance() -> dict:
    """`command_provenance`, with the machine in words."""
    return {**command_provenance("evaluate cost"), "device": machine_name()}
