"""Commands that build: base, features and halves train, features embed and project, rankings build, demo build and
export-study, demo export-retrainings."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from attribution.cli import (
    JsonOption,
    ProgressBar,
    Recipe,
    WorkspaceOption,
    accuracy_text,
    command_line,
    print_answer,
    print_line,
    say,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.export.numbers import byte_size, duration, number, percent
from attribution.files import user_path
from attribution.inputs import limits
from attribution.training.edits import parse_image_numbers
from attribution.workspace.workspace import DEMO, Workspace

#: of `rankings build`, where nobody says how many
DATAMODELS_MODELS = 500
UNROLLED_MODELS = 3


def demo_build(
    out: Annotated[Path, typer.Option(help="The folder to build in.")] = DEMO,
    root: Annotated[Path | None, typer.Option(help="The folder of Fashion-MNIST, its idx.gz files.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None,
):
    """Build the demo workspace anew, or resume building it. Needs the extra `train`."""
    from attribution.demo import DemoBuild

    with ProgressBar() as progress:
        DemoBuild(out, root, say, progress).run(until)


def demo_export_study(
    out: Annotated[Path, typer.Option(help="The demo workspace's folder.")] = DEMO,
    recipe: Annotated[str | None, typer.Option(help="Of this head's study; the demo's own if not given.")] = None,
):
    """Write the study's whole targets found so far into the demo workspace."""
    from attribution.demo import DemoBuild, export_head_study, export_study

    build = DemoBuild(out, None, print_line, None)
    export_head_study(build, recipe) if recipe else export_study(build)


def demo_export_retrainings(
    out: Annotated[Path, typer.Option(help="The demo workspace's folder.")] = DEMO,
    recipe: Annotated[
        str | None, typer.Option(help="Under this head; under the demo's own recipe if not given.")
    ] = None,
):
    """Write the retrainings of the first target a visitor sees into the demo workspace."""
    from attribution.demo import DemoBuild, export_retrainings

    export_retrainings(DemoBuild(out, None, print_line, None), recipe)


