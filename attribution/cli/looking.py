"""Verbs that look: info, rank, reach, export figure, export report, export ranking, export corrections."""

import shlex
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from attribution import UserError
from attribution.cli import (
    Candidates,
    JsonOption,
    ProgressBar,
    RankingName,
    Rankings,
    Target,
    WorkspaceOption,
    add_group,
    app,
    print_answer,
    print_json,
    print_table,
    ranking_names,
    say,
    split_names,
)
from attribution.data import resizing
from attribution.export.numbers import duration, percent
from attribution.files import user_path
from attribution.importing import alignment
from attribution.rankings.similarity import Similarity
from attribution.training import recipes
from attribution.workspace.workspace import DEMO

export_app = add_group("export", "Take results home.")
LINEUP = "lineup"
Top = Annotated[int, typer.Option(help="Tiles a row.")]
Ends = Annotated[str, typer.Option(help="helpful, harmful or both")]
Explain = Annotated[str, typer.Option(help="true or predicted")]
Cut = Annotated[int | None, typer.Option(help="Draw the cut after this rank.")]


@app.command()
def info(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """What a workspace holds: data set, features, rankings, recipes."""
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
        "images": {key: ws.manifest["dataset"].get(key) for key in ("shape", "sizes")},
        "features": [_feature_json(ws, name) for name in ws.features()],
        "rankings": [_ranking_json(ws, name) for name in ws.rankings()],
        "recipes": [_recipe_json(ws, base := _base_info(ws))],
        "base": base,
    }
    if as_json:
        return print_json(answer)
    data = answer["dataset"]
    planted = f", {data['planted']} planted errors" if data["planted"] else ""
    print(
        f"{ws.name}: {data['name']}, {ws.n_train:,} training and {ws.n_val:,} validation images, "
        f"{len(ws.classes)} classes{planted}"
    )
    if resized := resizing(ws.manifest["dataset"]):
        print(resized)
    for part in ("features", "rankings", "recipes"):
        print_table(part, answer[part])
    print(_base_text(ws, base))


def _feature_json(ws, name):
    about = ws.manifest["parts"][f"features/{name}"]
    dim = about.get("dim") or ws.feature(name).train.shape[1]
    return {"name": name, "dim": dim, "knn_accuracy": about.get("knn_accuracy")}


def _ranking_json(ws, name):
    ranking = ws.ranking(name)
    about = ws.manifest["parts"].get(f"rankings/{name}", {})
    same = None
    if not ranking.live:  # the alignment check; what is computed from the workspace's own features is always aligned
        same = round(alignment.check_alignment(ranking).top1_same_class, 3)
    return {
        "name": name,
        "method": ranking.method,
        "signed": ranking.signed,
        "models": about.get("models", 0),
        "top1_same_class": same,
    }


def _base_info(ws) -> dict | None:
    """Who made the base models and what was measured of them, from their provenance; None where there are none. What
    it does not say, as that of an import may not, is None; so is "workspaces_recipe" then."""
    if not ws.has_base:
        return None
    about = ws.manifest["parts"].get("base", {})
    own = recipes.get_recipe(ws.recipe)
    return {
        "models": len(about["seeds"]) if about.get("seeds") else None,
        **{name: about.get(name) for name in ("recipe", "hash", "accuracy", "measured_on", "seconds", "device")},
        "workspaces_recipe": (about["recipe"], about["hash"]) == (own.name, own.hash) if about.get("hash") else None,
    }


def _recipe_json(ws, base: dict | None) -> dict:
    """The workspace's recipe, and what its base models measured: nothing where another recipe made those."""
    own = base if base and base["workspaces_recipe"] else {}
    measured = {name: own.get(name) for name in ("accuracy", "seconds", "device")}
    return {"name": ws.recipe, "hash": recipes.get_recipe(ws.recipe).hash, **measured}


def _base_text(ws, base: dict | None) -> str:
    if base is None:
        return "base models: none yet"
    made = f"by {base['recipe']} {base['hash']}" if base["hash"] else "by a recipe that their provenance does not name"
    parts = [f"base models: {base['models'] or ''} {made}".replace("  ", " ")]
    if base["workspaces_recipe"] is False:
        parts.append(f"another than the workspace's recipe, {ws.recipe} {recipes.get_recipe(ws.recipe).hash}")
    if base["accuracy"] is not None:
        parts.append(f"{percent(base['accuracy'])} right on {base['measured_on']}")
    if base["seconds"] is not None:
        parts.append(f"{duration(base['seconds'])} each on {base['device']}")
    return ", ".join(parts)


