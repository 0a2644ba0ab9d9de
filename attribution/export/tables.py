"""Tables as they leave: CSV for other programs, HTML for the pages and the report."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from attribution.export import palette
from attribution.export.numbers import MISSING
from attribution.inputs import names

#: Jinja2 templates of this folder. Everything put into them is escaped, unless it is `Markup`.
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
#: A line's dash by its name in `palette`: lengths in pixels, drawn and left out in turn.
DASHES = {
    "solid": [30],
    "dash": [6, 4],
    "dot": [3, 3],
    "dashdot": [7, 3, 2, 3],
    "longdash": [11, 4],
    "longdashdot": [10, 3, 2, 3],
}


@dataclass(frozen=True)
class Column:
    """A column of an HTML table.

    tooltip: explains the head. numeric: set to the right, with a typographic minus. gap: space on its left. group: a
    second head above; neighbours of the same group share it.
    """

    head: str
    tooltip: str = ""
    numeric: bool = False
    gap: bool = False
    group: str = ""

    @property
    def css(self) -> str | None:
        """The classes of its cells."""
        return " ".join(["n"] * self.numeric + ["first"] * self.gap) or None


@dataclass(frozen=True)
class Cell:
    """A cell that needs more than its text: a tooltip, or bold type."""

    value: str | Markup | float | None
    tooltip: str = ""
    bold: bool = False


def numeric(*heads: str) -> list[Column]:
    """Columns of numbers with these heads."""
    return [Column(head, numeric=True) for head in heads]


def to_html(
    columns: Iterable[Column | str], rows: Iterable[Iterable], caption: str = "", last: Iterable | None = None
) -> Markup:
    """An HTML table that scrolls by itself where it is wider than the page; all text in it is escaped.

    columns: as `Column`, or a head alone. rows: of cells, as many as columns: text, numbers, `Markup`, `Cell`, or None,
    which is drawn as a dash; "" leaves a cell empty. last: a row set apart at the end, such as the noise ceiling.
    caption: with one, the table is a region with a name of its own, and the first cells of columns and rows head them.
    """
    columns = [Column(column) if isinstance(column, str) else column for column in columns]
    groups = [(name, len(list(members))) for name, members in groupby(columns, lambda column: column.group)]
    return Markup(
        TEMPLATES.get_template("table.html.j2").render(
            columns=columns,
            groups=groups if any(name for name, _ in groups) else [],
            rows=[[_cell(value, column) for value, column in zip(row, columns)] for row in rows],
            last=last and [_cell(value, column) for value, column in zip(last, columns)],
            caption=caption,
        )
    )


def _cell(value, column: Column) -> Cell:
    cell = value if isinstance(value, Cell) else Cell(value)
    if isinstance(cell.value, Markup):
        return cell
    text = MISSING if cell.value is None else names.visible(cell.value)
    return Cell(text.replace("-", "−") if column.numeric else text, names.visible(cell.tooltip), cell.bold)


def ranking_name(ranking: str, label: str | None = None) -> Markup:
    """A ranking's name, or `label`, after its line, as in the charts: the dashes are stops of a gradient."""
    colour, dash, _ = palette.ranking_style(ranking)
    stops, start = [], 0
    for i, length in enumerate(DASHES[dash]):
        stops.append(f"{'transparent' if i % 2 else colour} {start}px {start + length}px")
        start += length
    gradient = f"repeating-linear-gradient(90deg, {', '.join(stops)})"
    return Markup('<span class="swatch" style="background: {}"></span>{}').format(
        gradient, names.visible(label or ranking)
    )


def to_csv(rows: pd.DataFrame | Iterable[dict], columns: list[str] | None = None, note: str = "") -> bytes:
    """A table as the content of a CSV file, UTF-8, with a head; None and NaN are empty. Texts are as
    `names.visible_lines` and `names.to_cell` write them; numbers stay numbers.

    rows: a frame, or a dict a row; an interval under "ci" or "NAME_ci", a pair or None, becomes two columns, "low" and
    "high" or "NAME_low" and "NAME_high". columns: which of a row's, in this order; what it lacks is empty. note: what
    the table is and where it comes from, on a line of its own after "#", above the head.
    """
    if not isinstance(rows, pd.DataFrame):
        rows = pd.DataFrame([_split_intervals(row) for row in rows], columns=columns, dtype=object)
    head = f"# {names.visible(' '.join(note.split()))}\n" if note else ""  # names in it may hold line breaks
    rows = rows.apply(_csv_column)
    return (head + rows.to_csv(index=False, lineterminator="\n")).encode()


def _csv_column(column: pd.Series) -> pd.Series:
    if column.dtype.kind != "O":
        return column
    cells = [names.to_cell(names.visible_lines(value)) if isinstance(value, str) else value for value in column]
    return pd.Series(cells, column.index, object)


def _split_intervals(row: dict) -> dict:
    split = {}
    for name, value in row.items():
        if name == "ci" or name.endswith("_ci"):
            split[f"{name[:-2]}low"], split[f"{name[:-2]}high"] = value or (None, None)
        else:
            split[name] = value
    return split
