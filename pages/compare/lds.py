"""LDS: is similarity influence? All rankings by what they compute, and under the head of their own features."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from attribution import Workspace
from attribution.evaluation import lds_families, lds_report
from attribution.export import palette
from pages.compare import plots, tab_frame
from pages.compare.supports.tables import OWN_HEAD_HELP
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, estimate, ranking_cell

MEASURE = ["evaluate", "lds"]
FAMILY_WIDTH = 150  # pixels at the right, for the names of families
SHOWN_TWICE = 3  # rankings whose LDS on both draws is written out
SPREAD = 0.6  # of the height of a line: over which its points are spread
COLUMNS = [
    Column("ranking"),
    Column("computes"),
    Column("LDS", "n", tables.LDS_HELP),
    tables.INTERVAL,
]
SECOND_COLUMNS = [Column("LDS", "n first", tables.LDS_HELP), tables.INTERVAL]
OWN_COLUMNS = [Column("LDS", "n first", OWN_HEAD_HELP), tables.INTERVAL, Column("head")]


def draw(ws: Workspace, own: dict[str, dict]) -> None:
    """Draws this part of the Summary. own: of `under_own_heads`."""
    tab_frame.section("Is similarity influence?")
    report = tab_frame.stored_answer(
        ws,
        MEASURE,
        lds_report.load,
        "LDS has not been measured here yet. It needs models on held-out halves; measuring trains nothing.",
        "Measure LDS",
    )
    if report is None:
        return
    rows = report["rankings"]
    said = reading(lds_families.compare(ws, rows), rows, ws.recipe)
    if said:
        st.markdown(write.plain(f"{said} {own_reading(own)}"))
    if second := report.get("second_draw"):
        st.markdown(write.plain(second_reading(rows, second)))
    if combined := combined_reading(report):
        st.markdown(write.plain(combined))
    tab_frame.caption(
        "LDS, the linear datamodeling score: how well a ranking's scores predict the margins of models "
        "trained on random halves of the images. Similarity: what looks like the target. Influence: what a "
        "model would do without an image, to first order."
    )
    tab_frame.chart(
        figure(ws, report),
        "lds",
        "LDS of every ranking with its interval, grouped by what it computes; the table below has the numbers",
        picture="lds",
    )
    tab_frame.caption(_basis(ws, report, own))
    with st.expander("LDS of every ranking as a table"):
        st.html(table_html(rows, own, report.get("second_draw")))
    tab_frame.download_line(ws, {"lds.csv": ("Table as CSV", to_csv(report, own))}, [[*MEASURE, "--json"]], "lds")


def reading(compared: dict, rows: dict[str, dict], recipe: str) -> str:
    """What the figure comes to, in words; "" where there is nothing to compare. compared: `lds_families.compare`."""
    sets, best = compared["sets"], compared["best"]
    if not sets:
        return ""
    apart = [row for row in sets if row["apart"]]
    least = min((row["influence"] for row in sets), key=lambda name: rows[name]["lds"])
    text = (
        f"In {len(apart)} of {len(sets)} feature sets influence under a head predicts {recipe} better than every "
        "similarity in the same features, and their 95 % intervals do not overlap"
    )
    ratios = sorted(row["ratio"] for row in apart if row["ratio"])
    if ratios:
        text += f": {_times(ratios)} times the LDS of the best of them"
    text += (
        f". The best similarity of all, {best}, has {write.decimal(rows[best]['lds'], 3)}, the weakest influence, "
        f"{least}, {write.decimal(rows[least]['lds'], 3)}"
    )
    if lds_families.CONTROL in rows:
        text += f", images of the class at random {write.decimal(rows[lds_families.CONTROL]['lds'], 3)}"
    return text + (". What looks alike is not what decides." if len(apart) == len(sets) else ".")


def own_reading(own: dict[str, dict]) -> str:
    """What the column of own heads adds; "" where nothing was measured. own: `lds_report.under_own_heads`."""
    lds: dict[str, list[float]] = {"head": [], "similarity": []}
    for name, row in own.items():
        lds[lds_families.family_of(name)].append(row["lds"])
    if not all(lds.values()):
        return ""
    low, high = (write.decimal(end, 2) for end in (min(lds["head"]), max(lds["head"])))
    return (
        f"Under the head of its own features influence has {low if low == high else f'{low} to {high}'}, no similarity "
        f"more than {write.decimal(max(lds['similarity']), 2)}."
    )


def second_reading(rows: dict[str, dict], second: dict) -> str:
    """What the second draw of halves says: how far the figures move, and those of the best three rankings and random.
    rows: "rankings" of the report; second: its "second_draw"."""
    again = second["rankings"]
    moved = {name: abs(again[name]["lds"] - row["lds"]) for name, row in rows.items() if name in again}
    if not moved:
        return ""
    most = max(moved, key=moved.__getitem__)
    best = sorted(moved, key=lambda name: -rows[name]["lds"])[:SHOWN_TWICE]
    best += [lds_families.CONTROL] if lds_families.CONTROL in moved and lds_families.CONTROL not in best else []
    listed = "; ".join(
        f"{name} {' and '.join(_with_ends(one[name]['lds'], one[name]['ci']) for one in (rows, again))}"
        for name in best
    )
    return (
        f"On a second, fresh draw of {second['masks']} halves with {write.counted(second['seeds'], 'seed')} each an "
        f"LDS moves by {write.decimal(float(np.median(list(moved.values()))), 3)} in the median and by at most "
        f"{write.decimal(moved[most], 3)} ({most}). First and second draw: {listed}."
    )


def combined_reading(report: dict) -> str:
    """By how much each combination is above the best of its parts, on both draws where there are two; or ""."""
    draws = [report, *([report["second_draw"]] if "second_draw" in report else [])]
    said = []
    for name in report.get("combinations", {}):
        found = [draw["combinations"][name] for draw in draws if name in draw["combinations"]]
        above = [f"{_with_ends(one['difference'], one['ci'], True)} against {one['best']}" for one in found]
        said.append(f"{name} {', on the second draw '.join(above)}")
    return f"Together against the best part alone (paired): {'; '.join(said)}." if said else ""


def _with_ends(value: float, ends, sign: bool = False) -> str:
    return f"{write.decimal(value, 3, sign)} ({write.interval(ends, 3, sign)})"


def _times(ratios: list[float]) -> str:
    low, high = (f"{ratio:.1f}" for ratio in (ratios[0], ratios[-1]))
    return low if low == high else f"{low} to {high}"


def _basis(ws: Workspace, report: dict, own: dict) -> str:
    n = max(row["n_targets"] for row in report["rankings"].values())
    ceiling = f", noise ceiling {report['ceiling']:.3f}" if report.get("ceiling") is not None else ""
    heads = ", ".join(
        f"{name} {ws.get_recipe(name).hash}" for name in dict.fromkeys(row["head"] for row in own.values())
    )
    text = (
        f"{write.count(n)} targets, {tab_frame.held_out_halves(report)} of {report['recipe']} "
        f"{report['recipe_hash'] or ''}{ceiling}; bars are 95 % intervals over halves and targets."
    )
    conditioned = dict.fromkeys(name.partition("-")[0] for name in report["rankings"] if ws.ranking(name).conditioned)
    if conditioned:
        text += f" As published, {', '.join(conditioned)} rank images of the target's class only; the others rank all."
    if own:
        text += f" Under its own head: the same halves, refitted exactly, without a seed ({heads})."
    return text + write.planted_note(ws.planted)


def figure(ws: Workspace, report: dict) -> go.Figure:
    """A line a method, a point a ranking, grouped by family; the marker says the feature set."""
    rows, grouped = report["rankings"], lds_families.group(report["rankings"])
    chart, labels, place = go.Figure(), {}, 0.0
    for family, lines in grouped.items():
        top = place
        for line, names in lines.items():
            labels[place] = _line_label(ws, line, names)
            for at, name in enumerate(names):
                shift = SPREAD * (at - (len(names) - 1) / 2) / max(len(names) - 1, 1)
                _point(chart, name, rows[name], place + shift, _features(ws, name))
            place += 1
        _family(chart, lds_families.FAMILIES[family], top - 0.5, place - 0.5)
        place += 0.4
    shown = {palette.ranking_style(name)[2]: name.partition("-")[2] for name in rows if _features(ws, name)}
    shown |= {palette.NO_FEATURES: "in no feature set"} if not all(_features(ws, name) for name in rows) else {}
    for marker, features in shown.items():
        chart.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=write.plotted(features),
            hoverinfo="skip",
            marker={"color": plots.GREY, "symbol": marker, "size": 8},
        )
    chart.update_yaxes(
        tickvals=list(labels),
        ticktext=[write.plotted(label) for label in labels.values()],
        range=[place - 0.9, -0.7],
        zeroline=False,
    )
    chart.update_xaxes(title=f"LDS under {write.plotted(ws.recipe)}", rangemode="tozero")
    plots.set_layout(chart, int(110 + 34 * place), hovermode="closest")
    chart.update_layout(margin_r=FAMILY_WIDTH)
    return chart


def _line_label(ws: Workspace, line: str, names: list[str]) -> str:
    """The method of a line of several rankings, or the name of the one that is on it."""
    return line if line == names[0] else ws.ranking(names[0]).method


def _features(ws: Workspace, name: str) -> bool:
    return name.partition("-")[2] in ws.features()


def _point(chart: go.Figure, name: str, row: dict, y: float, in_features: bool) -> None:
    colour, _, marker = palette.ranking_style(name)
    marker = marker if in_features else palette.NO_FEATURES
    chart.add_scatter(
        x=[row["lds"]],
        y=[y],
        mode="markers",
        showlegend=False,
        error_x=plots.error_bars([row["lds"]], [row["ci"]], color=colour),
        marker={"color": colour, "symbol": marker, "size": 8},
        hovertemplate=f"{write.plotted(name)}: {row['lds']:.3f} ({write.interval(row['ci'], 3)})<extra></extra>",
    )


def _family(chart: go.Figure, text: str, top: float, bottom: float) -> None:
    """The family's name right of the chart, and a band behind its lines."""
    chart.add_hrect(y0=top, y1=bottom, fillcolor=plots.GREY, opacity=0.07, line_width=0, layer="below")
    chart.add_annotation(
        x=1.01,
        xref="paper",
        xanchor="left",
        y=(top + bottom) / 2,
        yanchor="middle",
        text=text,
        align="left",
        showarrow=False,
        font={"size": 12},
    )


