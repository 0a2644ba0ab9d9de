"""The command line: `python -m attribution VERB ...`. Thin: each verb asks the library and prints.

Every mistake of the user's is one sentence on stderr and exit status 2. `--json` prints one JSON object on stdout;
progress goes to stderr.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from attribution import UserError, jobs, recipes, support, supports
from attribution.edits import parse_images
from attribution.lineup import default_rankings
from attribution.store import Store
from attribution.workspace import DEMO, Workspace

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="Lineup: data attribution on images, from the command line.")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure rankings: supports, lds.")
demo_app = typer.Typer(no_args_is_help=True, help="The bundled demo workspace.")
jobs_app = typer.Typer(no_args_is_help=True, help="What runs in the background.")
export_app = typer.Typer(no_args_is_help=True, help="Take results home.")
for name, group in (("evaluate", evaluate_app), ("demo", demo_app), ("jobs", jobs_app), ("export", export_app)):
    app.add_typer(group, name=name)

Where = Annotated[Path, typer.Option("--workspace", help="The workspace's folder; the bundled demo if not given.",
                                     envvar="LINEUP_WORKSPACE")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Target = Annotated[str, typer.Option(help="The validation image, counted from 0.")]
RankingName = Annotated[str, typer.Option("--ranking", help="The ranking's name; `info` lists them.")]
Rankings = Annotated[str | None, typer.Option(help="Names, with commas; one of each method if not given.")]
Candidates = Annotated[str | None, typer.Option(help="true, predicted or all; as published if not given.")]
screen = Console(stderr=True)


# -- looking


@app.command()
def info(workspace: Where = DEMO, as_json: AsJson = False):
    """What a workspace holds: data set, features, rankings, recipes."""
    ws = Workspace.open(workspace)
    answer = {
        "workspace": ws.name,
        "dataset": {"name": ws.manifest["dataset"]["name"], "n_train": ws.n_train, "n_val": ws.n_val,
                    "classes": ws.classes, "fingerprint": ws.fingerprint, "planted": ws.planted},
        "features": [_feature_info(ws, name) for name in ws.features()],
        "rankings": [_ranking_info(ws, name) for name in ws.rankings()],
        "recipes": [_recipe_info(ws)],
    }
    if as_json:
        return _print(answer)
    data = answer["dataset"]
    planted = f", {data['planted']} planted errors" if data["planted"] else ""
    print(f"{ws.name}: {data['name']}, {ws.n_train:,} training and {ws.n_val:,} validation images, "
          f"{len(ws.classes)} classes{planted}")
    for part in ("features", "rankings", "recipes"):
        _table(part, answer[part])


def _feature_info(ws, name):
    about = ws.manifest["parts"][f"features/{name}"]
    dim = about.get("dim") or ws.feature(name).train.shape[1]
    return {"name": name, "dim": dim, "knn_accuracy": about.get("knn_accuracy")}


def _ranking_info(ws, name):
    ranking = ws.ranking(name)
    about = ws.manifest["parts"].get(f"rankings/{name}", {})
    same = None
    if not ranking.live:  # the alignment check; what is computed from the workspace's own features is always aligned
        sample = range(0, ws.n_val, max(1, ws.n_val // 1000))
        hits = [ws.train_labels[ranking.top(t, 1, "all").ids[0]] == ws.val_labels[t] for t in sample]
        same = round(sum(map(int, hits)) / len(hits), 3)
    return {"name": name, "method": ranking.method, "signed": ranking.signed, "models": about.get("models", 0),
            "top1_same_class": same}


def _recipe_info(ws):
    about = ws.manifest["parts"].get("base", {})
    measured = {name: about.get(name) for name in ("accuracy", "seconds", "device")}
    return {"name": ws.recipe, "hash": recipes.get(ws.recipe).hash, **measured}


@app.command()
def rank(target: Target, ranking: RankingName, top: Annotated[int, typer.Option(help="How many.")] = 10,
         candidates: Candidates = None, end: Annotated[str, typer.Option(help="helpful or harmful")] = "helpful",
         workspace: Where = DEMO, as_json: AsJson = False):
    """The training images a ranking puts first for a target."""
    ws = Workspace.open(workspace)
    number = ws.check_target(target)
    found = ws.ranking(ranking).top(number, top, candidates, end)
    if len(found.ids) < top:
        print(f"{ranking} ranks {len(found.ids)} images for this target, and {top} were asked for", file=sys.stderr)
    labels = [ws.classes[c] for c in ws.train_labels[found.ids]]
    answer = {"target": number, "label": ws.classes[ws.val_labels[number]],
              "prediction": ws.classes[ws.base.prediction[number]], "ranking": ranking, "train": found.ids.tolist(),
              "scores": None if found.scores is None else [round(float(s), 6) for s in found.scores], "labels": labels}
    if as_json:
        return _print(answer)
    print(f"target {number}: {answer['label']}, predicted {answer['prediction']}; "
          f"first {len(labels)} of {ranking}, {end}")
    scores = answer["scores"] or [None] * len(labels)
    _table("", [{"rank": i + 1, "train": t, "label": c, "score": s}
                for i, (t, c, s) in enumerate(zip(answer["train"], labels, scores))])


# -- retraining


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
        _watch(ws, store, spec)
    answer = {**jobs.retrain_answer(ws, store, spec), "cached": cached}
    if as_json:
        return _print(answer)
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(answer["newest"]))
    print(f"{jobs.describe(spec)}, recipe {answer['recipe']} {answer['recipe_hash']}, seeds {answer['seeds']}"
          + (f" (known since {made})" if cached else ""))
    controls = answer["controls"]
    rows = {"the edit": answer, "nothing removed": controls["none"], "random, same classes": controls["random"]}
    _table("", [{"": name, "wrong": f"{row['wrong']} of {row['of']}", "flipped": "yes" if row["flipped"] else "no"}
                for name, row in rows.items() if row["of"]])


@app.command("support")
def support_verb(target: Target, ranking: RankingName,
                 kind: Annotated[str, typer.Option(help="remove or mislabel")] = "remove",
                 protocol: Annotated[str, typer.Option(help="default or paper")] = "default",
                 k_max: Annotated[int, typer.Option(help="Give up above this many images.")] = support.K,
                 workspace: Where = DEMO, as_json: AsJson = False):
    """Find the smallest tested prefix of a ranking whose removal (or relabelling) flips a target."""
    ws = Workspace.open(workspace)
    if protocol not in ("default", "paper"):
        raise UserError(f"protocol {protocol!r} is not known; say default or paper")
    spec = jobs.support_spec(ws, target, ranking, kind, protocol, k_max)
    store = Store.of(ws)
    asked = {name: spec[name] for name in supports.ASKED}
    row = supports.find(ws, store, **asked)
    cached = row is not None
    if not cached:
        _watch(ws, store, spec)
        row = supports.find(ws, store, **asked)
    if as_json:
        return _print({"recipe": ws.recipe, **row, "cached": cached})
    known = time.strftime(" (known since %Y-%m-%d %H:%M)", time.localtime(row["created"])) if cached else ""
    print(f"target {spec['target']}, {ranking}, {kind}: {_support_text(row)}, {row['trainings']} trainings{known}")
    _table("", [{"k": p["k"], "seeds": len(p["seeds"]), "wrong": p["wrong"],
                 "margin": None if p["margin"] is None else round(p["margin"], 2)} for p in row["trace"]])


def _support_text(row):
    if row["status"] in ("flipped", "unstable"):
        return f"support {row['support']} ({row['status']}, survived at {row['lo']})"
    return f"no support found up to {row['lo']}" if row["status"] == "censored" else "already wrong, nothing to flip"


@app.command()
def study(targets: Annotated[int, typer.Option(help="How many stable targets, drawn at random.")] = 20,
          rankings: Rankings = None,
          kinds: Annotated[str, typer.Option(help="remove, mislabel, or both with a comma.")] = "remove,mislabel",
          protocol: Annotated[str, typer.Option(help="default or paper")] = "default",
          seed: Annotated[int, typer.Option(help="Draws the targets.")] = jobs.STUDY_SEED,
          workspace: Where = DEMO, as_json: AsJson = False):
    """Supports of many targets under several rankings. Interrupt it and call it again: it goes on where it was."""
    from attribution.measure import random_stable

    ws = Workspace.open(workspace)
    if protocol not in ("default", "paper"):
        raise UserError(f"protocol {protocol!r} is not known; say default or paper")
    spec = jobs.study_spec(ws, random_stable(ws, targets, seed), _names(ws, rankings), _split(kinds), protocol)
    store = Store.of(ws)
    job = _watch(ws, store, spec)
    _print(jobs.job_json(job)) if as_json else evaluate_supports(workspace=workspace)


# -- measuring


@evaluate_app.command("supports")
def evaluate_supports(workspace: Where = DEMO, as_json: AsJson = False):
    """AUC, median and censoring of every ranking's supports, and who wins against whom."""
    from attribution.studies import report

    ws = Workspace.open(workspace)
    store = Store.of(ws)
    answer = report(ws, store)
    if as_json:
        return _print(answer)
    for kind, found in answer["kinds"].items():
        _table(f"{kind}, K = {answer['K']}, recipe {answer['recipe']}",
               [{"ranking": name, **row} for name, row in found["rankings"].items()])


