"""Verbs that measure: evaluate supports, lds, lds-supports, agreement, calibration, cost, compute, conditioning,
algorithms, hubs, backdoor, sanity, mislabels."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from attribution import UserError
from attribution.cli import (
    CANDIDATE_SETS,
    Folder,
    JsonOption,
    ProgressBar,
    Protocol,
    Rankings,
    WorkspaceOption,
    add_group,
    candidates_of,
    halves_text,
    mean_ci,
    print_json,
    print_table,
    ranking_names,
    say,
    split_names,
)
from attribution.export.numbers import byte_size, duration, estimate, number, p_value, percent
from attribution.files import user_path, write_json
from attribution.store.results import ResultStore
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

StudiedRankings = Annotated[
    str | None, typer.Option("--rankings", help="Names, with commas; all that `info` lists if not given.")
]
evaluate_app = add_group(
    "evaluate",
    "Measure rankings: supports, agreement, lds, cost, compute, conditioning, hubs; and detectors: mislabels.",
)


def _save(ws, part: str, save: Callable, answer, words: str) -> None:
    """Stores what was measured, for the pages, unless the workspace came with that part. words: the command's."""
    if ws.can_add(part):
        save(ws, answer, command_provenance(words))


@evaluate_app.command("supports")
def evaluate_supports(
    paper: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER of <target>.pkl files, as the paper's repository writes them; may be "
            "given for each ranking. The workspace is then not looked at."
        ),
    ] = None,
    k_max: Annotated[int, typer.Option(help="The largest k that those were tested at.")] = 1280,
    protocol: Protocol = None,
    rankings: StudiedRankings = None,
    folder: Folder = DEMO,
    as_json: JsonOption = False,
):
    """AUC, median and censoring of every ranking's supports, and who wins against whom."""
    from attribution.evaluation import support_report

    if paper:
        answer = support_report.paper_report(_parse_folders(paper), k_max)
        if as_json:
            return print_json(answer)
        return print_table(
            f"the paper's protocol, K = {k_max}", [{"ranking": name, **row} for name, row in answer["rankings"].items()]
        )
    ws = Workspace.open(folder)
    answer = support_report.report(ws, ResultStore.of(ws), protocol, split_names(rankings) if rankings else None)
    if as_json:
        return print_json(answer)
    for kind, found in answer["kinds"].items():
        print_table(
            f"{kind}, K = {answer['K']}, recipe {answer['recipe']}, protocol {answer['protocol']}",
            [{"ranking": name, **row} for name, row in found["rankings"].items()],
        )


def _parse_folders(named: list[str]) -> dict[str, Path]:
    found = {}
    for text in named:
        name, equals, folder = text.partition("=")
        if not (name and equals and folder):
            raise UserError(f"--paper {text} does not say which ranking a folder is of; write NAME=FOLDER")
        found[name] = user_path(folder)
    return found


