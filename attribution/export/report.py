"""A report: one HTML file with a target's lineup, the verdicts on it, the study's curves and tables, and where all of
it comes from. It opens without a server, a network or a script; what was not measured is left out.

Every name and label in it is escaped, and its content security policy forbids scripts and requests besides.
"""

import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from markupsafe import Markup

from attribution.errors import UserError
from attribution.experiments.study import read_study, select_rankings
from attribution.explore.lineup import LineupRow, lineup_rows
from attribution.explore.opening_target import opening_target
from attribution.export import charts
from attribution.export import report_tables as tables
from attribution.export.numbers import number
from attribution.export.report_html import chart_figure, picture, render
from attribution.export.saving import save_file
from attribution.export.tables import ranking_name
from attribution.rankings import default_rankings
from attribution.rankings.base import check_k
from attribution.store.results import ResultStore
from attribution.workspace.kept import keep_answers
from attribution.workspace.provenance import library_versions
from attribution.workspace.workspace import Workspace

STATUSES = {"stable": "models agree", "unstable": "models disagree", "already_wrong": "already wrong"}
TILES = 14  # tiles a row where the caller brings no rows
TILE_PIXELS, TARGET_PIXELS = 48, 168  # about as many pixels a side


def save_report(
    workspace: Workspace, store: ResultStore, path: str | Path, target: int | None = None, **options
) -> Path:
    """Writes the report to `path`, an .html file; options: as `build_report`. Returns the path.

    Raises UserError for another ending, where the file cannot be written, and as `build_report` does."""
    return save_file(path, (".html", ".htm"), lambda ending: build_report(workspace, store, target, **options))


def build_report(
    workspace: Workspace,
    store: ResultStore,
    target: int | None = None,
    rows: list[LineupRow] | None = None,
    k: int | None = None,
    today: str | None = None,
) -> bytes:
    """The report as the content of an HTML file.

    target: the one that the workspace opens with if not given. rows: its lineup; None: of one ranking of each method.
    k: where it is cut; None: the smallest removal that flipped the target, else 10. today: the date that stands in it;
    the same workspace and answers give the same bytes but for that date.

    Raises UserError for an unknown target, a k below 1, and where a part of the workspace cannot be read.
    """
    with keep_answers():
        return _build(workspace, store, target, rows, k, today)


def _build(workspace, store, target, rows, k, today) -> bytes:
    target = default_target(workspace) if target is None else workspace.check_target(target)
    if rows is None:
        rows = lineup_rows(workspace, target, default_rankings(workspace), TILES)
    supports = tables.supports_of(workspace, store, target)
    removals = [row for row in supports if row["kind"] == "remove" and not row["more"]]
    if k is None:
        names = {row.ranking for row in rows}
        k = min((row["support"] for row in removals if row["support"] and row["ranking"] in names), default=10)
    known = {}  # of several protocols the first counts
    for row in removals:
        if row["recipe"] == workspace.recipe:
            known.setdefault(row["ranking"], row)
    cut = check_k(k)
    return render(
        title=f"{workspace.name}: {workspace.classes[workspace.val_labels[target]]}, validation image {target}",
        facts=_facts(workspace, today or time.strftime("%Y-%m-%d", time.gmtime())),
        target=_target(workspace, target),
        k=cut,
        rows=[_lineup_row(workspace, target, row, cut, known.get(row.ranking)) for row in rows],
        sections=list(_sections(workspace, store, target, supports)),
        versions=tables.versions_text(library_versions() | _drawing_versions()),
    )


def default_target(workspace: Workspace) -> int:
    """The target that the workspace opens with; the first one where nothing is measured."""
    first = opening_target(workspace)
    return first.target if first else 0


def _facts(workspace: Workspace, today: str) -> dict[str, str]:
    data, recipe = workspace.manifest["dataset"], workspace.get_recipe()
    planted = f", {workspace.planted} planted errors among the labels" if workspace.planted else ""
    return {
        "data set": f"{data['name']}: {workspace.n_train:,} training and {workspace.n_val:,} validation images, "
        f"{len(workspace.classes)} classes{planted}",
        "workspace": workspace.name,
        "recipe": f"{recipe.name} {recipe.hash}",
        "data fingerprint": workspace.fingerprint[:16],
        "report made": today,
    }


