"""Commands that look: info, rank, reach, duplicates."""

import time
from typing import Annotated

import numpy as np
import typer

from attribution import data
from attribution.cli import (
    Candidates,
    DuplicateCosine,
    DuplicateFeatures,
    JsonOption,
    ProgressBar,
    RankingName,
    Rankings,
    Target,
    WorkspaceOption,
    answered,
    command_line,
    print_answer,
    ranking_names,
    say,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.experiments.unrolled import unrolled_spec
from attribution.export.numbers import duration, percent
from attribution.features import near_duplicates
from attribution.importing import alignment
from attribution.inputs import limits
from attribution.rankings.unrolled import on_demand
from attribution.store.results import ResultStore
from attribution.training.head.recipe import PREFIX, is_head
from attribution.workspace import base_models, copies, image_check
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace


def info(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """What a workspace holds: data set, features, rankings, recipes."""
    base = _base_json(ws)
    answer = {
        "workspace": ws.name,
        "dataset": {
            "name": ws.manifest["dataset"]["name"],
            "n_train": ws.n_train,
            "n_val": ws.n_val,
            "classes": ws.classes,
            "fingerprint": ws.fingerprint,
            "planted": ws.planted,
        },
        "images": data.images_json(ws.manifest["dataset"]),
        "features": [_feature_json(ws, name) for name in ws.features()],
        "rankings": [_ranking_json(ws, name) for name in ws.rankings()],
        "recipes": [_recipe_json(ws, base)],
        "base": base,
        "models": base_models.describe_models(ws),
    }
    planted = f", {ws.planted} planted errors" if ws.planted else ""
    lines = [
        f"{ws.name}: {answer['dataset']['name']}, {ws.n_train:,} training and {ws.n_val:,} validation images, "
        f"{len(ws.classes)} classes{planted}"
    ]
    lines += filter(None, (clause(ws.manifest["dataset"]) for clause in (data.resizing, data.depth)))
    lines += _image_lines(ws)
    tables = [(part, answer[part]) for part in ("features", "rankings", "recipes")]
    print_answer(as_json, answer, *lines, *tables, _base_text(ws, base), *_models_lines(ws, answer["models"]))


def _models_lines(ws: Workspace, models: list[dict]) -> list[str]:
    """The models, where there are several, and what is to be known before one is retrained."""
    named = [_model_text(model) for model in models]
    lines = [f"models, for --model: {', '.join(named)}"] if len(models) > 1 or ws.own_recipe not in ws.models() else []
    warning = base_models.recipe_warning(ws)
    return [*(lines if models else []), *([f"warning: {warning}"] if warning else [])]


def _model_text(model: dict) -> str:
    return model["recipe"] + ("" if model["accuracy"] is None else f" ({percent(model['accuracy'])} right)")


def _image_lines(ws: Workspace) -> list[str]:
    """What there is to say of the images: whether they changed, and since when that is known."""
    try:
        checked = image_check.check_images(ws, image_check.QUICK)
    except UserError as error:
        return [str(error)]
    return [text for text in (image_check.problem(ws, checked), image_check.recorded_text(checked)) if text]


def rank(
    target: Target,
    ranking: RankingName,
    top: Annotated[int, whole_option("--top", 1, limits.MAX_IMAGES, "How many.")] = 10,
    candidates: Candidates = None,
    end: Annotated[str, typer.Option(help="helpful or harmful")] = "helpful",
    models: Annotated[
        int | None,
        whole_option(
            "--models",
            1,
            len(on_demand.SEEDS),
            f"{on_demand.NAME} alone: train, and compute the target's scores, until so many models are behind them.",
        ),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """The top training images of a ranking for a target."""
    number = ws.check_target(target)
    computed = _compute_models(ws, number, ranking, models)
    ranked = ws.ranking(ranking).top(number, top, candidates, end)
    if len(ranked.ids) < top:
        say(f"{ranking} ranks only {len(ranked.ids)} images for this target; {top} were asked for")
    labels = [ws.classes[c] for c in ws.train_labels[ranked.ids]]
    predicted = ws.classes[ws.base.prediction[number]] if ws.has_base else None
    answer = {
        "target": number,
        "label": ws.classes[ws.val_labels[number]],
        "prediction": predicted,
        "ranking": ranking,
        "train": ranked.ids.tolist(),
        "scores": _scores_json(ranked.scores),
        "labels": labels,
        **computed,
    }
    prediction = f", predicted {predicted}" if predicted else ""
    columns = zip(answer["train"], labels, answer["scores"] or [None] * len(labels))
    rows = [
        {"rank": n, "train": image, "label": label, "score": score}
        for n, (image, label, score) in enumerate(columns, 1)
    ]
    print_answer(
        as_json,
        answer,
        f"target {number}: {answer['label']}{prediction}; top {len(labels)} of {ranking}, {end}",
        *([_models_line(computed)] if computed else []),
        ("", rows),
    )


def _compute_models(ws: Workspace, target: int, ranking: str, models: int | None) -> dict:
    """How many models are behind a target's scores of `on_demand.NAME`, and how far they agree, after `models` were
    computed where that is given; {} for other rankings."""
    if ranking != on_demand.NAME or not ws.ranking(ranking).by_target:
        if models is not None:
            raise UserError(
                f"--models is for {on_demand.NAME}, whose scores are computed target by target; leave it out"
            )
        return {}
    if models is not None:
        spec = unrolled_spec(ws, target, models)
        with ResultStore.for_workspace(ws) as store:
            cost = spec.cost(ws, store)
        if cost.seconds:
            say(f"{spec.describe()}: about {duration(cost.seconds)} here")
        answered(ws, spec)
    scores = ws.ranking(ranking)
    return {
        "models": len(scores.seeds_of(target)),
        "first": on_demand.N_FIRST,
        "shared": scores.shared(target),
    }


def _models_line(computed: dict) -> str:
    if computed["shared"] is None:
        return "1 model: how stable the order is shows with a second"
    return (
        f"{computed['models']} models; of the first {computed['first']} images two of them share "
        f"{computed['shared']:.1f} on average"
    )


def reach(
    image: Annotated[str, typer.Option(help="The training image, counted from 0.")],
    rankings: Rankings = None,
    top: Annotated[int, whole_option("--top", 1, limits.MAX_IMAGES, "Targets of each end.")] = 12,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Predictions that a training image helps or harms most, in how many targets' top lists it is, and its
    near-duplicates."""
    from attribution.explore import influence
    from attribution.rankings.base import check_k

    number = influence.check_image(ws, image)
    influences = [influence.image_influence(ws, number, name, check_k(top)) for name in ranking_names(ws, rankings)]
    answer = {
        "image": number,
        "label": ws.classes[ws.train_labels[number]],
        "n_train": ws.n_train,
        "rankings": {
            row.ranking: {
                "signed": row.signed,
                "possible": row.n_targets,
                "k": row.k,
                "helped": _end_json(ws, row.helped),
                "harmed": _end_json(ws, row.harmed),
            }
            for row in influences
        },
        "duplicates": _near_duplicates_json(ws, number),
    }
    parts = [f"training image {number}: {answer['label']}"]
    for row in influences:
        for end, name in ((row.helped, "helped"), (row.harmed, "harmed")):
            if end is not None:
                lists = f", in the top {row.k} of {end.n_lists} of {row.n_targets:,} targets" if end.hub_rank else ""
                parts += [f"{row.ranking}: {name} most{lists}", ("", _end_json(ws, end)["targets"])]
        if row.helped is None:
            parts.append(
                f"{row.ranking}: top lists are missing; run: python -m attribution evaluate hubs "
                f"--rankings {row.ranking}"
            )
        elif row.harmed is None:
            parts.append(f"{row.ranking}: this method has no harmful scores")
    if near := answer["duplicates"]:
        more = "" if near["whole"] else "; perhaps more: these features distinguish little"
        group = ", ".join(map(str, near["group"])) or "none"
        parts.append(f"near-duplicates, cosine {near['cosine']:g} in {near['features']}: {group}{more}")
        parts.append(("nearest", near["nearest"]))
    print_answer(as_json, answer, *parts)


def duplicates(
    between: Annotated[
        str | None,
        typer.Option(
            help="train-val: copies of validation images among the training images, exact and near; the pages then "
            "mark them.",
            metavar="train-val",
        ),
    ] = None,
    features: DuplicateFeatures = None,
    cosine: DuplicateCosine = near_duplicates.DEFAULT_COSINE,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """How many groups of near-duplicates there are among the training images, or which copies between the splits."""
    if between is not None:
        copies.check_between(between)
        return _copies(ws, features, cosine, as_json)
    with ProgressBar():
        groups = near_duplicates.grouping_spec(ws, features, cosine)
    counts = {"features": groups["features"], "cosine": groups["cosine"], **near_duplicates.count_groups(ws, groups)}
    print_answer(as_json, counts, ("", [counts]))


def _copies(ws: Workspace, features: str | None, cosine: float, as_json: bool) -> None:
    """Looks for copies of validation images among the training images, stores and prints them."""
    without = "" if features else copies.problem(ws)
    alike = None if without else near_duplicates.comparison_spec(ws, features, cosine)
    start = time.perf_counter()
    exact, near = with_progress(near_duplicates.find_copies, ws, alike)
    stored = ws.can_add(copies.COPIES.name)
    if stored:
        options = {"duplicate_features": alike["features"], "duplicate_cosine": cosine} if alike else {}
        made = command_provenance(command_line(" ".join(copies.WORDS), **options))
        copies.save(ws, exact, near, {**made, "seconds": round(time.perf_counter() - start, 1)})
    found = copies.pairs({"exact": exact | {"kept": list(map(tuple, exact["kept"]))}, "near": near})
    rows = [
        {
            "val": row["val"],
            "label": ws.classes[ws.val_labels[row["val"]]],
            "train": row["train"],
            "given": ws.classes[ws.train_labels[row["train"]]],
            "same_label": bool(ws.val_labels[row["val"]] == ws.train_labels[row["train"]]),
            "exact": row["exact"],
            "cosine": row["cosine"],
        }
        for row in found
    ]
    listed = ("images", "pairs")
    answer = {
        "between": "train-val",
        "n_train": ws.n_train,
        "n_val": ws.n_val,
        "exact": {name: exact[name] for name in listed},
        "near": near and {name: value for name, value in near.items() if name not in ("kept", "version")},
        "other_label": sum(not row["same_label"] for row in rows),
        "stored": stored,
        "pairs": rows,
    }
    lines = [copies.exact_text(ws, exact), copies.near_text(ws, near) if near else without]
    if not stored:
        lines.append(f"{ws.name} came with its record of copies, which is not replaced")
    print_answer(as_json, answer, *lines, *([("", rows)] if rows else []))


def _feature_json(ws: Workspace, name: str) -> dict:
    provenance = ws.manifest["parts"][f"features/{name}"]
    dim = provenance.get("dim") or ws.feature(name).train.shape[1]
    return {"name": name, "dim": dim, "knn_accuracy": provenance.get("knn_accuracy")}


def _ranking_json(ws: Workspace, name: str) -> dict:
    ranking = ws.ranking(name)
    same = None
    if not ranking.live:  # the alignment check; what is computed from the workspace's own features is always aligned
        same = round(alignment.check_alignment(ranking).top1_same_class, 3)
    return {
        "name": name,
        "method": ranking.method,
        "signed": ranking.signed,
        "models": ws.manifest["parts"].get(f"rankings/{name}", {}).get("models", 0),
        "top1_same_class": same,
    }


def _base_json(ws: Workspace) -> dict | None:
    """Who made the base models and what was measured of them, from their provenance; None where there are none. What
    it does not say, as that of an import may not, is None; so is "workspaces_recipe" then."""
    if not ws.has_base:
        return None
    if is_head(ws.recipe):
        fitted, recipe = ws.head(ws.recipe.removeprefix(PREFIX)), ws.get_recipe()
        measured = {"accuracy": round(fitted.accuracy, 4), "measured_on": "the validation images"}
        made = {"recipe": recipe.name, "hash": recipe.hash, **measured, "seconds": round(fitted.seconds, 2)}
        return {"models": 1, **made, "device": "cpu", "workspaces_recipe": True}
    provenance = ws.manifest["parts"].get("base", {})
    recipe, hash_, seeds = ws.get_recipe(), provenance.get("hash"), provenance.get("seeds")
    return {
        "models": len(seeds) if seeds else provenance.get("models"),
        **{name: provenance.get(name) for name in ("recipe", "hash", "accuracy", "measured_on", "seconds", "device")},
        "workspaces_recipe": (provenance["recipe"], hash_) == (recipe.name, recipe.hash) if hash_ else None,
    }


def _recipe_json(ws: Workspace, base: dict | None) -> dict:
    """The workspace's recipe, and what its base models measured: nothing where another recipe made those."""
    own = base if base and base["workspaces_recipe"] else {}
    measured = {name: own.get(name) for name in ("accuracy", "seconds", "device")}
    return {"name": ws.recipe, "hash": ws.get_recipe().hash, **measured}


def _base_text(ws: Workspace, base: dict | None) -> str:
    if base is None:
        return "base models: none yet"
    unnamed = "by a recipe that their provenance does not name"
    made = f"by {base['recipe']} {base['hash'] or ''}".strip() if isinstance(base["recipe"], str) else unnamed
    parts = [f"base models: {base['models'] or ''} {made}".replace("  ", " ")]
    if base["workspaces_recipe"] is False:
        parts.append(f"another than the workspace's recipe, {ws.recipe} {ws.get_recipe().hash}")
    if base["accuracy"] is not None:
        parts.append(f"{percent(base['accuracy'])} right on {base['measured_on']}")
    if base["seconds"] is not None:
        parts.append(f"{duration(base['seconds'])} each on {base['device']}")
    return ", ".join(parts)


def _end_json(ws: Workspace, end) -> dict | None:
    if end is None:
        return None
    scores = _scores_json(end.scores) or [None] * len(end.targets)
    return {
        "lists": end.n_lists,
        "place": end.hub_rank,
        "targets": [
            {
                "target": int(target),
                "label": ws.classes[ws.val_labels[target]],
                "score": score,
                "rank": int(rank) or None,
            }
            for target, score, rank in zip(end.targets, scores, end.ranks)
        ],
    }


def _near_duplicates_json(ws: Workspace, image: int) -> dict | None:
    if not ws.features() or ws.n_train > near_duplicates.MAX_IMAGES:
        return None
    spec = near_duplicates.grouping_spec(ws)
    group, near, cosines = near_duplicates.group_and_nearest(ws, image, spec, 5)
    nearest = [
        {"image": int(other), "label": ws.classes[ws.train_labels[other]], "cosine": round(float(cosine), 4)}
        for other, cosine in zip(near, cosines)
    ]
    return {
        "features": spec["features"],
        "cosine": spec["cosine"],
        "group": group.tolist(),
        "whole": len(group) <= near_duplicates.MAX_WALKED,
        "nearest": nearest,
    }


def _scores_json(scores: np.ndarray | None) -> list[float] | None:
    """Scores to six digits; None where the ranking has none."""
    return None if scores is None else [round(float(score), 6) for score in scores]
