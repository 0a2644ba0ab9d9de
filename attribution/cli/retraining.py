"""Verbs that retrain: retrain, support, study, jobs, runner."""

import sys
import time
from functools import partial
from typing import Annotated

import typer

from attribution import UserError, executors, jobs, support, supports
from attribution.cli import (
    AsJson,
    Protocol,
    RankingName,
    Rankings,
    Target,
    Where,
    app,
    group,
    names,
    print_json,
    split,
    table,
    watch,
)
from attribution.cli.measuring import evaluate_supports
from attribution.edits import parse_images
from attribution.store import Store
from attribution.workspace import DEMO, Workspace

jobs_app = group("jobs", "What runs in the background.")


@app.command()
def retrain(target: Target,
            ranking: Annotated[str | None, typer.Option(help="The ranking's name; `info` lists them.")] = None,
            remove_top: Annotated[int | None, typer.Option(help="Remove the ranking's first K images.")] = None,
            relabel_top: Annotated[int | None, typer.Option(help="Give its first K images a wrong label.")] = None,
            remove: Annotated[str | None, typer.Option(help="Remove these images, such as 3,7,10-12.")] = None,
            relabel: Annotated[str | None, typer.Option(help="Give these images a wrong label.")] = None,
            seeds: Annotated[int, typer.Option(help="Trainings an edit.")] = len(jobs.SEEDS),
            draws: Annotated[int, typer.Option(help="Random controls of the same classes.")] = jobs.DRAWS,
            workspace: Where = DEMO, as_json: AsJson = False):
    """Retrain without a ranking's first images or chosen ones (or with wrong labels on them), beside the controls."""
    if [remove_top, relabel_top, remove, relabel].count(None) != 3:
        raise UserError("say one of --remove-top K, --relabel-top K, --remove IMAGES and --relabel IMAGES")
    chosen = remove if relabel is None else relabel
    if (ranking is None) == (chosen is None):
        raise UserError("--remove-top and --relabel-top need a --ranking, --remove and --relabel take none")
    if seeds < 1 or draws < 0:
        raise UserError("give at least one seed, and no negative number of draws")
    kind = "remove" if relabel is None and relabel_top is None else "mislabel"
    k = remove_top if relabel_top is None else relabel_top
    ws = Workspace.open(workspace)
    ids = None if chosen is None else parse_images(chosen, ws.n_train)
    spec = jobs.retrain_spec(ws, target, ranking, kind, k, range(seeds), draws, ids)
    store = Store.of(ws)
    cached = jobs.missing(ws, store, spec) == 0
    if not cached:
        watch(ws, spec)
    answer = {**jobs.retrain_answer(ws, store, spec), "cached": cached}
    if as_json:
        return print_json(answer)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer["newest"]))
    print(f"{jobs.describe(spec)}, recipe {answer['recipe']} {answer['recipe_hash']}, seeds {answer['seeds']}"
          + (f" (known since {made})" if cached else ""))
    controls = answer["controls"]
    rows = {"the edit": answer, "nothing removed": controls["none"], "random, same classes": controls["random"]}
    table("", [{"": name, "wrong": f"{row['wrong']} of {row['of']}", "flipped": "yes" if row["flipped"] else "no"}
                for name, row in rows.items() if row["of"]])


@app.command("support")
def support_verb(target: Target, ranking: RankingName,
                 kind: Annotated[str, typer.Option(help="remove or mislabel")] = "remove",
                 protocol: Protocol = None,
                 k_max: Annotated[int, typer.Option(help="Give up above this many images.")] = support.K,
                 workspace: Where = DEMO, as_json: AsJson = False):
    """Find the smallest tested prefix of a ranking whose removal (or relabelling) flips a target."""
    ws = Workspace.open(workspace)
    spec = jobs.support_spec(ws, target, ranking, kind, protocol or supports.usual_protocol(ws), k_max)
    store = Store.of(ws)
    asked = {name: spec[name] for name in supports.ASKED}
    row = supports.find(ws, store, **asked)
    cached = row is not None
    if not cached:
        watch(ws, spec)
        row = supports.find(ws, store, **asked)
    if as_json:
        return print_json({"recipe": ws.recipe, **row, "cached": cached})
    known = time.strftime(" (known since %Y-%m-%d %H:%M)", time.localtime(row["created"])) if cached else ""
    print(f"target {spec['target']}, {ranking}, {kind}: {_support_text(row)}, {row['trainings']} trainings{known}")
    table("", [{"k": p["k"], "seeds": len(p["seeds"]), "wrong": p["wrong"],
                 "margin": None if p["margin"] is None else round(p["margin"], 2)} for p in row["trace"]])


