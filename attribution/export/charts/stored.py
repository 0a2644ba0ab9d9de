"""Each chart of Compare, from what a workspace and its store hold by now. Nothing is measured here."""

import math

from attribution.errors import UserError
from attribution.evaluation import agreement, calibration, cost, lds_vs_compute, lds_vs_support, support_report
from attribution.evaluation import candidate_sets as conditioning
from attribution.experiments.study import read_study, select_rankings
from attribution.experiments.support_search import SEEDS, seeds_text
from attribution.export import palette
from attribution.export.charts import heads
from attribution.export.charts.base import Chart, Interval, Matrix, Panel, Series
from attribution.export.charts.common import halves_caption, mark_series, names_axis, provenance_caption, recipe_caption
from attribution.metrics import support_curves as curves
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

KINDS = {"remove": "Removal", "mislabel": "Mislabelling", "repair": "Repair of wrong targets"}
MEASURES = {"jaccard": "Jaccard of the top {k}", "rbo": "rank-biased overlap", "spearman": "Spearman over the union"}
CANDIDATE_MARKERS = ("circle", "diamond", "square")
CENSORED_HEIGHT = 1.12  # of K: where supports beyond K are drawn
MAX_MARK_AREA, MIN_MARK_AREA = 160, 12  # areas of marks, in points squared
MARKS_OF_A_CURVE = 7  # they tell its feature set, and more would bury the line
MARK_OFFSET = 0.03  # powers of ten between rankings that cost the same, so that all are seen


def chart(workspace: Workspace, store: ResultStore, what: str, **options) -> Chart:
    """The chart `what`, one of CHARTS.

    options: of "agreement" measure (see `agreement.MEASURES`); of "calibration" ranking and removed (see
    `calibration.ORIGINS`); of "supports" and "lds-supports" protocol, the usual one if not given, and rankings, names
    (see `select_rankings`).

    Raises UserError for another one, and where what it shows has not been measured, or no longer holds.
    """
    if what not in CHARTS:
        raise UserError(f"no figure {what!r}; choose one of {', '.join(CHARTS)}")
    drawn = CHARTS[what](workspace, store, **options)
    if drawn is None:
        verb = {"cost": "cost", "features": "lds"}.get(what, what)
        raise UserError(
            f"{workspace.name} has nothing to draw as {what}: it has not been measured, or what it rests "
            f"on has changed; run: python -m attribution evaluate {verb}"
        )
    return drawn


# -- supports


def support_curves(
    workspace: Workspace, store: ResultStore, protocol: str | None = None, rankings: list[str] | None = None
) -> Chart | None:
    """The support CDFs, a panel a kind; AUC with its 95 % interval in the legend."""
    study = select_rankings(workspace, read_study(workspace, store, protocol), rankings)
    if not study.tables:
        return None
    measured = {kind: result["rankings"] for kind, result in support_report.evaluate_study(study).items()}
    panels = [
        Panel(
            KINDS[kind],
            "k, top images edited",
            "targets repaired" if kind == "repair" else "targets flipped",
            x_range=(0, study.k_max * 1.01),
            y_range=(0, 1.02),
            percent=True,
            series=[
                _cdf_series(name, results, study.k_max, measured[kind][name], max(map(len, supports.values())))
                for name, results in supports.items()
            ],
        )
        for kind, supports in study.tables.items()
    ]
    counts = {kind: sorted({row["n"] for row in rows.values()}) for kind, rows in measured.items()}
    targets = ", ".join(
        f"{KINDS[kind].lower()} {' to '.join(map(str, dict.fromkeys((n[0], n[-1]))))} targets"
        for kind, n in counts.items()
    )
    seeds = f"seeds {SEEDS[0]} to {SEEDS[-1]}"
    if workspace.get_recipe().deterministic:
        seeds = seeds_text(study.protocol, True)
    return Chart(
        "Support CDFs",
        f"{targets}; {recipe_caption(workspace)}; protocol {study.protocol}, K = {study.k_max}, "
        f"{seeds}; AUC with 95 % bootstrap intervals over targets; python -m attribution evaluate supports",
        panels,
    )


