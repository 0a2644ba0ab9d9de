"""Summary: what was found, a sentence each; below it the support curves and LDS that the sentences rest on."""

import streamlit as st

from attribution import Workspace
from attribution.evaluation import cost, lds_families, lds_report
from attribution.experiments.study import Study
from attribution.training.head.recipe import is_head
from pages.compare import findings, lds, tab_frame
from pages.compare.supports import chosen_study
from pages.compare.supports import tab as supports
from pages.ui import format as write


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    report = tab_frame.load_answer(ws, lds_report.load)
    own = tab_frame.load_answer(ws, under_own_heads) if report else {}
    tab_frame.header(f"Which ranking finds the images that decide what {write.plain(ws.recipe)} predicts?")
    _findings(ws, report)
    target = tab_frame.shown_target(ws)
    supports.draw(ws, report and {**report, "own_heads": own}, target)
    if ws.has_base or report:
        lds.draw(ws, own)


def under_own_heads(ws: Workspace) -> dict[str, dict]:
    """As `lds_report.under_own_heads`; nothing where the report itself is of a head."""
    return {} if is_head(ws.recipe) else lds_report.under_own_heads(ws)


def _findings(ws: Workspace, report: dict | None) -> None:
    """A line each."""
    usual: Study = chosen_study.usual(ws)
    rows = (report or {}).get("rankings", {})
    said = {
        "Fewest images": findings.fewest_images(chosen_study.evaluate(usual), ws.recipe, f"protocol {usual.protocol}"),
        "Similarity": findings.similarity(lds_families.compare(ws, rows), rows, ws.recipe) if rows else "",
        "Cost": findings.price(_costs(ws, report), rows),
    }
    lines = [f"- **{name}.** {write.plain(text)}" for name, text in said.items() if text]
    if lines:
        st.markdown("\n".join(lines))


def _costs(ws: Workspace, report: dict | None) -> list[dict]:
    costs = tab_frame.load_answer(ws, cost.load)
    return cost.cost_rows(costs, report, {}) if costs else []
