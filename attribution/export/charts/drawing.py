"""A chart as a file: SVG, PDF or PNG by matplotlib, which is imported when the first one is drawn."""

import dataclasses
import io
import threading
import warnings
from functools import cache

from attribution.export import fonts
from attribution.export.charts.base import Chart, Matrix, Panel, Series
from attribution.export.numbers import percent
from attribution.inputs import names

#: Width of a figure in inches: of one column of a paper, and of two.
WIDTHS = {"single": 3.4, "double": 7.0}
FONT_SIZE, SMALL = 8, 6.5  # of letters, in points, at either width
DPI = 300
DASHES = {
    "solid": "-",
    "dash": (0, (5, 3)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (6, 2, 1.2, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 2.5, 1.2, 2.5)),
}
MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "x": "X",
    "star": "*",
    "hexagon": "h",
    "pentagon": "p",
}
GREY = "#808080"
DIAGONAL = "as predicted"  # what the legend says of a panel's diagonal
#: Names are shown as they are, no $ in them is mathematics; letters are embedded, and can be searched.
STYLE = {
    "font.size": FONT_SIZE,
    "font.family": "DejaVu Sans",
    "axes.titlesize": FONT_SIZE,
    "axes.labelsize": FONT_SIZE,
    "xtick.labelsize": FONT_SIZE - 1,
    "ytick.labelsize": FONT_SIZE - 1,
    "legend.fontsize": FONT_SIZE - 1,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.35,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "lines.linewidth": 1.3,
    "lines.markersize": 3.6,
}
_lock = threading.Lock()  # matplotlib's settings are the whole process's


def encode(
    chart: Chart,
    ending: str,
    width: str = "double",
    *,
    ink: str = "#1a1a1a",
    text_as_paths: bool = True,
    salt: str = "lineup",
) -> bytes:
    """The chart as the content of a file; the same chart gives the same bytes.

    ending: ".svg", ".pdf" or ".png". width: one of WIDTHS. ink: colour of letters and axes. text_as_paths (of SVG):
    letters look the same everywhere; otherwise they are text in a font of the reader's. salt: decides the ids inside an
    SVG.
    """
    import matplotlib

    chart = names.visible_all(chart)
    from matplotlib.figure import Figure

    inks = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink)
    style = {**STYLE, **inks, "svg.fonttype": "path" if text_as_paths else "none", "svg.hashsalt": salt}
    style["font.family"] = [STYLE["font.family"], *_more_families(_texts(chart))]
    with _lock, matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        matplotlib.rcdefaults()  # the user's own settings do not count
        matplotlib.rcParams.update(style)
        inches, shared_y = WIDTHS[width], _share_y_axis(chart)
        stacked = width == "single" or len(chart.panels) > 3
        rows, columns = (len(chart.panels), 1) if stacked else (1, len(chart.panels))
        figure = Figure(layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if shared_y else False).ravel()
        for i, (panel, ax) in enumerate(zip(chart.panels, axes)):
            _draw_panel(panel, ax, inches, name_y=stacked or i == 0 or not shared_y)
        lines = _draw_legends(chart, figure, axes, inches)
        figure.set_size_inches(inches, rows * chart.height + 0.16 * lines + 0.3)
        out = io.BytesIO()
        _save(figure, out, ending, _metadata(chart, ending))
    return out.getvalue()


def _save(figure, out: io.BytesIO, ending: str, metadata: dict) -> None:
    if ending != ".svg":
        figure.savefig(out, format=ending[1:], dpi=DPI, metadata=metadata)
        return
    # `savefig` draws twice, first to see how large everything is, which a file of a fixed size need not know
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for part in (figure, *figure.axes):
        part.patch.set_facecolor("none")
    figure.set_dpi(DPI)  # of pictures in it
    FigureCanvasSVG(figure).print_svg(out, metadata=metadata)


