"""A chart as a file: SVG, PDF or PNG by matplotlib, which is imported when the first one is drawn."""

import io
import threading
import warnings

from attribution.export.charts.base import Chart, Panel, Series

#: of a page's column and of both, in inches
WIDTHS = {"single": 3.4, "double": 7.0}
SIZE = 8  # of letters, in points, at either width
DPI = 300
DASHES = {
    "solid": "-",
    "dash": (0, (5, 3)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (6, 2, 1.2, 2)),
    "longdash": (0, (9, 3)),
    "longdashdot": (0, (9, 2.5, 1.2, 2.5)),
}
MARKS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "cross": "P",
    "star": "*",
    "hexagon": "h",
    "pentagon": "p",
}
GREY = "#808080"
#: Names are shown as they are, no $ in them is mathematics; letters are embedded, and can be searched.
STYLE = {
    "font.size": SIZE,
    "font.family": "DejaVu Sans",
    "axes.titlesize": SIZE,
    "axes.labelsize": SIZE,
    "xtick.labelsize": SIZE - 1,
    "ytick.labelsize": SIZE - 1,
    "legend.fontsize": SIZE - 1,
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
    """The chart as the content of a file. ending: ".svg", ".pdf" or ".png"; width: one of WIDTHS; ink: of letters and
    axes. The same chart gives the same bytes. text_as_paths (of SVG): letters look the same everywhere, else they are
    text in a font of the reader's. salt: makes the names inside an SVG its own."""
    import matplotlib
    from matplotlib.figure import Figure

    inks = dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), ink)
    style = {**STYLE, **inks, "svg.fonttype": "path" if text_as_paths else "none", "svg.hashsalt": salt}
    with _lock, matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        matplotlib.rcdefaults()  # not the user's
        matplotlib.rcParams.update(style)
        side = WIDTHS[width]
        stacked = width == "single" or len(chart.panels) > 3
        rows, columns = (len(chart.panels), 1) if stacked else (1, len(chart.panels))
        figure = Figure(layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey="row" if _alike(chart) else False).ravel()
        for at, (panel, ax) in enumerate(zip(chart.panels, axes)):
            _draw(panel, ax, side, first=stacked or at == 0 or not _alike(chart))
        lines = _legend(chart, figure, axes, side)
        figure.set_size_inches(side, rows * chart.height + 0.16 * lines + 0.3)
        out = io.BytesIO()
        figure.savefig(out, format=ending[1:], dpi=DPI, metadata=_metadata(chart, ending), transparent=ending == ".svg")
    return out.getvalue()


def _metadata(chart: Chart, ending: str) -> dict:
    if ending == ".pdf":
        return {"Title": chart.title, "Subject": chart.about, "Creator": "Lineup", "CreationDate": None}
    more = {"Date": None, "Creator": "Lineup"} if ending == ".svg" else {"Software": "Lineup"}
    return {"Title": chart.title, "Description": chart.about, **more}


def _alike(chart: Chart) -> bool:
    """Whether all panels have one y axis: the same name and the same range."""
    return len({(panel.y, panel.y_range) for panel in chart.panels}) == 1 and chart.panels[0].y_range is not None


def _draw(panel: Panel, ax, side: float, first: bool) -> None:
    ax.set_title(panel.title, loc="left", fontweight="bold")
    ax.set_xlabel(panel.x)
    ax.set_ylabel(panel.y if first else "")
    if panel.matrix:
        _matrix(panel, ax, side)
        return
    if panel.x_log:
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        ax.xaxis.set_minor_formatter("")
    for one in panel.series:
        _series(one, ax)
    for value, text in panel.levels:
        ax.axhline(value, color=GREY, linewidth=0.8, linestyle=DASHES["dash"])
        ax.annotate(
            text,
            (0, value),
            xycoords=("axes fraction", "data"),
            xytext=(3, 2),
            textcoords="offset points",
            fontsize=SIZE - 1.5,
            color=GREY,
        )
    for value, text in panel.uprights:
        ax.axvline(value, color=GREY, linewidth=0.8, linestyle=DASHES["dash"])
        ax.annotate(
            text,
            (value, 0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 3),
            textcoords="offset points",
            fontsize=SIZE - 1.5,
            color=GREY,
            ha="right",
        )
    if panel.x_range:
        ax.set_xlim(panel.x_range)
    if panel.from_zero:
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    if panel.y_range:
        ax.set_ylim(panel.y_range)
    if panel.diagonal:
        both = [value for one in panel.series for value in (*one.x, *one.y)] or [0, 1]
        ax.plot(
            [min(both), max(both)],
            [min(both), max(both)],
            color=GREY,
            linewidth=1,
            linestyle=DASHES["dot"],
            label="as foretold",
        )
    for ticks, axis in ((panel.x_ticks, ax.xaxis), (panel.y_ticks, ax.yaxis)):
        if ticks:
            axis.set_ticks(list(ticks), list(ticks.values()))
            axis.set_ticks([], minor=True)
    if panel.percent:
        ax.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")


