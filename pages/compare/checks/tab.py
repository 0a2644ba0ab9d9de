"""Checks: what a ranking should notice, tried where the answer is known."""

from attribution import Workspace
from attribution.evaluation import poison
from pages.compare import tab_frame
from pages.compare.checks import backdoor, sanity_checks
from pages.ui import theme


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    tab_frame.header("Do the rankings pass checks whose answer is known?")
    if not ws.has_base:
        theme.train_first(ws, "These checks need trained models, and there are none yet.")
        return
    for check in (backdoor, sanity_checks) if poison.load_poison_info(ws) else (sanity_checks, backdoor):
        check.draw(ws)
