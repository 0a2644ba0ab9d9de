"""Verbs that retrain: retrain, support, study, jobs, runner."""

import time
from functools import partial
from typing import Annotated

import typer

from attribution import UserError
from attribution.cli import (
    JsonOption,
    Protocol,
    RankingName,
    Rankings,
    Target,
    WorkspaceOption,
    add_group,
    answered,
    app,
    print_json,
    print_table,
    ranking_names,
    run_job,
    say,
    split_names,
)
from attribution.cli.measuring import evaluate_supports
from attribution.cli.questions import (
    DuplicateCosine,
    DuplicateFeatures,
    Recipe,
    evaluate_transfer,
    run_disjoint,
    run_study_across_recipes,
)
from attribution.experiments import jobs, support_search, support_table
from attribution.experiments.disjoint import disjoint_spec
from attribution.experiments.prefixes import CONTROL_DRAWS
from attribution.experiments.retrain import retrain_spec
from attribution.experiments.spec import SEEDS
from attribution.experiments.study import STUDY_SEED, study_spec
from attribution.experiments.support import support_spec
from attribution.features import near_duplicates
from attribution.runner import executors
from attribution.store.results import ResultStore
from attribution.training.edits import parse_image_numbers
from attribution.workspace.workspace import DEMO

jobs_app = add_group("jobs", "What runs in the background.")


@app.command()
def retrain(
    target: Target,
    ranking: Annotated[str | None, typer.Option(help="The ranking's name; `info` lists them.")] = None,
    remove_top: Annotated[int | None, typer.Option(help="Remove the ranking's first K images.")] = None,
    relabel_top: Annotated[int | None, typer.Option(help="Give its first K images a wrong label.")] = None,
    remove_harmful: Annotated[
        int | None, typer.Option(help="Remove the K most harmful images, as a repair does.")
    ] = None,
    remove: Annotated[str | None, typer.Option(help="Remove these images, such as 3,7,10-12.")] = None,
    relabel: Annotated[str | None, typer.Option(help="Give these images a wrong label.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings an edit.")] = len(SEEDS),
    draws: Annotated[int, typer.Option(help="Random controls of the same classes.")] = CONTROL_DRAWS,
    with_duplicates: Annotated[
        bool, typer.Option("--with-duplicates", help="Remove near-duplicates of the images, too.")
    ] = False,
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Retrain without a ranking's first images or chosen ones (or with wrong labels on them), beside the controls."""
    if [remove_top, relabel_top, remove_harmful, remove, relabel].count(None) != 4:
        raise UserError(
            "say one of --remove-top K, --relabel-top K, --remove-harmful K, --remove IMAGES and --relabel IMAGES"
        )
    chosen = remove if relabel is None else relabel
    if (ranking is None) == (chosen is None):
        raise UserError(
            "--remove-top, --relabel-top and --remove-harmful need a --ranking, --remove and --relabel take none"
        )
    if seeds < 1 or draws < 0:
        raise UserError("give at least one seed, and no negative number of draws")
    kind = "remove" if relabel is None and relabel_top is None else "mislabel"
    k = next((number for number in (remove_top, relabel_top, remove_harmful) if number is not None), 0)
    end = "helpful" if remove_harmful is None else "harmful"
    ids = None if chosen is None else parse_image_numbers(chosen, ws.n_train)
    groups = near_duplicates.grouping_spec(ws, features, cosine) if with_duplicates else None
    spec = retrain_spec(ws, target, ranking, kind, k, range(seeds), draws, ids, end=end, groups=groups, recipe=recipe)
    store = ResultStore.for_workspace(ws)
    cached = spec.missing(ws, store) == 0
    if not cached:
        run_job(ws, spec)
    answer = {**spec.answer(ws, store), "cached": cached}
    none = answer["controls"]["none"]
    answer["wrong_unedited"] = none["flipped"]  # then "flipped" says no more than that it is still wrong
    if as_json:
        return print_json(answer)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer["newest"]))
    print(
        f"{spec.describe()}, recipe {answer['recipe']} {answer['recipe_hash']}, seeds {answer['seeds']}"
        + (f" (known since {made})" if cached else "")
    )
    if groups:
        print(
            f"{spec['groups']['along']} near-duplicates came along ({groups['features']}, cosine at least "
            f"{groups['cosine']:g})"
        )
    rows = {"the edit": answer, "random, same classes": answer["controls"]["random"]}
    print_table(
        "",
        [
            {"": name, "wrong": f"{row['wrong']} of {row['of']}", "outcome": _outcome(row["flipped"], none["flipped"])}
            for name, row in rows.items()
            if row["of"]
        ]
        + [{"": "nothing removed", "wrong": f"{none['wrong']} of {none['of']}", "outcome": ""}],
    )
    if none["flipped"] != (end == "harmful"):
        state, verb = ("wrong", "flip") if none["flipped"] else ("right", "repair")
        number = none["wrong"] if none["flipped"] else none["of"] - none["wrong"]
        print(
            f"target {answer['target']} is {state} without any edit, too ({number} of {none['of']} seeds): there is "
            f"nothing to {verb}"
        )


