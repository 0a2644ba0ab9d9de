"""Commands that check rankings and detectors on their own: evaluate agreement, trust, metasmoothness, hubs, algorithms,
backdoor, sanity, mislabels."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from attribution.cli import (
    Candidates,
    JsonOption,
    Rankings,
    Recipe,
    WorkspaceOption,
    command_line,
    print_answer,
    ranking_names,
    split_names,
    whole_option,
    with_progress,
)
from attribution.cli.evaluate import save_for_pages
from attribution.errors import UserError
from attribution.export.numbers import MISSING, estimate, mean_ci, number, percent
from attribution.files import user_path, write_json
from attribution.inputs import limits
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO


def evaluate_agreement(
    rankings: Rankings = None,
    k: Annotated[int, whole_option("--k", 1, limits.MAX_IMAGES, "Images compared per ranking.")] = 50,
    targets: Annotated[
        str | None, typer.Option(help="Such as 0-99; 1,000 of those that all rank for, drawn at random, if not given.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How far rankings choose the same training images: Jaccard, rank-biased overlap, Spearman over the union."""
    from attribution.evaluation import agreement
    from attribution.training.edits import parse_image_numbers

    names = ranking_names(ws, rankings)
    numbers = parse_image_numbers(targets, ws.n_val, "validation") if targets else agreement.draw_targets(ws, names)
    compared = with_progress(agreement.compute, ws, names, k, numbers)
    if not targets:
        save_for_pages(ws, agreement, compared, "agreement", rankings=",".join(compared.names), k=k)
    answer = agreement.report(compared)
    pairs = [
        {"": a, "and": b, **{measure: mean_ci(answer["pairs"][a][b][measure]) for measure in agreement.MEASURES}}
        for a, b in compared.pairs
    ]
    classes = [
        {"ranking": name, "same class": mean_ci(row["same_class"]), "another class": mean_ci(row["cross_class"])}
        for name, row in answer["rankings"].items()
    ]
    title = f"top {k}, {answer['targets']:,} targets, mean (95 % over targets)"
    print_answer(as_json, answer, (title, pairs), ("", classes))


