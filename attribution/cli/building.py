"""Verbs that build: base, features and halves train, features embed and project, rankings build, demo build and
export-study."""

from pathlib import Path
from typing import Annotated

import typer

from attribution import UserError
from attribution.cli import (
    JsonOption,
    ProgressBar,
    WorkspaceOption,
    accuracy_text,
    add_group,
    features_app,
    halves_app,
    print_answer,
    say,
)
from attribution.export.numbers import duration, number, percent
from attribution.workspace.workspace import DEMO

base_app = add_group("base", "Models of the unedited training set, which differ in the seed alone.")
rankings_app = add_group("rankings", "Rankings of your own: build.")
demo_app = add_group("demo", "The bundled demo workspace.")


@demo_app.command("build")
def demo_build(
    out: Annotated[Path, typer.Option(help="The folder to build in.")] = DEMO,
    root: Annotated[Path | None, typer.Option(help="The folder of Fashion-MNIST, its idx.gz files.")] = None,
    until: Annotated[str | None, typer.Option(help="Stop after this step.")] = None,
):
    """Build the demo workspace anew, or go on with it. Needs requirements-build.txt."""
    from attribution.demo import DemoBuild

    with ProgressBar() as progress:
        DemoBuild(out, root, say, progress).run(until)


@demo_app.command("export-study")
def demo_export_study(out: Annotated[Path, typer.Option(help="The demo workspace's folder.")] = DEMO):
    """Write the study's whole targets found so far into the demo workspace."""
    from attribution.demo import DemoBuild, export_study

    export_study(DemoBuild(out, None, print, None))


@base_app.command("train")
def base_train(
    models: Annotated[int, typer.Option(help="How many.")] = 10, ws: WorkspaceOption = DEMO, as_json: JsonOption = False
):
    """Train a workspace's base models: predictions, confidence, and what TRAK is computed from."""
    from attribution.builds.base_models import build_base_models

    if models < 1:
        raise UserError("give at least one model")
    with ProgressBar() as progress:
        about = build_base_models(ws, models, progress)
    print_answer(
        as_json,
        {"workspace": ws.name, "part": "base", **about},
        f"{models} base models of {ws.name}: {percent(about['accuracy'])} on {about['measured_on']}, "
        f"{duration(about['seconds'])} each",
    )


@features_app.command("train")
def features_train(
    name: Annotated[str, typer.Argument(help="moco, simclr, dino or supervised")],
    epochs: Annotated[int | None, typer.Option(help="The method's own number if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Train a feature set on a workspace's training images. A self-supervised one goes on where it was interrupted."""
    from attribution.builds.features import build_features

    with ProgressBar() as progress:
        about = build_features(ws, name, epochs, progress)
    print_answer(as_json, {"workspace": ws.name, "features": name, **about}, f"{name}: {accuracy_text(about)}")


@features_app.command("embed")
def features_embed(
    name: Annotated[str, typer.Argument(help="What to call the features.")],
    backbone: Annotated[
        str, typer.Option(help="A network of torchvision's, or timm's (requirements-build.txt): resnet18.")
    ],
    weights: Annotated[Path, typer.Option(help="Its state dict on this machine, with or without a classifier.")],
    side: Annotated[
        int | None, typer.Option(help="Pixels that images are resized to; if not given timm's own, torchvision 224.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Features of a pretrained network: its pooled output, without a classifier. Interrupt it and call it again: it
    goes on."""
    from attribution.builds.features import build_backbone_features

    if side is not None and not 8 <= side <= 1024:
        raise UserError(f"side {side} is not 8 to 1024; leave it out for the network's own")
    with ProgressBar() as progress:
        about = build_backbone_features(ws, name, backbone, weights, side, progress)
    print_answer(
        as_json,
        {"workspace": ws.name, "features": name, **about},
        f"{name}: {about['dim']} dimensions, {accuracy_text(about)}",
    )


@features_app.command("project")
def features_project(
    name: Annotated[str, typer.Argument(help="A feature set of the workspace.")],
    method: Annotated[
        str | None, typer.Option(help="tsne (needs openTSNE) or pca; tsne where it is installed, if not given.")
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """The map of a feature set: all images in two dimensions, kept for the Map page."""
    import time

    from attribution.features import projection
    from attribution.workspace.provenance import command_provenance

    ws.feature(name)
    ws.check_can_add(projection.part_name(name))
    start = time.perf_counter()
    with ProgressBar() as progress:
        found = projection.project(ws, name, method, progress)
    words = f"features project {name} --method {found.provenance['method']}"
    projection.save(ws, found, {**command_provenance(words), "seconds": round(time.perf_counter() - start, 1)})
    text = f"{name}: {projection.METHODS[found.provenance['method']]}"
    if trust := found.provenance.get("trustworthiness"):
        text += (
            f", trustworthiness {number(trust['mean'])}, PCA's "
            f"{number(found.provenance['trustworthiness_pca']['mean'])}, on {found.provenance['draws']} x "
            f"{found.provenance['sample']:,} images"
        )
    print_answer(as_json, {"workspace": ws.name, "features": name, **found.provenance}, text)


@halves_app.command("train")
def halves_train(
    count: Annotated[int, typer.Option(help="How many halves.")] = 100,
    seeds: Annotated[int, typer.Option(help="Models a half.")] = 5,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Train the models on random halves that `evaluate lds` judges rankings by. Interrupted, it goes on."""
    from attribution.builds.halves import HELD_OUT_SEQUENCE, build_held_out_halves
    from attribution.metrics.lds import MIN_SUBSETS

    if count < MIN_SUBSETS or seeds < 1:
        raise UserError(f"LDS needs at least {MIN_SUBSETS} halves and 1 seed")
    with ProgressBar() as progress:
        about = build_held_out_halves(ws, {**HELD_OUT_SEQUENCE, "count": count, "seeds": list(range(seeds))}, progress)
    print_answer(
        as_json, {"workspace": ws.name, "part": "lds", **about}, f"{count} halves x {seeds} seeds are held out"
    )


@rankings_app.command("build")
def rankings_build(
    method: Annotated[str, typer.Argument(help="trak or datamodels")],
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    models: Annotated[int, typer.Option(help="Datamodels: half-models to train and fit on.")] = 500,
    dim: Annotated[int, typer.Option(help="TRAK: dimensions of the projection.")] = 512,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Compute TRAK (on the base models) or Datamodels for a workspace. Trainings that were done are not repeated."""
    from attribution.builds import scores

    with ProgressBar() as progress:
        if method == "trak":
            name = name or "trak"
            about = scores.build_trak(ws, name, dim, progress)
        elif method == "datamodels":
            name = name or f"datamodels-{models}"
            about = scores.build_datamodels(ws, name, models, progress)
        else:
            raise UserError(
                f"method {method!r} is not known; say trak or datamodels (similarity rankings are computed "
                "when asked, from the features)"
            )
    print_answer(as_json, {"workspace": ws.name, "ranking": name, **about}, f"{name}: {about['about']}")