def table_html(rows: dict[str, dict], own: dict[str, dict], second: dict | None = None) -> str:
    """A row a ranking, families apart; own: `lds_report.under_own_heads`; second: the report's "second_draw"."""
    body, again = [], (second or {}).get("rankings", {})
    for family, lines in lds_families.group(rows).items():
        for names in lines.values():
            for name in names:
                cells = [ranking_cell(name), lds_families.FAMILIES[family]]
                cells += estimate(rows[name]["lds"], rows[name]["ci"], 3)
                if second:
                    cells += estimate(again.get(name, {}).get("lds"), again.get(name, {}).get("ci"), 3)
                if own:
                    there = own.get(name, {})
                    cells += [*estimate(there.get("lds"), there.get("ci"), 3), write.escape(there.get("head", ""))]
                body.append(cells)
    if not own and not second:
        return tables.table_html(COLUMNS, body)
    above = [("", 2), ("first draw of halves" if second else "under the model", 2)]
    above += [("second draw", len(SECOND_COLUMNS))] if second else []
    above += [("under its own head", len(OWN_COLUMNS))] if own else []
    columns = [*COLUMNS, *(SECOND_COLUMNS if second else []), *(OWN_COLUMNS if own else [])]
    return tables.table_html(columns, body, above)


def to_csv(report: dict, own: dict[str, dict]) -> str:
    """A row a ranking."""
    about = {key: report[key] for key in ("recipe", "recipe_hash", "masks", "seeds", "ceiling")}
    again = report.get("second_draw", {}).get("rankings", {})
    return tables.to_csv(
        {
            "ranking": name,
            "family": lds_families.family_of(name),
            "lds": row["lds"],
            **tables.low_high(row["ci"], "lds"),
            "second_draw_lds": again.get(name, {}).get("lds"),
            **tables.low_high(again.get(name, {}).get("ci"), "second_draw_lds"),
            "targets": row["n_targets"],
            "own_head": own.get(name, {}).get("head"),
            "own_head_lds": own.get(name, {}).get("lds"),
            **tables.low_high(own.get(name, {}).get("ci"), "own_head_lds"),
            **about,
        }
        for name, row in report["rankings"].items()
    )