@evaluate_app.command("agreement")
def evaluate_agreement(
    rankings: Rankings = None,
    k: Annotated[int, typer.Option(help="Images of each.")] = 50,
    targets: Annotated[
        str | None, typer.Option(help="Such as 0-99; 1,000 of those that all rank for, drawn at random, if not given.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How far rankings choose the same training images: Jaccard, rank-biased overlap, Spearman over the union."""
    from attribution.evaluation import agreement
    from attribution.training.edits import parse_image_numbers

    chosen = (
        parse_image_numbers(targets, ws.n_val, "validation")
        if targets
        else agreement.draw_targets(ws, ranking_names(ws, rankings))
    )
    with ProgressBar() as progress:
        found = agreement.compute(ws, ranking_names(ws, rankings), k, chosen, progress)
    if not targets:
        words = f"evaluate agreement --rankings {','.join(found.names)} --k {k}"
        _save(ws, agreement.PART, agreement.save, found, words)
    answer = agreement.report(found)
    if as_json:
        return print_json(answer)
    rows = [
        {"": a, "and": b, **{measure: mean_ci(answer["pairs"][a][b][measure]) for measure in agreement.MEASURES}}
        for a, b in found.pairs
    ]
    print_table(f"first {k}, {answer['targets']:,} targets, mean (95 % over targets)", rows)
    print_table(
        "",
        [
            {
                "ranking": name,
                "same class": mean_ci(one["same_class"]),
                "another class": mean_ci(one["cross_class"]),
            }
            for name, one in answer["rankings"].items()
        ],
    )


@evaluate_app.command("conditioning")
def evaluate_conditioning(
    rankings: Annotated[
        str | None,
        typer.Option(help="Names, with commas; exemplar SVM and the first of each stored method if not given."),
    ] = None,
    k: Annotated[int, typer.Option(help="Images whose classes are counted.")] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """LDS with candidates of the true class, of this and the class it is mistaken for, and without such a condition."""
    from attribution.evaluation import candidate_sets

    chosen = split_names(rankings) if rankings else candidate_sets.default_names(ws)
    with ProgressBar() as progress:
        answer = candidate_sets.compute(ws, chosen, k, progress)
    _save(
        ws,
        candidate_sets.PART,
        candidate_sets.save,
        answer,
        f"evaluate conditioning --rankings {','.join(chosen)} --k {k}",
    )
    with closing(ResultStore.of(ws)) as store:
        worth = candidate_sets.support_aucs(ws, store, answer)
    if as_json:
        return print_json({**answer, "supports": worth})
    print(halves_text(ws, answer))
    print_table(
        "",
        [
            {
                "ranking": name + " *" * (which == one["published"]),
                "candidates": candidate_sets.CANDIDATE_SETS[which],
                "LDS": estimate(row["lds"], row["ci"]),
                f"same class in {k}": mean_ci(row["same_class"]),
                **_auc_cells(worth, candidate_sets.ranking_with_candidates(name, which, one["published"])),
            }
            for name, one in answer["rankings"].items()
            for which, row in one["sets"].items()
        ],
    )
    print("* as published")
    _print_auc_notes(worth)


@evaluate_app.command("hubs")
def evaluate_hubs(
    rankings: Rankings = None,
    k: Annotated[int, typer.Option(help="Images of each list.")] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """In how many targets' first k each training image stands: which few fill the lists, and how many are in none."""
    from attribution.explore import hubs

    k, chosen, listed = hubs.check_list_k(k), list(dict.fromkeys(ranking_names(ws, rankings))), ws.rankings()
    found = {name: hubs.load(ws, name) for name in chosen}
    lacking = [name for name, lists in found.items() if lists is None]
    with ProgressBar() as progress:
        for lists in hubs.compute(ws, lacking, progress):
            found[lists.ranking] = lists
            if lists.ranking in listed:
                _save(ws, hubs.part_name(lists.ranking), hubs.save, lists, f"evaluate hubs --rankings {lists.ranking}")
    answer = {
        "k": k,
        "n_train": ws.n_train,
        "rankings": {
            name: {end: hubs.summarise(lists, k, end) for end in hubs.ENDS[: 1 + lists.signed]}
            for name, lists in found.items()
        },
    }
    if as_json:
        return print_json(answer)
    print_table(
        f"targets whose first {k} hold a training image, over all {ws.n_train:,} of these",
        [
            {
                "ranking": name,
                "end": end,
                "targets": one["targets"],
                "mean": one["mean"],
                "in no list": percent(one["never"]),
                "skewness": number(one["skewness"]),
                "image in most lists": ", ".join(f"{hub['image']} ({hub['lists']})" for hub in one["hubs"][:3]),
            }
            for name, ends in answer["rankings"].items()
            for end, one in ends.items()
        ],
    )


@evaluate_app.command("backdoor")
def evaluate_backdoor(
    rankings: Annotated[
        str | None,
        typer.Option(help="Names, with commas; exemplar SVM in each feature set and the stored ones if not given."),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Models a removal.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="A file to write the answer to as well, with how it was command_provenance.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """In a poisoned workspace: do rankings find the poisoned images, and does removing what they accuse end the
    attack?"""
    from attribution.evaluation import backdoor

    if seeds < 1:
        raise UserError("give at least one seed")
    with ProgressBar() as progress:
        answer = backdoor.compute(ws, split_names(rankings) if rankings else None, range(seeds), progress)
    about = command_provenance(
        "evaluate backdoor" + (f" --rankings {rankings}" if rankings else "") + f" --seeds {seeds}"
    )
    backdoor.save(ws, answer, about)  # the pages show it
    if out:
        write_json(user_path(out), backdoor.with_provenance(ws, answer, about))
    if as_json:
        return print_json(answer)
    print(
        f"{answer['n']} poisoned images of class {ws.classes[answer['class']]}; the attack succeeds on "
        f"{mean_ci(answer['success'])} of {answer['triggered']} triggered targets, {mean_ci(answer['untriggered'])} "
        "without the trigger"
    )
    print_table(
        "",
        [
            {
                "ranking": row["ranking"],
                "among": row["pool"],
                "chance": row["chance"],
                **{f"precision@{k}": mean_ci(one) for k, one in row["precision"].items()},
                f"poisoned in {answer['n']} accused": row["removed"],
                "attack without these": mean_ci(row["success"]),
                "without random ones": mean_ci(row["control"]["success"]),
            }
            for row in answer["rankings"]
        ],
    )
    print_table(
        "",
        [
            {"removed": name, "attack": mean_ci(one["success"]), "accuracy": mean_ci(one["accuracy"])}
            for name, one in answer["removals"].items()
        ],
    )


@evaluate_app.command("sanity")
def evaluate_sanity(
    checkpoints: Annotated[int, typer.Option(help="Models that TRAK is computed on, each time.")] = 3,
    dim: Annotated[int, typer.Option(help="Of TRAK: dimensions of the projection.")] = 512,
    targets: Annotated[int, typer.Option(help="Whose best image gets copies, for each number of them.")] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Do rankings notice whether the model was trained? What becomes of a score when its image is there twice, or
    more often? Long; broken off, it goes on."""
    from attribution.evaluation import sanity_checks

    with ProgressBar() as progress:
        answer = sanity_checks.compute(ws, checkpoints, dim, targets, progress)
    _save(
        ws,
        sanity_checks.PART,
        sanity_checks.save,
        answer,
        f"evaluate sanity --checkpoints {checkpoints} --dim {dim} --targets {targets}",
    )
    if as_json:
        return print_json(answer)
    found, scored = answer["untrained"], answer["untrained"]["lds"] or {}
    print_table(
        f"against trained networks, {found['targets']} targets; Jaccard by chance {number(found['chance'])}",
        [
            {"": name, f"Jaccard@{answer['k']}": mean_ci(one["jaccard"]), "Spearman": mean_ci(one["spearman"])}
            for name, one in found["pairs"].items()
        ],
    )
    print_table("", [{"TRAK on": name, "LDS": estimate(one["lds"], one["ci"])} for name, one in scored.items()])
    print_table(
        f"scores with copies planted, by those without; {answer['each']} targets a row",
        [
            {
                "method": name,
                "copies": copies,
                "one": mean_ci(row["one"]),
                "all together": mean_ci(row["sum"]),
                f"places of {answer['k']}": mean_ci(row["places"]),
            }
            for name, one in answer["duplicates"].items()
            for copies, row in one.items()
        ],
    )


@evaluate_app.command("compute")
def evaluate_compute(
    checkpoints: Annotated[str, typer.Option(help="Of TRAK: how many base models.")] = "1,2,5,10",
    halves: Annotated[
        str, typer.Option(help="Of Datamodels: models on how many random halves, trained where they are missing.")
    ] = "250,500,1000",
    dim: Annotated[int, typer.Option(help="Of TRAK: dimensions of the projection.")] = 512,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """LDS of TRAK, Datamodels and exemplar SVM against the seconds they take. Long; broken off, it goes on."""
    from attribution.evaluation import lds_vs_compute

    asked = _parse_numbers(checkpoints, "--checkpoints"), _parse_numbers(halves, "--halves"), dim
    todo = lds_vs_compute.missing_work(ws, *asked)
    say(
        f"to do: gradients of {todo['checkpoints']} checkpoints, {todo['trainings']:,} trainings on halves, "
        f"{todo['fits']} fits of Datamodels; some {duration(todo['seconds'])} of one core"
    )
    with ProgressBar() as progress:
        answer = lds_vs_compute.compute(ws, *asked, progress)
    _save(
        ws,
        lds_vs_compute.PART,
        lds_vs_compute.save,
        answer,
        f"evaluate compute --checkpoints {checkpoints} --halves {halves} --dim {dim}",
    )
    with closing(ResultStore.of(ws)) as store:
        worth = lds_vs_compute.support_aucs(ws, store, answer)
    if as_json:
        return print_json({**answer, "supports": worth})
    print(halves_text(ws, answer))
    one = answer["training"]
    print(f"a training takes {duration(one['whole'])}, on a half {duration(one['half'])} ({one['clock']} time)")
    print_table(
        "",
        [
            {
                "variant": row["name"],
                "LDS": number(row["lds"]),
                "95 %": row["ci"],
                "time": duration(row["seconds"]),
                "trainings": duration(row["training_seconds"]),
                "own": duration(row["computing_seconds"]),
                "made from": byte_size(row["bytes"]),
                **_auc_cells(worth, lds_vs_compute.variant_ranking(row)),
            }
            for row in answer["rows"]
        ],
    )
    _print_auc_notes(worth)


def _auc_cells(worth: dict, name: str) -> dict:
    """The cells of a ranking's support AUCs; worth: `support_report.compare_on_same_targets`."""
    rows = {kind: found["rankings"].get(name) for kind, found in worth.items()}
    return {f"{kind} AUC": estimate(row["auc"], row["auc_ci"]) if row else "–" for kind, row in rows.items()}


def _print_auc_notes(worth: dict) -> None:
    for kind, found in worth.items():
        going = f", {found['unfinished']} more unfinished" * bool(found["unfinished"])
        print(
            f"{kind} AUC: the same {found['targets']} targets for all{going}, protocol {found['protocol']}, "
            f"K = {found['K']}"
        )


def _parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """ "1,2,5" -> (1, 2, 5). Raises UserError for anything that is no whole number of at least 1."""
    parts = split_names(text)
    if not parts or not all(part.isascii() and part.isdecimal() and int(part) for part in parts):
        raise UserError(f"{option} {text} is not a list of numbers; give whole numbers of at least 1, such as 1,2,5")
    return tuple(sorted({int(part) for part in parts}))


@evaluate_app.command("algorithms")
def evaluate_algorithms(
    other: Annotated[
        str, typer.Option("--recipe", help="The recipe that is compared with the workspace's.")
    ] = "demo-cnn-plain",
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Two learning algorithms: which training images' influence changes most. Trains what is missing; it goes on."""
    from attribution.evaluation import model_diff

    with ProgressBar() as progress:
        found = model_diff.compute(ws, other, progress)
    _save(ws, model_diff.PART, model_diff.save, found, f"evaluate algorithms --recipe {other}")
    images = [
        {
            "image": image,
            "label": ws.classes[ws.train_labels[image]],
            "change": float(found.change[image]),
            "noise": float(found.noise[image]),
        }
        for image in model_diff.most_changed_images(found)
    ]
    if as_json:
        return print_json({"recipes": list(found.recipes), **found.summary, "images": images})
    about = found.summary
    print_table(
        f"TRAK of {about['models']} models each, {about['dim']} dimensions, {ws.n_val:,} targets, mean (95 %)",
        [
            {"": f"{found.recipes[0]} and {found.recipes[1]}", **_similarity_cells(about, "between")},
            {"": f"two sets of models of {found.recipes[0]}", **_similarity_cells(about, "within")},
        ],
    )
    print_table("influence that changed most, beyond noise", images)


def _similarity_cells(about: dict, which: str) -> dict:
    return {
        "Spearman of all scores": mean_ci(about["spearman"][which]),
        "Jaccard of the first 20": mean_ci(about["jaccard"][which]),
    }


@evaluate_app.command("lds")
def evaluate_lds(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """Linear datamodeling score of every ranking on the held-out random halves, with the noise ceiling."""
    from attribution.evaluation import lds_report

    with ProgressBar() as progress:
        answer = lds_report.compute(ws, progress=progress)
    if ws.can_add("lds"):  # the pages show it
        lds_report.save(ws, answer)
    candidates = candidates_of(ws, list(answer["rankings"]))
    if as_json:
        return print_json({**answer, "candidates": candidates})
    print(halves_text(ws, answer))
    print_table(
        "",
        [
            {"ranking": name, "candidates": CANDIDATE_SETS[candidates[name]], **row}
            for name, row in answer["rankings"].items()
        ],
    )


@evaluate_app.command("cost")
def evaluate_cost(
    rankings: Annotated[str | None, typer.Option(help="Names, with commas; all, if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """What each ranking stores, took to build and takes for a query, measured here, beside its LDS and removal AUC."""
    from attribution.evaluation import cost

    with ProgressBar() as progress:
        found = cost.compute(ws, ranking_names(ws, rankings) if rankings else None, progress)
    if not rankings and ws.can_add(cost.PART):  # the pages show it
        cost.save(ws, found, cost.cost_provenance())
    with closing(ResultStore.of(ws)) as store:
        rows = cost.cost_rows(found, *cost.lds_and_support_aucs(ws, store))
    if as_json:
        return print_json(
            {
                **{name: found[name] for name in ("machine", "k", "targets")},
                "rankings": {
                    row["ranking"]: {
                        **row,
                        "parts": {name: found["rankings"][row["ranking"]][name] for name in ("bytes", "seconds")},
                    }
                    for row in rows
                },
            }
        )
    print_table(
        f"queries: first {found['k']}, median of {found['targets']} targets, one thread of {found['machine']}",
        [
            {
                "ranking": row["ranking"],
                "stored": byte_size(row["bytes"]),
                "build": None if row["build_seconds"] is None else duration(row["build_seconds"]),
                "query": duration(row["query_ms"] / 1000),
                "LDS": row["lds"],
                "95 %": row["lds_ci"],
                "remove AUC": row["auc"],
                "95 % ": row["auc_ci"],
                "mislabel AUC": row["mislabel_auc"],
                "95 %  ": row["mislabel_auc_ci"],
            }
            for row in rows
        ],
    )


@evaluate_app.command("lds-supports")
def evaluate_lds_supports(
    protocol: Protocol = None, rankings: StudiedRankings = None, ws: WorkspaceOption = DEMO, as_json: JsonOption = False
):
    """Do LDS and supports agree? Rank correlations over targets, over rankings, and within single targets."""
    from attribution.builds.halves import load_held_out_halves
    from attribution.evaluation import lds_vs_support
    from attribution.experiments.study import read_study, select_rankings

    load_held_out_halves(ws)  # says so where there are none
    asked = read_study(ws, ResultStore.of(ws), protocol)
    found = lds_vs_support.load(ws)
    if lds_vs_support.count_missing(found, asked):
        with ProgressBar() as progress:
            found = lds_vs_support.compute(ws, *lds_vs_support.rankings_and_targets(asked), progress)
        lds_vs_support.save(ws, found, command_provenance("evaluate lds-supports"))  # the pages show it
    answer = lds_vs_support.report(ws, select_rankings(ws, asked, split_names(rankings) if rankings else None), found)
    if as_json:
        return print_json(answer)
    for kind, one in answer["kinds"].items():
        print_table(
            f"{kind}: LDS of a target against how small its support is, K = {answer['K']}",
            [
                {
                    "ranking": name,
                    "targets": row["n"],
                    "censored": row["censored"],
                    "Spearman (95 %)": estimate(row["spearman"], row["ci"]),
                    "p": p_value(row["p"]),
                    "with margin": number(row["sure"]),
                    "margin fixed": number(row["partial"]),
                    "LDS reliability": number(row["reliability"]),
                }
                for name, row in one["rankings"].items()
            ],
        )
        print(
            f"over rankings: Kendall {number(one['across']['kendall'])}, n {one['across']['n']}; within a target: "
            f"{number(one['within']['kendall'])}, {one['within']['n']} targets"
        )


@evaluate_app.command("calibration")
def evaluate_calibration(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """Do signed scores foretell by how much a margin changes when images are removed? Against all that is measured."""
    from attribution.evaluation import calibration

    with ProgressBar() as progress:
        rows = calibration.compute(ws, ResultStore.of(ws), progress)
    if not calibration.is_equal(calibration.load(ws), rows):
        calibration.save(ws, rows, command_provenance("evaluate calibration"))  # the pages show it
    answer = calibration.report(ws, rows)
    if as_json:
        return print_json(answer)
    print(
        f"{answer['sets']} sets removed, {answer['targets']} targets; the scale is fitted on half of the targets and "
        f"judged on the other, {answer['splits']} times"
    )
    for name, found in answer["rankings"].items():
        print_table(
            name,
            [
                {
                    "removed": calibration.ORIGINS[whose],
                    "sets": one["n"],
                    "targets": one["targets"],
                    "slope": one["slope"],
                    **{
                        title: mean_ci({"mean": one[key], "ci": one[f"{key}_ci"]})
                        for title, key in (("R2 (95 %)", "r2"), ("Spearman", "spearman"))
                    },
                    "R2 of single splits": one["r2_splits"],
                    "R2 reachable": number(one["reachable"]),
                }
                for whose, one in found.items()
            ],
        )
    print(f"no sign, so no change foretold: {', '.join(answer['unsigned'])}")


@evaluate_app.command("mislabels")
def evaluate_mislabels(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """How well each detector finds the errors that were planted among the training labels."""
    from attribution.evaluation import label_errors

    answer = label_errors.compute(ws)
    if as_json:
        return print_json(answer)
    print_table(
        f"{answer['n_planted']} planted errors among {answer['n_train']:,} training images",
        [
            {
                "detector": name,
                "AUC": number(one["auc"]),
                "average precision": number(one["average_precision"]),
                **{
                    f"found at {percent(float(share), 0)}": percent(found, 0)
                    for share, found in one["found_at"].items()
                },
            }
            for name, one in answer["detectors"].items()
        ],
    )
