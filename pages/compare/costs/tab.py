"""Cost: what each ranking costs, and below it what more compute buys."""

from attribution import Workspace
from pages.compare.costs import lds_vs_compute, ranking_cost


def draw(ws: Workspace) -> None:
    """Draws the tab."""
    ranking_cost.draw(ws)
    lds_vs_compute.draw(ws)
