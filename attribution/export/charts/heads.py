"""Charts that heads made possible: LDS by what rankings compute, the two orders, and which supports transfer."""

from attribution.evaluation import adaptive_supports, lds_families, lds_report, support_transfer
from attribution.export import palette
from attribution.export.charts.base import Chart, Panel, Series
from attribution.export.charts.common import halves_caption, mark_series, names_axis, provenance_caption, recipe_caption
from attribution.export.charts.drawing import GREY
from attribution.store.results import ResultStore
from attribution.workspace.workspace import Workspace

SPREAD = 0.6  # of the height of a line: over which its points are spread


def lds_by_family(workspace: Workspace, store: ResultStore) -> Chart | None:
    """LDS of every ranking, a line a method, a mark a feature set, families in turn."""
    report = lds_report.load(workspace)
    if not report or not report["rankings"]:
        return None
    rows, lines, series = report["rankings"], [], []
    for family, grouped in lds_families.group(rows).items():
        for line, names in grouped.items():
            for at, name in enumerate(names):
                shift = SPREAD * (at - (len(names) - 1) / 2) / max(len(names) - 1, 1)
                colour, _, marker = palette.ranking_style(name)
                point = (rows[name]["lds"], len(lines) + shift, rows[name]["ci"], lds_families.FAMILIES[family])
                marker = marker if name.partition("-")[2] in workspace.features() else palette.NO_FEATURES
                series.append(mark_series(name, [point], colour, marker, in_legend=False))
            lines.append(line)
    features = [name for name in workspace.features() if any(row.partition("-")[2] == name for row in rows)]
    series += [Series(name, [], [], GREY, None, palette.ranking_style(f"-{name}")[2]) for name in features]
    panel = Panel("", f"LDS under {workspace.recipe}", series=series, x_range=(0, None), **names_axis(lines))
    if report.get("ceiling") is not None and report["ceiling"] < 1.2 * max(row["lds"] for row in rows.values()):
        panel.vertical_lines.append((report["ceiling"], "noise ceiling"))
    return Chart(
        "LDS by what rankings compute",
        f"{halves_caption(report, max(row['n_targets'] for row in rows.values()))}; {recipe_caption(workspace)}; "
        "python -m attribution evaluate lds",
        [panel],
        height=0.6 + 0.26 * len(lines),
    )


def adaptive_curves(workspace: Workspace, store: ResultStore) -> Chart | None:
    """The support CDFs of a head in both orders, with their pointwise intervals; AUC in the legend."""
    found = adaptive_supports.load(workspace)
    if found is None:
        return None
    report, curves = adaptive_supports.report(found), adaptive_supports.curves(found)
    series = []
    for order, (colour, dash) in palette.ORDER_STYLES.items():
        curve, row = curves[order], report["orders"][order]
        ks = [float(k) for k in range(found.k_max + 1)]
        note = f"AUC {row['auc']:.3f} ({row['auc_ci'][0]:.3f} to {row['auc_ci'][1]:.3f})" if row["auc_ci"] else ""
        series.append(
            Series(
                adaptive_supports.ORDER_NAMES[order],
                ks,
                curve["share"],
                colour,
                dash,
                steps=True,
                y_ci=[],
                band=(ks, curve["low"], curve["high"]),
                legend_note=note,
            )
        )
    panel = Panel(
        "",
        "k, images removed",
        "targets flipped",
        x_range=(0, found.k_max * 1.01),
        y_range=(0, 1.02),
        percent=True,
        series=series,
    )
    return Chart(
        "Supports in a fixed and in a recomputed order",
        f"all {report['targets']:,} validation images that the head gets right; influence recomputed after every "
        f"{report['batch']} images, K = {report['K']}, exact refits, no seed; 95 % over targets; "
        f"{recipe_caption(workspace)}; {provenance_caption(workspace, adaptive_supports.PART)}",
        [panel],
    )


def transferred_supports(workspace: Workspace, store: ResultStore) -> Chart | None:
    """A panel a direction: the share of targets that the supports of one model flip under the other, and random images
    beside it."""
    answer = support_transfer.load(workspace)
    if answer is None:
        return None
    rows, panels = support_transfer.report(answer), []
    for of, under in dict.fromkeys((row["of"], row["under"]) for row in rows):
        some = [row for row in rows if (row["of"], row["under"]) == (of, under)]
        names, series = [row["ranking"] for row in some], []
        random = []
        for place, row in enumerate(some):
            colour, _, marker = palette.ranking_style(row["ranking"])
            flipped, control = row["flipped"], row["control"]
            point = (100 * flipped["share"], place - 0.12, _percents(flipped["ci"]), f"{row['n']} targets")
            series.append(mark_series(row["ranking"], [point], colour, marker, in_legend=False))
            random.append((100 * control["mean"], place + 0.12, _percents(control["ci"]), f"beside {row['ranking']}"))
        series.append(
            mark_series("random images of the same classes", random, GREY, "circle", hollow=[True] * len(random))
        )
        panels.append(
            Panel(
                f"supports of {of}, removed under {under}",
                "targets flipped, %",
                x_range=(-2, 102),
                series=series,
                **names_axis(names),
            )
        )
    own, head = answer["models"]
    return Chart(
        "Supports of one model removed under another",
        f"{head} {answer['hashes'][1]}: exact refits, {answer['draws'][head]} random sets beside each; {own} "
        f"{answer['hashes'][0]}: {len(answer['seeds'])} seeds a set, {answer['draws'][own]} random beside each; 95 % "
        f"over targets; {provenance_caption(workspace, support_transfer.PART)}",
        panels,
        height=0.9 + 0.3 * max(len(panel.y_ticks or ()) for panel in panels),
    )


def _percents(ends) -> tuple[float, float] | None:
    return (100 * ends[0], 100 * ends[1]) if ends else None