def _target(workspace: Workspace, target: int) -> dict:
    """The target's picture, and what the base models say of it."""
    label = workspace.classes[workspace.val_labels[target]]
    facts = {
        "true label": label,
        "validation image": f"{target} (image {workspace.val_index[target]} of the source data)",
    }
    if workspace.has_base:
        base, predicted = workspace.base, int(workspace.base.prediction[target])
        votes = int((base.predicted[:, target] == predicted).sum())
        facts |= {
            "prediction": f"{workspace.classes[predicted]} in {votes} of {base.n_models} models",
            "mean probability": number(base.confidence[target], 2),
            "most easily mistaken for": workspace.classes[base.confused_class[target]],
            "status": STATUSES[base.target_status(target)],
        }
    else:
        facts["prediction"] = "no model has been trained here yet"
    alt = f"validation image {target}, {label}"
    return {"picture": picture(workspace, workspace.val_images[target], TARGET_PIXELS, alt), "facts": facts}


def _lineup_row(workspace: Workspace, target: int, row: LineupRow, k: int, support: dict | None) -> dict:
    """A row of tiles, cut after rank k. support: what is known of removing the first images of this ranking."""
    name = ranking_name(row.ranking)
    if row.undefined:
        return {"name": name, "notes": [row.undefined], "support": None, "support_beyond": None, "tiles": []}
    sign = f"{'+ for' if row.sign > 0 else '− against'} {workspace.classes[row.for_class]}"
    notes = [row.description, None if row.is_control else sign]
    notes.append(f"{row.n_same_class} of {len(row.ids)} of the target's class")
    if row.most_alike:
        notes.append(f"{row.most_alike[1]} of {len(row.ids)} shared with {row.most_alike[0]}")
    size = None
    if support and row.end == "helpful" and row.candidates is None:
        size = support["support"]
        notes.append(f"removal support: {tables.support_text(support)}")
    tiles = []
    for rank, (image, given) in enumerate(zip(row.ids.tolist(), row.labels.tolist()), 1):
        class_name, other_class = workspace.classes[given], given != row.explained
        css = {"cut": rank == k, "other": other_class, "against": row.sign < 0}
        alt = f"training image {image}, {class_name}"
        tiles.append(
            {
                "picture": picture(workspace, workspace.train_images[image], TILE_PIXELS, alt),
                "label": class_name,
                "other_class": other_class,
                "css": " ".join(name for name, holds in css.items() if holds),
            }
        )
    beyond = size if size and size > len(tiles) else None
    return {"name": name, "notes": list(filter(None, notes)), "support": size, "support_beyond": beyond, "tiles": tiles}


def _sections(workspace: Workspace, store: ResultStore, target: int, supports: list[dict]) -> Iterator[dict]:
    """Everything below the lineup that is known."""

    def section(title: str, parts: list[Markup], intro: str = "") -> dict:
        return {"title": title, "intro": intro, "parts": parts}

    if supports:
        yield section(
            "Supports measured for this target",
            [tables.supports_table(workspace, supports)],
            "The fewest top images of a ranking whose removal (or relabelling) flips the target, as tested; a repair "
            "makes a wrong target right. A smaller set may exist. ≈: other seeds gave another size.",
        )
    if answers := tables.retrainings_of(workspace, store, target):
        yield section(
            "Retrainings of this target",
            [tables.retrainings_table(workspace, answers)],
            "Each with its controls: as many random images of the same classes, and nothing edited. A target has "
            "flipped when at most half of the models predict its true label, and more than half did before the edit.",
        )
    study = select_rankings(workspace, read_study(workspace, store))
    parts = [chart_figure(charts.chart(workspace, store, "supports"), "supports")] if study.tables else []
    if parts := parts + tables.study_tables(workspace, study):
        yield section("Supports of many targets, and LDS", parts)
    for name, measured in tables.TABLES.items():
        try:
            chart = charts.chart(workspace, store, name)
        except UserError:  # not measured, or it no longer holds
            continue
        yield section(chart.title, [chart_figure(chart, name), measured(workspace, store)])
    if parts := tables.provenance_tables(workspace):
        yield section("Where the numbers come from", parts)


def _drawing_versions() -> dict[str, str]:
    versions = {}
    for name in ("matplotlib", "scipy", "pandas"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
