"""Buttons that download a chart or the report. The file is made when the button is pressed."""

import streamlit as st

from attribution import Workspace
from attribution.export import charts, lineup_figure, report
from attribution.store.results import ResultStore
from pages.ui import cli_command
from pages.ui import format as write
from pages.ui.fragments import fragment

WIDTH_LABELS = {"single": "one column, 3.4 in", "double": "two columns, 7 in"}


def warn_of_boxes(ws: Workspace, keeps: str) -> None:
    """A line where a picture cannot show the names of classes, since no font here has their signs. keeps: the kind of
    file that has them all the same."""
    if signs := lineup_figure.missing_signs(ws):
        said = f"No font of this machine has {signs[:20]}: boxes stand for them, and {keeps} keeps them."
        st.caption(write.plain(f"{said} Install a font with these signs, such as Noto Sans CJK."))


def figure_popover(ws: Workspace, what: str, **options) -> None:
    """The chart `what` of `attribution.export.charts` as PNG, SVG, PDF and CSV, in either width, and its command.
    options: as `charts.chart`. Raises KeyError for a chart that there is not."""
    charts.CHARTS[what]  # noqa: B018 - a button's failure would only be seen by who clicks it
    with st.container(width="content"):
        _popover_content(ws, what, options)


@fragment()
def _popover_content(ws, what, options) -> None:
    with st.popover("Figure", icon=":material/image:"):
        width = st.segmented_control(
            "Width",
            list(charts.WIDTHS),
            default="double",
            required=True,
            key=f"width {what}",
            format_func=WIDTH_LABELS.get,
        )
        warn_of_boxes(ws, "CSV")
        with st.container(horizontal=True, gap="small"):
            for ending in charts.FORMATS:
                st.download_button(
                    ending[1:].upper(),
                    data=_maker(ws, what, ending, width, options),
                    on_click="ignore",
                    file_name=f"{what}{ending}",
                    key=f"figure {what} {ending}",
                )
        words = [
            word
            for name, value in options.items()
            for word in (f"--{name}", value if isinstance(value, str) else ",".join(value))
        ]
        cli_command.show(ws, "export", "figure", "--what", what, *words, "--width", width, "--out", f"{what}.pdf")


def _maker(ws, what, ending, width, options):
    def make():
        with ResultStore.for_workspace(ws) as store:  # Streamlit calls this in another thread
            return charts.to_bytes(charts.chart(ws, store, what, **options), ending, width)

    return make


def report_button(ws: Workspace, target: int | None, **options) -> None:
    """A button that downloads the report about a target, None for the workspace's opening target, and the workspace.
    options: as `report.build_report`."""

    def make():
        with ResultStore.for_workspace(ws) as store:
            return report.build_report(ws, store, target, **options)

    name = "report.html" if target is None else f"report-{target}.html"
    about = "" if target is None else f" of target {target}"
    st.download_button(
        "Report",
        data=make,
        file_name=name,
        mime="text/html",
        on_click="ignore",
        key="report",
        icon=":material/description:",
        help=f"One HTML file that opens anywhere: the top images{about}, all its verdicts, the curves and tables "
        "of Compare, and how each number was made.",
    )
