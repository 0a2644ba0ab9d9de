"""What Explore asks of the parts of the library that measure and retrain, in the shape the page draws."""

import time
from collections import Counter

import numpy as np
import streamlit as st

from attribution import Workspace, jobs, recipes
from attribution.lineup import Row
from attribution.store import Store


def opening(ws: Workspace):
    """The target to open with: an object with target, ranking and k; None where nothing was measured yet."""
    try:
        from attribution.opening import opening as find
    except ImportError:
        return None
    return find(ws)


# -- supports

def supports(ws: Workspace, target: int) -> dict[str, dict]:
    """ranking -> {"status", "support" (int or None), "k_max", "becomes" (class), "wrong", "seeds"} of removals.

    "becomes" is what most of the flipped seeds say without the support, in "wrong" of "seeds".
    """
    return {one["ranking"]: _support(ws, one) for one in _measured(ws, ws.fingerprint).get(target, [])}


@st.cache_resource(ttl=10, show_spinner=False)
def _measured(_ws, fingerprint: str) -> dict[int, list[dict]]:
    """Removal supports by target: those that come with the workspace, then the user's own."""
    found = list(_ws.supports()) if hasattr(_ws, "supports") else []
    store = Store.of(_ws)
    found += store.supports(recipes.get(_ws.recipe).hash)
    store.close()
    by_target: dict[int, list[dict]] = {}
    for one in found:
        if one["kind"] == "remove" and one["protocol"] == "default":
            by_target.setdefault(one["target"], []).append(one)
    return by_target


def _support(ws: Workspace, one: dict) -> dict:
    label = int(ws.val_labels[one["target"]])
    at_support = [row for row in one["trace"] if row["k"] == one["support"]]
    said = at_support[0]["predictions"] if at_support else []
    wrong = Counter(c for c in said if c != label).most_common(1)
    return {"status": one["status"], "support": one["support"], "k_max": one["k_max"], "seeds": len(said),
            "becomes": ws.classes[wrong[0][0]] if wrong else None, "wrong": wrong[0][1] if wrong else 0}


# -- retraining

def ids_to_remove(ws: Workspace, target: int, row: Row, k: int) -> np.ndarray:
    """The training images left of the cut in `row`, which may show fewer than k of them."""
    return ws.ranking(row.ranking).top(target, k, candidates=row.candidates, end=row.end).ids


def submit(ws: Workspace, target: int, row: Row, k: int) -> dict:
    """Asks for the retrainings without the first k of `row`; {"spec", "job"}, job None where all of it is known.

    Raises UserError where k is larger than what the ranking ranks.
    """
    as_published = row.end == "helpful" and row.candidates is None
    ids = None if as_published else ids_to_remove(ws, target, row, k)
    spec = jobs.retrain_spec(ws, target, row.ranking if as_published else None, "remove", k, ids=ids)
    store = Store.of(ws)
    known = jobs.missing(ws, store, spec) == 0
    store.close()
    return {"spec": spec, "job": None if known else jobs.submit(ws, spec), "row": f"the first {k} of {row.ranking}"}


def view(ws: Workspace, asked: dict) -> dict:
    """What `submit` asked for: {"running", "message", "groups": [{"name", "votes": [{"state", "wrong", "becomes",
    "seed"}]}]}, a vote for each retraining."""
    store = Store.of(ws)
    answer = jobs.retrain_answer(ws, store, asked["spec"])
    job = store.job(asked["job"]) if asked["job"] else None
    store.close()
    label = int(ws.val_labels[answer["target"]])
    names = {"edit": f"without {asked['row']}", "random": f"without {answer['k']} random, same classes",
             "none": "with all images"}
    parts = {"edit": answer, **answer["controls"]}
    running = bool(job and job.open) and not answer["complete"]
    return {"running": running, "message": _message(answer, job, asked),
            "groups": [{"name": names[part], "votes": [_vote(ws, run, label) for run in parts[part]["runs"]]}
                       for part in names]}


def _vote(ws: Workspace, run: dict, label: int) -> dict:
    done = run["state"] == "done"
    return {"state": run["state"], "seed": run["seed"], "wrong": done and run["predicted"] != label,
            "becomes": ws.classes[run["predicted"]] if done else None}


def _message(answer: dict, job, asked: dict) -> str:
    if asked["job"] is None:
        when = time.strftime("%d %b %Y, %H:%M", time.localtime(answer["newest"]))
        return f"Known already, trained {when}: nothing was trained again."
    if job is None:
        return "This job is no longer in the store."
    if job.state in ("failed", "cancelled"):
        return f"The retraining {'failed' if job.state == 'failed' else 'was cancelled'}. {job.message}".strip()
    return "Waiting for the runner." if job.state == "queued" else ""
