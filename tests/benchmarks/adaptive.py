"""The adaptive search against the full protocol: trainings an answer, and how often the two agree.

python tests/benchmarks/adaptive.py [--workspace DIR]

Reads the answers to both that the workspace and its result store hold; nothing is trained. The full protocol is that
of the paper: five trainings a probe, no confirmation. It is replayed from the trace of the default protocol, which
stops a probe once its majority is decided and so takes the same path; how far it agrees with itself under other seeds
is what its confirmations, under fresh seeds at both ends of the bracket, say. Prints JSON.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from scipy.stats import binomtest

from attribution import Workspace
from attribution.experiments import support_table
from attribution.store.results import ResultStore
from attribution.workspace.workspace import DEMO

PAPER = 5 * 8  # trainings where a target flips: the largest k and 7 bisections; 5 where it is censored
ASKED = ["ranking", "target", "kind", "k_max"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--workspace", default=DEMO)
    ws = Workspace.open(parser.parse_args().workspace)
    found = support_table.load_support_table(ws, ResultStore.for_workspace(ws))
    both = found[found.protocol == "adaptive"].merge(
        found[found.protocol == "default"], on=ASKED, suffixes=("", "_full")
    )
    both = both[both.status != "already_wrong"]
    answer = {
        "targets": int(both.target.nunique()),
        "rankings": sorted(both.ranking.unique()),
        "kinds": {kind: compare(some) for kind, some in both.groupby("kind")},
        "all": compare(both),
    }
    print(json.dumps(answer, indent=1))


def compare(both) -> dict:
    censored = both.status_full == "censored"
    same = both.status_full.eq("censored") == both.status.eq("censored")
    flipped = both[both.support.notna() & both.support_full.notna()]
    octaves = np.log2(flipped.support.astype(float) / flipped.support_full.astype(float))
    confirmed = [fresh(trace) for trace in flipped.trace_full]
    return {
        "searches": len(both),
        "censored": int(censored.sum()),
        "unstable": int((both.status == "unstable").sum()),
        "trainings": {
            name: {
                "paper": 5
                if name == "censored"
                else PAPER
                if name == "flipped"
                else round(float(np.where(censored, 5, PAPER).mean()), 1),
                "default": mean(some.trainings_full),
                "adaptive": mean(some.trainings),
            }
            for name, some in (("flipped", both[~censored]), ("censored", both[censored]), ("all", both))
        },
        "same_verdict": share(same),
        "octaves_apart_median": round(float(octaves.abs().median()), 3),
        "octaves_mean": round(float(octaves.mean()), 3),
        "within": {
            name: share(octaves.abs() <= limit + 1e-9)
            for name, limit in (("quarter octave", 0.25), ("half octave", 0.5), ("octave", 1))
        },
        "full_protocol_confirmed_under_fresh_seeds": share(np.array(confirmed)),
    }


def fresh(trace) -> bool:
    """Whether fresh seeds gave the verdicts of the bracket's ends again."""
    before = {row["k"]: row["flipped"] for row in trace if not row.get("confirm")}
    return all(row["flipped"] == before[row["k"]] for row in trace if row.get("confirm"))


def share(flags) -> dict:
    n, of = int(np.sum(flags)), len(flags)
    low, high = binomtest(n, of).proportion_ci(method="wilson") if of else (0, 1)
    return {"n": n, "of": of, "ci": [round(float(low), 3), round(float(high), 3)]}


def mean(numbers) -> float | None:
    return round(float(numbers.mean()), 1) if len(numbers) else None


if __name__ == "__main__":
    main()
