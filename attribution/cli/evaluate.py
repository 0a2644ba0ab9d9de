"""Commands that measure how good rankings are: evaluate supports, lds, lds-supports, calibration, conditioning,
compute, cost, transfer."""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import numpy as np
import typer

from attribution.cli import (
    CANDIDATE_SETS,
    Folder,
    JsonOption,
    Protocol,
    Recipe,
    WorkspaceOption,
    candidates_of,
    command_line,
    draw_text,
    halves_text,
    print_answer,
    ranking_names,
    say,
    split_names,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.export.numbers import byte_size, duration, estimate, mean_ci, number, p_value
from attribution.files import user_path
from attribution.inputs import limits
from attribution.store.results import ResultStore
from attribution.training.head.recipe import is_head
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

StudiedRankings = Annotated[
    str | None, typer.Option("--rankings", help="Names, with commas; all that `info` lists if not given.")
]


def save_for_pages(ws: Workspace, evaluation: ModuleType, answer, command: str, **options) -> None:
    """Stores what the module `evaluation` measured as a part, for the pages, unless the workspace came with that part.

    command, options: what it is asked for with, for the part's provenance.
    """
    if ws.can_add(evaluation.PART):
        made_by = command_line(f"evaluate {command}", **{**options, "model": ws.model})
        evaluation.save(ws, answer, command_provenance(made_by))


def evaluate_supports(
    paper: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER of <target>.pkl files, as the paper's repository writes them; may be "
            "given for each ranking. The workspace is then not looked at."
        ),
    ] = None,
    k_max: Annotated[
        int, whole_option("--k-max", 1, limits.MAX_IMAGES, "The largest k that those were tested at.")
    ] = 1280,
    protocol: Protocol = None,
    rankings: StudiedRankings = None,
    recipe: Recipe = None,
    folder: Folder = DEMO,
    as_json: JsonOption = False,
):
    """AUC, median and no-flip share of every ranking's supports, and which ranking wins against which."""
    from attribution.evaluation import support_report

    if paper:
        answer = support_report.paper_report(_parse_folders(paper), k_max)
        rows = _support_rows(answer["rankings"], k_max)
        return print_answer(as_json, answer, (f"the paper's protocol, K = {k_max}", rows))
    ws = Workspace.open(folder)
    if recipe:
        ws = ws.with_model(recipe)
    with ResultStore.for_workspace(ws) as store:
        answer = support_report.report(ws, store, protocol, split_names(rankings) if rankings else None)
    made = f"K = {answer['K']}, recipe {answer['recipe']}, protocol {answer['protocol']}"
    tables = [
        (f"supports by {support_report.KINDS[kind]}, {made}", _support_rows(measured["rankings"], answer["K"]))
        for kind, measured in answer["kinds"].items()
    ]
    print_answer(as_json, answer, *tables)