def _support_text(row):
    if row["status"] in ("flipped", "unstable"):
        seeds = f"; five other seeds: {row['others'][0]} to {row['others'][1] or 'more'}" if row["others"] else ""
        return f"support {row['support']} ({row['status']}, survived at {row['lo']}{seeds})"
    return f"no support found up to {row['lo']}" if row["status"] == "censored" else "already wrong, nothing to flip"


@app.command()
def study(targets: Annotated[int, typer.Option(help="How many stable targets, drawn at random.")] = 20,
          rankings: Rankings = None,
          kinds: Annotated[str, typer.Option(help="remove, mislabel, or both with a comma.")] = "remove,mislabel",
          protocol: Protocol = None,
          seed: Annotated[int, typer.Option(help="Draws the targets.")] = jobs.STUDY_SEED,
          workspace: Where = DEMO, as_json: AsJson = False):
    """Supports of many targets under several rankings. Interrupt it and call it again: it goes on where it was."""
    from attribution.measure import random_stable

    ws = Workspace.open(workspace)
    protocol = protocol or supports.usual_protocol(ws)
    spec = jobs.study_spec(ws, random_stable(ws, targets, seed), names(ws, rankings), split(kinds), protocol)
    job = watch(ws, spec)
    print_json(jobs.job_json(job)) if as_json else evaluate_supports(protocol=protocol, workspace=workspace)


def _from(option):
    """An option that the variable of the same name gives to runners which the dashboard starts."""
    return executors.VARIABLES[option]


@app.command()
def runner(workspace: Where = DEMO,
           executor: Annotated[str, typer.Option(envvar=_from("executor"), help="local or ray")] = "local",
           workers: Annotated[int | None, typer.Option(envvar=_from("workers"),
                                                       help="At most so many trainings at once.")] = None,
           per_gpu: Annotated[int | None, typer.Option(envvar=_from("per_gpu"),
                                                       help="local: workers on each GPU; else one.")] = None,
           address: Annotated[str, typer.Option(envvar=_from("address"),
                                                help="ray: auto, or HOST:PORT of the cluster's head.")] = "auto",
           gpus_per_training: Annotated[float | None,
                                        typer.Option(envvar=_from("gpus_per_training"),
                                                     help="ray: 0 to 1; else 1, or 0 where there is no GPU.")] = None,
           idle: Annotated[float, typer.Option(envvar="LINEUP_IDLE",
                                               help="Go away after this many seconds without work.")] = 60):
    """Do the queued jobs of a workspace until there are none. The dashboard starts one by itself."""
    from attribution.runner import serve

    ws = Workspace.open(workspace)
    make = partial(executors.make, ws, executor, workers, per_gpu, address, gpus_per_training)
    if not serve(ws, make, idle):
        print("another runner is already at work on this data set's jobs", file=sys.stderr)


@jobs_app.command("list")
def jobs_list(workspace: Where = DEMO, as_json: AsJson = False):
    """The newest jobs first."""
    found = [jobs.job_json(job) for job in Store.of(Workspace.open(workspace)).jobs()]
    print_json({"jobs": found}) if as_json else table("jobs", found)


@jobs_app.command("show")
def jobs_show(number: int, workspace: Where = DEMO, as_json: AsJson = False):
    """One job, and what it was asked."""
    job = _job(Store.of(Workspace.open(workspace)), number)
    print_json({**jobs.job_json(job), "spec": job.spec}) if as_json else table("", [jobs.job_json(job)])


@jobs_app.command("cancel")
def jobs_cancel(number: int, workspace: Where = DEMO):
    """Stop a job. What it trained so far is kept."""
    ws = Workspace.open(workspace)
    store = Store.of(ws)
    job = _job(store, number)
    if not jobs.cancel(ws, number) and not job.open:
        raise UserError(f"job {number} is {job.state} already; there is nothing to cancel")
    while store.job(number).open:
        jobs.ensure_runner(ws)
        time.sleep(0.1)
    print(f"job {number} is {store.job(number).state}")


def _job(store, number):
    job = store.job(number)
    if job is None:
        raise UserError(f"there is no job {number}; `jobs list` shows them")
    return job