def _outcome(wrong: bool, wrong_unedited: bool) -> str:
    """What became of a target: one that is wrong without any edit cannot flip."""
    if wrong_unedited:
        return "still wrong" if wrong else "repaired"
    return "flipped" if wrong else "holds"


@app.command("support")
def support_command(
    target: Target,
    ranking: RankingName,
    kind: Annotated[
        str,
        typer.Option(help="remove, mislabel, or repair: remove the most harmful images until a wrong target is right"),
    ] = "remove",
    protocol: Protocol = None,
    k_max: Annotated[int, typer.Option(help="Give up above this many images.")] = support_search.DEFAULT_K_MAX,
    disjoint: Annotated[int | None, typer.Option(help="Up to so many supports that share no image, 2 or 3.")] = None,
    groups: Annotated[
        bool, typer.Option("--groups", help="Remove each image with its near-duplicates; k counts such groups.")
    ] = False,
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Find the smallest tested prefix of a ranking whose removal (or relabelling) flips a target, or repairs it."""
    asked = {
        "target": target,
        "ranking": ranking,
        "kind": kind,
        "k_max": k_max,
        "recipe": recipe,
        "protocol": protocol or support_table.default_protocol(ws),
        "groups": near_duplicates.grouping_spec(ws, features, cosine) if groups else None,
    }
    if disjoint is not None:
        return run_disjoint(ws, disjoint_spec(ws, disjoint, **asked), as_json)
    spec = support_spec(ws, **asked)
    row, cached = answered(ws, ResultStore.for_workspace(ws), spec)
    if as_json:
        return print_json({"recipe": spec["recipe"], **row, "cached": cached})
    known = time.strftime(" (known since %Y-%m-%d %H:%M)", time.localtime(row["created"])) if cached else ""
    print(f"target {spec['target']}, {ranking}, {kind}: {_support_text(row)}, {row['trainings']} trainings{known}")
    print_table(
        "",
        [
            {
                "k": p["k"],
                "seeds": len(p["seeds"]),
                "wrong": p["wrong"],
                "margin": None if p["margin"] is None else round(p["margin"], 2),
            }
            for p in row["trace"]
        ],
    )


def _support_text(row):
    if row["status"] in ("flipped", "repaired", "unstable"):
        before = "still wrong" if row["kind"] == "repair" else "survived"
        images = f", {row['images']} images with near-duplicates" if "images" in row else ""
        seeds = f"; five other seeds: {row['others'][0]} to {row['others'][1] or 'more'}" if row.get("others") else ""
        return f"support {row['support']}{images} ({row['status']}, {before} at {row['lo']}{seeds})"
    nothing = {"already_wrong": "already wrong, nothing to flip", "already_right": "already right, nothing to repair"}
    return nothing.get(row["status"]) or f"no support found up to {row['lo']}"


@app.command()
def study(
    targets: Annotated[
        int, typer.Option(help="How many stable targets (of repairs, wrong ones), drawn at random.")
    ] = 20,
    rankings: Rankings = None,
    kinds: Annotated[str, typer.Option(help="remove, mislabel and repair, with commas.")] = "remove,mislabel",
    protocol: Protocol = None,
    seed: Annotated[int, typer.Option(help="Draws the targets.")] = STUDY_SEED,
    recipe: Recipe = None,
    recipes: Annotated[
        str | None, typer.Option(help="Compare these recipes on targets stable in all of them, with commas.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Supports of many targets under several rankings. Interrupt it and call it again: it goes on where it was."""
    from attribution.explore.targets import draw_stable_targets, draw_wrong_targets

    protocol = protocol or support_table.default_protocol(ws)
    chosen, wanted = ranking_names(ws, rankings), split_names(kinds)
    if recipe and recipes:
        raise UserError("say --recipe for a study under one, or --recipes to compare several")
    if recipes or recipe not in (None, ws.recipe):
        compared = split_names(recipes) if recipes else [ws.recipe, recipe]
        run_study_across_recipes(
            ws, compared, compared if recipes else [recipe], targets, chosen, wanted, protocol, seed
        )
        return evaluate_transfer(names=",".join(compared), protocol=protocol, ws=ws, as_json=as_json)
    job = None
    if flips := [kind for kind in wanted if kind != "repair"]:
        job = run_job(ws, study_spec(ws, draw_stable_targets(ws, targets, seed), chosen, flips, protocol))
    if flips != wanted or not wanted:  # without any kind it is refused there
        job = run_job(
            ws, study_spec(ws, draw_wrong_targets(ws, targets, seed), chosen, ["repair"] if wanted else [], protocol)
        )
    print_json(jobs.job_to_json(job)) if as_json else evaluate_supports(protocol=protocol, folder=ws.path)


def _variable_of(option):
    """An option that the variable of the same name gives to runners which the dashboard starts."""
    return executors.ENVIRONMENT_VARIABLES[option]


@app.command()
def runner(
    ws: WorkspaceOption = DEMO,
    executor: Annotated[str, typer.Option(envvar=_variable_of("executor"), help="local or ray")] = "local",
    workers: Annotated[
        int | None, typer.Option(envvar=_variable_of("workers"), help="At most so many trainings at once.")
    ] = None,
    per_gpu: Annotated[
        int | None, typer.Option(envvar=_variable_of("per_gpu"), help="local: workers on each GPU; else one.")
    ] = None,
    address: Annotated[
        str, typer.Option(envvar=_variable_of("address"), help="ray: auto, or HOST:PORT of the cluster's head.")
    ] = "auto",
    gpus_per_training: Annotated[
        float | None,
        typer.Option(envvar=_variable_of("gpus_per_training"), help="ray: 0 to 1; else 1, or 0 where there is no GPU."),
    ] = None,
    idle: Annotated[
        float, typer.Option(envvar="LINEUP_IDLE", help="Go away after this many seconds without work.")
    ] = 60,
):
    """Do the queued jobs of a workspace until there are none. The dashboard starts one by itself."""
    from attribution.runner.runner import run_runner

    make = partial(executors.create_executor, ws, executor, workers, per_gpu, address, gpus_per_training)
    if not run_runner(ws, make, idle):
        say("another runner is already at work on this data set's jobs")


@jobs_app.command("list")
def jobs_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The newest jobs first."""
    found = [jobs.job_to_json(job) for job in ResultStore.for_workspace(ws).jobs()]
    print_json({"jobs": found}) if as_json else print_table("jobs", found)


@jobs_app.command("show")
def jobs_show(number: int, ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """One job, and what it was asked."""
    job = _load_job(ResultStore.for_workspace(ws), number)
    print_json({**jobs.job_to_json(job), "spec": job.spec}) if as_json else print_table("", [jobs.job_to_json(job)])


@jobs_app.command("pause")
def jobs_pause(number: int, ws: WorkspaceOption = DEMO):
    """Start nothing more of a job until it is resumed. Trainings under way are finished, and kept."""
    job = _load_job(ResultStore.for_workspace(ws), number)
    if not jobs.pause(ws, number):
        raise UserError(f"job {number} is {job.state} already; there is nothing to pause")
    print(f"job {number} is paused; trainings under way are finished first")


@jobs_app.command("resume")
def jobs_resume(number: int, ws: WorkspaceOption = DEMO):
    """Let a paused job go on where it was."""
    job = _load_job(ResultStore.for_workspace(ws), number)
    if not jobs.resume(ws, number):
        raise UserError(f"job {number} is {job.state}; only a paused job can be resumed")
    print(f"job {number} goes on")


@jobs_app.command("cancel")
def jobs_cancel(number: int, ws: WorkspaceOption = DEMO):
    """Stop a job. What it trained so far is kept."""
    store = ResultStore.for_workspace(ws)
    job = _load_job(store, number)
    if not jobs.cancel(ws, number) and job.has_ended:
        raise UserError(f"job {number} is {job.state} already; there is nothing to cancel")
    while store.job(number).is_open:
        jobs.ensure_runner(ws)
        time.sleep(0.1)
    print(f"job {number} is {store.job(number).state}")


def _load_job(store, number):
    job = store.job(number)
    if job is None:
        raise UserError(f"there is no job {number}; `jobs list` shows them")
    return job
