"""Commands that retrain: retrain, retrain plan and collect, support, study, prune."""

import time
from pathlib import Path
from typing import Annotated

import typer

from attribution.cli import (
    DuplicateCosine,
    DuplicateFeatures,
    JsonOption,
    Protocol,
    RankingName,
    Rankings,
    Recipe,
    Target,
    WorkspaceOption,
    answered,
    print_answer,
    ranking_names,
    run_job,
    split_names,
    whole_option,
)
from attribution.cli.evaluate import evaluate_supports, evaluate_transfer
from attribution.errors import UserError
from attribution.experiments import jobs, planned, pruning, support_search, support_table
from attribution.experiments.disjoint import MAX_SUPPORTS, disjoint_spec
from attribution.experiments.retrain import RetrainSpec, retrain_spec
from attribution.experiments.spec import SEEDS
from attribution.experiments.study import STUDY_SEED, study_spec
from attribution.experiments.support import support_spec
from attribution.experiments.unedited import unedited_spec
from attribution.export.numbers import mean_ci
from attribution.features import near_duplicates
from attribution.files import user_path
from attribution.inputs import limits
from attribution.store.results import ResultStore
from attribution.training.edits import parse_image_numbers
from attribution.workspace.workspace import DEMO, Workspace

RemoveTop = Annotated[
    int | None, whole_option("--remove-top", 1, limits.MAX_IMAGES, "Remove the ranking's top K images.")
]
RelabelTop = Annotated[
    int | None, whole_option("--relabel-top", 1, limits.MAX_IMAGES, "Give its top K images a wrong label.")
]
RemoveHarmful = Annotated[
    int | None,
    whole_option("--remove-harmful", 1, limits.MAX_IMAGES, "Remove the K most harmful images, as a repair does."),
]
OptionalRanking = Annotated[str | None, typer.Option(help="The ranking's name; `info` lists them.")]
RemoveImages = Annotated[str | None, typer.Option(help="Remove these images, such as 3,7,10-12.")]
RelabelImages = Annotated[str | None, typer.Option(help="Give these images a wrong label.")]
Seeds = Annotated[int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Trainings per edit.")]
Draws = Annotated[
    int | None,
    whole_option("--draws", 0, limits.MAX_DRAWS, "Random controls of the same classes; 1, and 20 under a head."),
]


def _read_count(text: object) -> int:
    """A number of targets; 0 for "all"."""
    return 0 if text == "all" else limits.check_whole(text, "--targets", 1, limits.MAX_IMAGES)


def retrain(
    target: Target,
    ranking: OptionalRanking = None,
    remove_top: RemoveTop = None,
    relabel_top: RelabelTop = None,
    remove_harmful: RemoveHarmful = None,
    remove: RemoveImages = None,
    relabel: RelabelImages = None,
    seeds: Seeds = len(SEEDS),
    draws: Draws = None,
    with_duplicates: Annotated[
        bool, typer.Option("--with-duplicates", help="Remove near-duplicates of the images, too.")
    ] = False,
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Retrain without a ranking's top images or chosen ones (or with wrong labels on them), beside the controls."""
    groups = near_duplicates.grouping_spec(ws, features, cosine) if with_duplicates else None
    tops = {"--remove-top": remove_top, "--relabel-top": relabel_top, "--remove-harmful": remove_harmful}
    spec = _asked_spec(ws, target, ranking, tops, remove, relabel, seeds, draws, recipe, groups)
    answer = answered(ws, spec)
    none, random = answer["controls"]["none"], answer["controls"]["random"]
    answer["wrong_unedited"] = none["flipped"]  # then "flipped" says no more than that it is still wrong
    known = _known_since(answer["newest"]) if answer["cached"] else ""
    lines = [f"{spec.describe()}, recipe {answer['recipe']} {answer['recipe_hash']}, seeds {answer['seeds']}{known}"]
    if groups:
        lines.append(
            f"{spec['groups']['along']} near-duplicates were removed, too ({groups['features']}, cosine at least "
            f"{groups['cosine']:g})"
        )
    rows = [
        {"": name, "wrong": f"{row['wrong']} of {row['of']}", "outcome": _outcome(row["flipped"], none["flipped"])}
        for name, row in (("the edit", answer), ("random, same classes", random))
        if row["of"]
    ]
    rows.append({"": "nothing removed", "wrong": f"{none['wrong']} of {none['of']}", "outcome": ""})
    notes = []
    if none["flipped"] != (spec.end == "harmful"):
        state, verb = ("wrong", "flip") if none["flipped"] else ("right", "repair")
        number = none["wrong"] if none["flipped"] else none["of"] - none["wrong"]
        notes.append(
            f"target {answer['target']} is {state} without any edit, too ({number} of {none['of']} seeds): there is "
            f"nothing to {verb}"
        )
    print_answer(as_json, answer, *lines, ("", rows), *notes)


def retrain_plan(
    target: Target,
    out: Annotated[Path, typer.Option("--out", help="The folder to write into.")],
    recipe: Recipe,
    ranking: OptionalRanking = None,
    remove_top: RemoveTop = None,
    relabel_top: RelabelTop = None,
    remove_harmful: RemoveHarmful = None,
    remove: RemoveImages = None,
    relabel: RelabelImages = None,
    seeds: Seeds = len(SEEDS),
    draws: Draws = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Write the trainings of a retraining into folders, to be done elsewhere by your own code, each with its
    job.json; `retrain collect` reads the results."""
    tops = {"--remove-top": remove_top, "--relabel-top": relabel_top, "--remove-harmful": remove_harmful}
    spec = _asked_spec(ws, target, ranking, tops, remove, relabel, seeds, draws, recipe)
    with ResultStore.for_workspace(ws) as store:
        names = planned.write_plan(ws, store, spec, user_path(out))
    answer = {"out": str(out), "recipe": spec.recipe, "hash": spec.recipe_hash, "trainings": names}
    print_answer(
        as_json, answer, f"{out}: {len(names)} trainings to do, each writes val_logits.npy; then retrain collect {out}"
    )


def retrain_collect(
    folder: Annotated[Path, typer.Argument(help="The folder that `retrain plan` wrote.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Store what has come back into the folders of `retrain plan`. Exit status 2 where something is refused."""
    with ResultStore.for_workspace(ws) as store:
        collected = planned.collect_plan(ws, store, user_path(folder))
    counts = (
        f"{len(collected.stored)} stored, {len(collected.known)} known before, {len(collected.waiting)} still missing"
    )
    refused = [{"refused": name, "why": why} for name, why in collected.refused.items()]
    print_answer(as_json, vars(collected), counts, *([("", refused)] if refused else []))
    if refused:
        raise typer.Exit(2)


def support(
    target: Target,
    ranking: RankingName,
    kind: Annotated[
        str,
        typer.Option(help="remove, mislabel, or repair: remove the most harmful images until a wrong target is right"),
    ] = "remove",
    protocol: Protocol = None,
    k_max: Annotated[
        int, whole_option("--k-max", 1, limits.MAX_IMAGES, "The largest k that is tried.")
    ] = support_search.DEFAULT_K_MAX,
    disjoint: Annotated[
        int | None, whole_option("--disjoint", 2, MAX_SUPPORTS, "Find 2 or 3 supports that share no image.")
    ] = None,
    groups: Annotated[
        bool, typer.Option("--groups", help="Remove each image with its near-duplicates; k counts such groups.")
    ] = False,
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Find the fewest top images of a ranking whose removal (or relabelling) flips a target, or repairs it."""
    question = {
        "target": target,
        "ranking": ranking,
        "kind": kind,
        "k_max": k_max,
        "recipe": recipe,
        "protocol": protocol or support_table.default_protocol(ws),
        "groups": near_duplicates.grouping_spec(ws, features, cosine) if groups else None,
    }
    spec = support_spec(ws, **question) if disjoint is None else disjoint_spec(ws, disjoint, **question)
    answer = {"recipe": spec["recipe"], **answered(ws, spec)}
    subject = f"target {spec['target']}, {spec['ranking']}, {spec['kind']}"
    if disjoint is not None:
        known = " (all known)" if answer["cached"] else ""
        rows = [
            {
                "": number,
                "status": row["status"],
                "support": row["support"],
                "survived at": row["lo"],
                "trainings": row["trainings"],
            }
            for number, row in enumerate(answer["supports"], 1)
        ]
        title = f"{subject}: disjoint supports, {answer['trainings']} trainings{known}"
        return print_answer(as_json, answer, title, ("", rows))
    known = _known_since(answer["created"]) if answer["cached"] else ""
    rows = [
        {
            "k": probe["k"],
            "seeds": len(probe["seeds"]),
            "wrong": probe["wrong"],
            "margin": None if probe["margin"] is None else round(probe["margin"], 2),
        }
        for probe in answer["trace"]
    ]
    title = f"{subject}: {_support_text(answer)}, {answer['trainings']} trainings{known}"
    print_answer(as_json, answer, title, ("", rows))


def study(
    targets: Annotated[
        int,
        typer.Option(
            "--targets",
            parser=_read_count,
            metavar="INTEGER|all",
            help="How many targets, drawn at random from those the models agree on (for repairs, wrong ones); or all.",
        ),
    ] = 20,
    rankings: Rankings = None,
    kinds: Annotated[str, typer.Option(help="remove, mislabel and repair, with commas.")] = "remove,mislabel",
    protocol: Protocol = None,
    seed: Annotated[int, whole_option("--seed", 0, limits.MAX_SEED, "Draws the targets.")] = STUDY_SEED,
    recipe: Recipe = None,
    recipes: Annotated[
        str | None,
        typer.Option(help="Compare these recipes, with commas, on targets on which the models of each agree."),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Supports of many targets under several rankings. Interrupted, it resumes when run again."""
    from attribution.explore.targets import draw_stable_targets, draw_wrong_targets, stable_targets, wrong_targets

    if recipe and recipes:
        raise UserError("say --recipe for a study under one, or --recipes to compare several")
    if recipe in ws.models():
        ws = ws.with_model(recipe)
    protocol = protocol or support_table.default_protocol(ws)
    names, all_kinds = ranking_names(ws, rankings), split_names(kinds)
    if recipes or recipe not in (None, ws.recipe):
        compared = split_names(recipes) if recipes else [ws.recipe, recipe]
        studied = compared if recipes else [recipe]
        _study_across_recipes(ws, compared, studied, targets, names, all_kinds, protocol, seed)
        return evaluate_transfer(names=",".join(compared), protocol=protocol, ws=ws, as_json=as_json)
    job = None
    if flips := [kind for kind in all_kinds if kind != "repair"]:
        count = targets or len(stable_targets(ws))
        job = run_job(ws, study_spec(ws, draw_stable_targets(ws, count, seed), names, flips, protocol))
    if flips != all_kinds or not all_kinds:  # without any kind it is refused there
        repairs = ["repair"] if all_kinds else []
        count = targets or len(wrong_targets(ws))
        job = run_job(ws, study_spec(ws, draw_wrong_targets(ws, count, seed), names, repairs, protocol))
    if as_json:
        return print_answer(True, jobs.job_to_json(job))
    evaluate_supports(protocol=protocol, folder=ws.path, recipe=ws.model)


def prune(
    ranking: RankingName,
    shares: Annotated[str, typer.Option(help="Percents to drop, with commas.")] = ",".join(
        map(str, pruning.DEFAULT_SHARES)
    ),
    seeds: Annotated[int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Trainings per point.")] = len(SEEDS),
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Accuracy without the least influential x % of the training images, and without as many random ones of
    the same classes."""
    percents = [limits.read_whole(share) for share in split_names(shares)]
    if None in percents:
        raise UserError(
            f"--shares {limits.shortened(shares)} are no percents; write whole numbers with commas, such as 20,50"
        )
    answer = answered(ws, pruning.pruning_spec(ws, ranking, percents, range(seeds), recipe))
    full = {"pruned": mean_ci(answer["full"], 100, 1), "random": None, "difference": None}
    rows = [{"dropped": "nothing", "images": 0, **full}]
    for row in answer["shares"]:
        means = {name: mean_ci(row[name], 100, 1) for name in ("pruned", "random", "difference")}
        rows.append({"dropped": f"{row['share']} %", "images": row["k"], **means})
    title = (
        f"accuracy on {answer['targets']} validation images, recipe {answer['recipe']} {answer['recipe_hash']}, "
        f"{seeds} seeds, mean (95 % over seeds)"
    )
    print_answer(as_json, answer, (title, rows))


def _asked_spec(
    ws: Workspace,
    target: str,
    ranking: str | None,
    tops: dict[str, int | None],
    remove: str | None,
    relabel: str | None,
    seeds: int,
    draws: int | None,
    recipe: str | None,
    groups: dict | None = None,
) -> RetrainSpec:
    """The retraining that options ask for. tops: option -> K of a ranking, at most one; remove, relabel: images."""
    if [*tops.values(), remove, relabel].count(None) != 4:
        raise UserError(
            "say one of --remove-top K, --relabel-top K, --remove-harmful K, --remove IMAGES and --relabel IMAGES"
        )
    images = remove if relabel is None else relabel
    if (ranking is None) == (images is None):
        raise UserError(
            "--remove-top, --relabel-top and --remove-harmful need a --ranking, --remove and --relabel take none"
        )
    kind = "remove" if relabel is None and tops["--relabel-top"] is None else "mislabel"
    k = next((number for number in tops.values() if number is not None), 0)
    end = "helpful" if tops["--remove-harmful"] is None else "harmful"
    ids = None if images is None else parse_image_numbers(images, ws.n_train)
    return retrain_spec(ws, target, ranking, kind, k, range(seeds), draws, ids, end=end, groups=groups, recipe=recipe)


def _study_across_recipes(
    ws: Workspace,
    names: list[str],
    studied_recipes: list[str],
    count: int,
    rankings: list[str],
    kinds: list[str],
    protocol: str,
    seed: int,
) -> None:
    """A study under each of `studied_recipes`, of targets that are stable under all of `names`. Models of these on the
    unedited images come first: they say which targets that are."""
    from attribution.evaluation import recipe_transfer

    recipe_transfer.check_recipes(ws, names)
    if "repair" in kinds:
        raise UserError("a comparison of recipes is of targets that are right in all of them; leave repair out")
    for name in names:
        if name != ws.recipe:
            run_job(ws, unedited_spec(ws, name))
    with ResultStore.for_workspace(ws) as store:
        targets = recipe_transfer.draw_common_targets(ws, store, names, count, seed)
    for name in studied_recipes:
        run_job(ws, study_spec(ws, targets, rankings, kinds, protocol, recipe=name))


def _outcome(wrong: bool, wrong_unedited: bool) -> str:
    """What became of a target: one that is wrong without any edit cannot flip."""
    if wrong_unedited:
        return "still wrong" if wrong else "repaired"
    return "flipped" if wrong else "holds"


def _support_text(row: dict) -> str:
    """How a support search ended; row: its answer."""
    if row["status"] in ("flipped", "repaired", "unstable"):
        before = "still wrong" if row["kind"] == "repair" else "survived"
        images = f", {row['images']} images with near-duplicates" if "images" in row else ""
        seeds = f"; five other seeds: {row['others'][0]} to {row['others'][1] or 'more'}" if row.get("others") else ""
        status = {"unstable": "approximate"}.get(row["status"], row["status"])
        return f"support {row['support']}{images} ({status}, {before} at {row['lo']}{seeds})"
    nothing = {"already_wrong": "already wrong, nothing to flip", "already_right": "already right, nothing to repair"}
    return nothing.get(row["status"]) or f"no {'repair' if row['kind'] == 'repair' else 'flip'} within {row['lo']}"


def _known_since(created: float) -> str:
    """When an answer was made, in the local time; created: in seconds since 1970."""
    return time.strftime(" (known since %Y-%m-%d %H:%M)", time.localtime(created))