def _cdf_series(name: str, supports: dict, k_max: int, row: dict, most: int) -> Series:
    """supports: target -> Support, or None while its search is under way. row: the ranking's, of
    `support_report.evaluate_study`. most: targets of the ranking with most of them."""
    steps = support_report.cdf_points(supports, k_max)
    colour, dash, marker = palette.ranking_style(name)
    auc, ends = row["auc"], row["auc_ci"]
    note = "" if auc is None else f"AUC {auc:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")
    note += f", {len(supports)} targets" if len(supports) < most else ""
    pending, band = sum(support is None for support in supports.values()), None
    if pending:
        low, high = curves.cdf_band(supports.values(), [(0, None)] * pending, k_max)
        band = (list(range(k_max + 1)), low.tolist(), high.tolist())
    return Series(
        name,
        [k for k, *_ in steps],
        [share for _, share, *_ in steps],
        colour,
        dash,
        marker,
        steps=True,
        most_marks=MARKS_OF_A_CURVE,
        start=(0, 0),
        end=(k_max, steps[-1][1] if steps else 0.0),
        legend_note=note,
        descriptions=[f"target {target}, {status}" for _, _, target, status in steps],
        band=band,
    )


def lds_against_supports(
    workspace: Workspace, store: ResultStore, protocol: str | None = None, rankings: list[str] | None = None
) -> Chart | None:
    """A mark a target and ranking: LDS against support; above the dashed line those that flipped at no k."""
    study = select_rankings(workspace, read_study(workspace, store, protocol), rankings)
    stored = lds_vs_support.load(workspace)
    points = lds_vs_support.chart_points(study, stored) if stored else []
    if not points:
        return None
    k_max, censored = study.k_max, CENSORED_HEIGHT * study.k_max
    ticks = {float(tick): str(tick) for tick in (0, *(round(k_max * part / 4) for part in range(1, 5)))}
    series: dict[str, dict[str, list]] = {}
    for point in points:
        series.setdefault(point["kind"], {}).setdefault(point["ranking"], []).append(point)
    panels = [
        Panel(
            KINDS[kind],
            "LDS of the target",
            "support, images",
            horizontal_lines=[(1.05 * k_max, "")],
            y_range=(-0.03 * k_max, 1.2 * k_max),
            y_ticks={**ticks, censored: "censored"},
            series=[
                mark_series(
                    name,
                    [
                        (
                            row["lds"],
                            float(row["support"] or censored),
                            None,
                            f"target {row['target']}, {row['status']}",
                        )
                        for row in rows
                    ],
                    *palette.ranking_style(name)[::2],
                    hollow=[not row["support"] for row in rows],
                )
                for name, rows in rankings_of_kind.items()
            ],
        )
        for kind, rankings_of_kind in series.items()
    ]
    return Chart(
        "LDS of targets against their supports",
        f"{recipe_caption(workspace)}; protocol {study.protocol}, "
        f"K = {k_max}; LDS over {workspace.manifest['parts']['lds']['masks']} held-out halves; "
        f"{provenance_caption(workspace, lds_vs_support.PART)}",
        panels,
    )


# -- agreement, candidates, calibration


def agreement_matrix(workspace: Workspace, store: ResultStore, measure: str = "jaccard") -> Chart | None:
    """How far every two rankings agree, with intervals."""
    if measure not in MEASURES:
        raise UserError(f"no measure {measure!r}; choose one of {', '.join(MEASURES)}")
    stored = agreement.load(workspace)
    if stored is None:
        return None
    summary = agreement.report(stored)
    names = list(summary["pairs"])
    cells = [[summary["pairs"][a].get(b, {}).get(measure) for b in names] for a in names]
    matrix = Matrix(
        names,
        [[cell and cell["mean"] for cell in row] for row in cells],
        [[cell and cell["ci"] for cell in row] for row in cells],
        (-1 if measure == "spearman" else 0, 1),
    )
    title = MEASURES[measure].format(k=stored.k)
    return Chart(
        f"Agreement of rankings: {title}",
        f"the top {stored.k} training images of each, means over "
        f"{summary['targets']:,} targets with 95 % bootstrap intervals over targets; "
        f"{provenance_caption(workspace, agreement.PART)}",
        [Panel(title, matrix=matrix)],
        height=0.5 + 0.42 * len(names),
    )


