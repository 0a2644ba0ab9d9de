"""Starts the dashboard: `python -m attribution.serve [--port 8501] [--workspace DIR] [--no-token]`.

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

from attribution.access.tokens import add_parameter, prepare_token
from attribution.errors import UserError
from attribution.files import APP, ROOT, data_folder, is_shared, keep_private, make_folder

ADDRESS = "127.0.0.1"
SERVER = APP / "asgi.py"
#: `python -m streamlit`, with three things arranged. It is told beforehand that pages/ is ours to route: otherwise a
#: fresh server's first visitor, coming by a deep link, is shown "Page not found" over the right page. And Ctrl-C or a
#: termination is a good end: uvicorn raises the signal again when it has closed all connections. And no garbage is
#: looked for while modules are imported, in which there is little: asgi.py begins with it when all is there.
STREAMLIT_SCRIPT = """
import gc, signal, sys
gc.disable()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: sys.exit(0))
from streamlit.runtime.pages_manager import PagesManager
PagesManager.uses_pages_directory = False
from streamlit.web.cli import main
main(prog_name="streamlit")
"""
#: Before that, where the server is another process's: it ends when that process does, whose end closes its stdin.
ENDS_WITH_STDIN = """
import os, signal, threading
def end():
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=end, daemon=True).start()
"""
#: Waits until the server is up, half a minute at most, and opens the browser; this process is the server by then. The
#: code is made last of all: until the browser has spent it, other users could read it from the browser's arguments.
OPENER_SCRIPT = f"""
import socket, sys, time, webbrowser
from attribution.access.tokens import add_parameter, new_code
from attribution.files import data_folder
url, port, with_token = sys.argv[1:]
for _ in range(300):
    with socket.socket() as probe:
        if probe.connect_ex(({ADDRESS!r}, int(port))) == 0:
            webbrowser.open(add_parameter(url, "once", new_code(data_folder())) if with_token else url)
            break
    time.sleep(0.1)
"""


def serve(
    port: int | str = 8501,
    workspace: str | Path | None = None,
    page_url: str | None = None,
    with_token: bool = True,
) -> None:
    """Replaces this process by a Streamlit server of `asgi.py` at 127.0.0.1:`port`, and prints the link to it.

    workspace: a workspace's folder, handed on as LINEUP_WORKSPACE; None leaves that variable as it is, and without it
    the bundled demo is served. page_url: a path such as "/?target=3" that the browser is opened at. with_token: whether
    a browser has to have opened the printed link once. Raises UserError for a port that cannot be had, a folder that is
    no workspace, and a data folder that cannot be written.
    """
    port = check_port(port)
    workspace = workspace or os.environ.get("LINEUP_WORKSPACE")
    if workspace:
        os.environ["LINEUP_WORKSPACE"] = str(check_workspace(workspace))
    data = check_data_folder()
    if os.environ.get("LINEUP_DATA"):  # only then: a data folder that was named may be a shared one
        os.environ["LINEUP_DATA"] = str(data)
    os.environ.update(thread_limits())
    address = f"http://{ADDRESS}:{port}{page_url or '/'}"
    if with_token:
        os.environ.pop("LINEUP_NO_TOKEN", None)
        link = add_parameter(address, "token", prepare_token(data))
    else:
        os.environ["LINEUP_NO_TOKEN"] = "1"
        link = address
        print("No token is asked for: every user of this machine can use this dashboard", file=sys.stderr)
    if is_shared(data):
        print(f"The data folder {data} is shared: others can read or change what is in it", file=sys.stderr)
    print(f"Lineup is at {link} (results are kept in {data}; Ctrl-C stops it)")
    sys.stdout.flush()
    if page_url:
        subprocess.Popen(
            [sys.executable, "-c", OPENER_SCRIPT, address, str(port), "yes" if with_token else ""],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    os.chdir(APP)  # where .streamlit/config.toml is found
    os.execv(sys.executable, server_command(port))


def server_command(port: int, ends_with_stdin: bool = False) -> list[str]:
    """The command that serves `asgi.py` at 127.0.0.1:`port`; its working folder is APP. ends_with_stdin: it ends when
    its standard input is closed, by the end of the process that started it if by nothing else."""
    script = (ENDS_WITH_STDIN if ends_with_stdin else "") + STREAMLIT_SCRIPT
    return [sys.executable, "-c", script, "run", SERVER.name, "--server.port", str(port)]


def thread_limits() -> dict[str, str]:
    """The environment of a server that is left responsive and small, where nothing else was said; a training sets its
    own threads. Every script of a page runs in a thread of its own, and each of many heaps keeps what it freed."""
    limits = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")} | {"MALLOC_ARENA_MAX": "2"}
    return {name: os.environ.get(name, limit) for name, limit in limits.items()}


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
        make_folder(folder)
        if not os.environ.get("LINEUP_DATA"):  # a folder that was named keeps the permissions it was given
            keep_private(folder)
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
    parser.add_argument("--no-token", action="store_true", help="let in every user of this machine, without the link")
    options = parser.parse_args()
    try:
        serve(options.port, options.workspace, with_token=not options.no_token)
    except UserError as error:
        print(f"Lineup cannot start: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
