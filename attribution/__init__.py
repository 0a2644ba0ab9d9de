"""Lineup's library: rankings of training images, support search, retraining, and the store behind them.

Usable alone, from the command line (``python -m attribution``) and from a notebook. Importing it imports no torch.
"""

from attribution.errors import UserError
from attribution.workspace.workspace import Workspace

__all__ = ["UserError", "Workspace"]
__version__ = "0.1.0"