def missing_signs(chart: Chart) -> str:
    """The signs of a chart's texts that no font here has: pictures show boxes for them."""
    return fonts.missing_signs(_texts(names.visible_all(chart)))


def _texts(chart: Chart) -> str:
    return str(dataclasses.asdict(chart))


def _more_families(text: str) -> list[str]:
    """The families of fonts that have those signs of `text` that the usual one has not."""
    files = {fonts.font_file(sign) for sign in set(text) if not sign.isascii()} - {None}
    return [name for name in dict.fromkeys(map(_family, sorted(files))) if name != STYLE["font.family"]]


@cache
def _family(path: str) -> str:
    from matplotlib import font_manager

    font_manager.fontManager.addfont(path)
    return font_manager.FontProperties(fname=path).get_name()


def _metadata(chart: Chart, ending: str) -> dict:
    if ending == ".pdf":
        return {"Title": chart.title, "Subject": chart.caption, "Creator": "Lineup", "CreationDate": None}
    more = {"Date": None, "Creator": "Lineup"} if ending == ".svg" else {"Software": "Lineup"}
    return {"Title": chart.title, "Description": chart.caption, **more}


def _share_y_axis(chart: Chart) -> bool:
    """Whether all panels have one y axis: the same name and the same range."""
    return len({(panel.y, panel.y_range) for panel in chart.panels}) == 1 and chart.panels[0].y_range is not None


def _draw_panel(panel: Panel, ax, inches: float, name_y: bool) -> None:
    ax.set_title(panel.title, loc="left", fontweight="bold")
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y if name_y else "")
    if panel.matrix:
        _draw_matrix(panel.matrix, ax, inches)
        return
    if panel.x_log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        ax.xaxis.set_minor_formatter("")
    for series in panel.series:
        _draw_series(series, ax)
    line = {"color": GREY, "linewidth": 0.8, "linestyle": DASHES["dash"]}
    note = {"textcoords": "offset points", "fontsize": SMALL, "color": GREY}
    for value, text in panel.horizontal_lines:
        ax.axhline(value, **line)
        ax.annotate(text, (0, value), xycoords=("axes fraction", "data"), xytext=(3, 2), **note)
    for value, text in panel.vertical_lines:
        ax.axvline(value, **line)
        ax.annotate(text, (value, 0), xycoords=("data", "axes fraction"), xytext=(-3, 3), ha="right", **note)
    if panel.x_range:
        ax.set_xlim(panel.x_range)
    if panel.from_zero:
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    if panel.y_range:
        ax.set_ylim(panel.y_range)
    if panel.diagonal:
        values = [value for series in panel.series for value in (*series.x, *series.y)] or [0, 1]
        ends = [min(values), max(values)]
        ax.plot(ends, ends, color=GREY, linewidth=1, linestyle=DASHES["dot"], label=DIAGONAL)
    for ticks, axis in ((panel.x_ticks, ax.xaxis), (panel.y_ticks, ax.yaxis)):
        if ticks:
            axis.set_ticks(list(ticks), list(ticks.values()))
            axis.set_ticks([], minor=True)
    if panel.percent:
        ax.yaxis.set_major_formatter(lambda value, _: percent(value, 0))


def _draw_series(series: Series, ax) -> None:
    if series.band:
        ax.fill_between(*series.band, step="post", color=series.colour, alpha=0.1, linewidth=0)
    points = [point for point in (series.start, *zip(series.x, series.y), series.end) if point]
    if series.dash and points:
        xs, ys = zip(*points)
        steps = "steps-post" if series.steps else None
        ax.plot(xs, ys, color=series.colour, linestyle=DASHES[series.dash], drawstyle=steps)
    for intervals, values, name in ((series.x_ci, series.x, "xerr"), (series.y_ci, series.y, "yerr")):
        known = [i for i, interval in enumerate(intervals) if interval]
        if known:
            arms = [[values[i] - intervals[i][0] for i in known], [intervals[i][1] - values[i] for i in known]]
            bars = {"fmt": "none", "ecolor": series.colour, "elinewidth": 0.9, "capsize": 1.8, "capthick": 0.8}
            ax.errorbar([series.x[i] for i in known], [series.y[i] for i in known], **{name: arms}, **bars)
    if series.marker and series.x:
        filled = [("none" if empty else series.colour) for empty in series.hollow] or series.colour
        ax.scatter(
            *zip(*_marked(series)),
            s=series.sizes or 14,
            marker=MARKERS[series.marker],
            edgecolors=series.colour,
            linewidths=0.9,
            facecolors=filled,
            zorder=2.5,
            clip_on=False,
        )
    for x, y, text in zip(series.x, series.y, series.labels):
        ax.annotate(text, (x, y), xytext=(4, -8), textcoords="offset points", fontsize=SMALL)