@evaluate_app.command("lds")
def evaluate_lds(workspace: Where = DEMO, as_json: AsJson = False):
    """Linear datamodeling score of every ranking on the held-out random halves, with the noise ceiling."""
    from attribution.measure import evaluate_lds as evaluate

    ws = Workspace.open(workspace)
    with _progress() as progress:
        answer = evaluate(ws, progress=progress)
    if as_json:
        return _print(answer)
    ceiling = "unknown" if answer["ceiling"] is None else f"{answer['ceiling']:.3f}"
    print(f"{answer['masks']} halves x {answer['seeds']} seeds, alpha {answer['alpha']}; noise ceiling {ceiling}")
    _table("", [{"ranking": name, **row} for name, row in answer["rankings"].items()])


# -- building


@demo_app.command("build")
def demo_build(out: Annotated[Path, typer.Option(help="The folder to build in.")] = DEMO,
               root: Annotated[Path | None, typer.Option(help="The folder of Fashion-MNIST, its idx.gz files.")] = None,
               until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None):
    """Build the demo workspace anew, or go on with it. Needs requirements-build.txt."""
    from attribution.demo import Build

    with _progress() as progress:
        Build(out, root, lambda text: screen.print(text, highlight=False), progress).run(until)


@demo_app.command("export-study")
def demo_export_study(out: Annotated[Path, typer.Option(help="The demo workspace's folder.")] = DEMO):
    """Write the study's whole targets found so far into the demo workspace."""
    from attribution.demo import Build, export_study

    export_study(Build(out, None, print, None))


