"""What a support search has asked for so far, and what a job costs, read from the store: nothing here trains.

A search is played from its start, as the runner plays it, with what is already trained, and left where something is
missing. So a page can show the probes of a search under way, and a finished one costs nothing to see again.
"""

import math
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from attribution import adaptive, arms, disjoint, jobs, recipes, supports
from attribution.executors import devices
from attribution.probes import steps
from attribution.support import BISECTIONS, CONFIRM_SEEDS

SECONDS = 5.0  # a training, where nothing was measured yet


@dataclass
class Replay:
    """probes: {"k", "confirm" (bool), "runs": [{"seed", "state", "predicted", "margin", "epoch", "epochs"}]} in the
    order first tried, and of an adaptive search that has ended "p", the probability that the probe flips; answer:
    `support.Support` as a dict once the search has come to its end, else None; newest: when the last of its trainings
    was made, seconds since 1970, or None; missing: the keys of the trainings it waits for. The control at k = 0, which
    all searches share, is no probe."""

    probes: list[dict] = field(default_factory=list)
    answer: dict | None = None
    newest: float | None = None
    missing: set[str] = field(default_factory=set)

    @property
    def trained(self) -> int:
        """Trainings of the search that are done."""
        return sum(run["state"] == "done" for probe in self.probes for run in probe["runs"])

    def bracket(self, protocol: str) -> tuple[int, int | None]:
        """(lo, hi], where the support can still be: the largest k tried that the target has survived (0 where none) and
        the smallest that has flipped it (None where none). Of an adaptive search under way only this much is sure."""
        if self.answer and self.answer["support"] is not None:
            return self.answer["support"] - 1, self.answer["support"]
        if self.answer:
            return self.answer["lo"] or 0, None
        tried = [probe["k"] for probe in self.probes if not probe["confirm"]]
        if protocol == "adaptive":
            return 0, tried[0] if len(tried) > 1 else None
        lo, hi = 0, None
        confirmed = [probe["k"] for probe in self.probes if probe["confirm"]][:1]  # the bracket's upper end, first
        for k, then in zip(tried, [*tried[1:], *confirmed]):  # where a bisection goes next tells what it found
            lo, hi = (lo, k) if hi is None or then <= k else (k, hi)
        return lo, hi


@dataclass(frozen=True)
class Cost:
    """Of a job, before it is run. least and most: trainings it asks for, which differ for a search that may stop early;
    known: those that are done already; seconds: for `most`, at `each` seconds a training on `workers` workers."""

    least: int
    most: int
    known: int
    each: float
    workers: int

    @property
    def seconds(self) -> float:
        return math.ceil(max(0, self.most - self.known) / self.workers) * self.each


def replay(workspace, store, spec: dict) -> Replay:
    """How far the search of a support spec has come."""
    recipe = recipes.get(spec["recipe"]).hash
    target, live, notes, played = spec["target"], store.live(), _Notes(), Replay()
    search = next(jobs.searches(workspace, notes, spec))
    sizes = np.cumsum([len(part) for part in steps(workspace, spec)]) if spec.get("groups") else None
    answer = None
    while True:
        try:
            wanted = search.send(answer)
        except StopIteration:
            played.answer = notes.answer
            chances = {row["k"]: row["p"] for row in played.answer["trace"] if "p" in row}
            for probe in played.probes if chances else []:
                probe["p"] = chances[probe["k"]]
            return played
        answer, runs = [], []
        for edit, seed in wanted:
            key = store.key(recipe, edit, seed)
            found = store.get(key)
            run = {"seed": seed, "state": "queued"}
            if found:
                run |= {
                    "state": "done",
                    "predicted": int(found.predicted[target]),
                    "margin": float(found.margins[target]),
                }
                played.newest = max(played.newest or 0, found.created)
            else:
                played.missing.add(key)
                if key in live:
                    run |= {"state": "running", "epoch": live[key]["epoch"], "epochs": live[key]["epochs"]}
            answer.append(found)
            runs.append(run)
        k = wanted[0][0].k  # 0: models of the unedited set, which show nothing of the search
        if k and sizes is not None:  # it counts groups, not the images in them
            k = int(np.searchsorted(sizes, k)) + 1
        confirm = spec["protocol"] == "default" and wanted[0][1] in CONFIRM_SEEDS
        same = next((one for one in played.probes if (one["k"], one["confirm"]) == (k, confirm)), None)
        if same:
            same["runs"] += runs
        elif k:
            played.probes.append({"k": k, "confirm": confirm, "runs": runs})
        if any(one is None for one in answer):
            return played


