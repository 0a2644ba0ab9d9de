"""Verbs that ask beyond the one support: prune, duplicates, evaluate transfer; and what `support` and `study` print of
disjoint supports and of several recipes."""

from typing import Annotated

import typer

from attribution import UserError
from attribution.cli import (
    JsonOption,
    ProgressBar,
    Protocol,
    RankingName,
    WorkspaceOption,
    answered,
    app,
    mean_ci,
    print_json,
    print_table,
    run_job,
    split_names,
)
from attribution.cli.measuring import evaluate_app
from attribution.experiments import pruning
from attribution.experiments.pruning import pruning_spec
from attribution.experiments.spec import SEEDS
from attribution.experiments.study import study_spec
from attribution.experiments.unedited import unedited_spec
from attribution.features import near_duplicates
from attribution.store.results import ResultStore
from attribution.workspace.workspace import DEMO

Recipe = Annotated[str | None, typer.Option("--recipe", help="Train under this recipe; the workspace's if not given.")]
DuplicateFeatures = Annotated[
    str | None,
    typer.Option(
        "--duplicate-features",
        help="The feature set that near-duplicates are found in; the workspace's first if not given.",
    ),
]
DuplicateCosine = Annotated[
    float,
    typer.Option("--duplicate-cosine", help="Images this alike, by the cosine of their features, are near-duplicates."),
]


@app.command("prune")
def prune_command(
    ranking: RankingName,
    shares: Annotated[str, typer.Option(help="Percents to drop, with commas.")] = ",".join(
        map(str, pruning.DEFAULT_SHARES)
    ),
    seeds: Annotated[int, typer.Option(help="Trainings a point.")] = len(SEEDS),
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Accuracy without the least influential x % of the training images, against a random x % of the same classes."""
    try:
        percents = [int(share) for share in split_names(shares)]
    except ValueError:
        raise UserError(f"--shares {shares} are no percents; write whole numbers with commas, such as 20,50") from None
    spec = pruning_spec(ws, ranking, percents, range(seeds), recipe)
    answer, cached = answered(ws, ResultStore.of(ws), spec)
    if as_json:
        return print_json({**answer, "cached": cached})
    rows = [
        {
            "dropped": f"{row['share']} %",
            "images": row["k"],
            **{name: mean_ci(row[name], 100, 1) for name in ("pruned", "random", "difference")},
        }
        for row in answer["shares"]
    ]
    print_table(
        f"accuracy on {answer['targets']} validation images, recipe {answer['recipe']} {answer['recipe_hash']}, "
        f"{seeds} seeds, mean (95 % over seeds)",
        [
            {
                "dropped": "nothing",
                "images": 0,
                "pruned": mean_ci(answer["full"], 100, 1),
                "random": None,
                "difference": None,
            },
            *rows,
        ],
    )


@app.command("duplicates")
def near_duplicates_command(
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How many groups of near-duplicates there are among the training images."""
    with ProgressBar():
        grouped = near_duplicates.grouping_spec(ws, features, cosine)
    found = {"features": grouped["features"], "cosine": grouped["cosine"], **near_duplicates.count_groups(ws, grouped)}
    print_json(found) if as_json else print_table("", [found])


@evaluate_app.command("transfer")
def evaluate_transfer(
    names: Annotated[
        str | None, typer.Option("--recipes", help="Names, with commas; those that a study was made of if not given.")
    ] = None,
    protocol: Protocol = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Every ranking's supports under several recipes, on targets that are stable in all of them."""
    from attribution.evaluation import recipe_transfer

    store = ResultStore.of(ws)
    chosen = split_names(names) if names else recipe_transfer.studied_recipes(ws, store)
    answer = recipe_transfer.report(ws, store, chosen, protocol)
    if as_json:
        return print_json(answer)
    print("Supports under different recipes are not comparable: read each recipe's rankings beside its random control.")
    print("Recipes: " + ", ".join(f"{name} {one['hash']}" for name, one in answer["recipes"].items()))
    kinds = dict.fromkeys(kind for one in answer["recipes"].values() for kind in one["kinds"])
    for kind in kinds:
        print_table(
            f"{kind}, K = {answer['K']}",
            [
                {
                    "ranking": ranking,
                    "recipe": name,
                    **{key: row[key] for key in ("n", "auc", "auc_ci", "median", "censored", "unstable")},
                }
                for name, one in answer["recipes"].items()
                for ranking, row in one["kinds"].get(kind, {"rankings": {}})["rankings"].items()
            ],
        )
    if not kinds:
        print("No target has been studied under all of these yet.")


def run_study_across_recipes(ws, names, under, count, rankings, kinds, protocol, seed) -> None:
    """A study under each recipe in `under`, of targets that are stable under all of `names`. Models of these on the
    unedited images come first: they say which targets that are."""
    from attribution.evaluation import recipe_transfer

    recipe_transfer.check_recipes(names)
    if "repair" in kinds:
        raise UserError("a comparison of recipes is of targets that are right in all of them; leave repair out")
    for name in names:
        if name != ws.recipe:
            run_job(ws, unedited_spec(ws, name))
    targets = recipe_transfer.draw_common_targets(ws, ResultStore.of(ws), names, count, seed)
    for name in under:
        run_job(ws, study_spec(ws, targets, rankings, kinds, protocol, recipe=name))


def run_disjoint(ws, spec, as_json) -> None:
    """What `support --disjoint` does and prints."""
    store = ResultStore.of(ws)
    cached = spec.answer(ws, store)["complete"]
    if not cached:
        run_job(ws, spec)
    answer = {"recipe": spec["recipe"], **spec.answer(ws, store), "cached": cached}
    if as_json:
        return print_json(answer)
    print(
        f"target {spec['target']}, {spec['ranking']}, {spec['kind']}: disjoint supports, {answer['trainings']} "
        "trainings" + (" (all known)" if cached else "")
    )
    print_table(
        "",
        [
            {
                "": number,
                "status": one["status"],
                "support": one["support"],
                "survived at": one["lo"],
                "trainings": one["trainings"],
            }
            for number, one in enumerate(answer["supports"], 1)
        ],
    )
