"""What a support search has asked for so far, read from the store: nothing here trains.

A search is played from its start, as the runner plays it, with what is already trained, and left where something is
missing. So a page can show the probes of a search under way, and a finished one costs nothing to see again.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attribution.experiments.support_search import CONFIRM_SEEDS
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace.workspace import Workspace

if TYPE_CHECKING:
    from attribution.experiments.support import SupportSpec


@dataclass
class SearchReplay:
    """probes: {"k", "confirm" (bool), "runs": [{"seed", "state", "predicted", "margin", "epoch", "epochs"}]} in the
    order first tried, and of an adaptive search that has ended "p", the probability that the probe flips; answer:
    `support_search.Support` as a dict once the search has come to its end, else None; newest: when the last of its
    trainings was made, seconds since 1970, or None; missing: the keys of the trainings it waits for. The control at
    k = 0, which all searches share, is no probe."""

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
        for k, next_k in zip(tried, [*tried[1:], *confirmed]):  # where a bisection goes next shows its verdict
            lo, hi = (lo, k) if hi is None or next_k <= k else (k, hi)
        return lo, hi


def replay_search(workspace: Workspace, store: ResultStore, spec: "SupportSpec") -> SearchReplay:
    """How far the search of a support spec has come."""
    recipe, target = spec.recipe_hash, spec.target
    live, played = store.live_trainings(), SearchReplay()
    if is_head(spec.recipe):  # its refits are not stored, its answer is
        played.answer = spec.answer(workspace, store)
        for row in played.answer["trace"] if played.answer else []:
            run = {
                "seed": row["seeds"][0],
                "state": "done",
                "predicted": row["predictions"][0],
                "margin": row["margin"],
            }
            played.probes.append({"k": row["k"], "confirm": False, "runs": [run]})
        return played
    search = spec.search(workspace)
    sizes = np.cumsum([len(part) for part in spec.steps(workspace)]) if spec.groups else None
    results: Any = None
    while True:
        try:
            trainings = search.send(results)
        except StopIteration as stop:
            played.answer = stop.value
            chances = {row["k"]: row["p"] for row in played.answer["trace"] if "p" in row}
            for probe in played.probes if chances else []:
                probe["p"] = chances[probe["k"]]
            return played
        results, runs = [], []
        for edit, seed in trainings:
            key = store.key(recipe, edit, seed)
            retraining = store.get(key)
            run = {"seed": seed, "state": "queued"}
            if retraining:
                run |= {
                    "state": "done",
                    "predicted": int(retraining.predicted[target]),
                    "margin": float(retraining.margins[target]),
                }
                played.newest = max(played.newest or 0, retraining.created)
            else:
                played.missing.add(key)
                if key in live:
                    run |= {"state": "running", "epoch": live[key]["epoch"], "epochs": live[key]["epochs"]}
            results.append(retraining)
            runs.append(run)
        k = trainings[0][0].k  # 0: models of the unedited set, which show nothing of the search
        if k and sizes is not None:  # it counts groups, not the images in them
            k = int(np.searchsorted(sizes, k)) + 1
        confirm = spec.protocol == "default" and trainings[0][1] in CONFIRM_SEEDS
        same = next((probe for probe in played.probes if (probe["k"], probe["confirm"]) == (k, confirm)), None)
        if same:
            same["runs"] += runs
        elif k:
            played.probes.append({"k": k, "confirm": confirm, "runs": runs})
        if any(retraining is None for retraining in results):
            return played
