"""Verbs that bring data in: workspace create, poison, locate and remove, import, show, features import, halves
import."""

import getpass
import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from attribution import UserError, data
from attribution.cli import (
    CANDIDATE_SETS,
    JsonOption,
    ProgressBar,
    WorkspaceOption,
    accuracy_text,
    add_group,
    app,
    candidates_of,
    features_app,
    halves_app,
    halves_text,
    print_answer,
    print_json,
    print_table,
)
from attribution.export.numbers import estimate, number, percent
from attribution.files import user_path
from attribution.importing import formats, importing
from attribution.rankings import default_rankings
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

workspace_app = add_group("workspace", "Workspaces of your own: create, poison, locate, remove.")

Name = Annotated[str, typer.Option(help="What to call it: a-z, 0-9, dot, dash, underscore.")]
Orientation = Annotated[str | None, typer.Option(help=f"{' or '.join(formats.ORIENTATIONS)}: the first axis's images.")]
Sign = Annotated[str | None, typer.Option(help=f"What a positive score means: {', '.join(formats.SIGNS)}.")]
IndexBase = Annotated[int | None, typer.Option(help="The number of the first image in the file: 0 or 1.")]
Targets = Annotated[Path | None, typer.Option(help="A .npy of the validation images that the file is about.")]
Train = Annotated[Path | None, typer.Option(help="A .npy of the training images that the file is about.")]
TrainFiles = Annotated[
    Path | None,
    typer.Option(
        help="A text file with the path of a training image a line, in the file's order, where that is not ours."
    ),
]
Part = Annotated[str | None, typer.Option(help="Which of several the file holds.")]
Force = Annotated[bool, typer.Option("--force", help="Keep it although it does not pass the alignment check.")]
Dense = Annotated[bool | None, typer.Option("--dense/--top-only", help="Keep every score (LDS needs them), or not.")]
#: what may be taken out again
REMOVABLE = ("rankings", "features", "detectors")
#: targets that `show` compares rankings on, and how many images of each
SHOW_TARGETS, SHOW_K = 200, 20
#: what `import` brings besides rankings
CORRECTIONS = "corrections"


# -- workspaces


