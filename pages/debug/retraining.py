"""The supports that were measured, and retrainings without the images left of the cut."""

import numpy as np
import streamlit as st

from attribution import Workspace
from attribution.experiments import jobs, retrain
from attribution.experiments import support_table as answers
from attribution.experiments.spec import SEEDS
from attribution.explore.lineup import LineupRow
from attribution.explore.opening_target import support_votes
from attribution.store.results import ResultStore
from pages.ui import format as write
from pages.ui import job_buttons


@st.cache_resource(ttl=10, show_spinner=False)
def supports(_ws: Workspace, cache_key: str) -> dict[int, dict[str, dict[str, dict]]]:
    """target -> kind -> ranking -> {"status", "support" (int or None), "k_max"}, and where it flips also "k", "close",
    "becomes" (class), "votes", "wrong" and "seeds", as in `opening_target.OpeningTarget`. Read anew every 10 s.
    """
    if not _ws.has_base:  # nothing is searched before they are there
        return {}
    with ResultStore.for_workspace(_ws) as store:
        table = answers.load_support_table(_ws, store)
    measured: dict[int, dict[str, dict[str, dict]]] = {}
    for row in table[(table.protocol == answers.default_protocol(_ws)) & (table.kind != "repair")].itertuples():
        measured.setdefault(int(row.target), {}).setdefault(row.kind, {})[row.ranking] = _support(_ws, row)
    return measured


def _support(ws: Workspace, row) -> dict:
    support = {"status": row.status, "support": None, "k_max": int(row.k_max)}
    if row.status not in ("flipped", "unstable"):
        return support
    flip = support_votes(ws, row)
    return support | {
        "support": int(row.support),
        "k": flip.k,
        "close": flip.is_close,
        "becomes": ws.classes[flip.wrong_class],
        "votes": flip.votes,
        "wrong": flip.n_wrong,
        "seeds": flip.seeds,
    }


# -- retraining


def row_of(rows: list[LineupRow], ranking: str) -> LineupRow | None:
    """The first row of a ranking that shows something, or None."""
    return next((row for row in rows if row.ranking == ranking and not row.undefined), None)


def ids_to_remove(ws: Workspace, target: int, row: LineupRow, k: int) -> np.ndarray:
    """The training images left of the cut in `row`, which may show fewer than k of them."""
    return ws.ranking(row.ranking).top(target, k, candidates=row.candidates, end=row.end).ids


def question(ws: Workspace, target: int, row: LineupRow, k: int) -> dict:
    """What `retrain.retrain_spec` takes to ask for the retrainings without the first k of `row`."""
    as_published = row.end == "helpful" and row.candidates is None
    return {
        "target": target,
        "kind": "remove",
        "k": k,
        "seeds": SEEDS,
        "draws": 1,
        "ranking": row.ranking if as_published else None,
        "ids": None if as_published else [int(i) for i in ids_to_remove(ws, target, row, k)],
    }


def submit(ws: Workspace, target: int, row: LineupRow, k: int) -> dict:
    """Asks for the retrainings without the first k of `row`; {"spec", "job"}, job None where all of it is known.

    Raises UserError where k is larger than what the ranking ranks.
    """
    spec = retrain.retrain_spec(ws, **question(ws, target, row, k))
    with ResultStore.for_workspace(ws) as store:
        known = spec.missing(ws, store) == 0
    return {"spec": spec, "job": None if known else jobs.submit(ws, spec), "row": f"the first {k} of {row.ranking}"}


def view(ws: Workspace, request: dict) -> dict:
    """How far a request of `submit` is: {"running", "message", "groups"}, a list of {"name", "votes"} with a vote for
    each retraining: {"state", "wrong", "becomes", "seed"}."""
    with ResultStore.for_workspace(ws) as store:
        answer = request["spec"].answer(ws, store)
        job = store.job(request["job"]) if request["job"] else None
    label = int(ws.val_labels[answer["target"]])
    names = {
        "edit": f"without {request['row']}",
        "random": f"without {answer['k']} random, same classes",
        "none": "with all images",
    }
    parts = {"edit": answer, **answer["controls"]}
    running = bool(job and job.is_open) and not answer["complete"]
    why = job_buttons.ensure_runner(ws) if running else ""
    return {
        "running": running,
        "message": write.capitalised(why) + "." if why else _message(answer, job, request),
        "groups": [
            {"name": names[part], "votes": [_vote(ws, run, label) for run in parts[part]["runs"]]} for part in names
        ],
    }


def _vote(ws: Workspace, run: dict, label: int) -> dict:
    done = run["state"] == "done"
    return {
        "state": run["state"],
        "seed": run["seed"],
        "wrong": done and run["predicted"] != label,
        "becomes": ws.classes[run["predicted"]] if done else None,
    }


def _message(answer: dict, job, request: dict) -> str:
    if request["job"] is None:
        when = write.date_time(answer["newest"])
        return f"Known already, trained {when}: nothing was trained again."
    if job is None:
        return "This job is no longer in the store."
    if job.state in ("failed", "cancelled"):
        return f"The retraining {'failed' if job.state == 'failed' else 'was cancelled'}. {job.message}".strip()
    waits = {"queued": "Waiting for the runner.", "paused": "Paused; Brittleness and `jobs resume` let it go on."}
    return waits.get(job.state, "")
