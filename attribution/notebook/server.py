"""A dashboard that runs in the background of a notebook or a script, and ends with it."""

import atexit
import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

from attribution.access.middleware import HEALTH
from attribution.access.tokens import MOST_LASTS, add_parameter, new_code, prepare_token
from attribution.errors import UserError
from attribution.files import APP, data_folder
from attribution.serve import ADDRESS, check_data_folder, check_port, server_command, thread_limits

START_SECONDS = 60
#: Servers that one process leaves running: each takes some hundred MB. The one that was shown longest ago ends first.
MAX_SERVERS = 4
#: Where no server is started: nobody could look at its port from the browser. Variable of the environment -> place.
HOSTED = {"COLAB_RELEASE_TAG": "Colab", "KAGGLE_KERNEL_RUN_TYPE": "Kaggle"}
_running: dict[Path, "Server"] = {}
_owner = os.getpid()  # a forked process ends none of them


class Server:
    """A dashboard of the workspace at `path`, running. It ends by `stop`, and with this process however that ends."""

    def __init__(self, path: Path, port: int, process: subprocess.Popen):
        self.path, self.port, self._process = path, port, process

    def __repr__(self) -> str:
        return f"<Server of {self.path} at {self.address}, {'running' if self.is_running else 'ended'}>"

    @property
    def address(self) -> str:
        """Where it is, without the token."""
        return f"http://{ADDRESS}:{self.port}/"

    @property
    def is_running(self) -> bool:
        """False once it has ended."""
        return self._process.poll() is None

    def link(self, query: dict | None = None) -> str:
        """An address that lets a browser in, once and within ten minutes: what a notebook prints is handed on with it.
        query: parameters of the page, values or lists of values."""
        asked = urlencode(query or {}, doseq=True)
        return add_parameter(f"{self.address}?{asked}" if asked else self.address, "once", self.new_code())

    def new_code(self) -> str:
        """What stands for the token, once and within ten minutes."""
        return new_code(data_folder(), MOST_LASTS)

    def wait(self) -> None:
        """Returns when it has ended; Ctrl-C ends it. For scripts, which would otherwise end, and it with them."""
        try:
            self._process.wait()
        except KeyboardInterrupt:
            self.stop()

    def stop(self) -> None:
        """Ends it."""
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()
        if _running.get(self.path) is self:
            del _running[self.path]


def start_server(path: Path, port: int | None = None) -> Server:
    """A server of the workspace at `path`: the one of this process that runs already, else a new one.

    port: None for the one that it has, or any that is free. Raises UserError where it cannot start, or is to have a
    port that it cannot have.
    """
    path = Path(os.path.realpath(path))
    server = _running.get(path)
    if server is not None and not server.is_running:
        server.stop()
        server = None
    if server is not None and port in (None, server.port):
        _running[path] = _running.pop(path)
        return server
    if server is not None:
        check_port(port)
        server.stop()
    asked = None if port is None else check_port(port)
    data = check_data_folder()
    prepare_token(data)
    process, chosen = _start(path, data, asked)
    _running[path] = Server(path, chosen, process)
    while len(_running) > MAX_SERVERS:
        next(iter(_running.values())).stop()
    return _running[path]


def running_server(path: Path) -> Server | None:
    """The server of the workspace at `path` that this process has started; None where none runs."""
    server = _running.get(Path(os.path.realpath(path)))
    return server if server is not None and server.is_running else None


def no_server_reason() -> str | None:
    """Why no server is started here, in a sentence; None where one may be."""
    place = next((place for variable, place in HOSTED.items() if os.environ.get(variable)), None)
    if place:
        return (
            f"on {place} the browser cannot reach a server of the notebook, as far as is known: it was not tried there"
        )
    return None


def jupyter_origins() -> list[str]:
    """The origins that the pages of the Jupyter server have which this process is a kernel of, as far as it tells; none
    where it is no kernel of one on this machine."""
    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdigit() or "ipykernel" not in sys.modules:
        return []
    try:
        from jupyter_core.paths import jupyter_runtime_dir

        described = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{parent}.json").read_bytes())
        scheme, port = "https" if described.get("secure") else "http", int(described["port"])
    except (ImportError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return [f"{scheme}://{host}:{port}" for host in ("localhost", ADDRESS)]


def _start(path: Path, data: Path, port: int | None) -> tuple[subprocess.Popen, int]:
    """The process of a server that answers, and its port. Raises UserError where none does."""
    environment = {
        **os.environ,
        **thread_limits(),
        "LINEUP_WORKSPACE": str(path),
        "LINEUP_FRAMED_BY": " ".join(jupyter_origins()),
    }
    environment.pop("LINEUP_NO_TOKEN", None)
    if os.environ.get("LINEUP_DATA"):  # only then: a data folder that was named may be a shared one
        environment["LINEUP_DATA"] = str(data)
    for last_try in (False, False, True):
        chosen = _free_port() if port is None else port
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                server_command(chosen, ends_with_stdin=True),
                cwd=APP,  # where .streamlit/config.toml is found
                env=environment,
                stdin=subprocess.PIPE,  # it ends when this process does
                stdout=output,
                stderr=output,
                start_new_session=True,  # interrupting the notebook does not end it
            )
            try:
                if _answers(process, chosen):
                    return process, chosen
            except BaseException:
                process.kill()
                raise
            process.kill()
            process.wait()
            output.seek(0)
            last = output.read().decode(errors="replace").strip().splitlines()[-1:] or ["it says nothing"]
        if last_try or port is not None:
            raise UserError(f"the dashboard does not start ({last[0].rstrip('.')}); try: python -m attribution.serve")
    raise AssertionError


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


def _answers(process: subprocess.Popen, port: int) -> bool:
    """Waits until the server answers; False where it ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):  # no proxy of the environment's is asked
            connection = http.client.HTTPConnection(ADDRESS, port, timeout=1)
            connection.request("GET", HEALTH)
            if connection.getresponse().status == 200:
                return process.poll() is None
        time.sleep(0.05)
    return False


@atexit.register
def _stop_all() -> None:
    for server in list(_running.values()) if os.getpid() == _owner else ():
        server.stop()
