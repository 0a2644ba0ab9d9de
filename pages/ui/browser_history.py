"""Back and Forward: the browser's history holds each page as it was left, and each target as a step of its own."""

from pages.ui.tile_strip import component

_component = component("history", "history.js")


def keep() -> None:
    """Stands before the browser's history (assets/history.js says how). app.py calls it before the page."""
    _component(key="history")
