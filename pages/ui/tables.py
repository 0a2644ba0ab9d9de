"""Tables, written the same on every page: as HTML and as CSV. Cells are HTML; escape the names in them."""

from typing import NamedTuple

import pandas as pd

from attribution.export import palette
from pages.ui import format as write

DASHES = {  # lengths in pixels, line and gap in turn
    "solid": [30],
    "dash": [6, 4],
    "dot": [3, 3],
    "dashdot": [7, 3, 2, 3],
    "longdash": [11, 4],
    "longdashdot": [10, 3, 2, 3],
}


class Column(NamedTuple):
    """A column's heading. css: "n" aligns numbers right, "first" sets a group of columns apart; help: its tooltip."""

    heading: str
    css: str = ""
    help: str = ""


INTERVAL = Column("95 %")


def table_html(columns: list[Column], rows, groups=(), last: list | None = None) -> str:
    """A row of HTML for each list of cells; short rows are filled up with empty cells.

    A cell is its content or (content, tooltip). groups: (title, number of columns) of a row above the headings; last: a
    row that is set apart, below the others."""
    above = "".join(_tag("th", title, "group" if title else "", span=width) for title, width in groups)
    heads = "".join(_tag("th", *column) for column in columns)
    body = "".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    body += f'<tr class="last">{_cells(columns, last)}</tr>' if last else ""
    return framed((f"<tr>{above}</tr>" if above else "") + f"<tr>{heads}</tr>", body)


def framed(head: str, body: str) -> str:
    """Rows of HTML as a table that scrolls by itself where it is wider than the page."""
    return f'<div class="lu-scroll"><table class="lu-table"><thead>{head}</thead><tbody>{body}</tbody></table></div>'


def _cells(columns: list[Column], row: list) -> str:
    cells = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
    cells += [("", "")] * (len(columns) - len(cells))
    return "".join(_tag("td", content, column.css, title) for column, (content, title) in zip(columns, cells))


def _tag(name: str, content, css: str = "", title: str = "", span: int = 1) -> str:
    attributes = {"colspan": span if span > 1 else "", "class": css, "title": write.escape(title)}
    written = "".join(f' {key}="{value}"' for key, value in attributes.items() if value)
    return f"<{name}{written}>{content}</{name}>"


def estimate(value: float | None, interval, digits: int = 2, sign: bool = False) -> list[str]:
    """The two cells of a measured value: itself in bold, and its interval; a dash where it was not measured."""
    if value is None:
        return ["–", ""]
    return [f"<b>{write.decimal(value, digits, sign)}</b>", write.interval(interval, digits, sign)]


def p_text(p: float) -> str:
    """0.0004 -> "< 0.001", 0.0312 -> "0.031", 0.4 -> "0.40"."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def ranking_cell(ranking: str, label: str | None = None) -> str:
    """The ranking's name, or `label`, behind its line as the charts draw it: colour and dashes, as a gradient."""
    colour, dash, _ = palette.ranking_style(ranking)
    stops, at = [], 0
    for i, length in enumerate(DASHES[dash]):
        shade = "transparent" if i % 2 else colour
        stops += [f"{shade} {at}px {at + length}px"]
        at += length
    swatch = f'<span class="swatch" style="background: repeating-linear-gradient(90deg, {", ".join(stops)})"></span>'
    return swatch + write.escape(label or ranking)


def to_csv(rows, columns: list[str] | None = None) -> str:
    """A line for each dict of `rows` below a line of names; None and missing values are empty. columns: which, and in
    what order; None: all, as they come."""
    return pd.DataFrame(list(rows), columns=columns, dtype=object).to_csv(index=False, lineterminator="\n")


def low_high(interval, name: str = "") -> dict:
    """{"low", "high"} of an interval for `to_csv`, named "<name>_low" and "<name>_high"; None where there is none."""
    prefix = f"{name}_" if name else ""
    low, high = interval or (None, None)
    return {f"{prefix}low": low, f"{prefix}high": high}