def base_train(
    models: Annotated[int, whole_option("--models", 1, limits.MAX_SEEDS, "How many.")] = 10,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Train a workspace's base models: predictions, confidence, and what TRAK is computed from."""
    ws = ws.with_model(recipe or ws.model)
    from attribution.builds.base_models import build_base_models

    provenance = with_progress(build_base_models, ws, models)
    print_answer(
        as_json,
        {"workspace": ws.name, "part": "base", **provenance},
        f"{models} base models of {ws.name}: {percent(provenance['accuracy'])} on {provenance['measured_on']}, "
        f"{duration(provenance['seconds'])} each",
    )


def features_train(
    name: Annotated[str, typer.Argument(help="moco, simclr, dino, patches or supervised")],
    epochs: Annotated[int | None, whole_option("--epochs", 1, 100_000, "The method's own number if not given.")] = None,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Train a feature set on a workspace's training images. Interrupted, a self-supervised one resumes when run again;
    supervised ones are of your own recipe's network where it gives that."""
    from attribution.builds.features import SUPERVISED, build_features, supervised_name

    if recipe and name != SUPERVISED:
        raise UserError(f"{name} features are learned without a recipe; leave --recipe out")
    ws = ws.with_model(recipe or ws.model)
    provenance = with_progress(build_features, ws, name, epochs)
    name = supervised_name(ws) if provenance.get("networks") else name
    network = f" ({provenance['network']})" if "network" in provenance else ""
    print_answer(
        as_json,
        {"workspace": ws.name, "features": name, **provenance},
        f"{name}: {accuracy_text(provenance)}{network}",
    )


def features_embed(
    name: Annotated[str, typer.Argument(help="What to call the features.")],
    backbone: Annotated[
        str | None,
        typer.Option(
            help="A network of torchvision's or timm's: resnet18. Or a Hugging Face model's folder (transformers).",
            metavar="NAME|FOLDER",
        ),
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(help="Code of your own, mine.py:make, which is run as you.", metavar="FILE:OBJECT"),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Its weights on this machine; of a network a state dict.")
    ] = None,
    side: Annotated[
        int | None,
        whole_option("--side", 8, 1024, "Pixels that images are resized to; if not given timm's own, torchvision 224."),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Features of a pretrained network, without a classifier, or by your own code. Interrupted, it resumes
    when run again."""
    if (backbone is None) == (module is None):
        raise UserError("features are made by a network or by code of yours; give either --backbone or --module")
    from attribution.builds.features import build_backbone_features, build_own_features

    if module:
        if weights is None or side is not None:
            raise UserError("code of yours needs --weights, the file that it reads, and takes no --side")
        provenance = with_progress(build_own_features, ws, name, module, weights)
    else:
        provenance = with_progress(build_backbone_features, ws, name, backbone, weights, side)
    print_answer(
        as_json,
        {"workspace": ws.name, "features": name, **provenance},
        f"{name}: {provenance['dim']} dimensions, {accuracy_text(provenance)}",
    )


def features_project(
    name: Annotated[str, typer.Argument(help="A feature set of the workspace.")],
    method: Annotated[
        str | None, typer.Option(help="tsne (needs openTSNE) or pca; tsne where it is installed, if not given.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """The map of a feature set: all images in two dimensions, kept for the map in Debug."""
    from attribution.features import projection
    from attribution.workspace.provenance import command_provenance

    ws.feature(name)
    ws.check_can_add(projection.part_name(name))
    start = time.perf_counter()
    projected = with_progress(projection.project, ws, name, method)
    command = command_line(f"features project {name}", method=projected.provenance["method"])
    seconds = round(time.perf_counter() - start, 1)
    projection.save(ws, projected, {**command_provenance(command), "seconds": seconds})
    text = f"{name}: {projection.METHODS[projected.provenance['method']]}"
    if trust := projected.provenance.get("trustworthiness"):
        text += (
            f", trustworthiness {number(trust['mean'])}, PCA's "
            f"{number(projected.provenance['trustworthiness_pca']['mean'])}, on {projected.provenance['draws']} x "
            f"{projected.provenance['sample']:,} images"
        )
    print_answer(as_json, {"workspace": ws.name, "features": name, **projected.provenance}, text)


def halves_train(
    count: Annotated[int, whole_option("--count", 1, limits.MAX_MODELS, "How many halves.")] = 100,
    seeds: Annotated[int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Models per half.")] = 5,
    draw: Annotated[
        int, whole_option("--draw", 1, 2, "2: a second, fresh draw of halves, which `evaluate lds` then prints, too.")
    ] = 1,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Train the models on random halves that `evaluate lds` judges rankings by. Interrupted, it resumes when run
    again."""
    ws = ws.with_model(recipe or ws.model)
    from attribution.builds import halves
    from attribution.metrics.lds import MIN_SUBSETS

    if count < MIN_SUBSETS:
        raise UserError(f"LDS needs at least {MIN_SUBSETS} halves; give --count {MIN_SUBSETS} or more")
    chosen = {"count": count, "seeds": list(range(seeds))}
    if draw == 2:
        part, again = halves.SECOND_PART, " a second time"
        provenance = with_progress(halves.build_second_draw, ws, {**halves.SECOND_SEQUENCE, **chosen})
    else:
        part, again = "lds", ""
        provenance = with_progress(halves.build_held_out_halves, ws, {**halves.HELD_OUT_SEQUENCE, **chosen})
    print_answer(
        as_json,
        {"workspace": ws.name, "part": part, **provenance},
        f"{count} halves x {seeds} seeds are held out{again}",
    )


def _ranking_name(ws: Workspace, name: str) -> str:
    """`name`, with the model that a ranking is built for where that is not the workspace's own recipe, whose ranking
    it would replace."""
    return f"{name}-{ws.model.lower()}"[:40] if ws.model else name


def rankings_firsts(
    name: Annotated[str, typer.Argument(help="A ranking that is the mean over several models.")],
    files: Annotated[
        list[Path],
        typer.Argument(help="Scores by each model, targets by training images: .npy, or .npz with `scores`."),
    ],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Keep the first images of each model of a ranking, which say how far its rows are the seeds' doing."""
    from attribution.builds import firsts

    kept = with_progress(firsts.keep, ws, name, [[user_path(file)] for file in files])
    answer = {"ranking": name, "models": kept.models, "half": kept.half, "splits": kept.splits, "first": firsts.FIRST}
    print_answer(as_json, answer, f"{name}: the first {firsts.FIRST} images of {kept.models} models are kept")


def rankings_build(
    method: Annotated[str, typer.Argument(help="trak, datamodels or unrolled")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    models: Annotated[
        int | None,
        whole_option(
            "--models",
            1,
            limits.MAX_MODELS,
            f"Datamodels: half-models to train and fit on, {DATAMODELS_MODELS} if not given. Unrolled: trainings to go "
            f"back through, {UNROLLED_MODELS} if not given.",
        ),
    ] = None,
    dim: Annotated[int, whole_option("--dim", 1, limits.MAX_DIM, "TRAK: dimensions of the projection.")] = 512,
    epochs: Annotated[
        int, whole_option("--epochs", 1, limits.MAX_MODELS, "Unrolled: the last epochs, which it goes back through.")
    ] = 3,
    windows: Annotated[
        int, whole_option("--windows", 1, limits.MAX_MODELS, "Unrolled: into how many windows an epoch is cut.")
    ] = 3,
    targets: Annotated[
        str | None, typer.Option(help="Unrolled: of these validation images alone: 3,7,10-12. All, if not given.")
    ] = None,
    exact: Annotated[
        bool, typer.Option("--exact", help="Unrolled: with the exact curvature, for a few --targets.")
    ] = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Unrolled: keep a score as a byte: a quarter of the size, less precise.")
    ] = False,
    recipe: Recipe = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Compute TRAK (on the base models), Datamodels or Unrolled for a workspace. Trainings that were done are not
    repeated."""
    ws = ws.with_model(recipe or ws.model)
    from attribution.builds import scores, unrolled

    if method == "trak":
        name = name or _ranking_name(ws, "trak")
        provenance = with_progress(scores.build_trak, ws, name, dim)
    elif method == "datamodels":
        models = models or DATAMODELS_MODELS
        name = name or _ranking_name(ws, f"datamodels-{models}")
        provenance = with_progress(scores.build_datamodels, ws, name, models)
    elif method == "unrolled":
        chosen = None if targets is None else parse_image_numbers(targets, ws.n_val, "validation")
        plan = unrolled.plan(ws, models or UNROLLED_MODELS, epochs, windows, chosen, exact)
        name = name or _ranking_name(ws, f"unrolled-{'exact-' * exact}{plan.models}")
        needed = f"{byte_size(plan.memory)} of memory and {byte_size(plan.disk)} on disk"
        say(f"{name}: about {duration(plan.seconds)} here, with {needed}")
        provenance = with_progress(partial(unrolled.build_unrolled, compact=compact), ws, name, plan)
    else:
        raise UserError(
            f"method {method!r} is not known; say trak, datamodels or unrolled (similarity rankings are computed when "
            "asked, from the features)"
        )
    print_answer(as_json, {"workspace": ws.name, "ranking": name, **provenance}, f"{name}: {provenance['about']}")
