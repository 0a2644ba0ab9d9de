"""Commands that bring data in: import, show, features import, halves import, base import; and what base has."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from attribution.cli import (
    CANDIDATE_SETS,
    JsonOption,
    WholeWorkspaceOption,
    WorkspaceOption,
    accuracy_text,
    candidates_of,
    command_line,
    halves_text,
    print_answer,
    user_name,
    whole_option,
    with_progress,
)
from attribution.data.foreign import check_file
from attribution.errors import UserError
from attribution.export.numbers import estimate, number, percent
from attribution.files import user_path
from attribution.importing import base_predictions, child, formats, importing
from attribution.rankings import default_rankings
from attribution.workspace import base_models
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

Name = Annotated[str, typer.Option(help="What to call it: a-z, 0-9, dot, dash, underscore.")]
Orientation = Annotated[str | None, typer.Option(help=f"{' or '.join(formats.ORIENTATIONS)}: the first axis's images.")]
Sign = Annotated[str | None, typer.Option(help=f"What a positive score means: {', '.join(formats.SIGNS)}.")]
IndexBase = Annotated[
    int | None, whole_option("--index-base", 0, 1, "The number of the first image in the file: 0 or 1.")
]
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
CORRECTIONS, PROBABILITIES, TRUE_LABELS, ISSUES = "corrections", "probabilities", "truth", "issues"
#: what `import` brings besides rankings, and which of its options each takes
OTHERS = {CORRECTIONS: ("who",), PROBABILITIES: ("name", "force"), TRUE_LABELS: ("force",), ISSUES: ("name", "force")}
MAX_CORRECTIONS = 64 << 20  # bytes of them
SHOW_TARGETS, SHOW_K = 200, 20  # targets that `show` compares rankings on, and how many images of each


def import_(
    format: Annotated[
        str, typer.Argument(help=", ".join([*formats.NAMES, *OTHERS, "or FILE:CLASS, a format of your own"]))
    ],
    path: Path,
    name: Annotated[
        str | None, typer.Option(help="What to call the ranking or detector: a-z, 0-9, dot, dash, underscore.")
    ] = None,
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
    """Import a ranking of another library into a workspace, checked against its images; or corrections of labels,
    out-of-fold probabilities, true labels to judge by, or a table of label issues."""
    declared = formats.Declaration(orientation, sign, index_base, targets, train, part)
    if format in OTHERS:
        given = {"name": name is not None, "force": force, "who": who is not None}
        others = train_files or dense is not None or declared != formats.Declaration()
        if others or any(given[option] for option in given if option not in OTHERS[format]):
            takes = ", ".join(f"--{option}" for option in OTHERS[format])
            raise UserError(
                f"import {format} takes none of the options for rankings; give {takes} and --workspace alone"
            )
        if format == CORRECTIONS:
            return _import_corrections(ws, path, who, as_json)
        if format == TRUE_LABELS:
            return _import_truth(ws, path, force, as_json)
        bring = _import_probabilities if format == PROBABILITIES else _import_issues
        return bring(ws, path, format if name is None else name, force, as_json)
    if name is None or who is not None:
        raise UserError("a ranking needs a --name to be called by, and takes no --who")
    provenance = _import_ranking(ws, format, path, name, declared, dense, force, train_files)
    print_answer(as_json, {"workspace": ws.name, "ranking": name, **provenance}, *_import_lines(name, provenance))


def show(
    path: Path,
    name: Annotated[str | None, typer.Option(help="What to call it; else the file's name.")] = None,
    format: Annotated[str | None, typer.Option(help="Found out if not given.")] = None,
    orientation: Orientation = None,
    sign: Sign = None,
    index_base: IndexBase = None,
    targets: Targets = None,
    train: Train = None,
    train_files: TrainFiles = None,
    part: Part = None,
    dense: Dense = None,
    force: Force = False,
    port: Annotated[int, whole_option("--port", 1, 65535, "Where to serve the dashboard.")] = 8501,
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open Debug with it.")] = True,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Your scores: checked, imported, judged, and shown beside the other rankings in the browser."""
    format = format or formats.detect_format(path)
    name = name or re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:40]
    declared = formats.Declaration(orientation, sign, index_base, targets, train, part)
    provenance = _import_ranking(ws, format, path, name, declared, dense, force, train_files)
    ws = Workspace.open(ws.path, ws.model)  # with the new ranking
    answer = {"workspace": ws.name, "ranking": name, "format": format, **provenance, **_judge_ranking(ws, name)}
    lds, candidates = answer["lds"], answer["candidates"]
    shared = [
        {
            "ranking": other,
            "candidates": CANDIDATE_SETS[candidates[other]],
            f"of its top {SHOW_K} shared": number(count, 1),
        }
        for other, count in answer["shared"].items()
    ]
    print_answer(
        as_json,
        answer,
        *_import_lines(name, provenance),
        f"LDS {estimate(lds['lds'], lds['ci'])}, {halves_text(ws, answer['halves'])}"
        if lds
        else f"no LDS: {answer['why_no_lds']}",
        f"{percent(answer['same_class'], 0)} of its top {SHOW_K} have the target's class, over {answer['n']} targets",
        ("", shared),
    )
    if serve and not as_json:
        _open_browser(ws, name, port)