def candidate_sets(workspace: Workspace, store: ResultStore) -> Chart | None:
    """LDS of each ranking among three sets of candidates, and AUC of each kind of support that was studied."""
    answer = conditioning.load(workspace)
    if answer is None:
        return None
    rankings, aucs = answer["rankings"], conditioning.support_aucs(workspace, store, answer)
    panels = [Panel("LDS" if aucs else "", "LDS", **names_axis(rankings))]
    titles = support_report.auc_titles(aucs).values()
    panels += [Panel(title, title.removeprefix("AUC: "), **names_axis(rankings)) for title in titles]
    if answer["ceiling"] is not None:
        panels[0].vertical_lines.append((answer["ceiling"], "noise ceiling"))
    for i, (candidates, description) in enumerate(conditioning.CANDIDATE_SETS.items()):
        for panel, kind in zip(panels, (None, *aucs.values())):
            points = []
            for place, (name, row) in enumerate(rankings.items()):
                published = row["published"]
                if kind is None:
                    value, ci = row["sets"][candidates]["lds"], row["sets"][candidates]["ci"]
                else:
                    value, ci = _auc(kind, conditioning.ranking_with_candidates(name, candidates, published))
                if value is not None:
                    named = name + ", as published" * (published == candidates)
                    points.append((value, place + 0.2 * (i - 1), ci, named))
            hollow = [candidates == "all"] * len(points)
            colour, marker = palette.RECIPE_STYLES[i][0], CANDIDATE_MARKERS[i]
            panel.series.append(mark_series(description, points, colour, marker, hollow=hollow))
    n = max(row["n_targets"] for ranking in rankings.values() for row in ranking["sets"].values())
    return Chart(
        "Rankings by the candidates they choose from",
        f"{halves_caption(answer, n)}; {_study_caption(aucs)}{recipe_caption(workspace)}; "
        f"{provenance_caption(workspace, conditioning.PART)}",
        panels,
        height=0.6 + 0.42 * len(rankings),
    )


def calibration_points(
    workspace: Workspace, store: ResultStore, ranking: str | None = None, removed: str | None = None
) -> Chart | None:
    """Change of the margin predicted by a ranking against measured."""
    rows = calibration.load(workspace)
    names = [name for name in rows.names if calibration.origins_of(rows, name)] if rows else []
    if not names:
        return None
    name = ranking or names[0]
    if name not in names:
        raise UserError(f"{name} is not calibrated here; choose one of {', '.join(names)}")
    groups = calibration.origins_of(rows, name)
    group = removed or groups[0]
    if group not in groups:
        raise UserError(f"nothing measured is called {group!r}; choose one of {', '.join(groups)}")
    summary = calibration.report(workspace, rows)
    fit = summary["rankings"][name][group]
    scaled = fit["slope"] is not None
    axis = f"change of the margin predicted by {name}" + ", unscaled" * (not scaled)
    panel = Panel("", axis, "measured change of the margin", diagonal=scaled)
    sources: dict[str, list[dict]] = {}
    for point in calibration.chart_points(rows, summary, name, group):
        sources.setdefault(point["removed"], []).append(point)
    for source, points in sources.items():
        title = "chosen by hand" if source == calibration.CHOSEN_SOURCE else f"top k of {source}"
        marks = [
            (
                point["foretold" if scaled else "predicted"],
                point["measured"],
                None,
                f"target {point['target']} without {point['k']}, {point['seeds']} seeds",
            )
            for point in points
        ]
        panel.series.append(mark_series(title, marks, *palette.ranking_style(source)[::2]))
    r2, ci = "", fit["r2_ci"]
    if fit["r2"] is not None:
        r2 = f"R² {fit['r2']:.2f}{f' (95 % {ci[0]:.2f} to {ci[1]:.2f} over targets)' if ci else ''}; "
    return Chart(
        f"Changes of the margin predicted by {name}",
        f"images removed: {calibration.ORIGINS[group]}; "
        f"{r2}{fit['n']} sets of {fit['targets']} targets, scaled by the slope of all of them, and R² of "
        f"targets that it was not fitted on, {summary['splits']} splits; {recipe_caption(workspace)}; "
        f"{provenance_caption(workspace, calibration.PART)}",
        [panel],
        height=2.8,
    )


# -- worth against compute, cost and features


def worth_against_compute(workspace: Workspace, store: ResultStore) -> Chart | None:
    """LDS, and AUC of each kind of support that was studied, against the seconds it takes; the area of a mark stands
    for the bytes."""
    answer = lds_vs_compute.load(workspace)
    if answer is None:
        return None
    rows, aucs = answer["rows"], lds_vs_compute.support_aucs(workspace, store, answer)
    x_range = (min(row["seconds"] for row in rows if row["models"]) / 2, max(row["seconds"] for row in rows) * 2)
    panels = [_compute_panel("LDS" if aucs else "", "LDS", [(row, row["lds"], row["ci"]) for row in rows], x_range)]
    titles = support_report.auc_titles(aucs)
    for kind, result in aucs.items():
        points = [(row, *_auc(result, lds_vs_compute.variant_ranking(row))) for row in rows]
        known = [point for point in points if point[1] is not None]
        panels.append(_compute_panel(titles[kind], "AUC", known, x_range))
    if answer["ceiling"] is not None:
        panels[0].horizontal_lines.append((answer["ceiling"], f"noise ceiling {answer['ceiling']:.3f}"))
    n = max(row["n_targets"] for row in rows)
    return Chart(
        "LDS and AUC against compute",
        f"{halves_caption(answer, n)}; {_study_caption(aucs)}numbers are models trained, areas "
        f"bytes; {recipe_caption(workspace)}; {provenance_caption(workspace, lds_vs_compute.PART)}",
        panels,
        height=2.6,
    )


