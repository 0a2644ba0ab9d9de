"""Commands that measure what heads alone can answer: evaluate adaptive-supports, support-transfer."""

from typing import Annotated

from attribution.cli import (
    JsonOption,
    Recipe,
    WorkspaceOption,
    command_line,
    mean_ci,
    print_answer,
    say,
    whole_option,
    with_progress,
)
from attribution.export.numbers import estimate, percent
from attribution.inputs import limits
from attribution.metrics.support_curves import DEFAULT_K_MAX
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO

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


def _share(row: dict) -> str:
    if row["share"] is None:
        return "–"
    low, high = row["ci"]
    return f"{percent(row['share'])} ({percent(low)} to {percent(high)}), {row['count']} of {row['n']}"