def _marked(series: Series) -> list[tuple[float, float]]:
    """The points that bear a mark."""
    points = list(zip(series.x, series.y))
    if not 0 < series.most_marks < len(points):
        return points
    step = (len(points) - 1) / (series.most_marks - 1)
    return [points[round(i * step)] for i in range(series.most_marks)]


def _draw_matrix(matrix: Matrix, ax, inches: float) -> None:
    import numpy as np

    labels, (low, high) = matrix.names, matrix.span
    values = np.array([[np.nan if value is None else value for value in row] for row in matrix.values], float)
    ax.imshow(values, cmap="RdBu" if low < 0 else "Blues", vmin=low, vmax=high, aspect="auto")
    ax.grid(False)
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(labels)), labels)
    size = min(SMALL, 72 * (inches - 1) / len(labels) / 7)  # of letters, so that an interval fits its square
    for row, column in np.argwhere(np.isfinite(values)):
        value, ends = values[row, column], matrix.ci[row][column]
        text = f"{value:.2f}" + (f"\n{ends[0]:.2f}, {ends[1]:.2f}" if ends else "")
        colour = "white" if abs(value) > 0.6 * high else "#1a1a1a"
        place = {"ha": "center", "va": "center", "linespacing": 1.2}
        ax.text(column, row, text.replace("-", "−"), fontsize=size, color=colour, **place)


def _draw_legends(chart: Chart, figure, axes, inches: float) -> int:
    """Draws one legend below all panels, or one below each where legends have notes. Returns its height in lines."""
    from matplotlib.lines import Line2D

    def handle(series: Series) -> Line2D:
        return Line2D(
            [],
            [],
            color=series.colour,
            linestyle=DASHES[series.dash] if series.dash else "none",
            markersize=3.6,
            marker=MARKERS[series.marker] if series.marker else "none",
            markerfacecolor="none" if series.hollow and all(series.hollow) else None,
        )

    per_panel = any(series.legend_note for panel in chart.panels for series in panel.series)
    lines, listed = 0, set()
    handles, labels = [], []
    for panel, ax in zip(chart.panels, axes):
        first_of_name = {series.name: series for series in reversed(panel.series)}
        new = [
            series
            for series in reversed(first_of_name.values())
            if series.in_legend and (per_panel or series.name not in listed)
        ]
        listed |= {series.name for series in new}
        handles += [handle(series) for series in new]
        labels += [f"{series.name}  {series.legend_note}".strip() for series in new]
        if panel.diagonal:
            handles.append(Line2D([], [], color=GREY, linewidth=1, linestyle=DASHES["dot"]))
            labels.append(DIAGONAL)
        if per_panel and handles:
            place = {"loc": "upper left", "bbox_to_anchor": (0, -0.22), "borderaxespad": 0, "borderpad": 0}
            ax.legend(handles, labels, handlelength=3.2, **place)
            lines = lines + len(labels) if inches < 4 else max(lines, len(labels))
            handles, labels = [], []
    if handles and (per_panel or len(handles) > 1):
        columns = max(1, int(inches / (0.55 + 0.065 * max(map(len, labels)))))
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3.2)
        lines += -(-len(labels) // columns)
    return lines
