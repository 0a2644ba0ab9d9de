"""The command that starts the dashboard: serve."""

from typing import Annotated

import typer

from attribution.cli import Folder, whole_option
from attribution.workspace.workspace import DEMO


def serve(
    ws: Folder = DEMO,
    port: Annotated[int, whole_option("--port", 1, 65535, "Where to serve it, on this machine alone.")] = 8501,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the browser at it.")] = False,
    no_token: Annotated[bool, typer.Option("--no-token", help="Let in every user of this machine.")] = False,
):
    """Serve the dashboard on a workspace until Ctrl-C. `lineup` alone serves the demo and opens the browser."""
    from attribution.serve import serve as start

    start(port, ws, "/" if open_browser else None, with_token=not no_token)
