"""A chart in plain data, so that one description gives the picture in every format and the table behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from attribution.export import tables

Interval = tuple[float, float] | None

COLUMNS = ["panel", "series", "x", "x_low", "x_high", "y", "y_low", "y_high", "what"]


@dataclass
class Series:
    """Points of one name.

    colour, dash, marker: as in `palette`; dash or marker None: no line, no marks. x_ci, y_ci: a confidence interval for
    each point, or None where there is none. hollow: which marks are drawn hollow. sizes: areas of the marks in points
    squared. most_marks: how many marks are drawn at most, spread over the points (without hollow and sizes); 0: all.
    labels: texts beside the marks. descriptions: what each point is, for the table. steps: the line holds its value
    until the next point. start, end: where a line begins and ends, beside its points. legend_note: what the legend says
    besides the name. in_legend: whether the legend lists it. band: (x, low, high) of a shade around it.
    """

    name: str
    x: list[float]
    y: list[float]
    colour: str
    dash: str | None = None
    marker: str | None = None
    x_ci: list[Interval] = field(default_factory=list)
    y_ci: list[Interval] = field(default_factory=list)
    hollow: list[bool] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    most_marks: int = 0
    labels: list[str] = field(default_factory=list)
    descriptions: list[str] = field(default_factory=list)
    steps: bool = False
    start: tuple[float, float] | None = None
    end: tuple[float, float] | None = None
    legend_note: str = ""
    in_legend: bool = True
    band: tuple[list, list, list] | None = None


@dataclass
class Matrix:
    """A value for every two names: NaN or None where there is none, with its interval. span: of the colours."""

    names: list[str]
    values: list[list[float | None]]
    ci: list[list[Interval]]
    span: tuple[float, float]


@dataclass
class Panel:
    """One pair of axes.

    x_ticks, y_ticks: value -> text instead of numbers. percent: the y axis is a share. from_zero: it begins at 0 where
    all is above. horizontal_lines, vertical_lines: (value, text). diagonal: a line where x and y are equal.
    """

    title: str = ""
    x: str = ""
    y: str = ""
    series: list[Series] = field(default_factory=list)
    x_log: bool = False
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    x_ticks: dict[float, str] | None = None
    y_ticks: dict[float, str] | None = None
    percent: bool = False
    from_zero: bool = False
    horizontal_lines: list[tuple[float, str]] = field(default_factory=list)
    vertical_lines: list[tuple[float, str]] = field(default_factory=list)
    diagonal: bool = False
    matrix: Matrix | None = None


@dataclass
class Chart:
    """title: one line. caption: how it was made, with recipe, n and seeds; it goes into the file. height: of a panel,
    in inches."""

    title: str
    caption: str
    panels: list[Panel]
    height: float = 2.3


def to_csv(chart: Chart) -> bytes:
    """A row for each point that is drawn, columns COLUMNS; of a matrix, a row for each pair, once, with its value as y.
    x and y are what the axes say. The first line, after "#", has title and caption."""
    rows = (row for panel in chart.panels for row in _rows(panel))
    return tables.to_csv(rows, COLUMNS, f"{chart.title}. {chart.caption}")


def _rows(panel: Panel) -> Iterator[dict]:
    if panel.matrix:
        names, values, ci = panel.matrix.names, panel.matrix.values, panel.matrix.ci
        for i, a in enumerate(names):
            for j, b in enumerate(names[i + 1 :], i + 1):
                yield {"panel": panel.title, "series": a, "y": values[i][j], "y_ci": ci[i][j], "what": b}
    for series in panel.series:
        for i, (x, y) in enumerate(zip(series.x, series.y)):
            yield {
                "panel": panel.title,
                "series": series.name,
                "x": x,
                "x_ci": series.x_ci[i] if series.x_ci else None,
                "y": y,
                "y_ci": series.y_ci[i] if series.y_ci else None,
                "what": series.descriptions[i] if series.descriptions else None,
            }
