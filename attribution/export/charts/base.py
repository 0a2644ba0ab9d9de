"""A chart in plain data, so that one description gives the picture in every format and the table behind it."""

import csv
import io
from dataclasses import dataclass, field

Ends = tuple[float, float] | None

COLUMNS = ("panel", "series", "x", "x_low", "x_high", "y", "y_low", "y_high", "what")


@dataclass
class Series:
    """Points of one name. colour, dash, marker: as in `palette`; dash or marker None: no line, no marks.

    x_ends, y_ends: an interval a point, or None where there is none. open: a point that is drawn hollow. sizes: areas
    of the marks in points squared. texts: beside the marks. what: of each point, for the table. steps: the line holds
    its value until the next point. start and end: where a line of steps begins and ends, beside its points. note: what
    the legend says besides the name. listed: whether the legend has it. band: (x, low, high) of a shade around it.
    """

    name: str
    x: list[float]
    y: list[float]
    colour: str
    dash: str | None = None
    marker: str | None = None
    x_ends: list[Ends] = field(default_factory=list)
    y_ends: list[Ends] = field(default_factory=list)
    open: list[bool] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    what: list[str] = field(default_factory=list)
    steps: bool = False
    start: tuple[float, float] | None = None
    end: tuple[float, float] | None = None
    note: str = ""
    listed: bool = True
    band: tuple[list, list, list] | None = None


@dataclass
class Matrix:
    """A value for every two names, NaN or None where there is none; ends: their intervals. span: of the colours."""

    names: list[str]
    values: list[list[float | None]]
    ends: list[list[Ends]]
    span: tuple[float, float]


@dataclass
class Panel:
    """One pair of axes. ticks: value -> text instead of numbers. levels and uprights: lines at a value, with a text.
    from_zero: whether the y axis begins at 0 where all is above."""

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
    levels: list[tuple[float, str]] = field(default_factory=list)
    uprights: list[tuple[float, str]] = field(default_factory=list)
    diagonal: bool = False
    matrix: Matrix | None = None


@dataclass
class Chart:
    """title: one line; about: how it was made, with recipe, n and seeds: it goes into the file. height: of a panel, in
    inches."""

    title: str
    about: str
    panels: list[Panel]
    height: float = 2.3


def to_csv(chart: Chart) -> str:
    """A row for each point that is drawn, columns COLUMNS; of a matrix, a row for each pair, once, with its value as y.
    x and y are what the axes say: the first line after a "#" names title and making."""
    out = io.StringIO()
    out.write(" ".join(f"# {chart.title}. {chart.about}".split()) + "\n")  # names may hold line breaks
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for panel in chart.panels:
        if panel.matrix:
            _pairs(writer, panel)
        for one in panel.series:
            for at, (x, y) in enumerate(zip(one.x, one.y)):
                x_ends, y_ends = (ends[at] if ends and ends[at] else ("", "") for ends in (one.x_ends, one.y_ends))
                writer.writerow([panel.title, one.name, x, *x_ends, y, *y_ends, one.what[at] if one.what else ""])
    return out.getvalue()


def _pairs(writer, panel: Panel) -> None:
    names, values, ends = panel.matrix.names, panel.matrix.values, panel.matrix.ends
    for row, a in enumerate(names):
        for column, b in enumerate(names[row + 1 :], row + 1):
            writer.writerow([panel.title, a, "", "", "", values[row][column], *(ends[row][column] or ("", "")), b])
