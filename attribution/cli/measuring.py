"""Verbs that measure: evaluate supports, agreement, lds, cost, mislabels."""

from pathlib import Path
from typing import Annotated

import typer

from attribution import UserError
from attribution.cli import AsJson, Protocol, Rankings, Where, group, names, print_json, progress_bar, table
from attribution.files import user_path
from attribution.store import Store
from attribution.workspace import DEMO, Workspace

evaluate_app = group("evaluate", "Measure rankings: supports, agreement, lds, cost; and detectors: mislabels.")


@evaluate_app.command("supports")
def evaluate_supports(paper: Annotated[list[str] | None, typer.Option(
                          help="NAME=FOLDER of <target>.pkl files, as the paper's repository writes them; may be "
                               "given for each ranking. The workspace is then not looked at.")] = None,
                      k_max: Annotated[int, typer.Option(help="The largest k that those were tested at.")] = 1280,
                      protocol: Protocol = None,
                      workspace: Where = DEMO, as_json: AsJson = False):
    """AUC, median and censoring of every ranking's supports, and who wins against whom."""
    from attribution.studies import paper_report, report

    if paper:
        answer = paper_report(_folders(paper), k_max)
        if as_json:
            return print_json(answer)
        return table(f"the paper's protocol, K = {k_max}",
                     [{"ranking": name, **row} for name, row in answer["rankings"].items()])
    ws = Workspace.open(workspace)
    store = Store.of(ws)
    answer = report(ws, store, protocol)
    if as_json:
        return print_json(answer)
    for kind, found in answer["kinds"].items():
        table(f"{kind}, K = {answer['K']}, recipe {answer['recipe']}, protocol {answer['protocol']}",
              [{"ranking": name, **row} for name, row in found["rankings"].items()])


def _folders(named: list[str]) -> dict[str, Path]:
    found = {}
    for text in named:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--paper {text} does not say which ranking a folder is of; write NAME=FOLDER")
        found[name] = user_path(folder)
    return found


@evaluate_app.command("agreement")
def evaluate_agreement(rankings: Rankings = None, k: Annotated[int, typer.Option(help="Images of each.")] = 50,
                       targets: Annotated[str | None, typer.Option(help="Such as 0-99; 1,000 of those that all rank "
                                                                        "for, drawn at random, if not given.")] = None,
                       workspace: Where = DEMO, as_json: AsJson = False):
    """How far rankings choose the same training images: Jaccard, rank-biased overlap, Spearman over the union."""
    from attribution import agreement
    from attribution.edits import parse_images
    from attribution.provenance import made

    ws = Workspace.open(workspace)
    chosen = parse_images(targets, ws.n_val, "validation") if targets else agreement.drawn(ws, names(ws, rankings))
    with progress_bar() as progress:
        found = agreement.compare(ws, names(ws, rankings), k, chosen, progress)
    if not targets and ws.is_free(agreement.PART):  # the pages show it
        agreement.keep(ws, found, made(f"evaluate agreement --rankings {','.join(found.names)} --k {k}"))
    answer = agreement.summary(found)
    if as_json:
        return print_json(answer)
    rows = [{"": a, "and": b, **{measure: _mean(answer["pairs"][a][b][measure]) for measure in agreement.MEASURES}}
            for a, b in found.pairs]
    table(f"first {k}, {answer['targets']:,} targets, mean (95 % over targets)", rows)
    table("", [{"ranking": name, "same class": _mean(one["same_class"]), "another class": _mean(one["cross_class"])}
               for name, one in answer["rankings"].items()])


def _mean(found: dict) -> str:
    if found["mean"] is None:
        return "–"
    return f"{found['mean']:.3f}" + (f" ({found['ci'][0]:.3f} to {found['ci'][1]:.3f})" if found["ci"] else "")


@evaluate_app.command("lds")
def evaluate_lds(workspace: Where = DEMO, as_json: AsJson = False):
    """Linear datamodeling score of every ranking on the held-out random halves, with the noise ceiling."""
    from attribution.measure import evaluate_lds as evaluate
    from attribution.measure import keep_lds

    ws = Workspace.open(workspace)
    with progress_bar() as progress:
        answer = evaluate(ws, progress=progress)
    if ws.is_free("lds"):  # the pages show it
        keep_lds(ws, answer)
    if as_json:
        return print_json(answer)
    ceiling = "unknown" if answer["ceiling"] is None else f"{answer['ceiling']:.3f}"
    print(f"{answer['masks']} halves x {answer['seeds']} seeds, alpha {answer['alpha']}; noise ceiling {ceiling}")
    table("", [{"ranking": name, **row} for name, row in answer["rankings"].items()])


@evaluate_app.command("cost")
def evaluate_cost(rankings: Annotated[str | None, typer.Option(help="Names, with commas; all, if not given.")] = None,
                  workspace: Where = DEMO, as_json: AsJson = False):
    """What each ranking stores, took to build and takes for a query, measured here, beside its LDS and removal AUC."""
    from attribution import cost

    ws = Workspace.open(workspace)
    with progress_bar() as progress:
        found = cost.measure(ws, names(ws, rankings) if rankings else None, progress)
    if not rankings and ws.is_free(cost.PART):  # the pages show it
        cost.keep(ws, found, cost.provenance())
    store = Store.of(ws)
    rows = cost.card(found, *cost.worth(ws, store))
    store.close()
    if as_json:
        return print_json({**{name: found[name] for name in ("machine", "k", "targets")}, "rankings": {
            row["ranking"]: {**row, "parts": {name: found["rankings"][row["ranking"]][name]
                                              for name in ("bytes", "seconds")}} for row in rows}})
    table(f"queries: first {found['k']}, median of {found['targets']} targets, one thread of {found['machine']}",
          [{"ranking": row["ranking"], "MB": row["bytes"] / 1e6, "build s": row["build_seconds"],
            "query ms": row["query_ms"], "LDS": row["lds"], "95 %": row["lds_ci"], "AUC": row["auc"],
            "95 % ": row["auc_ci"]} for row in rows])


@evaluate_app.command("mislabels")
def evaluate_mislabels(workspace: Where = DEMO, as_json: AsJson = False):
    """How well each detector finds the errors that were planted among the training labels."""
    from attribution.measure import evaluate_mislabels as evaluate

    answer = evaluate(Workspace.open(workspace))
    if as_json:
        return print_json(answer)
    table(f"{answer['n_planted']} planted errors among {answer['n_train']:,} training images",
          [{"detector": name, "AUC": f"{one['auc']:.3f}", "average precision": f"{one['average_precision']:.3f}",
            **{f"found at {float(share):.0%}": f"{found:.0%}" for share, found in one["found_at"].items()}}
           for name, one in answer["detectors"].items()])
