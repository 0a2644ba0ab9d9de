"""Commands that take results home: export figure, report, ranking, halves, corrections."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from attribution.cli import (
    Candidates,
    JsonOption,
    RankingName,
    Rankings,
    WorkspaceOption,
    command_line,
    decisions_text,
    print_answer,
    print_line,
    ranking_names,
    say,
    split_names,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.export.numbers import byte_size
from attribution.files import user_path
from attribution.inputs import limits
from attribution.rankings.similarity import Similarity
from attribution.workspace.workspace import DEMO, Workspace

LINEUP = "lineup"
Top = Annotated[int, whole_option("--top", 1, limits.MAX_IMAGES, "Tiles per row.")]
Ends = Annotated[str, typer.Option(help="helpful, harmful or both")]
Explain = Annotated[str, typer.Option(help="true or predicted")]
Cut = Annotated[int | None, whole_option("--k", 1, limits.MAX_IMAGES, "Draw the cut after this rank.")]


def export_figure(
    out: Annotated[Path, typer.Option(help="A .png, .svg, .pdf or .csv file.")],
    what: Annotated[
        str,
        typer.Option(
            help="lineup (the top images of a target), or a chart of Compare: supports, lds, agreement, lds-supports, "
            "conditioning, calibration, compute, cost, features, adaptive-supports, support-transfer."
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
    """A target's top images per ranking, or a stored chart of Compare, as a figure or as the table behind it."""
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
        _warn_of_boxes(out, lineup_figure.missing_signs, ws)
        return print_line(lineup_figure.save(ws, number, rows, out, k))
    options = {
        "measure": measure,
        "ranking": ranking,
        "removed": removed,
        "protocol": protocol,
        "rankings": rankings and split_names(rankings),
    }
    options = {name: options[name] for name in stored.CHART_OPTIONS.get(what, ()) if options[name]}
    with ResultStore.for_workspace(ws) as store:
        drawn = charts.chart(ws, store, what, **options)
    _warn_of_boxes(out, charts.missing_signs, drawn)
    print_line(charts.save(drawn, out, width))


def _warn_of_boxes(out: Path, missing_signs: Callable, of: object) -> None:
    """Says which signs a picture cannot show. Charts draw letters as shapes in .svg, too: their .csv has all signs."""
    keeps = (".svg", ".csv") if isinstance(of, Workspace) else (".csv",)
    if out.suffix.lower() not in keeps and (signs := missing_signs(of)):
        say(f"warning: no font here has {signs[:20]}; boxes stand for them, and {keeps[0]} keeps them")


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
    """A target's top images and verdicts, and all measurements of Compare, as one HTML file that opens anywhere."""
    from attribution.explore.lineup import lineup_rows
    from attribution.export import report
    from attribution.store.results import ResultStore

    number = report.default_target(ws) if target is None else ws.check_target(target)
    rows = lineup_rows(ws, number, ranking_names(ws, rankings), top, ends, explain, candidates)
    with ResultStore.for_workspace(ws) as store:
        print_line(report.save_report(ws, store, user_path(out), number, rows=rows, k=k))


def export_ranking(
    ranking: RankingName,
    out: Annotated[Path, typer.Option(help="A .parquet file.")],
    targets: Annotated[str | None, typer.Option(help="Such as 0-999; all that it ranks for if not given.")] = None,
    top: Annotated[
        int,
        whole_option("--top", 1, limits.MAX_IMAGES, "Training images per target, most helpful and most harmful each."),
    ] = 100,
    note: Annotated[str | None, typer.Option(help="What a reader must know: of JPEG copies.")] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """A ranking's top images as Lineup's own Parquet, which `import parquet` brings to any copy of the data set."""
    from attribution.importing.formats import parquet
    from attribution.training.edits import parse_image_numbers
    from attribution.workspace.provenance import command_provenance

    source = ws.ranking(ranking)
    numbers = np.array(parse_image_numbers(targets, ws.n_val, "validation")) if targets else source.targets
    if len(absent := np.setdiff1d(numbers, source.targets)):
        raise UserError(f"{ranking} ranks nothing for the validation image {absent[0]}; leave it out of --targets")
    inner = getattr(source, "inner", source)
    part = f"features/{inner.feature}" if isinstance(inner, Similarity) else f"rankings/{inner.name}"
    manifest = ws.manifest["parts"].get(part, {})
    command = command_line("export ranking", ranking=ranking, targets=targets or None, top=top, note=note or None)
    provenance = {
        **command_provenance(command),
        "dataset": ws.manifest["dataset"]["name"],
        "ranking": ranking,
        "made_for": source.made_for,
        part: {key: value for key, value in manifest.items() if key not in ("files", "home", "digest")},
    }
    labels = parquet.labels_digest(ws.train_labels, ws.val_labels)
    about = " · ".join(filter(None, [source.description.removesuffix(" · live"), f"top {top}", note]))
    rows = parquet.write_ranking(user_path(out), source, numbers, top, labels, about, provenance)
    answer = {"workspace": ws.name, "ranking": ranking, "targets": len(numbers), "rows": rows, "file": str(out)}
    print_answer(as_json, answer, f"{out}: the top {top} of {ranking} for {len(numbers):,} targets, {rows:,} rows")


def export_halves(
    out: Annotated[Path, typer.Option(help="An .npz file.")],
    draw: Annotated[int, whole_option("--draw", 1, 2, "2: the second draw of halves.")] = 1,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Masks and margins of the held-out halves as a bundle that anyone can score against: `evaluate lds --bundle`."""
    from attribution.evaluation import ground_truth

    out = user_path(out)
    if out.suffix != ".npz":
        raise UserError(f"{out} does not end in .npz, the kind of file that a bundle is; give another name")
    about = ground_truth.write(ws, out, draw)
    seeds = f"{len(about['seeds'])} seed{'s' * (len(about['seeds']) != 1)}"
    count = len(ground_truth.read(out).masks)
    print_answer(
        as_json,
        {**about, "file": str(out), "masks": count},
        f"{out}: {count} halves x {seeds} of {about['recipe'] or 'a recipe that is not known'}, {about['n_val']:,} "
        f"targets, {byte_size(out.stat().st_size)}",
    )


def export_corrections(
    out: Annotated[Path, typer.Option(help="A folder; files of an export before are replaced.")],
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """What was decided about labels: corrections.csv, the log, and the corrected labels in the data set's own form."""
    from attribution.audit import corrections
    from attribution.audit.decision_log import DecisionLog

    with DecisionLog.of(ws) as decisions:
        answer = with_progress(corrections.export_corrections, ws, decisions, out)
        damage = decisions.damage()
    print_answer(
        as_json,
        answer | ({"damaged": damage} if damage else {}),
        f"{answer['folder']}: {', '.join(answer['files'])}",
        f"{answer['decisions']:,} images of {ws.name} decided: {decisions_text(answer)}",
        *([damage] if damage else []),
    )