def evaluate_lds(
    rankings: Annotated[
        str | None,
        typer.Option("--rankings", help="Names, with commas; all that `info` lists and keep every score if not given."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(help="Judge by the halves in this file of `export halves`, and not by the workspace's own."),
    ] = None,
    scores: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FILE of scores of your own, an array with a row a target; may be given several times. Rankings "
            "of the workspace are then judged only where --rankings names them."
        ),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Linear datamodeling score of every ranking on the held-out random halves, with the noise ceiling."""
    from attribution.evaluation import lds_report

    if bundle or scores:
        return _evaluate_on(ws, bundle, scores or [], rankings, as_json)
    answer = with_progress(lds_report.compute, ws, split_names(rankings) if rankings else None)
    if not rankings and ws.can_add("lds"):  # the pages show it
        lds_report.save(ws, answer, command_provenance("evaluate lds"))
    _print_lds(ws, answer, as_json, halves_text(ws, answer))


def _evaluate_on(ws: Workspace, bundle: Path | None, scores: list[str], rankings: str | None, as_json: bool) -> None:
    """`evaluate lds` on a bundle, of files of scores, or both."""
    from attribution.evaluation import ground_truth, lds_report

    truth, judges = None, []
    if bundle:
        truth = ground_truth.read(user_path(bundle))
        if rankings or not scores:
            ground_truth.check_fits(truth, bundle, ws)
    else:
        judges = lds_report.draws(ws)
    n_train = truth.about["n_train"] if truth else ws.n_train
    targets = truth.targets if truth else np.arange(ws.n_val)
    own = [ground_truth.open_scores(text, n_train, targets) for text in scores]
    names = split_names(rankings) if rankings else [] if own else lds_report.judged(ws)
    every = [*names, *(one.name for one in own)]
    if twice := [name for at, name in enumerate(every) if name in every[:at]]:
        raise UserError(f"{twice[0]} is named twice; call the file something else")
    judged = {name: ws.ranking(name) for name in names} | {one.name: one for one in own}
    if truth:
        answer = with_progress(ground_truth.judge, truth, judged)
        text = f"{bundle.name}: {draw_text(answer)}"
        answer |= {"bundle": {"file": bundle.name, "targets": len(targets), "workspace": truth.about.get("workspace")}}
    else:
        answer, *more = with_progress(lds_report.judge_on, judges, judged)
        answer |= {"second_draw": more[0]} if more else {}
        text = draw_text(answer)
    _print_lds(ws, answer, as_json, text, [one.name for one in own], here=truth is None)


def _print_lds(ws: Workspace, answer: dict, as_json: bool, text: str, files: list[str] = (), here: bool = True) -> None:
    """Prints an answer of `lds_report.compute`. files: names that are no rankings of the workspace. here: whether the
    halves are the workspace's, and what was measured under its heads belongs beside them."""
    from attribution.evaluation import lds_report

    candidates = candidates_of(ws, [name for name in answer["rankings"] if name not in files])
    own = {} if is_head(ws.recipe) or not here else lds_report.under_own_heads(ws)
    column = {name: {"under its own head": estimate(row["lds"], row["ci"], 3)} for name, row in own.items()}
    second = answer.get("second_draw")
    rows = [
        {
            "ranking": name,
            "candidates": CANDIDATE_SETS[candidates[name]] if name in candidates else "–",
            "LDS": _lds_cell(answer, name),
            **({"second draw": _lds_cell(second, name)} if second else {}),
            "targets": row["n_targets"],
        }
        | (column.get(name, {"under its own head": "–"}) if own else {})
        for name, row in answer["rankings"].items()
    ]
    more = {"candidates": candidates, "own_heads": own}
    lines = [text] + ([f"second draw: {draw_text(second)}"] if second else [])
    print_answer(as_json, {**answer, **more}, *lines, ("", rows), *_combination_lines(answer, second))


def _lds_cell(report: dict, name: str) -> str:
    row = report["rankings"][name]
    return estimate(row["lds"], row["ci"])


def _combination_lines(answer: dict, second: dict | None) -> list[str]:
    """A line for each combination: by how much it is above the best of its parts."""
    lines = []
    for name in answer["combinations"]:
        found = [report["combinations"][name] for report in (answer, second) if report]
        said = [f"{estimate(row['difference'], row['ci'], sign=True)} above {row['best']}" for row in found]
        lines.append(f"{name}: {'; on the second draw '.join(said)} (paired)")
    return lines


def evaluate_lds_supports(
    protocol: Protocol = None, rankings: StudiedRankings = None, ws: WorkspaceOption = DEMO, as_json: JsonOption = False
):
    """Do LDS and supports agree? Rank correlations over targets, over rankings, and within single targets."""
    from attribution.builds.halves import load_held_out_halves
    from attribution.evaluation import lds_vs_support
    from attribution.experiments.study import read_study, select_rankings

    load_held_out_halves(ws)  # says so where there are none
    with ResultStore.for_workspace(ws) as store:
        study = read_study(ws, store, protocol)
    target_lds = lds_vs_support.load(ws)
    if lds_vs_support.count_missing(target_lds, study):
        measured = lds_vs_support.rankings_and_targets(study)
        target_lds = with_progress(lds_vs_support.compute, ws, *measured)
        lds_vs_support.save(ws, target_lds, command_provenance("evaluate lds-supports"))  # the pages show it
    study = select_rankings(ws, study, split_names(rankings) if rankings else None)
    answer = lds_vs_support.report(ws, study, target_lds)
    parts = []
    for kind, result in answer["kinds"].items():
        rows = [
            {
                "ranking": name,
                "targets": row["n"],
                "no flip": row["censored"],
                "Spearman (95 %)": estimate(row["spearman"], row["ci"]),
                "p": p_value(row["p"]),
                "Spearman of margin": number(row["sure"]),
                "margin held fixed": number(row["partial"]),
                "LDS reliability": number(row["reliability"]),
            }
            for name, row in result["rankings"].items()
        ]
        across, within = result["across"], result["within"]
        parts += [
            (f"{kind}: LDS of a target against how small its support is, K = {answer['K']}", rows),
            f"over rankings: Kendall {number(across['kendall'])}, n {across['n']}; within a target: "
            f"{number(within['kendall'])}, {within['n']} targets",
        ]
    print_answer(as_json, answer, *parts)


def evaluate_calibration(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """Do signed scores predict by how much a margin changes when images are removed? Against all that is measured."""
    from attribution.evaluation import calibration

    with ResultStore.for_workspace(ws) as store:
        removals = with_progress(calibration.compute, ws, store)
    if not calibration.is_equal(calibration.load(ws), removals):
        calibration.save(ws, removals, command_provenance("evaluate calibration"))  # the pages show it
    answer = calibration.report(ws, removals)
    tables = [
        (
            name,
            [
                {
                    "removed": calibration.ORIGINS[origin],
                    "removals": row["n"],
                    "targets": row["targets"],
                    "slope": row["slope"],
                    "R2 (95 %)": estimate(row["r2"], row["r2_ci"]),
                    "Spearman": estimate(row["spearman"], row["spearman_ci"]),
                    "R2 by split": row["r2_splits"],
                    "R2 ceiling": number(row["reachable"]),
                }
                for origin, row in origins.items()
            ],
        )
        for name, origins in answer["rankings"].items()
    ]
    print_answer(
        as_json,
        answer,
        f"{answer['sets']} removals, {answer['targets']} targets; the slope is fitted on half of the targets and "
        f"R2 measured on the other, {answer['splits']} times",
        *tables,
        f"scores without a sign, so no predicted change: {', '.join(answer['unsigned'])}",
    )


def evaluate_conditioning(
    rankings: Annotated[
        str | None,
        typer.Option(help="Names, with commas; exemplar SVM and the first of each stored method if not given."),
    ] = None,
    k: Annotated[int, whole_option("--k", 1, limits.MAX_IMAGES, "Images whose classes are counted.")] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """LDS with candidates of the true class, of that and the class it is mistaken for, and of all classes."""
    from attribution.evaluation import candidate_sets

    names = split_names(rankings) if rankings else candidate_sets.default_names(ws)
    answer = with_progress(candidate_sets.compute, ws, names, k)
    save_for_pages(ws, candidate_sets, answer, "conditioning", rankings=",".join(names), k=k)
    with ResultStore.for_workspace(ws) as store:
        aucs = candidate_sets.support_aucs(ws, store, answer)
    rows = [
        {
            "ranking": name + " *" * (candidates == ranking["published"]),
            "candidates": candidate_sets.CANDIDATE_SETS[candidates],
            "LDS": estimate(row["lds"], row["ci"]),
            f"same class in {k}": mean_ci(row["same_class"]),
            **_auc_cells(aucs, candidate_sets.ranking_with_candidates(name, candidates, ranking["published"])),
        }
        for name, ranking in answer["rankings"].items()
        for candidates, row in ranking["sets"].items()
    ]
    lines = ["* as published", *_auc_notes(aucs)]
    print_answer(as_json, {**answer, "supports": aucs}, halves_text(ws, answer), ("", rows), *lines)


def evaluate_compute(
    checkpoints: Annotated[str, typer.Option(help="Of TRAK: how many base models.")] = "1,2,5,10",
    halves: Annotated[
        str, typer.Option(help="Of Datamodels: models on how many random halves, trained where they are missing.")
    ] = "250,500,1000",
    dim: Annotated[int, whole_option("--dim", 1, limits.MAX_DIM, "Of TRAK: dimensions of the projection.")] = 512,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """LDS of TRAK, Datamodels and exemplar SVM against the seconds they take. Long. Interrupted, it resumes when
    run again."""
    from attribution.evaluation import lds_vs_compute

    variants = _parse_numbers(checkpoints, "--checkpoints"), _parse_numbers(halves, "--halves"), dim
    todo = lds_vs_compute.missing_work(ws, *variants)
    say(
        f"to do: gradients of {todo['checkpoints']} checkpoints, {todo['trainings']:,} trainings on halves, "
        f"{todo['fits']} fits of Datamodels; about {duration(todo['seconds'])} of one core"
    )
    answer = with_progress(lds_vs_compute.compute, ws, *variants)
    save_for_pages(ws, lds_vs_compute, answer, "compute", checkpoints=checkpoints, halves=halves, dim=dim)
    with ResultStore.for_workspace(ws) as store:
        aucs = lds_vs_compute.support_aucs(ws, store, answer)
    training = answer["training"]
    rows = [
        {
            "variant": row["name"],
            "LDS": number(row["lds"]),
            "95 %": row["ci"],
            "time": duration(row["seconds"]),
            "training": duration(row["training_seconds"]),
            "scoring": duration(row["computing_seconds"]),
            "input size": byte_size(row["bytes"]),
            **_auc_cells(aucs, lds_vs_compute.variant_ranking(row)),
        }
        for row in answer["rows"]
    ]
    print_answer(
        as_json,
        {**answer, "supports": aucs},
        halves_text(ws, answer),
        f"a training takes {duration(training['whole'])}, on a half {duration(training['half'])} "
        f"({training['clock']} time)",
        ("", rows),
        *_auc_notes(aucs),
    )


def evaluate_cost(
    rankings: Annotated[str | None, typer.Option(help="Names, with commas; all, if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """What each ranking stores, took to build and takes per query, measured here, with its LDS and removal AUC."""
    from attribution.evaluation import cost

    measured = with_progress(cost.compute, ws, ranking_names(ws, rankings) if rankings else None)
    if not rankings and ws.can_add(cost.PART):  # the pages show it
        cost.save(ws, measured, cost.cost_provenance())
    with ResultStore.for_workspace(ws) as store:
        lds, aucs = cost.lds_and_support_aucs(ws, store)
    rows = cost.cost_rows(measured, lds, aucs)
    parts = {name: {key: row[key] for key in ("bytes", "seconds")} for name, row in measured["rankings"].items()}
    table = [
        {
            "ranking": row["ranking"],
            "stored": byte_size(row["bytes"]),
            "build": None if row["build_seconds"] is None else duration(row["build_seconds"]),
            "query": duration(row["query_ms"] / 1000),
            "LDS": row["lds"],
            "95 %": row["lds_ci"],
            **_auc_cells(aucs, row["ranking"]),
        }
        for row in rows
    ]
    answer = {name: measured[name] for name in ("machine", "k", "targets")}
    print_answer(
        as_json,
        {**answer, "rankings": {row["ranking"]: {**row, "parts": parts[row["ranking"]]} for row in rows}},
        (
            f"queries: top {measured['k']}, median of {measured['targets']} targets, one thread of "
            f"{measured['machine']}",
            table,
        ),
        *_auc_notes(aucs),
    )


def evaluate_transfer(
    names: Annotated[
        str | None, typer.Option("--recipes", help="Names, with commas; those that a study was made of if not given.")
    ] = None,
    protocol: Protocol = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Every ranking's supports under several recipes, on targets on which the models of each agree."""
    from attribution.evaluation import recipe_transfer
    from attribution.evaluation.support_report import KINDS

    with ResultStore.for_workspace(ws) as store:
        recipes = split_names(names) if names else recipe_transfer.studied_recipes(ws, store)
        answer = recipe_transfer.report(ws, store, recipes, protocol)
    tables: dict[str, list[dict]] = {}
    for recipe, report in answer["recipes"].items():
        for kind, measured in report["kinds"].items():
            tables.setdefault(kind, []).extend(
                {"recipe": recipe, **row} for row in _support_rows(measured["rankings"], answer["K"])
            )
    print_answer(
        as_json,
        answer,
        "Supports under different recipes are not comparable: read each recipe's rankings beside its random control.",
        "Recipes: " + ", ".join(f"{name} {report['hash']}" for name, report in answer["recipes"].items()),
        *[(f"supports by {KINDS[kind]}, K = {answer['K']}", rows) for kind, rows in tables.items()]
        or ["No target has been studied under all of these yet."],
    )


def _support_rows(rankings: dict[str, dict], k_max: int) -> list[dict]:
    """Rows of a table: `support_curves.summarise_supports` of each ranking, as far as it is known."""
    heads = {"unstable": "approximate", "unfinished": "unfinished", "trainings_mean": "trainings per target"}
    return [
        {
            "ranking": name,
            "AUC": estimate(row["auc"], row["auc_ci"]),
            "median": f"> {k_max}" if row["median"] is None else number(row["median"], 1).removesuffix(".0"),
            "no flip": "–" if row["censored"] is None else f"{round(row['censored'] * row['n'])} of {row['n']}",
            "nothing to flip": row["already_wrong"] + row["already_right"],
            **{head: row[key] for key, head in heads.items() if key in row},
        }
        for name, row in rankings.items()
    ]


def _parse_folders(texts: list[str]) -> dict[str, Path]:
    """ "NAME=FOLDER" texts -> {NAME: FOLDER}. Raises UserError for a text of another form."""
    folders = {}
    for text in texts:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--paper {text} does not say which ranking a folder is of; write NAME=FOLDER")
        folders[name] = user_path(folder)
    return folders


def _parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """ "1,2,5" -> (1, 2, 5). Raises UserError for anything that is no whole number of at least 1."""
    numbers = {limits.read_whole(part) for part in split_names(text)}
    if not numbers or not all(number and 0 < number <= limits.MAX_MODELS for number in numbers):
        raise UserError(
            f"{option} {limits.shortened(text)} is not a list of numbers; give whole numbers from 1 to "
            f"{limits.MAX_MODELS:,}, such as 1,2,5"
        )
    return tuple(sorted(numbers))


def _auc_cells(aucs: dict, name: str) -> dict:
    """The cells of a ranking's support AUCs; aucs: `support_report.compare_on_same_targets`."""
    rows = {kind: result["rankings"].get(name) for kind, result in aucs.items()}
    from attribution.evaluation.support_report import auc_titles

    titles = auc_titles(aucs)
    return {titles[kind]: estimate(row["auc"], row["auc_ci"]) if row else "–" for kind, row in rows.items()}


def _auc_notes(aucs: dict) -> list[str]:
    """A line for each kind of support: which targets its AUCs are of."""
    from attribution.evaluation.support_report import KINDS

    return [
        f"AUC of {KINDS[kind]}: the same {result['targets']} targets for all rankings"
        + f", {result['unfinished']} more unfinished" * bool(result["unfinished"])
        + f", protocol {result['protocol']}, K = {result['K']}"
        for kind, result in aucs.items()
    ]