class _Notes:
    """Stands where a search expects the store it hands its answer to, and keeps nothing."""

    answer = None

    def put_support(self, *row) -> None:
        self.answer = row[-1]

    put_answer = put_support


def cost(workspace, store, spec: dict) -> Cost:
    """What a retrain, support, disjoint or worth spec costs; seconds are measured where the store or the workspace has
    any."""
    if spec["verb"] == "retrain":
        edits = {edit for edits in jobs.retrain_edits(workspace, spec).values() for edit in edits}
        least = most = len(edits) * len(spec["seeds"])
        known = most - jobs.missing(workspace, store, spec)
    elif spec["verb"] == "worth":
        hash_ = recipes.get(spec["recipe"]).hash
        keys = {store.key(hash_, edit, seed) for edit, seed in arms.wanted(workspace, spec)}
        least = most = len(keys)
        known = sum(store.get(key) is not None for key in keys)
    elif spec["verb"] == "support":
        played = replay(workspace, store, spec)
        known = played.trained
        least, most = (known, known) if played.answer else bounds(spec)
    else:
        least, most, known = _of_chain(workspace, store, spec)
    return Cost(least, most, known, seconds_each(workspace, store, spec["recipe"]), workers())


def _of_chain(workspace, store, spec) -> tuple[int, int, int]:
    """Least, most and known trainings of what is left of a disjoint spec: the search it is in, and those after."""
    found = disjoint.chain(workspace, store, spec)
    last, answer = found[-1]
    if answer:
        return 0, 0, 0
    now = cost(workspace, store, last)
    return now.least, now.most + (spec["count"] - len(found)) * bounds(spec)[1], now.known


@dataclass(frozen=True)
class StudyCost:
    """Of a study, before it is run. searches: how many it has; known: of these, answered already; trainings: what the
    others are expected to take, by the mean of known searches of the same kind and ranking, else of the same kind, else
    halfway between the bounds; measured: over how many known searches of these kinds; seconds: on `workers` workers."""

    searches: int
    known: int
    trainings: float
    measured: int
    each: float
    workers: int

    @property
    def seconds(self) -> float:
        return self.trainings / self.workers * self.each


def study_cost(workspace, store, spec: dict, found=None) -> StudyCost:
    """What a study spec costs. found: `supports.table` of the store, where it was read already."""
    every = jobs.study_supports(spec)
    found = supports.table(workspace, store, spec["recipe"]) if found is None else found
    found = found[
        (found.protocol == spec["protocol"]) & (found.k_max == spec["k_max"]) & found.kind.isin(spec["kinds"])
    ]
    means = {**found.groupby("kind").trainings.mean(), **found.groupby(["kind", "ranking"]).trainings.mean()}
    known = supports.known(found, every)
    trainings = sum(
        means.get((one["kind"], one["ranking"]), means.get(one["kind"], sum(bounds(one)) / 2))
        for one, there in zip(every, known)
        if not there
    )
    return StudyCost(
        len(every), sum(known), float(trainings), len(found), seconds_each(workspace, store, spec["recipe"]), workers()
    )


def bounds(spec: dict) -> tuple[int, int]:
    """Fewest and most trainings of a support search: censored at once, or bisected to the end and confirmed."""
    if spec["protocol"] == "adaptive":
        return adaptive.FIRST, adaptive.MOST
    seeds, confirmed = len(jobs.SEEDS), len(CONFIRM_SEEDS)
    steps = min(BISECTIONS, math.ceil(math.log2(spec["k_max"]))) if spec["k_max"] > 1 else 0
    if spec["protocol"] == "paper":
        return seeds, (1 + steps) * seeds
    return seeds // 2 + 1, (1 + steps) * seeds + 2 * confirmed


def seconds_each(workspace, store, recipe: str) -> float:
    """Median seconds of a training: of the last ones here, else of the workspace's base models, else a guess."""
    measured = store.mean_seconds(recipes.get(recipe).hash)
    about = workspace.manifest["parts"].get("base", {})
    return measured[0] if measured else float(about.get("seconds") or SECONDS)


@cache
def workers() -> int:
    """How many workers the local executor starts by itself."""
    return len(devices.plan().slots)
