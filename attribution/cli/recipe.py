"""Commands for training code of the user's own: recipe new, add, check, list, remove."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from attribution.cli import (
    JsonOption,
    WorkspaceOption,
    print_answer,
    print_line,
    recipe_name,
    split_names,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.export.numbers import duration, percent
from attribution.files import user_path, write_atomically
from attribution.store.results import ResultStore
from attribution.training import own, recipes
from attribution.workspace.recipe_list import describe_recipes
from attribution.workspace.workspace import DEMO

TEMPLATE = Path(__file__).resolve().parents[1] / "training" / "own" / "template.py"
STATES = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def recipe_new(path: Annotated[Path, typer.Argument(help="The Python file to write, such as train.py.")]):
    """Write a commented recipe to begin with: plain PyTorch, and it passes `recipe check` as it stands."""
    path = user_path(path)
    if path.exists():
        raise UserError(f"{path} is there already; choose another name")
    write_atomically(path, lambda stream: stream.write(TEMPLATE.read_bytes()))
    print_line(f"wrote {path}; try it with: python -m attribution recipe check {shlex.quote(str(path))}:Mine")


def recipe_add(
    what: Annotated[str, typer.Argument(help="FILE:CLASS, such as train.py:Mine; with --command a name.")],
    command: Annotated[
        str | None, typer.Option(help="What trains, run in this folder: python train.py --job {job}")
    ] = None,
    sources: Annotated[str, typer.Option(help="With --command: files here that the hash covers, with commas.")] = "",
    version: Annotated[int, whole_option("--version", 0, own.MAX_VERSION, "With --command: a number of yours.")] = 1,
    threads: Annotated[int, whole_option("--threads", 1, own.MAX_THREADS, "With --command: cores it uses.")] = 1,
    patience: Annotated[
        int, whole_option("--patience", 1, 100_000, "With --command: minutes that it may report nothing.")
    ] = int(own.PATIENCE),
    as_json: JsonOption = False,
):
    """Let Lineup train by your own code. It runs on this machine as you, with all that you may do."""
    if command is None:
        made = own.add(what)
    else:
        made = own.add_command(what, command, Path.cwd(), split_names(sources), version, threads, patience)
    answer = {"recipe": made.name, "hash": made.hash, "place": made.place, "files": sorted(made.files)}
    print_answer(as_json, answer, f"recipe {made.name} {made.hash}: {made.place}")


def recipe_check(
    recipe: Annotated[str, typer.Argument(parser=recipe_name, metavar="NAME|FILE:CLASS", help="One of yours.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Try a recipe: shapes, seeds, edits, seconds, memory; about eight trainings. Exit status 2 where it has a
    problem."""
    from attribution.runner import recipe_check as check

    if recipe in recipes.NAMES:
        raise UserError(f"{recipe} is built in and needs no check; name one of yours")
    report = with_progress(check.check_recipe, ws, ws.get_recipe(recipe))
    rows = [{"": row["check"], "state": STATES[row["state"]], "finding": row["text"]} for row in report["findings"]]
    takes = ", ".join(f"{count} take {duration(seconds)}" for count, seconds in report["trainings"].items())
    title = f"recipe {report['recipe']} {report['hash']} on {ws.name}"
    cost = f"a training takes {duration(report['seconds'])} and {report['memory']:,} MiB at most; of {takes}"
    print_answer(as_json, report, (title, rows), cost + f" ({report['workers']} at once)")
    if not report["ok"]:
        raise typer.Exit(2)


def recipe_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The recipes that can be used here, their accuracy and what is stored of them."""
    with ResultStore.for_workspace(ws) as store:
        rows = describe_recipes(ws, store)
    shown = [
        {
            "recipe": row["recipe"],
            "kind": row["kind"],
            "hash": row["hash"],
            "accuracy": "" if row["accuracy"] is None else percent(row["accuracy"]),
            "a training": "" if row["seconds"] is None else duration(row["seconds"]),
            "results": row["results"],
            "place": row["place"],
            "note": row["note"],
        }
        for row in rows
    ]
    print_answer(as_json, {"workspace": ws.name, "recipes": rows}, ("", shown))


def recipe_remove(name: Annotated[str, typer.Argument(help="One of yours.")], as_json: JsonOption = False):
    """Remove one of your recipes from this machine. Its results stay."""
    own.remove(name)
    print_answer(as_json, {"removed": name}, f"{name} is no recipe of this machine any more; its results are kept")
