"""What Explore asks of the parts of the library that measure and retrain, in the shape the page draws."""

import numpy as np
import streamlit as st

from attribution import Workspace, jobs
from attribution import supports as answers
from attribution.lineup import Row
from attribution.opening import verdict
from attribution.store import Store
from pages.ui import format as write


@st.cache_resource(ttl=10, show_spinner=False)
def supports(_ws: Workspace, stamp: str) -> dict[int, dict[str, dict[str, dict]]]:
    """target -> kind -> ranking -> {"status", "support" (int or None), "k_max"}, and where it flips also "k", "close",
    "becomes" (class), "votes", "wrong" and "seeds", as in `opening.Opening`. Read anew every 10 s.
    """
    if not _ws.has_base:  # nothing is searched before they are there
        return {}
    store = Store.of(_ws)
    table = answers.table(_ws, store)
    store.close()
    found: dict[int, dict[str, dict[str, dict]]] = {}
    for row in table[(table.protocol == answers.usual_protocol(_ws)) & (table.kind != "repair")].itertuples():
        flipped = row.status in ("flipped", "unstable")
        said = verdict(_ws, row) if flipped else None
        found.setdefault(int(row.target), {}).setdefault(row.kind, {})[row.ranking] = {
            "status": row.status,
            "support": int(row.support) if flipped else None,
            "k_max": int(row.k_max),
            **(
                {
                    "k": said.k,
                    "close": said.close,
                    "becomes": _ws.classes[said.other],
                    "votes": said.votes,
                    "wrong": said.wrong,
                    "seeds": said.seeds,
                }
                if said
                else {}
            ),
        }
    return found


# -- retraining


def ids_to_remove(ws: Workspace, target: int, row: Row, k: int) -> np.ndarray:
    """The training images left of the cut in `row`, which may show fewer than k of them."""
    return ws.ranking(row.ranking).top(target, k, candidates=row.candidates, end=row.end).ids


def question(ws: Workspace, target: int, row: Row, k: int) -> dict:
    """What `jobs.retrain_spec` takes to ask for the retrainings without the first k of `row`."""
    as_published = row.end == "helpful" and row.candidates is None
    return {
        "target": target,
        "kind": "remove",
        "k": k,
        "seeds": jobs.SEEDS,
        "draws": 1,
        "ranking": row.ranking if as_published else None,
        "ids": None if as_published else [int(i) for i in ids_to_remove(ws, target, row, k)],
    }


def submit(ws: Workspace, target: int, row: Row, k: int) -> dict:
    """Asks for the retrainings without the first k of `row`; {"spec", "job"}, job None where all of it is known.

    Raises UserError where k is larger than what the ranking ranks.
    """
    asked = jobs.retrain_spec(ws, **question(ws, target, row, k))
    store = Store.of(ws)
    known = jobs.missing(ws, store, asked) == 0
    store.close()
    return {"spec": asked, "job": None if known else jobs.submit(ws, asked), "row": f"the first {k} of {row.ranking}"}


def view(ws: Workspace, asked: dict) -> dict:
    """What `submit` asked for: {"running", "message", "groups": [{"name", "votes": [{"state", "wrong", "becomes",
    "seed"}]}]}, a vote for each retraining."""
    store = Store.of(ws)
    answer = jobs.retrain_answer(ws, store, asked["spec"])
    job = store.job(asked["job"]) if asked["job"] else None
    store.close()
    label = int(ws.val_labels[answer["target"]])
    names = {
        "edit": f"without {asked['row']}",
        "random": f"without {answer['k']} random, same classes",
        "none": "with all images",
    }
    parts = {"edit": answer, **answer["controls"]}
    running = bool(job and job.open) and not answer["complete"]
    if running:
        jobs.ensure_runner(ws)  # one that was killed is replaced while somebody waits
    return {
        "running": running,
        "message": _message(answer, job, asked),
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


def _message(answer: dict, job, asked: dict) -> str:
    if asked["job"] is None:
        when = write.date_time(answer["newest"])
        return f"Known already, trained {when}: nothing was trained again."
    if job is None:
        return "This job is no longer in the store."
    if job.state in ("failed", "cancelled"):
        return f"The retraining {'failed' if job.state == 'failed' else 'was cancelled'}. {job.message}".strip()
    waits = {"queued": "Waiting for the runner.", "paused": "Paused; Brittleness and `jobs resume` let it go on."}
    return waits.get(job.state, "")