@workspace_app.command("create")
def workspace_create(
    path: Path,
    dataset: Annotated[str, typer.Option(help=", ".join(data.NAMES))],
    root: Annotated[
        Path | None, typer.Option(help="WorkspaceOption the data set is; else it is downloaded where that is possible.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="For people; else the folder's name.")] = None,
    skip_corrupt: Annotated[bool, typer.Option("--skip-corrupt", help="Leave corrupt images out.")] = False,
    side: Annotated[
        int | None,
        typer.Option(
            help="Side in pixels that images of a folder or of Parquet are resized to: 8 to 512. If not given, images "
            "of one size up to 64 stay as they are, others become 64 x 64."
        ),
    ] = None,
    val_share: Annotated[
        float | None, typer.Option(help="Share of a folder without val/ or test/ that is held back.")
    ] = None,
    as_json: JsonOption = False,
):
    """A new workspace of your images. They are read where they are, and copied only where that cannot be."""
    from attribution.workspace.create import create

    with ProgressBar() as progress:
        ws = create(
            path, dataset, root, name=name, skip_corrupt=skip_corrupt, side=side, val_share=val_share, progress=progress
        )
    skipped = ws.manifest["parts"]["data"].get("skipped", [])
    came = [part.split("/")[1] for part in ws.manifest["parts"] if part.startswith("rankings/")]
    if as_json:
        return print_json(
            {
                "workspace": ws.name,
                "path": str(path),
                "n_train": ws.n_train,
                "n_val": ws.n_val,
                "classes": ws.classes,
                "fingerprint": ws.fingerprint,
                "skipped": skipped,
                "rankings": came,
                "images": {key: ws.manifest["dataset"].get(key) for key in ("shape", "sizes")},
            }
        )
    left = f", {len(skipped)} left out" if skipped else ""
    print(f"{ws.name}: {ws.n_train:,} training and {ws.n_val:,} validation images, {len(ws.classes)} classes{left}")
    if resized := data.resizing(ws.manifest["dataset"]):
        print(resized + ("" if side else "; --side chooses another size"))
    if came:
        print(f"with it come the rankings {', '.join(came)}")
    print(f"see it: python -m attribution.serve --workspace {shlex.quote(str(path))}")


@workspace_app.command("poison")
def workspace_poison(
    path: Path,
    label: Annotated[
        str, typer.Option("--class", help="What the poisoned images are labelled as: a class's name or number.")
    ],
    n: Annotated[int, typer.Option(help="Training images of other classes to create_poisoned_copy.")] = 100,
    targets: Annotated[int, typer.Option(help="Validation images to add with the patch.")] = 200,
    side: Annotated[int, typer.Option(help="Pixels of the patch's side.")] = 4,
    seed: Annotated[int, typer.Option(help="Draws the images.")] = 0,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """A copy of a workspace with a backdoor in it: can rankings find the images that it came by?"""
    from attribution.evaluation.poison import create_poisoned_copy

    poisoned = create_poisoned_copy(ws, path, _parse_class(ws, label), n, targets, side, seed)
    about = poisoned.manifest["parts"]["data"]["poison"]
    where = f"--workspace {shlex.quote(str(path))}"
    print_answer(
        as_json,
        {"workspace": poisoned.name, "path": str(path), **about},
        f"{poisoned.name}: {n} training images of other classes bear a patch and the label "
        f"{ws.classes[about['class']]}; {targets} triggered validation images come last, from "
        f"{ws.n_val}. Next, with {where}: base train, features train, "
        "rankings build trak, evaluate backdoor",
    )


def _parse_class(ws: Workspace, text: str) -> int:
    """The number of a class, from it or from its name. Raises UserError for any other text."""
    if text in ws.classes:
        return ws.classes.index(text)
    if text.isascii() and text.isdecimal() and int(text) < len(ws.classes):
        return int(text)
    raise UserError(f"no class {text!r} in {ws.name}; it has {', '.join(ws.classes)}")


@workspace_app.command("locate")
def workspace_locate(
    root: Annotated[Path, typer.Option(help="The data set's folder on this machine.")], ws: WorkspaceOption = DEMO
):
    """Say where on this machine the images of a workspace are."""
    from attribution.workspace.create import locate_images

    locate_images(ws, root)
    print(f"the images of {ws.name} are read from {root}")


@workspace_app.command("remove")
def workspace_remove(
    part: Annotated[str, typer.Argument(help="Such as rankings/my-scores or features/my-features.")],
    ws: WorkspaceOption = DEMO,
):
    """Take out a ranking, a feature set or a detector that was added."""
    if part not in ws.manifest["parts"] or part.split("/")[0] not in REMOVABLE:
        known = [name for name in ws.manifest["parts"] if name.split("/")[0] in REMOVABLE]
        raise UserError(f"no part {part!r} in {ws.name}; there is {', '.join(known)}")
    ws.remove_part(part)
    print(f"{part} is no longer in {ws.name}")


# -- rankings and features


@app.command("import")
def import_command(
    format: Annotated[str, typer.Argument(help=", ".join([*formats.NAMES, "or", CORRECTIONS]))],
    path: Path,
    name: Annotated[str | None, typer.Option(help="What to call the ranking: a-z, 0-9, dot, dash, underscore.")] = None,
    orientation: Orientation = None,
    sign: Sign = None,
    index_base: IndexBase = None,
    targets: Targets = None,
    train: Train = None,
    train_files: TrainFiles = None,
    part: Part = None,
    dense: Dense = None,
    force: Force = False,
    who: Annotated[str | None, typer.Option(help="corrections: who brings them; you if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Bring a ranking of another library's into a workspace, checked against its images; or corrections of labels."""
    declared = formats.Declaration(orientation, sign, index_base, targets, train, part)
    if format == CORRECTIONS:
        if name or force or train_files or dense is not None or declared != formats.Declaration():
            raise UserError("corrections take none of the options for rankings; give --who and --workspace alone")
        return _import_corrections(ws, path, who, as_json)
    if name is None or who is not None:
        raise UserError("a ranking needs a --name to be called by, and takes no --who")
    about = _import_ranking(ws, format, path, name, declared, dense, force, train_files)
    if as_json:
        return print_json({"workspace": ws.name, "ranking": name, **about})
    print(_import_text(name, about))


@app.command()
def show(
    path: Path,
    name: Annotated[str | None, typer.Option(help="What to call it; else the file's name.")] = None,
    format: Annotated[str | None, typer.Option(help="Looked for if not given.")] = None,
    orientation: Orientation = None,
    sign: Sign = None,
    index_base: IndexBase = None,
    targets: Targets = None,
    train: Train = None,
    train_files: TrainFiles = None,
    part: Part = None,
    dense: Dense = None,
    force: Force = False,
    port: Annotated[int, typer.Option(help="WorkspaceOption to serve the lineup.")] = 8501,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open Explore with it.")] = True,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Your scores in a minute: checked, imported, judged, and lined up beside the others in the browser."""
    format = format or formats.detect_format(path)
    name = name or re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:40]
    declared = formats.Declaration(orientation, sign, index_base, targets, train, part)
    about = _import_ranking(ws, format, path, name, declared, dense, force, train_files)
    answer = {"workspace": ws.name, "ranking": name, "format": format, **about, **_judge_ranking(ws, name)}
    if as_json:
        return print_json(answer)
    print(_import_text(name, about))
    if answer["lds"]:
        lds = answer["lds"]
        print(f"LDS {estimate(lds['lds'], lds['ci'])}, {halves_text(ws, answer['halves'])}")
    else:
        print(f"no LDS: {answer['why_no_lds']}")
    print(
        f"{percent(answer['same_class'], 0)} of its first {SHOW_K} have the target's class, over {answer['n']} targets"
    )
    print_table(
        "",
        [
            {
                "ranking": other,
                "candidates": CANDIDATE_SETS[answer["candidates"][other]],
                f"of its first {SHOW_K} shared": number(count, 1),
            }
            for other, count in answer["shared"].items()
        ],
    )
    if serve:
        _open_browser(ws, name, port)


def _import_corrections(ws, path: Path, who: str | None, as_json: bool) -> None:
    from attribution.audit import corrections
    from attribution.audit.decision_log import DecisionLog

    with DecisionLog.of(ws) as decisions:
        answer = corrections.import_corrections(ws, decisions, path, _user_name() if who is None else who)
    if as_json:
        return print_json(answer)
    print(
        f"{answer['imported']:,} decisions about {ws.name} imported; {answer['same']:,} stood already, "
        f"{answer['skipped']:,} in conflict in the file were passed over"
    )
    if answer["conflicts"]:
        print(f"{answer['conflicts']:,} differ from what was decided here; settle them on the Audit page")


def _user_name() -> str:
    """The name of whoever runs this, "" where the system has none."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return ""


def _import_ranking(ws, format, path, name, declared, dense, force, train_files) -> dict:
    if train_files and declared.train:
        raise UserError("--train and --train-files both say which training images the file is about; give one of them")
    train = importing.listed_files(ws, train_files) if train_files else None
    incoming = formats.get_format(format).load(user_path(path), declared, importing.data_set_sizes(ws, train))
    matched = {}
    if train is not None:
        incoming = importing.renumbered(incoming, train)
        matched = {"train files": f"{train_files.name}, {len(train):,} of {ws.n_train:,} training images"}
    said = [
        word
        for option, value in {**vars(declared), "train_files": train_files}.items()
        if value is not None
        for word in (f"--{option.replace('_', '-')}", str(getattr(value, "name", value)))
    ]
    words = shlex.join(["import", format, path.name, "--name", name, *said, *(["--force"] if force else [])])
    about = {"format": format, "file": path.name, **matched, **command_provenance(words)}
    with ProgressBar() as progress:
        return importing.import_ranking(
            ws, incoming, name, provenance=about, force=force, dense=dense, progress=progress
        )


def _import_text(name: str, about: dict) -> str:
    found = about["alignment"]
    said = (
        f"{name}: {about['method']}, {about['about']}; its first training image has the target's class for "
        f"{percent(found['top1_same_class'])} of {found['n']:,} targets (chance {percent(found['chance'])})"
    )
    if "train files" in about:
        said += f"; matched by file name: {about['train files']}"
    within = found["within_class"]
    if not within["conclusive"]:
        said += "; too few targets or images of a class to tell whether the order is right within classes"
    else:
        said += f"; within it scores and similarity in {within['on']} correlate by {within['spearman']:+.2f}"
    return f"{said}\nwarning: {found['warning']}" if found["warning"] else said


def _judge_ranking(ws, name: str) -> dict:
    """What `show` tells besides: LDS with ceiling, same-class share, overlap with the other rankings."""
    from attribution.evaluation import lds_report
    from attribution.rankings import overlap

    ranking = ws.ranking(name)
    answer = {"lds": None, "ceiling": None, "why_no_lds": None, "halves": None}
    try:
        with ProgressBar() as progress:
            judged = lds_report.evaluate_lds(ws, [name], progress)
        halves = {key: judged[key] for key in ("masks", "seeds", "ceiling", "recipe", "recipe_hash")}
        answer |= {"lds": judged["rankings"][name], "ceiling": judged["ceiling"], "halves": halves}
    except UserError as error:
        answer["why_no_lds"] = str(error)
    step = max(1, len(ranking.targets) // SHOW_TARGETS)
    some = ranking.targets[::step][:SHOW_TARGETS]
    others = [other for other in default_rankings(ws) if other != name]
    return answer | {
        "n": len(some),
        "candidates": candidates_of(ws, [name, *others]),
        "same_class": overlap.mean_same_class_share(ws, name, SHOW_K, some),
        "shared": {other: overlap.mean_shared_images(ws, name, other, SHOW_K, some) for other in others},
    }


def _open_browser(ws, name: str, port: int) -> None:
    """Serves the workspace, and opens the browser on the new ranking beside one of each other method."""
    from urllib.parse import urlencode

    from attribution.serve import serve as start

    rows = [name, *(other for other in default_rankings(ws) if other != name)]
    start(port, ws.path, "/?" + urlencode({"rankings": rows}, doseq=True))


@features_app.command("import")
def features_import(
    name: Name,
    train: Annotated[Path, typer.Option(help="Features of the training images, [n, d].")],
    val: Annotated[Path, typer.Option(help="Features of the validation images, [n, d].")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Bring a feature set of your own; ESVM, L2 and cosine rankings in it are then computed when asked."""
    from attribution.features.knn import measure_knn
    from attribution.importing.formats.features import load_features

    arrays = load_features(train, val, importing.data_set_sizes(ws))
    words = shlex.join(["features", "import", "--name", name, "--train", train.name, "--val", val.name])
    about = importing.import_features(
        ws, *arrays, name, {"file": train.name, **measure_knn(ws, *arrays), **command_provenance(words)}
    )
    text = f"{name}: {about['dim']} dimensions, {accuracy_text(about)}"
    print_answer(as_json, {"workspace": ws.name, "features": name, **about}, text)


@halves_app.command("import")
def halves_import(
    path: Path,
    part: Annotated[str | None, typer.Option(help="Which models, such as 900:1000; all if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Bring models on random subsets, a Datamodels store, for LDS to be measured on. Rankings should not have been
    fitted on the same models."""
    from attribution.importing.formats.datamodels_store import load_subsets
    from attribution.metrics.lds import MIN_SUBSETS

    masks, margins = load_subsets(user_path(path), importing.data_set_sizes(ws), part=part, min_models=MIN_SUBSETS)
    about = importing.import_halves(
        ws,
        masks,
        margins,
        {"file": path.name, "models": part or "all", **command_provenance(f"halves import {shlex.quote(path.name)}")},
    )
    print_answer(
        as_json,
        {"workspace": ws.name, **about},
        f"{about['masks']} models on subsets of {percent(about['alpha'], 0)} judge the rankings of {ws.name}: "
        "python -m attribution evaluate lds",
    )
