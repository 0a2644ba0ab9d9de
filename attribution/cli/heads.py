"""Commands that measure what heads alone can answer: evaluate adaptive-supports, support-transfer, loo, subclass,
removal; group."""

from typing import Annotated

import typer

from attribution.cli import (
    JsonOption,
    RankingName,
    Rankings,
    Recipe,
    WorkspaceOption,
    command_line,
    fraction_option,
    print_answer,
    say,
    split_names,
    whole_option,
    with_progress,
)
from attribution.cli.evaluate import save_for_pages
from attribution.export.group_sentences import edit_sentences, group_sentences
from attribution.export.numbers import estimate, mean_ci, number, percent
from attribution.inputs import limits
from attribution.metrics.support_curves import DEFAULT_K_MAX
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO

Seed = Annotated[int, whole_option("--seed", 0, limits.MAX_SEED, "Draws what is measured.")]
Targets = Annotated[int, whole_option("--targets", 1, limits.MAX_IMAGES, "Validation images, drawn at random.")]
Workers = Annotated[int, whole_option("--workers", 1, 256, "Processes, of one thread each.")]


def evaluate_adaptive_supports(
    recipe: Recipe = None,
    k_max: Annotated[int, whole_option("--k-max", 1, limits.MAX_IMAGES, "The largest k.")] = DEFAULT_K_MAX,
    batch: Annotated[
        int, whole_option("--batch", 1, limits.MAX_IMAGES, "Images removed before influence is computed anew.")
    ] = 8,
    workers: Workers = 1,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Under a head: how much smaller supports get in a recomputed order (influence computed anew after every few
    images removed). Minutes. Interrupted, it resumes when run again."""
    from attribution.evaluation import adaptive_supports

    ws = ws.with_model(recipe or ws.model)
    found = adaptive_supports.load(ws)
    if found is None or (found.k_max, found.batch) != (min(k_max, ws.n_train - 1), batch):
        found = with_progress(adaptive_supports.compute, ws, k_max, batch, workers)
        if ws.can_add(adaptive_supports.PART):  # the pages show it
            command = command_line("evaluate adaptive-supports", recipe=found.recipe, k_max=k_max, batch=batch)
            adaptive_supports.save(ws, found, command_provenance(command))
    answer = adaptive_supports.report(found)
    rows = [
        {
            "order": adaptive_supports.ORDER_NAMES[order],
            "AUC": estimate(row["auc"], row["auc_ci"]),
            "flipped": _share(row["flipped"]),
            "median": row["median"],
        }
        for order, row in answer["orders"].items()
    ]
    ratio, difference = answer["ratio"], answer["difference"]
    print_answer(
        as_json,
        answer,
        (
            f"{answer['recipe']} {answer['recipe_hash']}, {answer['targets']} correct validation images, "
            f"K = {answer['K']}, influence recomputed after every {answer['batch']} images",
            rows,
        ),
        f"recomputed minus fixed order: AUC {estimate(difference['auc_difference'], difference['auc_difference_ci'])}",
        f"where both flip ({answer['both']}): the recomputed support has {estimate(ratio['median'], ratio['ci'])} "
        f"times the size (median); smaller, equal, larger {answer['smaller']}, {answer['equal']}, {answer['larger']}",
        f"flipped in the recomputed order alone {answer['gained']}, in the fixed order alone {answer['lost']}",
    )


def evaluate_support_transfer(
    recipe: Recipe = None,
    targets: Annotated[int, whole_option("--targets", 1, limits.MAX_IMAGES, "How many of the head's supports.")] = 40,
    seeds: Annotated[int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Trainings without each support.")] = 3,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Do the supports of the workspace's own recipe flip a head too, and a head's the own recipe? Trains.
    Interrupted, it resumes when run again."""
    from attribution.evaluation import support_transfer

    ws = ws.with_model(recipe or ws.model)
    answer = support_transfer.load(ws)
    if answer is None or answer["seeds"] != list(range(seeds)):
        say(f"to do: up to {2 * targets * seeds} trainings of {ws.own_recipe}")
        answer = with_progress(support_transfer.compute, ws, targets, tuple(range(seeds)))
        if ws.can_add(support_transfer.PART):  # the pages show it
            command = command_line("evaluate support-transfer", recipe=ws.recipe, targets=targets, seeds=seeds)
            support_transfer.save(ws, answer, command_provenance(command))
    rows = support_transfer.report(answer)
    table = [
        {
            "supports of": row["of"],
            "removed under": row["under"],
            "ranking": row["ranking"],
            "targets": row["n"],
            "median size": row["k"],
            "flipped": _share(row["flipped"]),
            "random images": mean_ci(row["control"], 100, 1),
            "margin falls by": mean_ci(row["fall"], digits=2),
            "random images ": mean_ci(row["control_fall"], digits=2),
        }
        for row in rows
    ]
    print_answer(
        as_json,
        {**answer, "summary": rows},
        f"models {' and '.join(f'{name} {digest}' for name, digest in zip(answer['models'], answer['hashes']))}; "
        f"{len(answer['seeds'])} seeds per training, exact refits; random images of the same classes beside each; "
        "shares in percent",
        ("", table),
    )


def evaluate_loo(
    rankings: Rankings = None,
    images: Annotated[
        int, whole_option("--images", 2, limits.MAX_IMAGES, "Training images left out, one at a time, at random.")
    ] = 1000,
    seed: Seed = 0,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Under a head (--model): do scores order training images as leaving each of them out alone does? Exact refits."""
    from attribution.evaluation import leave_one_out

    names = split_names(rankings) if rankings else None
    answer = with_progress(leave_one_out.compute, ws, names, images, seed)
    save_for_pages(ws, leave_one_out, answer, "loo", rankings=rankings, images=images, seed=seed)
    rows = [
        {
            "ranking": name,
            "Spearman": mean_ci(row["correlation"]),
            "within the target's class": mean_ci(row["same_class"]),
            "targets": row["correlation"]["n"],
        }
        for name, row in answer["rankings"].items()
    ]
    print_answer(
        as_json,
        answer,
        f"{answer['recipe']} {answer['recipe_hash']}, refitted exactly without each of {answer['images']:,} training "
        f"images; a margin changes by {number(answer['typical'], 4)} (median); mean (95 % over targets)",
        ("", rows),
    )


def evaluate_subclass(
    merge: Annotated[
        str | None,
        typer.Option(
            help="Classes that become one, by name or number, such as Coat+Pullover,0+6; the pairs that the model "
            "confuses most, if not given."
        ),
    ] = None,
    rankings: Annotated[
        str | None,
        typer.Option(
            "--rankings", help="Names, with commas; influence, exemplar SVM and L2 in each feature set if not given."
        ),
    ] = None,
    k: Annotated[int, whole_option("--k", 1, limits.MAX_IMAGES, "First images of each target.")] = 10,
    targets: Targets = 500,
    seed: Seed = 0,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Classes are merged, and heads learn the merged ones alone: do rankings find a target's own class still?"""
    from attribution.evaluation import subclasses

    names = split_names(rankings) if rankings else None
    groups = subclasses.read_groups(ws, merge) if merge is not None else None
    answer = with_progress(subclasses.compute, ws, groups, names, k, targets, seed)
    options = {"merge": merge, "rankings": rankings, "k": k, "targets": targets, "seed": seed}
    save_for_pages(ws, subclasses, answer, "subclass", **options)
    rows = [
        {
            "ranking": name,
            "the first image": mean_ci(row["first"]),
            f"the first {k}": mean_ci(row["share"]),
            "of the superclass": number(row["superclass"]["mean"]),
            "of these its own": mean_ci(row["within"]),
            "chance": number(answer["chance"]),
            "computed under": row["under"],
        }
        for name, row in answer["rankings"].items()
    ]
    fitted = [f"{name} {percent(head['accuracy'])}" for name, head in answer["heads"].items()]
    print_answer(
        as_json,
        answer,
        f"merged: {', '.join(' + '.join(group) for group in answer['merged'])}"
        + f" (the pairs that {answer['chosen_by']} confuses most)" * bool(answer["chosen_by"]),
        *([f"right on the validation images with merged labels: {', '.join(fitted)}"] if fitted else []),
        (f"share of a target's own class, {answer['targets']:,} targets, mean (95 % over targets)", rows),
    )


def evaluate_removal(
    rankings: Rankings = None,
    share: Annotated[
        float, fraction_option("--share", 0, 1, "Of the training images, the first of each ranking, are removed.")
    ] = 0.01,
    targets: Targets = 200,
    draws: Annotated[int, whole_option("--draws", 1, limits.MAX_DRAWS, "Random sets beside each removal.")] = 5,
    seed: Seed = 0,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """By how much does a margin fall without a ranking's first images, beside random ones? Exact under a head
    (--model); of a network only stored trainings are read."""
    from attribution.evaluation import margin_removal
    from attribution.store.results import ResultStore

    names = split_names(rankings) if rankings else None
    with ResultStore.for_workspace(ws) as store:
        answer = with_progress(margin_removal.compute, ws, store, names, share, targets, draws, seed)
    options = {"rankings": rankings, "share": share, "targets": targets, "draws": draws, "seed": seed}
    save_for_pages(ws, margin_removal, answer, "removal", **options)
    rows = []
    for name, row in answer["rankings"].items():
        matched, free = row["same_classes"], row["any_class"]
        cells = {
            "ranking": name,
            "removed": number(row["removed"], 1),
            "margin falls by": mean_ci(matched["fall"]),
            "random, same classes": mean_ci(matched["control"]),
            "more than these": mean_ci(matched["difference"]),
        }
        if free:
            cells |= {"random, any class": mean_ci(free["control"]), "more than any": mean_ci(free["difference"])}
        rows.append(cells | {"targets": matched["fall"]["n"]})
    made = "exact refits" if answer["seeds"] is None else f"{len(answer['seeds'])} stored trainings of each set"
    print_answer(
        as_json,
        answer,
        f"{answer['recipe']} {answer['recipe_hash']}, {made}; the first {answer['k']} images "
        f"({percent(answer['share'])}) removed, {answer['draws']} random sets beside each; mean (95 % over targets)",
        ("", rows),
    )


def group(
    name: Annotated[
        str,
        typer.Argument(
            metavar="GROUP",
            help="Validation images: Coat->Shirt (labelled Coat, predicted Shirt), class:Coat, wrong:Coat, "
            "false-positives:Shirt, ids:3,5,9, differ:MODEL (predicted otherwise by it) or lost-to:MODEL (right by it "
            "alone).",
        ),
    ],
    ranking: RankingName,
    k: Annotated[
        int | None, whole_option("--k", 1, limits.MAX_IMAGES, "Edit the first k images; without it they are listed.")
    ] = None,
    relabel: Annotated[
        str | None, typer.Option(help="Give the first k this class instead of removing them; a name or a number.")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(help="helpful or harmful; harmful where the model gets the whole group wrong, if not given."),
    ] = None,
    top: Annotated[int, whole_option("--top", 1, limits.MAX_IMAGES, "How many are listed.")] = 10,
    draws: Annotated[
        int | None,
        whole_option("--draws", 1, limits.MAX_DRAWS, "Random edits beside the edit; 20 under a head, else 4."),
    ] = None,
    seed: Annotated[int, whole_option("--seed", 0, limits.MAX_SEED, "Draws the halves of the group.")] = 0,
    against: Annotated[
        str | None,
        typer.Option(
            help="Another ranking: lists the images whose scores by the two differ most, to compare two models."
        ),
    ] = None,
    other_model: Annotated[
        str | None,
        typer.Option(
            help="With --against: the edit is made under this model, too; the head of an influence, if not given."
        ),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """The training images behind a group of predictions; with --k, what becomes of the group and of all others without
    them. Seconds under a head (--model), else trainings of five seeds each."""
    from attribution.explore import group_edit

    answer = with_progress(
        group_edit.compute, ws, name, ranking, end, top, k, relabel, draws, seed, against, other_model
    )
    rows = [{"rank": at, **row} for at, row in enumerate(answer["first"], 1)]
    if answer["by"] == "mean rank":
        rows = [{**row, "score": number(row["score"], 1)} for row in rows]
    lines = edit_sentences(answer, k) if answer["edit"] else []
    if other := answer.get("other"):
        lines += [f"Under {other['recipe']} {other['recipe_hash']}:", *edit_sentences({**answer, **other}, k)]
    print_answer(as_json, answer, *group_sentences(answer), ("", rows), *lines)


def _share(row: dict) -> str:
    if row["share"] is None:
        return "–"
    low, high = row["ci"]
    return f"{percent(row['share'])} ({percent(low)} to {percent(high)}), {row['count']} of {row['n']}"
