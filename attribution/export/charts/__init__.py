"""The charts of Compare as files for a paper: PNG, SVG or PDF, and CSV. Each is drawn from answers that are stored."""

from pathlib import Path

from attribution.errors import UserError
from attribution.export.charts.base import Chart, to_csv
from attribution.export.charts.drawing import WIDTHS, encode, missing_signs
from attribution.export.charts.stored import CHART_OPTIONS, CHARTS, chart
from attribution.export.saving import save_file

__all__ = ["CHARTS", "FORMATS", "CHART_OPTIONS", "WIDTHS", "Chart", "chart", "missing_signs", "to_bytes", "save"]

FORMATS = (".png", ".svg", ".pdf", ".csv")


def to_bytes(chart: Chart, ending: str, width: str = "double") -> bytes:
    """A chart as the content of a file; ending: one of FORMATS, width: one of WIDTHS."""
    return to_csv(chart) if ending == ".csv" else encode(chart, ending, width)


def save(chart: Chart, path: str | Path, width: str = "double") -> Path:
    """Writes a chart to `path`; its ending says in which format. Returns the path.

    Raises UserError for another ending than FORMATS, another width than WIDTHS, and where it cannot be written.
    """
    if width not in WIDTHS:
        raise UserError(f"no width {width!r}; choose {' or '.join(WIDTHS)}")
    return save_file(path, FORMATS, lambda ending: to_bytes(chart, ending, width))
