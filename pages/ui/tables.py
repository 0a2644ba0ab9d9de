"""Tables, written the same on every page: as HTML and as CSV. Cells are HTML; escape the names in them."""

from itertools import zip_longest
from typing import NamedTuple

from markupsafe import Markup

from attribution.export import numbers, tables
from pages.ui import format as write
from pages.ui import glossary


class Column(NamedTuple):
    """A column's heading. css: "n" aligns numbers right, "first" sets a group of columns apart; help: its tooltip."""

    heading: str
    css: str = ""
    help: str = ""


INTERVAL = Column("95 %")
LDS_HELP = glossary.TERMS["LDS"]


def table_html(columns: list[Column], rows, groups=(), last: list | None = None) -> str:
    """A row of HTML for each list of cells; short rows are filled up with empty cells.

    A cell is its content or (content, tooltip). groups: (title, number of columns) of a row above the headings; last: a
    row that is set apart, below the others."""
    titles = [title for title, width in groups for _ in range(width)]
    heads = [
        tables.Column(Markup(heading), help, "n" in css.split(), "first" in css.split(), title)
        for (heading, css, help), title in zip_longest(columns, titles, fillvalue="")
    ]

    def cells(row: list) -> list[tables.Cell]:
        pairs = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
        return [
            tables.Cell(Markup(content), tooltip) for content, tooltip in pairs + [("", "")] * (len(heads) - len(row))
        ]

    return str(tables.to_html(heads, map(cells, rows), last=last and cells(last)))


def estimate(value: float | None, interval, digits: int = 2, sign: bool = False) -> list[str]:
    """The two cells of a measured value: itself in bold, and its interval; a dash where it was not measured."""
    if value is None:
        return ["–", ""]
    return [f"<b>{write.decimal(value, digits, sign)}</b>", write.interval(interval, digits, sign)]


def stacked(value: float | None, interval, digits: int = 2, after: str = "") -> str:
    """`estimate` as one cell, the interval beneath the value, where columns are many. after: what follows the value."""
    number, ends = estimate(value, interval, digits)
    return f'{number}{after}<br><span class="lu-faint">{ends}</span>' if interval else f"{number}{after}"


p_text = numbers.p_value


def ranking_cell(ranking: str, label: str | None = None) -> str:
    """The ranking's name, or `label`, behind its line as the charts draw it: colour and dashes, as a gradient."""
    return str(tables.ranking_name(ranking, label))


def to_csv(rows, columns: list[str] | None = None) -> str:
    """A line for each dict of `rows` below a line of names; None and missing values are empty. columns: which, and in
    what order; None: all, as they come."""
    return tables.to_csv(rows, columns).decode()


def low_high(interval, name: str = "") -> dict:
    """{"low", "high"} of an interval for `to_csv`, named "<name>_low" and "<name>_high"; None where there is none."""
    prefix = f"{name}_" if name else ""
    low, high = interval or (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}