def _compute_panel(title: str, y: str, points: list[tuple], x_range: tuple[float, float]) -> Panel:
    """points: (row of `lds_vs_compute.compute`, value, its interval)."""
    panel = Panel(title, "time of one core, seconds", y, x_log=True, x_range=x_range, from_zero=True)
    largest = max((row["bytes"] for row, *_ in points), default=0) or 1

    def marks(points: list[tuple], name: str, style: str, in_legend: bool = True) -> Series:
        colour, dash, marker = palette.ranking_style(style)
        drawn = [(row["seconds"], value, ci, f"{row['name']}, {row['bytes']} bytes") for row, value, ci in points]
        series = mark_series(name, drawn, colour, marker, "y_ci", in_legend=in_legend)
        series.dash = dash if len(points) > 1 else None
        series.sizes = [max(MIN_MARK_AREA, MAX_MARK_AREA * row["bytes"] / largest) for row, *_ in points]
        series.labels = [str(row["models"] or "") for row, *_ in points]
        return series

    methods: dict[str, list[tuple]] = {}
    for point in points:
        if point[0]["models"]:
            methods.setdefault(point[0]["method"], []).append(point)
    for method, trained in methods.items():
        panel.series.append(marks(sorted(trained, key=lambda point: point[0]["seconds"]), method, method.lower()))
    for row, value, ci in points:
        if row["models"]:
            continue
        colour, dash, _ = palette.ranking_style(row["name"])
        ends = {"start": (x_range[0], value), "end": (x_range[1], value)}
        panel.series.append(Series(row["name"], [], [], colour, dash, **ends))
        if row["seconds"]:
            panel.series.append(marks([(row, value, ci)], row["name"], row["name"], in_legend=False))
    return panel


def worth_against_cost(workspace: Workspace, store: ResultStore) -> Chart | None:
    """LDS and removal AUC of each ranking against the seconds it took to build."""
    answer = cost.load(workspace)
    if answer is None:
        return None
    lds, aucs = cost.lds_and_support_aucs(workspace, store)
    rows = [row for row in cost.cost_rows(answer, lds, aucs) if row["build_seconds"] is not None]
    positive = [row["build_seconds"] for row in rows if row["build_seconds"] > 0]
    least, most = math.floor(math.log10(min(positive, default=1))), math.ceil(math.log10(max(positive, default=10)))
    nothing = 10.0 ** (least - 1)  # where rankings stand that took no time
    ticks = {nothing: "none", **{10.0**power: f"{10.0**power:,g}" for power in range(least, most + 1)}}
    x_range = (10.0 ** (least - 1.3), 10.0 ** (most + 0.1))
    live = dict.fromkeys(row["ranking"].partition("-")[0] for row in rows if row["live"] and "-" in row["ranking"])
    shifts = {method: 10 ** (MARK_OFFSET * (i - (len(live) - 1) / 2)) for i, method in enumerate(live)}
    panels = []
    for key, title in (("lds", "LDS"), ("auc", support_report.auc_titles(aucs).get("remove", ""))):
        methods: dict[str, dict[str, list[dict]]] = {}
        for row in rows:
            if row[key] is not None:
                method, marker = row["ranking"].partition("-")[0], palette.ranking_style(row["ranking"])[2]
                methods.setdefault(method, {}).setdefault(marker, []).append(row)
        if not methods:
            continue
        panel = Panel(title, "build time, seconds", x_log=True, x_ticks=ticks, from_zero=True, x_range=x_range)
        for method, markers in methods.items():
            for marker, same in markers.items():
                points = [
                    (
                        (row["build_seconds"] or nothing) * shifts.get(method, 1),
                        row[key],
                        row[f"{key}_ci"],
                        f"{row['ranking']}, {row['build_seconds']} s",
                    )
                    for row in same
                ]
                colour, hollow = (
                    palette.ranking_style(same[0]["ranking"])[0],
                    [method in palette.HOLLOW_METHODS] * len(same),
                )
                panel.series.append(mark_series(same[0]["method"], points, colour, marker, "y_ci", hollow=hollow))
        if key == "lds" and lds.get("ceiling") is not None:
            panel.horizontal_lines.append((lds["ceiling"], "noise ceiling"))
        panel.series += [
            Series(name, [], [], "#606060", None, palette.ranking_style(f"-{name}")[2]) for name in workspace.features()
        ]
        panels.append(panel)
    if not panels:
        return None
    removal = _study_caption({kind: result for kind, result in aucs.items() if kind == "remove"})
    return Chart(
        "LDS and AUC of rankings against build time",
        f"build times as recorded when each part was made, {removal}95 % intervals; rankings of one "
        f"feature set cost the same and stand side by side; {recipe_caption(workspace)}; "
        f"{provenance_caption(workspace, cost.PART)}",
        panels,
    )


