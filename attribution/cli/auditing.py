"""Verbs of the audit of labels: worth."""

from typing import Annotated

import typer
from rich.markup import escape

from attribution.cli import AsJson, Where, app, print_json, table, watch
from attribution.cli.questions import Recipe
from attribution.store import Store
from attribution.workspace import DEMO, Workspace


@app.command("worth")
def worth_verb(
    seeds: Annotated[int, typer.Option(help="Trainings an arm, paired.")] = 20,
    recipe: Recipe = None,
    second_half: Annotated[
        bool | None,
        typer.Option(
            "--second-half/--all-validation",
            help="What it is "
            "measured on; the second half if not given, where validation images may have "
            "led to what was decided.",
        ),
    ] = None,
    workspace: Where = DEMO,
    as_json: AsJson = False,
):
    """Accuracy with the audit's corrections, against none, and against as many random images re-inspected."""
    from attribution import queues, worth
    from attribution.decisions import Decisions

    ws = Workspace.open(workspace)
    decisions = Decisions.of(ws)
    try:
        standing = decisions.standing()
        if second_half is None:
            second_half = queues.used_validation(ws, decisions, standing)
        without = queues.began_with(decisions)
    finally:
        decisions.close()
    spec = worth.spec(ws, standing, seeds, second_half, recipe, without)
    store = Store.of(ws)
    answer = spec.answer(ws, store)
    cached = answer is not None
    if not cached:
        watch(ws, spec)
        answer = spec.answer(ws, store)
    if as_json:
        return print_json({**answer, "cached": cached})
    print(
        f"{answer['decided']} images decided on: {answer['relabelled']} relabelled, {answer['removed']} removed, "
        f"{answer['kept']} kept, {answer['unsure']} unsure, {answer['conflicts']} in conflict."
    )
    print(
        f"random: each seed re-inspects {answer['decided']} images of its own; {worth.ERRORS[answer['errors']]} "
        f"(on average {sum(answer['edited']['random']) / seeds:.1f})."
    )
    rows = [{"": name, "accuracy": _percent(one), "p": None} for name, one in answer["accuracy"].items()]
    rows += [
        {"": name.replace("-", " against "), "accuracy": _percent(one, "+"), "p": one["p"]}
        for name, one in answer["differences"].items()
    ]
    table(
        f"accuracy on {answer['n']} validation images in %, recipe {answer['recipe']} {answer['recipe_hash']}, "
        f"{seeds} paired seeds, mean (95 % over seeds)",
        rows,
    )
    names = ("none", "corrected", "random")
    table(
        "by class",
        [
            {
                "class": escape(ws.classes[row["class"]]),
                "n": row["n"],
                **{name: row[name] and f"{100 * row[name]['mean']:.1f}" for name in names},
                "corrected against none": row["n"] and _percent(row["corrected-none"], "+") or None,
            }
            for row in answer["classes"]
        ],
    )
    for name, one in answer["targets"].items():
        print(f"{name}: {len(one['repaired'])} targets repaired, {len(one['broken'])} broken, of {answer['n']}")


def _percent(found: dict, sign: str = "") -> str:
    low, high = found["ci"]
    return f"{100 * found['mean']:{sign}.2f} ({100 * low:{sign}.2f} to {100 * high:{sign}.2f})"