@app.command()
def rank(
    target: Target,
    ranking: RankingName,
    top: Annotated[int, typer.Option(help="How many.")] = 10,
    candidates: Candidates = None,
    end: Annotated[str, typer.Option(help="helpful or harmful")] = "helpful",
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """The training images a ranking puts first for a target."""
    number = ws.check_target(target)
    found = ws.ranking(ranking).top(number, top, candidates, end)
    if len(found.ids) < top:
        say(f"{ranking} ranks {len(found.ids)} images for this target, and {top} were asked for")
    labels = [ws.classes[c] for c in ws.train_labels[found.ids]]
    predicted = ws.classes[ws.base.prediction[number]] if ws.has_base else None
    answer = {
        "target": number,
        "label": ws.classes[ws.val_labels[number]],
        "prediction": predicted,
        "ranking": ranking,
        "train": found.ids.tolist(),
        "scores": None if found.scores is None else [round(float(s), 6) for s in found.scores],
        "labels": labels,
    }
    if as_json:
        return print_json(answer)
    said = f", predicted {predicted}" if predicted else ""
    print(f"target {number}: {answer['label']}{said}; first {len(labels)} of {ranking}, {end}")
    scores = answer["scores"] or [None] * len(labels)
    print_table(
        "",
        [
            {"rank": i + 1, "train": t, "label": c, "score": s}
            for i, (t, c, s) in enumerate(zip(answer["train"], labels, scores))
        ],
    )


@app.command("reach")
def influence_command(
    image: Annotated[str, typer.Option(help="The training image, counted from 0.")],
    rankings: Rankings = None,
    top: Annotated[int, typer.Option(help="Targets of each end.")] = 12,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Whom a training image helps and harms most, in how many targets' lists it stands, and its near-duplicates."""
    from attribution.explore import influence
    from attribution.rankings.base import check_k

    number = influence.check_image(ws, image)
    found = [influence.image_influence(ws, number, name, check_k(top)) for name in ranking_names(ws, rankings)]
    answer = {
        "image": number,
        "label": ws.classes[ws.train_labels[number]],
        "n_train": ws.n_train,
        "rankings": {
            one.ranking: {
                "signed": one.signed,
                "possible": one.possible,
                "k": one.k,
                "helped": _end_json(ws, one.helped),
                "harmed": _end_json(ws, one.harmed),
            }
            for one in found
        },
        "duplicates": _near_duplicates_json(ws, number),
    }
    if as_json:
        return print_json(answer)
    print(f"training image {number}: {answer['label']}")
    for one in found:
        for end, what in ((one.helped, "helped"), (one.harmed, "harmed")):
            if end is not None:
                lists = f", in the first {one.k} of {end.lists} of {one.possible:,} targets" if end.place else ""
                print(f"{one.ranking}: {what} most{lists}")
                print_table("", _end_json(ws, end)["targets"])
        if one.helped is None:
            print(f"{one.ranking}: needs its lists: python -m attribution evaluate hubs --rankings {one.ranking}")
        elif one.harmed is None:
            print(f"{one.ranking}: harm is not defined for this method: its scores have no sign")
    if twins := answer["duplicates"]:
        more = "" if twins["whole"] else "; perhaps more: these features tell little apart"
        print(
            f"near-duplicates, cosine {twins['cosine']:g} in {twins['features']}: "
            f"{', '.join(map(str, twins['group'])) or 'none'}{more}"
        )
        print_table("nearest", twins["nearest"])


def _end_json(ws, end) -> dict | None:
    if end is None:
        return None
    scores = [None] * len(end.targets) if end.scores is None else [round(float(score), 6) for score in end.scores]
    return {
        "lists": end.lists,
        "place": end.place,
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


def _near_duplicates_json(ws, image) -> dict | None:
    from attribution.features import near_duplicates

    if not ws.features() or ws.n_train > near_duplicates.MAX_IMAGES:
        return None
    grouped = near_duplicates.grouping_spec(ws)
    group, near, cosines = near_duplicates.group_and_nearest(ws, image, grouped, 5)
    nearest = [
        {"image": int(one), "label": ws.classes[ws.train_labels[one]], "cosine": round(float(cosine), 4)}
        for one, cosine in zip(near, cosines)
    ]
    return {
        "features": grouped["features"],
        "cosine": grouped["cosine"],
        "group": group.tolist(),
        "whole": len(group) <= near_duplicates.MAX_WALKED,
        "nearest": nearest,
    }


@export_app.command("figure")
def export_figure(
    out: Annotated[Path, typer.Option(help="A .png, .svg, .pdf or .csv file.")],
    what: Annotated[
        str,
        typer.Option(
            help="lineup, or a chart of Methods: supports, agreement, "
            "lds-supports, conditioning, calibration, compute, cost, "
            "features."
        ),
    ] = LINEUP,
    target: Annotated[str | None, typer.Option(help="Of a lineup: the validation image.")] = None,
    rankings: Rankings = None,
    top: Top = 14,
    ends: Ends = "helpful",
    explain: Explain = "true",
    candidates: Candidates = None,
    k: Cut = None,
    width: Annotated[str, typer.Option(help="Of a chart: single (3.4 in) or double (7 in).")] = "double",
    measure: Annotated[str | None, typer.Option(help="Of agreement: jaccard, rbo or spearman.")] = None,
    ranking: Annotated[str | None, typer.Option(help="Of calibration: which signed ranking.")] = None,
    removed: Annotated[str | None, typer.Option(help="Of calibration: own, others or random.")] = None,
    protocol: Annotated[str | None, typer.Option(help="Of supports, lds-supports: the study's.")] = None,
    ws: WorkspaceOption = DEMO,
):
    """The lineup of a target, or a chart of Methods as stored, as a figure, or as the table behind it."""
    from attribution.explore.lineup import lineup_rows
    from attribution.export import charts, lineup_figure
    from attribution.export.charts import stored
    from attribution.store.results import ResultStore

    out = user_path(out)
    if what == LINEUP:
        if target is None:
            raise UserError("a lineup needs a target; add --target, or say another --what")
        number = ws.check_target(target)
        rows = lineup_rows(ws, number, ranking_names(ws, rankings), top, ends, explain, candidates)
        return print(lineup_figure.save(ws, number, rows, out, k))
    options = {
        "measure": measure,
        "ranking": ranking,
        "removed": removed,
        "protocol": protocol,
        "rankings": rankings and split_names(rankings),
    }
    options = {name: options[name] for name in stored.CHART_OPTIONS.get(what, ()) if options[name]}
    with ResultStore.for_workspace(ws) as store:
        print(charts.save(charts.chart(ws, store, what, **options), out, width))


@export_app.command("report")
def export_report(
    out: Annotated[Path, typer.Option(help="An .html file.")],
    target: Annotated[
        str | None, typer.Option(help="The validation image; the one that the workspace opens with if not given.")
    ] = None,
    rankings: Rankings = None,
    top: Top = 14,
    ends: Ends = "helpful",
    explain: Explain = "true",
    candidates: Candidates = None,
    k: Cut = None,
    ws: WorkspaceOption = DEMO,
):
    """A target's lineup and verdicts, and all that Methods knows, as one HTML file that opens anywhere."""
    from attribution.explore.lineup import lineup_rows
    from attribution.export import report
    from attribution.store.results import ResultStore

    number = report.default_target(ws) if target is None else ws.check_target(target)
    rows = lineup_rows(ws, number, ranking_names(ws, rankings), top, ends, explain, candidates)
    with ResultStore.for_workspace(ws) as store:
        print(report.save_report(ws, store, user_path(out), number, rows=rows, k=k))


@export_app.command("ranking")
def export_ranking(
    ranking: RankingName,
    out: Annotated[Path, typer.Option(help="A .parquet file.")],
    targets: Annotated[str | None, typer.Option(help="Such as 0-999; all that it ranks for if not given.")] = None,
    top: Annotated[int, typer.Option(help="Training images a target, of each end.")] = 100,
    note: Annotated[str | None, typer.Option(help="What a reader must know: of JPEG copies.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """A ranking's first images as Lineup's own Parquet, which `import parquet` brings to any copy of the data set."""
    from attribution.importing.formats import parquet
    from attribution.training.edits import parse_image_numbers
    from attribution.workspace.provenance import command_provenance

    found = ws.ranking(ranking)
    wanted = np.array(parse_image_numbers(targets, ws.n_val, "validation")) if targets else found.targets
    if len(absent := np.setdiff1d(wanted, found.targets)):
        raise UserError(f"{ranking} ranks nothing for the validation image {absent[0]}; leave it out of --targets")
    of = getattr(found, "inner", found)
    source = f"features/{of.feature}" if isinstance(of, Similarity) else f"rankings/{of.name}"
    of = {
        key: value
        for key, value in ws.manifest["parts"].get(source, {}).items()
        if key not in ("files", "home", "digest")
    }
    words = [
        "export",
        "ranking",
        "--ranking",
        ranking,
        *(["--targets", targets] if targets else []),
        "--top",
        str(top),
        *(["--note", note] if note else []),
    ]
    provenance = {
        **command_provenance(shlex.join(words)),
        "dataset": ws.manifest["dataset"]["name"],
        "ranking": ranking,
        "made_for": found.made_for,
        source: of,
    }
    labels = parquet.labels_digest(ws.train_labels, ws.val_labels)
    about = " · ".join(filter(None, [found.description.removesuffix(" · live"), f"first {top}", note]))
    rows = parquet.write_ranking(user_path(out), found, wanted, top, labels, about, provenance)
    answer = {"workspace": ws.name, "ranking": ranking, "targets": len(wanted), "rows": rows, "file": str(out)}
    print_answer(as_json, answer, f"{out}: the first {top} of {ranking} for {len(wanted):,} targets, {rows:,} rows")


@export_app.command("corrections")
def export_corrections(
    out: Annotated[Path, typer.Option(help="A folder; files of an export before are replaced.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """What was decided about labels: corrections.csv, the log, and the corrected labels in the data set's own form."""
    from attribution.audit import corrections
    from attribution.audit.decision_log import DecisionLog

    with DecisionLog.of(ws) as decisions, ProgressBar() as progress:
        answer = corrections.export_corrections(ws, decisions, out, progress)
    print_answer(
        as_json,
        answer,
        f"{answer['folder']}: {', '.join(answer['files'])}\n"
        f"{answer['decisions']:,} images of {ws.name} decided: {answer['relabelled']:,} relabelled, "
        f"{answer['removed']:,} removed, {answer['kept']:,} kept, {answer['unsure']:,} unsure, "
        f"{answer['conflicts']:,} in conflict",
    )