def features_import(
    name: Name,
    train: Annotated[Path, typer.Option(help="Features of the training images, [n, d].")],
    val: Annotated[Path, typer.Option(help="Features of the validation images, [n, d].")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Import a feature set of your own; ESVM, L2 and cosine rankings in it are then computed when asked."""
    from attribution.importing.formats import features

    def work() -> dict:
        from attribution.features.knn import measure_knn

        arrays = features.load_features(train, val, importing.data_set_sizes(ws))
        command = command_provenance(command_line("features import", name=name, train=train, val=val))
        provenance = {"file": train.name, **measure_knn(ws, *arrays), **command}
        return importing.import_features(ws, *arrays, name, provenance)

    provenance = _in_child(ws, work, [train, val], features.MEMORY)
    text = f"{name}: {provenance['dim']} dimensions, {accuracy_text(provenance)}"
    print_answer(as_json, {"workspace": ws.name, "features": name, **provenance}, text)


def halves_import(
    path: Path,
    part: Annotated[str | None, typer.Option(help="Which models, such as 900:1000; all if not given.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Import models on random subsets, a Datamodels store, for LDS to be measured on. Rankings should not have been
    fitted on the same models."""

    def work() -> dict:
        from attribution.importing.formats.datamodels_store import load_subsets
        from attribution.metrics.lds import MIN_SUBSETS

        masks, margins = load_subsets(user_path(path), importing.data_set_sizes(ws), part=part, min_models=MIN_SUBSETS)
        command = command_provenance(f"halves import {shlex.quote(path.name)}")
        return importing.import_halves(ws, masks, margins, {"file": path.name, "models": part or "all", **command})

    provenance = _in_child(ws, work, [path])
    print_answer(
        as_json,
        {"workspace": ws.name, **provenance},
        f"{provenance['masks']} models on subsets of {percent(provenance['alpha'], 0)} judge the rankings of "
        f"{ws.name}: python -m attribution evaluate lds",
    )


def base_import(
    files: Annotated[list[Path], typer.Argument(help="One a model: .npy, .npz, .pt, or .csv and .parquet by image.")],
    kind: Annotated[str, typer.Option(help="What the numbers are: logits or probabilities.")],
    recipe: Annotated[str, typer.Option(help="The recipe that trained them, known on this machine or not.")],
    train: Annotated[
        list[Path] | None, typer.Option("--train", help="Predictions of the training images, too; one file a model.")
    ] = None,
    out_of_sample: Annotated[
        bool, typer.Option("--out-of-sample", help="The models behind --train did not see the images they predict.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Keep them although they are no better than chance.")] = False,
    ws: WholeWorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Import the predictions of your own network: a model of the workspace, beside those of other recipes."""
    from attribution.importing.formats import predictions as reading

    if out_of_sample and not train:
        raise UserError("--out-of-sample says what the predictions of --train are; give their files, too")
    base_predictions.check_model_name(ws, recipe)

    def work() -> dict:
        def read(paths: list[Path], split: str):
            names = base_predictions.image_names(ws, split)
            return reading.load_predictions([user_path(path) for path in paths], kind, names, ws.classes)

        words = shlex.join(["base", "import", *(path.name for path in files)])
        options = {"kind": kind, "recipe": recipe, "out-of-sample": out_of_sample, "force": force}
        command = command_line(
            f"{words}{''.join(f' --train {shlex.quote(path.name)}' for path in train or ())}", **options
        )
        return base_predictions.import_predictions(
            ws,
            recipe,
            read(files, "val"),
            {"kind": kind, **command_provenance(command)},
            train=read(train, "train") if train else None,
            out_of_sample=out_of_sample,
            force=force,
        )

    provenance = _in_child(ws, work, [*files, *(train or ())], reading.MEMORY)
    before = provenance["replaced"]
    lines = [
        f"{recipe}: {provenance['models']} models from {base_predictions.model_files(files)}, right on "
        f"{percent(provenance['accuracy'])} of the validation images"
        + (f"; its training images {provenance['train']}" if train else "")
    ]
    if before:
        lines.append(
            f"they replace {before['models'] or 'those'} models of {recipe}"
            + (f", made {before['made']}" if before["made"] else "")
        )
    lines.append(f"look at them with --model {recipe}, or in the header of the pages")
    print_answer(as_json, {"workspace": ws.name, **provenance}, *lines)


def base_list(ws: WholeWorkspaceOption = DEMO, as_json: JsonOption = False):
    """The models of a workspace: the recipes whose base predictions it holds."""
    models = base_models.describe_models(ws)
    rows = [
        {
            "model": model["recipe"],
            "hash": model["hash"],
            "networks": model["models"],
            "right": None if model["accuracy"] is None else percent(model["accuracy"]),
            "held-out halves": model["halves"],
            "from": ", ".join(model["imported"]) if model["imported"] else model["how"],
            "made": model["made"],
        }
        for model in models
    ]
    warnings = [model["warning"] for model in models if model["warning"]]
    print_answer(as_json, {"workspace": ws.name, "own": ws.own_recipe, "models": models}, ("", rows), *warnings)


def base_compare(
    first: Annotated[str, typer.Argument(help="A model, by its recipe.")],
    second: Annotated[str, typer.Argument(help="The other one.")],
    ws: WholeWorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Where the predictions of two models differ: a line per pair of classes."""
    from attribution.evaluation import model_comparison

    compared = model_comparison.compare(ws, first, second)
    both, one, other, neither = compared.right
    rows = [
        {
            first: ws.classes[row],
            second: ws.classes[column],
            "images": count,
            "surest": ", ".join(map(str, compared.images(row, column)[:8])),
        }
        for row, column, count in compared.cells()
    ]
    within = [
        f"two networks of {name} on {percent(share)}" for name, share in zip(compared.names, compared.within) if share
    ]
    print_answer(
        as_json,
        {"workspace": ws.name, **compared.to_json(ws.classes)},
        f"{first} and {second} differ on {percent(compared.differ)} of {compared.n:,} validation images; {first} alone "
        f"is right on {one:,}, {second} alone on {other:,}, both on {both:,}, neither on {neither:,}",
        f"a network of each differs on {percent(compared.across)}{''.join(f', {text}' for text in within)}",
        ("", rows),
    )


def base_remove(
    recipe: Annotated[str, typer.Option(help="The model, by its recipe.")],
    ws: WholeWorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Take out a model that was imported or trained, with the halves and detectors that rest on it."""
    removed = base_predictions.remove_model(ws, recipe)
    print_answer(
        as_json,
        {"workspace": ws.name, "recipe": recipe, "removed": removed},
        f"{recipe} is no longer a model of {ws.name}: {', '.join(removed)} taken out",
    )


def _in_child(ws: Workspace, work: Callable[[], dict], paths: list[Path | None], times: float = child.TIMES) -> dict:
    """See `child.in_child`; this very command is what the other process runs."""
    command = ["-m", "attribution", *sys.argv[1:]]
    return child.in_child(work, command, [user_path(path) for path in paths if path], ws.user_folder, times)


def _import_corrections(ws: Workspace, path: Path, who: str | None, as_json: bool) -> None:
    from attribution.audit import corrections
    from attribution.audit.decision_log import DecisionLog

    if user_path(path).is_file():  # else it has a sentence of its own
        check_file(user_path(path), MAX_CORRECTIONS)
    with DecisionLog.of(ws) as decisions:
        answer = corrections.import_corrections(ws, decisions, path, user_name() if who is None else who)
    lines = [
        f"{answer['imported']:,} decisions about {ws.name} imported; {answer['same']:,} were here already, "
        f"{answer['skipped']:,} in conflict in the file were left out"
    ]
    if answer["conflicts"]:
        lines.append(f"{answer['conflicts']:,} differ from what was decided here; settle them in Clean labels")
    print_answer(as_json, answer, *lines)


def _import_probabilities(ws: Workspace, path: Path, name: str, force: bool, as_json: bool) -> None:
    from attribution.audit.detectors import imported
    from attribution.importing.formats import predictions

    imported.check_name(ws, name)

    def work() -> dict:
        images = base_predictions.image_names(ws, "train")
        advice = "bring those after the softmax"
        read = predictions.load_predictions([user_path(path)], PROBABILITIES, images, ws.classes, advice)
        return imported.import_probabilities(ws, name, read, _made(PROBABILITIES, path, name, force), force)

    provenance = _in_child(ws, work, [path], predictions.MEMORY)
    lines = [
        f"{name}: the likeliest class is the given label of {percent(provenance['agreement'])} of the training images",
        *([f"warning: {provenance['warning']}"] if provenance["warning"] else []),
    ]
    print_answer(as_json, {"workspace": ws.name, "detector": name, **provenance}, *lines, _next(ws))


def _import_issues(ws: Workspace, path: Path, name: str, force: bool, as_json: bool) -> None:
    from attribution.audit.detectors import imported
    from attribution.importing.formats import image_table, issues

    imported.check_name(ws, name)

    def work() -> dict:
        images = base_predictions.image_names(ws, "train")
        read = issues.load_issues(user_path(path), images, ws.train_labels, ws.classes, force)
        return imported.import_issues(ws, name, read, _made(ISSUES, path, name, force))

    provenance = _in_child(ws, work, [path], image_table.MEMORY)
    listed, flagged = provenance["listed"], provenance["flagged"]
    text = f"{name}: {provenance['about']}, {listed:,} of {ws.n_train:,} training images"
    text += "" if flagged is None else f", {flagged:,} of them flagged"
    text += "; the others come last" if listed < ws.n_train else ""
    print_answer(as_json, {"workspace": ws.name, "detector": name, **provenance}, text, _next(ws))


def _import_truth(ws: Workspace, path: Path, force: bool, as_json: bool) -> None:
    from attribution.importing import truth
    from attribution.importing.formats import image_table, true_labels

    def work() -> dict:
        images = base_predictions.image_names(ws, "train")
        labels, matched = true_labels.load_true_labels(user_path(path), images, ws.classes)
        made = _made(TRUE_LABELS, path, None, force)
        return truth.import_truth(ws, labels, path.name, made, matched=matched, force=force)

    provenance = _in_child(ws, work, [path], image_table.MEMORY)
    errors = provenance["errors"]
    print_answer(
        as_json,
        {"workspace": ws.name, "n_train": ws.n_train, **provenance},
        f"{errors:,} of {ws.n_train:,} training images ({percent(errors / ws.n_train)}) were given another label than "
        "the true one",
        f"no detector reads this; judge them by it: python -m attribution evaluate mislabels{ws.options()}",
    )


def _made(what: str, path: Path, name: str | None, force: bool) -> dict:
    """The provenance of what comes from a file."""
    command = command_line(shlex.join(["import", what, path.name]), name=name, force=force)
    return {"file": path.name, **command_provenance(command)}


def _next(ws: Workspace) -> str:
    return f"review it in Clean labels, or combine it with others: python -m attribution detectors build{ws.options()}"


def _import_ranking(
    ws: Workspace,
    format: str,
    path: Path,
    name: str,
    declared: formats.Declaration,
    dense: bool | None,
    force: bool,
    train_files: Path | None,
) -> dict:
    """Imports a ranking; returns the part's provenance, with "alignment"."""
    if train_files and declared.train:
        raise UserError("--train and --train-files both say which training images the file is about; give one of them")
    module = formats.get_format(format)
    format = getattr(module, "name", format)  # of one's own format no path of this machine

    def work() -> dict:
        train = importing.listed_files(ws, train_files) if train_files else None
        incoming = module.load(user_path(path), declared, importing.data_set_sizes(ws, train))
        matched = {}
        if train is not None:
            incoming = importing.renumbered(incoming, train)
            matched = {"train files": f"{train_files.name}, {len(train):,} of {ws.n_train:,} training images"}
        command = command_line(
            shlex.join(["import", format, path.name]), name=name, **vars(declared), train_files=train_files, force=force
        )
        record = {"format": format, "file": path.name, **matched, **command_provenance(command)}
        return with_progress(importing.import_ranking, ws, incoming, name, provenance=record, force=force, dense=dense)

    paths = [path, declared.targets, declared.train, train_files]
    return _in_child(ws, work, paths, getattr(module, "MEMORY", child.TIMES))


def _import_lines(name: str, provenance: dict) -> list[str]:
    """What an import prints: what came, and how the alignment check went."""
    alignment = provenance["alignment"]
    text = (
        f"{name}: {provenance['method']}, {provenance['about']}; its first training image has the target's class for "
        f"{percent(alignment['top1_same_class'])} of {alignment['n']:,} targets "
        f"(chance {percent(alignment['chance'])})"
    )
    if "train files" in provenance:
        text += f"; matched by file name: {provenance['train files']}"
    within = alignment["within_class"]
    if not within["conclusive"]:
        text += "; too few targets or images of a class to tell whether the order is right within classes"
    else:
        text += f"; within it scores and similarity in {within['on']} correlate by {within['spearman']:+.2f}"
    return [text] + ([f"warning: {alignment['warning']}"] if alignment["warning"] else [])


def _judge_ranking(ws: Workspace, name: str) -> dict:
    """LDS with its ceiling, share of the target's class, and overlap with the other rankings."""
    from attribution.evaluation import lds_report
    from attribution.rankings import overlap

    ranking = ws.ranking(name)
    answer = {"lds": None, "ceiling": None, "why_no_lds": None, "halves": None}
    try:
        report = with_progress(lds_report.compute, ws, [name])
        halves = {key: report[key] for key in ("masks", "seeds", "ceiling", "recipe", "recipe_hash")}
        answer |= {"lds": report["rankings"][name], "ceiling": report["ceiling"], "halves": halves}
    except UserError as error:
        answer["why_no_lds"] = str(error)
    step = max(1, len(ranking.targets) // SHOW_TARGETS)
    targets = ranking.targets[::step][:SHOW_TARGETS]
    others = [other for other in default_rankings(ws) if other != name]
    return answer | {
        "n": len(targets),
        "candidates": candidates_of(ws, [name, *others]),
        "same_class": overlap.mean_same_class_share(ws, name, SHOW_K, targets),
        "shared": {other: overlap.mean_shared_images(ws, name, other, SHOW_K, targets) for other in others},
    }


def _open_browser(ws: Workspace, name: str, port: int) -> None:
    """Serves the workspace, and opens the browser on the new ranking beside one of each other method."""
    from urllib.parse import urlencode

    from attribution.serve import serve as start

    rows = [name, *(other for other in default_rankings(ws) if other != name)]
    start(port, ws.path, "/?" + urlencode({"rankings": rows}, doseq=True))