def evaluate_trust(
    target: Annotated[
        str | None, typer.Option(help="The validation image, counted from 0; a summary of many, if not given.")
    ] = None,
    rankings: Rankings = None,
    targets: Annotated[str | None, typer.Option(help="Of the summary, such as 0-99; all, if not given.")] = None,
    end: Annotated[str, typer.Option(help="helpful or harmful; of rankings with a sign alone")] = "helpful",
    candidates: Candidates = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How far a row can be trusted: between seeds, beside other rankings, a control by norm and chance, and whether its
    predicted changes came true. Only what is stored is read."""
    from attribution.evaluation import trust
    from attribution.store.results import ResultStore
    from attribution.training.edits import parse_image_numbers

    names = ranking_names(ws, rankings)
    if target is None:
        numbers = parse_image_numbers(targets, ws.n_val, "validation") if targets else range(ws.n_val)
        return _print_trust_summary(as_json, with_progress(trust.report, ws, names, np.array(numbers), end))
    number_of_target = ws.check_target(target)
    with ResultStore.for_workspace(ws) as store:
        rows = trust.rows_of_target(ws, store, number_of_target, names, end, candidates)
    shared = [
        {"ranking": row.ranking, "and": name, "share": overlap.text, "by chance": overlap.chance_text}
        for row in rows
        for name, overlap in (({"a norm-only control": row.norm} if row.norm else {}) | row.others).items()
    ]
    print_answer(
        as_json,
        trust.target_report(number_of_target, rows),
        *[f"{row.ranking}: {row.sentence}" for row in rows],
        (f"first images of each row, {end}, target {number_of_target}", shared),
        *[f"{row.ranking}, not tested: {why}" for row in rows for why in row.unknown.values()],
    )


def _print_trust_summary(as_json: bool, answer: dict) -> None:
    rows = [
        {
            "ranking": name,
            "between halves of its models": mean_ci(row["seeds"], digits=1),
            "between two models": mean_ci(row["single"], digits=1),
            "a control by norm": mean_ci(row["norm"], digits=1),
            "chance": mean_ci(row["chance"], digits=1),
            "changes that held": _share(row["changes"]),
            **{verdict.replace("_", " "): _share(share) for verdict, share in row["verdicts"].items()},
        }
        for name, row in answer["rankings"].items()
    ]
    first = answer["thresholds"]["first"]
    title = f"of the first {first} images, {answer['end']}, {answer['targets']:,} targets, mean (95 % over targets)"
    print_answer(as_json, answer, (title, rows))


def _share(share: dict) -> str:
    return percent(share["share"]) + f" of {share['n']:,}" if share["n"] else MISSING


def evaluate_hubs(
    rankings: Rankings = None,
    k: Annotated[int, whole_option("--k", 1, limits.MAX_IMAGES, "Images per list.")] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """In how many targets' top k each training image is: which few fill the lists, and how many are in none."""
    from attribution.explore import hubs

    k, names, own_rankings = hubs.check_list_k(k), list(dict.fromkeys(ranking_names(ws, rankings))), ws.rankings()
    top_lists = {name: hubs.load(ws, name) for name in names}
    missing = [name for name, lists in top_lists.items() if lists is None]
    for lists in with_progress(hubs.compute, ws, missing):
        name = lists.ranking
        top_lists[name] = lists
        if name in own_rankings and ws.can_add(hubs.part_name(name)):
            hubs.save(ws, lists, command_provenance(f"evaluate hubs --rankings {name}"))
    answer = {
        "k": k,
        "n_train": ws.n_train,
        "rankings": {
            name: {end: hubs.summarise(lists, k, end) for end in hubs.ENDS[: 1 + lists.signed]}
            for name, lists in top_lists.items()
        },
    }
    rows = [
        {
            "ranking": name,
            "end": end,
            "targets": row["targets"],
            "mean": row["mean"],
            "in no list": percent(row["never"]),
            "skewness": number(row["skewness"]),
            "image in most lists": ", ".join(f"{hub['image']} ({hub['lists']})" for hub in row["hubs"][:3]),
        }
        for name, ends in answer["rankings"].items()
        for end, row in ends.items()
    ]
    title = f"targets whose top {k} hold a training image, over all {ws.n_train:,} of these"
    print_answer(as_json, answer, (title, rows))


def evaluate_algorithms(
    other: Annotated[
        str, typer.Option("--recipe", help="The recipe that is compared with the workspace's.")
    ] = "demo-cnn-plain",
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Two learning algorithms: which training images' influence changes most. Trains what is missing.
    Interrupted, it resumes when run again."""
    from attribution.evaluation import model_diff

    diff = with_progress(model_diff.compute, ws, other)
    save_for_pages(ws, model_diff, diff, "algorithms", recipe=other)
    (recipe, _), summary = diff.recipes, diff.summary
    images = [
        {
            "image": image,
            "label": ws.classes[ws.train_labels[image]],
            "change": float(diff.change[image]),
            "noise": float(diff.noise[image]),
        }
        for image in model_diff.most_changed_images(diff)
    ]
    similarity = [
        {
            "": name,
            "Spearman of all scores": mean_ci(summary["spearman"][comparison]),
            "Jaccard of the top 20": mean_ci(summary["jaccard"][comparison]),
        }
        for name, comparison in ((" and ".join(diff.recipes), "between"), (f"two sets of models of {recipe}", "within"))
    ]
    title = f"TRAK of {summary['models']} models each, {summary['dim']} dimensions, {ws.n_val:,} targets, mean (95 %)"
    print_answer(
        as_json,
        {"recipes": list(diff.recipes), **summary, "images": images},
        (title, similarity),
        ("influence that changed most, beyond noise", images),
    )


def evaluate_backdoor(
    rankings: Annotated[
        str | None,
        typer.Option(help="Names, with commas; exemplar SVM in each feature set and the stored ones if not given."),
    ] = None,
    seeds: Annotated[int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Models per removal.")] = 5,
    out: Annotated[
        Path | None, typer.Option(help="A file to write the answer to as well, with how it was made.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """In a poisoned workspace, a mixed data set: do rankings find the poisoned images, and does removing what they
    blame end the attack?"""
    from attribution.evaluation import backdoor

    answer = with_progress(backdoor.compute, ws, split_names(rankings) if rankings else None, range(seeds))
    provenance = command_provenance(command_line("evaluate backdoor", rankings=rankings or None, seeds=seeds))
    backdoor.save(ws, answer, provenance)  # the pages show it
    if out:
        write_json(user_path(out), backdoor.with_provenance(ws, answer, provenance))
    rows = [
        {
            "ranking": row["ranking"],
            "among": row["pool"],
            "chance": row["chance"],
            "AUPRC": mean_ci(row["auprc"]),
            **{f"precision@{k}": mean_ci(mean) for k, mean in row["precision"].items()},
            f"poisoned in {answer['n']} blamed": row["removed"],
            "attack without these": mean_ci(row["success"]),
            "without random ones": mean_ci(row["control"]["success"]),
        }
        for row in answer["rankings"]
    ]
    removals = [
        {"removed": name, "attack": mean_ci(row["success"]), "accuracy": mean_ci(row["accuracy"])}
        for name, row in answer["removals"].items()
    ]
    print_answer(
        as_json,
        answer,
        f"{answer['n']} poisoned images of class {ws.classes[answer['class']]}; the attack succeeds on "
        f"{mean_ci(answer['success'])} of {answer['triggered']} triggered targets, {mean_ci(answer['untriggered'])} "
        "without the trigger",
        ("", rows),
        ("", removals),
    )


def evaluate_sanity(
    checkpoints: Annotated[
        int, whole_option("--checkpoints", 1, limits.MAX_SEEDS, "Models that TRAK is computed on, each time.")
    ] = 3,
    dim: Annotated[int, whole_option("--dim", 1, limits.MAX_DIM, "Of TRAK: dimensions of the projection.")] = 512,
    targets: Annotated[
        int, whole_option("--targets", 1, limits.MAX_IMAGES, "Whose best image gets copies, for each number of them.")
    ] = 20,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Do rankings notice whether the model was trained? What becomes of a score when its image is there twice, or
    more often? Long. Interrupted, it resumes when run again."""
    from attribution.evaluation import sanity_checks

    answer = with_progress(sanity_checks.compute, ws, checkpoints, dim, targets)
    save_for_pages(ws, sanity_checks, answer, "sanity", checkpoints=checkpoints, dim=dim, targets=targets)
    k, untrained = answer["k"], answer["untrained"]
    pairs = [
        {"": name, f"Jaccard@{k}": mean_ci(row["jaccard"]), "Spearman": mean_ci(row["spearman"])}
        for name, row in untrained["pairs"].items()
    ]
    lds = [{"TRAK on": name, "LDS": estimate(row["lds"], row["ci"])} for name, row in (untrained["lds"] or {}).items()]
    copies = [
        {
            "method": name,
            "copies": count,
            "one": mean_ci(row["one"]),
            "with its copies": mean_ci(row["sum"]),
            f"places in top {k}": mean_ci(row["places"]),
        }
        for name, counts in answer["duplicates"].items()
        for count, row in counts.items()
    ]
    chance = f"{untrained['targets']} targets; Jaccard by chance {number(untrained['chance'])}"
    print_answer(
        as_json,
        answer,
        (f"against trained networks, {chance}", pairs),
        ("", lds),
        (f"scores with copies planted, relative to those without; {answer['each']} targets per row", copies),
    )


def evaluate_mislabels(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """How well each detector finds the known errors among the training labels: planted, or by imported true labels."""
    from attribution.evaluation import label_errors

    answer = label_errors.compute(ws)
    rows = [
        {
            "detector": name,
            "AUC": number(row["auc"]),
            "average precision": number(row["average_precision"]),
            **{f"found at {percent(float(at), 0)}": percent(share, 0) for at, share in row["found_at"].items()},
        }
        for name, row in answer["detectors"].items()
    ]
    kind = "planted errors" if answer["errors"] == "planted" else "errors, by imported true labels,"
    title = f"{answer['n_planted']} {kind} among {answer['n_train']:,} training images"
    print_answer(as_json, answer, (title, rows))


def evaluate_metasmoothness(
    shares: Annotated[str, typer.Option(help="Shares of the training images that are left out, with commas.")] = (
        "0.01,0.05,0.1"
    ),
    epochs: Annotated[
        int, whole_option("--epochs", 1, limits.MAX_MODELS, "The last epochs, which are gone back through.")
    ] = 3,
    seeds: Annotated[int, whole_option("--seeds", 1, limits.MAX_MODELS, "Trainings to go back through.")] = 2,
    draws: Annotated[
        int, whole_option("--draws", 1, limits.MAX_MODELS, "Random sets left out, of each share and seed.")
    ] = 2,
    targets: Annotated[
        int, whole_option("--targets", 4, limits.MAX_IMAGES, "Validation images, drawn at random.")
    ] = 60,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How well a recipe's derivative, which Unrolled rests on, predicts trainings without some images. Interrupted, it
    resumes when run again."""
    from attribution.evaluation import metasmoothness

    ws = ws.with_model(recipe or ws.model)
    try:
        numbers = [float(share) for share in split_names(shares)]
    except ValueError:
        raise UserError(f"--shares {shares!r} is no list of numbers; give such as 0.01,0.05") from None
    answer = with_progress(metasmoothness.compute, ws, numbers, epochs, seeds, draws, targets)
    options = {"shares": shares, "epochs": epochs, "seeds": seeds, "draws": draws, "targets": targets}
    save_for_pages(ws, metasmoothness, answer, "metasmoothness", **options)
    rows = [
        {
            "left out": percent(row["share"]),
            "images": row["dropped"],
            "margins change by": number(row["spread"], 2),
            **{f"last {by['epochs']}": estimate(by["spearman"], by["ci"], 2) for by in row["epochs"]},
        }
        for row in answer["shares"]
    ]
    title = (
        f"recipe {answer['recipe']}: Spearman of predicted and measured change over {answer['targets']} targets "
        f"(95 %), by the last epochs gone back through; {len(answer['seeds'])} seeds, {answer['draws']} draws"
    )
    print_answer(as_json, answer, (title, rows))
