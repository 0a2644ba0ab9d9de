"""Starts the dashboard: `python -m attribution.serve [--port 8501] [--workspace DIR]`.

What can go wrong is checked before Streamlit starts, so that each mistake gets one sentence. Streamlit itself is
started as another program, since nothing in `attribution` imports it.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from attribution.errors import UserError
from attribution.files import ROOT, data_folder

ADDRESS = "127.0.0.1"
APP = ROOT / "app.py"
#: `python -m streamlit`, told beforehand that pages/ is ours to route: otherwise a fresh server's first visitor, coming
#: by a deep link, is shown "Page not found" over the right page.
STREAMLIT_SCRIPT = (
    "from streamlit.runtime.pages_manager import PagesManager; PagesManager.uses_pages_directory = False; "
    "from streamlit.web.cli import main; main(prog_name='streamlit')"
)
#: Waits until the server is up, half a minute at most, and opens the browser; this process is the server by then.
OPENER_SCRIPT = f"""
import socket, sys, time, webbrowser
for _ in range(300):
    with socket.socket() as probe:
        if probe.connect_ex(({ADDRESS!r}, int(sys.argv[2]))) == 0:
            webbrowser.open(sys.argv[1])
            break
    time.sleep(0.1)
"""


def serve(port: int | str = 8501, workspace: str | Path | None = None, page_url: str | None = None) -> None:
    """Replaces this process by a Streamlit server of `app.py` at 127.0.0.1:`port`, and prints the address.

    workspace: a workspace's folder, handed on as LINEUP_WORKSPACE; None leaves that variable as it is, and without it
    the bundled demo is served. page_url: a path such as "/?target=3" that the browser is opened at. Raises UserError
    for a port that cannot be had, a folder that is no workspace, and a data folder that cannot be written.
    """
    port = check_port(port)
    workspace = workspace or os.environ.get("LINEUP_WORKSPACE")
    if workspace:
        os.environ["LINEUP_WORKSPACE"] = str(check_workspace(workspace))
    os.environ["LINEUP_DATA"] = str(check_data_folder())
    for library in ("OMP", "OPENBLAS", "MKL"):  # the server is left responsive; a training sets its own threads
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    address = f"http://{ADDRESS}:{port}{page_url or ''}"
    print(f"Lineup is at {address} (results are kept in {os.environ['LINEUP_DATA']}; Ctrl-C stops it)")
    sys.stdout.flush()
    if page_url:
        subprocess.Popen(
            [sys.executable, "-c", OPENER_SCRIPT, address, str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    os.chdir(APP.parent)  # where .streamlit/config.toml is found
    os.execv(sys.executable, [sys.executable, "-c", STREAMLIT_SCRIPT, "run", APP.name, "--server.port", str(port)])


def check_port(port: int | str) -> int:
    """`port` as an int. Raises UserError when it is no port, is in use, or may not be had."""
    try:
        number = int(port)
    except ValueError:
        number = 0
    if not 1 <= number <= 65535:
        raise UserError(f"{port!r} is no port; give a number from 1 to 65535, such as PORT=8501")
    with socket.socket() as client:
        taken = client.connect_ex((ADDRESS, number)) == 0
    with socket.socket() as server:
        # Without this, a server stopped a minute ago would still count as using the port.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((ADDRESS, number))
        except PermissionError:
            raise UserError(f"port {number} needs more rights than you have; give another, such as PORT=8501") from None
        except OSError:
            taken = True
    if taken:
        raise UserError(f"port {number} is in use; stop the program that uses it, or give another: PORT={number + 1}")
    return number


def check_workspace(folder: str | Path) -> Path:
    """The absolute path of a workspace. Raises UserError when `folder` has no workspace.json."""
    folder = Path(folder).expanduser().resolve()
    if not (folder / "workspace.json").is_file():
        raise UserError(f"there is no workspace at {folder}: no workspace.json in it; check the path")
    return folder


def check_data_folder() -> Path:
    """The absolute path of the data folder, created if need be. Raises UserError when it is not writable."""
    folder = data_folder().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"the data folder {folder} cannot be written ({error.strerror}); set LINEUP_DATA to a folder that can"
        ) from None
    return folder


def main() -> None:
    """The program: serves until Ctrl-C, or ends with status 2 and one sentence where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m attribution.serve", description="Starts the dashboard.")
    parser.add_argument("--port", default=8501, help="default 8501")
    parser.add_argument("--workspace", help="a workspace's folder; default: the bundled demo")
    options = parser.parse_args()
    try:
        serve(options.port, options.workspace)
    except UserError as error:
        print(f"Lineup cannot start: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
