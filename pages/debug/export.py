"""The lineup as a file, the command lines that make the same, and the ways to other pages."""

import streamlit as st

from attribution import Workspace
from attribution.explore.lineup import LineupRow
from attribution.export import lineup_figure
from pages.debug import computed_row, retraining
from pages.debug.lineup_view import Choice
from pages.ui import cli_command
from pages.ui import format as write
from pages.ui.downloads import report_button, warn_of_boxes


def draw(ws: Workspace, target: int, rows: list[LineupRow], choice: Choice, k: int, cut_ranking: str) -> None:
    """The row of links and buttons below the lineup. What its popovers hold is sent once they are opened."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if ws.has_base:
            st.page_link("pages/compare/page.py", label="How typical is this?", icon=":material/show_chart:")
        figure = st.popover("Export the figure", key="export figure", on_change="rerun", icon=":material/download:")
        if figure.open:
            with figure:
                _draw_formats(ws, target, rows, k)
        report_button(ws, target, rows=rows, k=k)
        command = st.popover("Copy command", key="copy command", on_change="rerun", icon=":material/terminal:")
        if command.open:
            with command:
                for title, words in _commands(ws, target, rows, choice, k, cut_ranking).items():
                    st.caption(write.plain(title))
                    cli_command.show(ws, *words)
        computed_row.draw_offer(ws, target, choice.rankings)


def _draw_formats(ws: Workspace, target: int, rows: list[LineupRow], k: int) -> None:
    warn_of_boxes(ws, "SVG")
    for ending in lineup_figure.FORMATS:
        st.download_button(
            ending[1:].upper(),
            data=lambda ending=ending: lineup_figure.encode(ws, target, rows, ending, k),
            on_click="ignore",
            file_name=f"lineup-{target}{ending}",
            key=f"download {ending}",
            width="stretch",
        )


def _commands(ws: Workspace, target: int, rows: list[LineupRow], choice: Choice, k: int, cut_ranking: str) -> dict:
    """Title -> the words of its command."""
    options = ["--target", target, "--rankings", ",".join(choice.rankings), "--top", choice.shown, "--k", k]
    for option, value, default in (
        ("--ends", choice.ends, "helpful"),
        ("--explain", choice.explain, "true"),
        ("--candidates", choice.candidates, "published"),
    ):
        options += [option, value] if value != default else []
    commands = {"This figure": ["export", "figure", *options, "--out", f"lineup-{target}.png"]}
    row = retraining.row_of(rows, cut_ranking)
    if row and ws.has_base:
        question = {"verb": "retrain", "recipe": ws.recipe, **retraining.question(ws, target, row, k)}
        commands[f"Retraining without the top {k} of {cut_ranking}"] = cli_command.arguments(question)
    return commands | {"The report": ["export", "report", *options, "--out", f"report-{target}.html"]}
