"""Commands for rankings that a user's code computes: rankings add, list, remove."""

from typing import Annotated

import typer

from attribution import own_code
from attribution.cli import JsonOption, WorkspaceOption, print_answer
from attribution.rankings import own
from attribution.workspace.workspace import DEMO


def rankings_add(
    what: Annotated[str, typer.Argument(metavar="FILE:CLASS", help="Such as mine.py:Mine.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Let Lineup rank by your own code. It runs on this machine as you, with all that you may do."""
    made = own.add(ws, what)
    answer = {"ranking": made.name, "hash": made.hash, "place": made.place, "files": sorted(made.files)}
    print_answer(as_json, answer, f"ranking {made.name} {made.hash}: {made.place}")


def rankings_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The rankings that your own code computes, and those that installed packages offer."""
    rows = []
    for name in own_code.names(own.KIND):
        found = own_code.get(own.KIND, name)
        taken = own.taken_by(ws, name)
        note = f"hidden: {name} is the name of {taken}" if taken else found.problem
        rows.append({"ranking": name, "hash": found.hash, "place": found.place, "note": note})
    print_answer(as_json, {"workspace": ws.name, "rankings": rows}, ("", rows))


def rankings_remove(name: Annotated[str, typer.Argument(help="One of yours.")], as_json: JsonOption = False):
    """Remove one of your rankings from this machine. Its results stay."""
    own_code.remove(own.KIND, name)
    print_answer(as_json, {"removed": name}, f"{name} is no ranking of this machine any more; its results are kept")