def feature_sets(workspace: Workspace, store: ResultStore) -> Chart | None:
    """Of each feature set kNN accuracy, and LDS and removal AUC of its rankings."""
    lds, aucs = cost.lds_and_feature_aucs(workspace, store)
    rows = cost.feature_rows(workspace, lds, aucs)
    names, panels = [row["features"] for row in rows], []
    known = [(row["knn_accuracy"], float(place), None, names[place]) for place, row in enumerate(rows)]
    known = [point for point in known if point[0] is not None]
    if known:
        series = mark_series("kNN accuracy", known, palette.RECIPE_STYLES[0][0], "square", in_legend=False)
        panels.append(Panel("kNN accuracy", "accuracy", series=[series], **names_axis(names)))
    auc_title = support_report.auc_titles(aucs).get("remove", "")
    for key, value, ci, title in (("lds", "lds", "ci", "LDS"), ("auc", "auc", "auc_ci", auc_title)):
        methods = [method for method in palette.METHOD_STYLES if any(method in row[key] for row in rows)]
        panel = Panel(title, title.partition(":")[0], **names_axis(names))
        for i, method in enumerate(methods):
            shift = 0.6 * (i - (len(methods) - 1) / 2) / max(len(methods), 1)
            points = [
                (row[key][method][value], place + shift, row[key][method][ci], f"{method}-{names[place]}")
                for place, row in enumerate(rows)
                if method in row[key]
            ]
            hollow = [method in palette.HOLLOW_METHODS] * len(points)
            panel.series.append(mark_series(method, points, palette.ranking_style(method)[0], "circle", hollow=hollow))
        panels += [panel] if methods else []
    if not panels:
        return None
    images = ", ".join(
        sorted({row["measured_on"] for row in rows if row["knn_accuracy"] is not None and row["measured_on"]})
    )
    return Chart(
        "Feature sets",
        f"{f'kNN accuracy on {images}; ' if images else ''}{_study_caption(aucs)}95 % intervals; "
        f"{recipe_caption(workspace)}; "
        "python -m attribution evaluate lds and evaluate supports",
        panels,
        height=0.6 + 0.38 * len(rows),
    )


#: Name of a chart -> what draws it; None where its measurement is not there.
CHARTS = {
    "supports": support_curves,
    "agreement": agreement_matrix,
    "lds-supports": lds_against_supports,
    "conditioning": candidate_sets,
    "calibration": calibration_points,
    "compute": worth_against_compute,
    "cost": worth_against_cost,
    "features": feature_sets,
    "lds": heads.lds_by_family,
    "adaptive-supports": heads.adaptive_curves,
    "support-transfer": heads.transferred_supports,
}
#: Name of a chart -> the options that `chart` takes for it.
CHART_OPTIONS = {
    "agreement": ("measure",),
    "calibration": ("ranking", "removed"),
    **dict.fromkeys(("supports", "lds-supports"), ("protocol", "rankings")),
}


def _auc(support_aucs: dict, name: str) -> tuple[float | None, Interval]:
    """A ranking's AUC and its interval; (None, None) where it was not studied. support_aucs: of one kind, see
    `support_report.compare_on_same_targets`."""
    row = support_aucs["rankings"].get(name) or {}
    return (row["auc"], row["auc_ci"]) if row.get("n") else (None, None)


# -- how it was made, for captions


def _study_caption(support_aucs: dict) -> str:
    return "".join(
        f"{KINDS[kind].lower()} AUC over the same {result['targets']} targets"
        + f", {result['unfinished']} more unfinished" * bool(result["unfinished"])
        + f", protocol {result['protocol']}, K = {result['K']}; "
        for kind, result in support_aucs.items()
    )
