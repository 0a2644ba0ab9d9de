"""Lineup's library: rankings of training images, support search, retraining, and the store behind them.

Usable alone, from the command line (``python -m attribution``) and from a notebook::

    import attribution as lineup
    ws = lineup.show(train, val, scores={"mine": scores}, sign="helpful")

Importing it takes milliseconds, and neither torch nor numpy: each name is looked up when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from attribution.errors import UserError

if TYPE_CHECKING:
    from attribution import metrics
    from attribution.notebook.opened import create, open
    from attribution.notebook.show import show
    from attribution.workspace.workspace import Workspace

__all__ = ["UserError", "Workspace", "create", "metrics", "open", "show"]
__version__ = "0.1.0"
_HOMES = {
    "Workspace": "attribution.workspace.workspace",
    "create": "attribution.notebook.opened",
    "open": "attribution.notebook.opened",
    "show": "attribution.notebook.show",
}


def __getattr__(name: str):
    if name == "metrics":
        return import_module("attribution.metrics")
    if name not in _HOMES:
        raise AttributeError(f"module 'attribution' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
