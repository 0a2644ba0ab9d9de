"""The command lines that do what a page shows."""

import shlex
from collections.abc import Mapping

from attribution import Workspace
from attribution.experiments.prefixes import DRAWS
from attribution.experiments.support_search import K
from attribution.workspace import DEMO


def line(ws: Workspace, *words) -> str:
    """`python -m attribution` with these words, for this workspace."""
    where = [] if ws.path == DEMO else ["--workspace", ws.path]
    return shlex.join(map(str, ["python", "-m", "attribution", *words, *where]))


def asking(spec: Mapping) -> list | None:
    """The words that ask what a retrain, support or disjoint spec asks; None where there are none: seeds are counted
    from 0. A retrain spec needs `ids` only where it names no ranking."""
    search = "k_max" in spec
    words = [
        "support" if search else "retrain",
        "--target",
        spec["target"],
        *(["--ranking", spec["ranking"]] if spec["ranking"] else []),
    ]
    if search:
        words += ["--kind", spec["kind"], "--protocol", spec["protocol"]]
        words += ["--k-max", spec["k_max"]] if spec["k_max"] != K else []
        words += ["--disjoint", spec["count"]] if "count" in spec else []
        return words + (["--groups"] if spec.get("groups") else [])
    if spec["seeds"] != list(range(len(spec["seeds"]))):
        return None
    edit = "--remove" if spec["kind"] == "remove" else "--relabel"
    end = "harmful" if spec.get("end") == "harmful" else "top"
    words += [f"{edit}-{end}", spec["k"]] if spec["ranking"] else [edit, ",".join(map(str, spec["ids"]))]
    words += ["--with-duplicates"] if spec.get("groups") else []
    words += ["--seeds", len(spec["seeds"])]
    return words + (["--draws", spec["draws"]] if spec["draws"] != DRAWS else [])
