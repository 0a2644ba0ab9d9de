"""Verbs that ask beyond the one support: prune, duplicates, evaluate transfer; and what `support` and `study` print of
disjoint supports and of several recipes."""

from typing import Annotated

import typer

from attribution import UserError, duplicates
from attribution.cli import (
    AsJson,
    Protocol,
    RankingName,
    Where,
    answered,
    app,
    mean_ci,
    print_json,
    progress_bar,
    split,
    table,
    watch,
)
from attribution.cli.measuring import evaluate_app
from attribution.experiments import pruning
from attribution.experiments.pruning import pruning_spec
from attribution.experiments.spec import SEEDS
from attribution.experiments.study import study_spec
from attribution.experiments.unedited import unedited_spec
from attribution.store import Store
from attribution.workspace import DEMO

Recipe = Annotated[str | None, typer.Option("--recipe", help="Train under this recipe; the workspace's if not given.")]
Features = Annotated[
    str | None,
    typer.Option(
        "--duplicate-features",
        help="The feature set that near-duplicates are found in; the workspace's first if not given.",
    ),
]
Cosine = Annotated[
    float,
    typer.Option("--duplicate-cosine", help="Images this alike, by the cosine of their features, are near-duplicates."),
]


@app.command("prune")
def prune_verb(
    ranking: RankingName,
    shares: Annotated[str, typer.Option(help="Percents to drop, with commas.")] = ",".join(map(str, pruning.SHARES)),
    seeds: Annotated[int, typer.Option(help="Trainings a point.")] = len(SEEDS),
    recipe: Recipe = None,
    ws: Where = DEMO,
    as_json: AsJson = False,
):
    """Accuracy without the least influential x % of the training images, against a random x % of the same classes."""
    try:
        percents = [int(share) for share in split(shares)]
    except ValueError:
        raise UserError(f"--shares {shares} are no percents; write whole numbers with commas, such as 20,50") from None
    spec = pruning_spec(ws, ranking, percents, range(seeds), recipe)
    answer, cached = answered(ws, Store.of(ws), spec)
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
    table(
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
def duplicates_verb(
    features: Features = None, cosine: Cosine = duplicates.COSINE, ws: Where = DEMO, as_json: AsJson = False
):
    """How many groups of near-duplicates there are among the training images."""
    with progress_bar():
        grouped = duplicates.grouping(ws, features, cosine)
    found = {"features": grouped["features"], "cosine": grouped["cosine"], **duplicates.summary(ws, grouped)}
    print_json(found) if as_json else table("", [found])


@evaluate_app.command("transfer")
def evaluate_transfer(
    names: Annotated[
        str | None, typer.Option("--recipes", help="Names, with commas; those that a study was made of if not given.")
    ] = None,
    protocol: Protocol = None,
    ws: Where = DEMO,
    as_json: AsJson = False,
):
    """Every ranking's supports under several recipes, on targets that are stable in all of them."""
    from attribution import transfer

    store = Store.of(ws)
    chosen = split(names) if names else transfer.studied(ws, store)
    answer = transfer.report(ws, store, chosen, protocol)
    if as_json:
        return print_json(answer)
    print("Supports under different recipes are not comparable: read each recipe's rankings beside its random control.")
    print("Recipes: " + ", ".join(f"{name} {one['hash']}" for name, one in answer["recipes"].items()))
    kinds = dict.fromkeys(kind for one in answer["recipes"].values() for kind in one["kinds"])
    for kind in kinds:
        table(
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


def study_across(ws, names, under, count, rankings, kinds, protocol, seed) -> None:
    """A study under each recipe in `under`, of targets that are stable under all of `names`. Models of these on the
    unedited images come first: they say which targets that are."""
    from attribution import transfer

    transfer.check(names)
    if "repair" in kinds:
        raise UserError("a comparison of recipes is of targets that are right in all of them; leave repair out")
    for name in names:
        if name != ws.recipe:
            watch(ws, unedited_spec(ws, name))
    targets = transfer.draw(ws, Store.of(ws), names, count, seed)
    for name in under:
        watch(ws, study_spec(ws, targets, rankings, kinds, protocol, recipe=name))


def disjoint_verb(ws, spec, as_json) -> None:
    """What `support --disjoint` does and prints."""
    store = Store.of(ws)
    cached = spec.answer(ws, store)["complete"]
    if not cached:
        watch(ws, spec)
    answer = {"recipe": spec["recipe"], **spec.answer(ws, store), "cached": cached}
    if as_json:
        return print_json(answer)
    print(
        f"target {spec['target']}, {spec['ranking']}, {spec['kind']}: disjoint supports, {answer['trainings']} "
        "trainings" + (" (all known)" if cached else "")
    )
    table(
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
