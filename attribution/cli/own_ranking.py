"""Commands for rankings that a user's code computes, or that a person combined: rankings combine, add, list, remove."""

import shlex
from typing import Annotated

import typer

from attribution import own_code
from attribution.cli import JsonOption, WorkspaceOption, command_line, print_answer
from attribution.rankings import combination, own
from attribution.workspace.provenance import command_provenance
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


def rankings_combine(
    names: Annotated[list[str], typer.Argument(metavar="RANKING...", help="Two or more, as in trak-10 influence-all.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """List the standardised sum of several rankings among the workspace's: NAME+NAME. It is computed when asked."""
    name = combination.MARK.join(names)
    found = combination.remember(ws, name, command_provenance(command_line(f"rankings combine {shlex.join(names)}")))
    answer = {"workspace": ws.name, "ranking": name, "parts": names, "targets": len(found.targets)}
    answer |= {"signed": found.signed}
    print_answer(as_json, answer, f"{name}: {found.description}, {len(found.targets):,} targets")


def rankings_remove(
    name: Annotated[str, typer.Argument(help="One of yours, or a combination.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Remove one of your rankings from this machine, or a combination from the workspace's list. Its results stay."""
    if combination.MARK in name:
        combination.forget(ws, name)
        text = f"{ws.name} lists {name} no more; what it combines stays"
    else:
        own_code.remove(own.KIND, name)
        text = f"{name} is no ranking of this machine any more; its results are kept"
    print_answer(as_json, {"removed": name}, text)
