"""Verbs of the audit of labels: worth."""

from typing import Annotated

import typer

from attribution.cli import JsonOption, WorkspaceOption, answered, app, mean_ci, print_json, print_table
from attribution.cli.questions import Recipe
from attribution.export.numbers import number, p_value
from attribution.store.results import ResultStore
from attribution.workspace.workspace import DEMO


@app.command("worth")
def gain_command(
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
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Accuracy with the audit's corrections, against none, and against as many random images re-inspected."""
    from attribution.audit import gain, review_queue
    from attribution.audit.decision_log import DecisionLog

    with DecisionLog.of(ws) as decisions:
        standing = decisions.standing()
        if second_half is None:
            second_half = review_queue.uses_validation(ws, decisions, standing)
        without = review_queue.starting_targets(decisions)
    spec = gain.gain_spec(ws, standing, seeds, second_half, recipe, without)
    answer, cached = answered(ws, ResultStore.for_workspace(ws), spec)
    if as_json:
        return print_json({**answer, "cached": cached})
    print(
        f"{answer['decided']} images decided on: {answer['relabelled']} relabelled, {answer['removed']} removed, "
        f"{answer['kept']} kept, {answer['unsure']} unsure, {answer['conflicts']} in conflict."
    )
    print(
        f"random: each seed re-inspects {answer['decided']} images of its own; {gain.ERROR_SOURCES[answer['errors']]} "
        f"(on average {number(sum(answer['edited']['random']) / seeds, 1)})."
    )
    rows = [{"": name, "accuracy": mean_ci(one, 100, 2), "p": None} for name, one in answer["accuracy"].items()]
    rows += [
        {"": name.replace("-", " against "), "accuracy": mean_ci(one, 100, 2, sign=True), "p": p_value(one["p"])}
        for name, one in answer["differences"].items()
    ]
    print_table(
        f"accuracy on {answer['n']} validation images in %, recipe {answer['recipe']} {answer['recipe_hash']}, "
        f"{seeds} paired seeds, mean (95 % over seeds)",
        rows,
    )
    names = ("none", "corrected", "random")
    print_table(
        "by class",
        [
            {
                "class": ws.classes[row["class"]],
                "n": row["n"],
                **{name: row[name] and number(100 * row[name]["mean"], 1) for name in names},
                "corrected against none": row["n"] and mean_ci(row["corrected-none"], 100, 2, sign=True) or None,
            }
            for row in answer["classes"]
        ],
    )
    for name, one in answer["targets"].items():
        print(f"{name}: {len(one['repaired'])} targets repaired, {len(one['broken'])} broken, of {answer['n']}")