@app.command()
def runner(workspace: Where = DEMO,
           workers: Annotated[int | None, typer.Option(envvar="LINEUP_WORKERS",
                                                       help="Worker processes; else one a GPU or core.")] = None,
           idle: Annotated[float, typer.Option(envvar="LINEUP_IDLE",
                                               help="Go away after this many seconds without work.")] = 60):
    """Do the queued jobs of a workspace until there are none. The dashboard starts one by itself."""
    from attribution.runner import serve

    if not serve(Workspace.open(workspace), workers, idle):
        print("another runner is already at work on this data set's jobs", file=sys.stderr)


# -- jobs


@jobs_app.command("list")
def jobs_list(workspace: Where = DEMO, as_json: AsJson = False):
    """The newest jobs first."""
    found = [jobs.job_json(job) for job in Store.of(Workspace.open(workspace)).jobs()]
    _print({"jobs": found}) if as_json else _table("jobs", found)


@jobs_app.command("show")
def jobs_show(number: int, workspace: Where = DEMO, as_json: AsJson = False):
    """One job, and what it was asked."""
    job = _job(Store.of(Workspace.open(workspace)), number)
    _print({**jobs.job_json(job), "spec": job.spec}) if as_json else _table("", [jobs.job_json(job)])


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


# -- taking home


@export_app.command("figure")
def export_figure(out: Annotated[Path, typer.Option(help="A .png, .pdf or .csv file.")], target: Target,
                  rankings: Rankings = None,
                  top: Annotated[int, typer.Option(help="Tiles a row.")] = 14,
                  ends: Annotated[str, typer.Option(help="helpful, harmful or both")] = "helpful",
                  explain: Annotated[str, typer.Option(help="true or predicted")] = "true",
                  candidates: Candidates = None,
                  k: Annotated[int | None, typer.Option(help="Draw the cut after this rank.")] = None,
                  workspace: Where = DEMO):
    """The lineup of a target as a figure, or as the table behind it."""
    from attribution.figure import save
    from attribution.lineup import line_up

    ws = Workspace.open(workspace)
    number = ws.check_target(target)
    print(save(ws, number, line_up(ws, number, _names(ws, rankings), top, ends, explain, candidates), out, k))


def _names(ws, rankings: str | None) -> list[str]:
    return _split(rankings) if rankings else default_rankings(ws)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


# -- printing


def _print(answer: dict) -> None:
    print(json.dumps(answer))


def _table(title: str, rows: list[dict]) -> None:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ["nothing yet"]:
        table.add_column(name)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    Console().print(table, highlight=False)


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, (tuple, list)):
        return " to ".join(map(_cell, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value)


class _progress:
    """A progress bar on stderr, called as progress(text, done, total)."""

    def __enter__(self):
        self.bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                            TimeRemainingColumn(), console=screen, disable=not screen.is_terminal)
        self.bar.start()
        self.tasks = {}
        return self

    def __call__(self, text, done, total):
        if text not in self.tasks:
            self.tasks = {text: self.bar.add_task(text)}
        self.bar.update(self.tasks[text], completed=done, total=total)

    def __exit__(self, *error):
        self.bar.stop()


def _watch(ws, store, spec):
    """Queues a job and shows its progress to the end; Ctrl-C cancels it. Raises UserError where it fails."""
    number = jobs.submit(ws, spec)
    with _progress() as progress:
        try:
            while (job := store.job(number)).open:
                progress(job.what, job.done, job.total or None)
                jobs.ensure_runner(ws)
                time.sleep(0.3)
        except KeyboardInterrupt:
            store.cancel_job(number)
            raise UserError(f"job {number} was cancelled; what it trained is kept, "
                            "and the same command goes on from there") from None
    if job.state != "done":
        raise UserError(f"job {number} ended as {job.state}: {job.message or 'cancelled by someone else'}")
    return job


def main() -> None:
    """Runs the command line and turns a UserError into one sentence and exit status 2."""
    try:
        app()
    except UserError as error:
        print(str(error), file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