def _series(one: Series, ax) -> None:
    if one.band:
        ax.fill_between(*one.band, step="post", color=one.colour, alpha=0.1, linewidth=0)
    xs, ys = (
        [*([one.start[i]] if one.start else []), *values, *([one.end[i]] if one.end else [])]
        for i, values in enumerate((one.x, one.y))
    )
    if one.dash:
        ax.plot(xs, ys, color=one.colour, linestyle=DASHES[one.dash], drawstyle="steps-post" if one.steps else None)
    for ends, values, name in ((one.x_ends, one.x, "xerr"), (one.y_ends, one.y, "yerr")):
        kept = [(x, y, value, pair) for x, y, value, pair in zip(one.x, one.y, values, ends) if pair]
        if kept:
            arms = [[value - low for _, _, value, (low, _) in kept], [high - value for _, _, value, (_, high) in kept]]
            ax.errorbar(
                [x for x, *_ in kept],
                [y for _, y, *_ in kept],
                **{name: arms},
                fmt="none",
                ecolor=one.colour,
                elinewidth=0.9,
                capsize=1.8,
                capthick=0.8,
            )
    if one.marker and one.x:
        hollow = one.open or [False] * len(one.x)
        ax.scatter(
            one.x,
            one.y,
            s=one.sizes or 14,
            marker=MARKS[one.marker],
            edgecolors=one.colour,
            linewidths=0.9,
            facecolors=["none" if gap else one.colour for gap in hollow],
            zorder=2.5,
            clip_on=False,
        )
    for x, y, text in zip(one.x, one.y, one.texts):
        ax.annotate(text, (x, y), xytext=(4, -8), textcoords="offset points", fontsize=SIZE - 1.5)


def _matrix(panel: Panel, ax, side: float) -> None:
    import numpy as np

    names, (low, high) = panel.matrix.names, panel.matrix.span
    values = np.array([[np.nan if value is None else value for value in row] for row in panel.matrix.values], float)
    ax.imshow(values, cmap="RdBu" if low < 0 else "Blues", vmin=low, vmax=high, aspect="auto")
    ax.grid(False)
    ax.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    size = min(SIZE - 1.5, 72 * (side - 1) / len(names) / 7)  # of letters, so that an interval fits its square
    for row, column in np.argwhere(np.isfinite(values)):
        value, ends = values[row, column], panel.matrix.ends[row][column]
        text = f"{value:.2f}" + (f"\n{ends[0]:.2f}, {ends[1]:.2f}" if ends else "")
        strong = abs(value) > 0.6 * high
        ax.text(
            column,
            row,
            text.replace("-", "−"),
            ha="center",
            va="center",
            fontsize=size,
            color="white" if strong else "#1a1a1a",
            linespacing=1.2,
        )


def _legend(chart: Chart, figure, axes, side: float) -> int:
    """Below all panels, or below each where it says something of its own. Returns how many lines it is high."""
    from matplotlib.lines import Line2D

    def handle(one: Series):
        hollow = bool(one.open) and all(one.open)
        return Line2D(
            [],
            [],
            color=one.colour,
            linestyle=DASHES[one.dash] if one.dash else "none",
            markersize=3.6,
            marker=MARKS[one.marker] if one.marker else "none",
            markerfacecolor="none" if hollow else None,
        )

    each = any(one.note for panel in chart.panels for one in panel.series)
    total, seen = 0, set()
    handles, labels = [], []
    for panel, ax in zip(chart.panels, axes):
        mine = [
            one
            for one in {one.name: one for one in reversed(panel.series)}.values()
            if one.listed and (each or one.name not in seen)
        ][::-1]
        seen |= {one.name for one in mine}
        handles += [handle(one) for one in mine]
        labels += [f"{one.name}  {one.note}".strip() for one in mine]
        if panel.diagonal:
            handles.append(Line2D([], [], color=GREY, linewidth=1, linestyle=DASHES["dot"]))
            labels.append("as foretold")
        if each and handles:
            ax.legend(
                handles,
                labels,
                loc="upper left",
                bbox_to_anchor=(0, -0.22),
                handlelength=3.2,
                borderaxespad=0,
                borderpad=0,
            )
            total = total + len(labels) if side < 4 else max(total, len(labels))
            handles, labels = [], []
    if handles and (each or len(handles) > 1):
        columns = max(1, int(side / (0.55 + 0.065 * max(map(len, labels)))))
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=3.2)
        total += -(-len(labels) // columns)
    return total
