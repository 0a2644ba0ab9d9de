"""A Lineup server of one's own, and pages opened on it: for the browser tests and the benchmarks."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from attribution.access.middleware import TokenCheck
from attribution.access.tokens import access_folder
from attribution.files import data_folder
from tests.browser import chromium

ROOT = Path(__file__).resolve().parents[2]
#: Of all servers that are started here, so that a page's context brings the cookie of each.
TOKEN = secrets.token_urlsafe(32)
#: Cookies of a browser that has been welcomed.
SEEN = ("lineup-start", "lineup-hint")


@dataclass
class Server:
    """A running server. url: without a slash at the end, and without the token; log: the file that takes what it
    prints."""

    url: str
    data: Path
    log: Path
    process: subprocess.Popen


@contextmanager
def server(
    data: Path,
    workspace: Path | None = None,
    seconds: float = 60,
    port: int | None = None,
    python: Path = Path(sys.executable),
):
    """Serves `workspace` (None: the demo) on `port`, a free one if not given, with results in `data`; yields a Server,
    stops it at the end.

    python: of an environment that Lineup is installed into; without it this checkout is served.
    It is started as `make run` starts it. Raises RuntimeError with its output when it is not healthy in `seconds`.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = port or probe.getsockname()[1]
    data.mkdir(parents=True, exist_ok=True)
    access_folder(data).mkdir(0o700, exist_ok=True)
    token = access_folder(data) / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    with suppress(OSError):  # where images are that a workspace reads in place
        shutil.copy(data_folder() / "roots.json", data)
    log = data / "server.log"
    command = [str(python), "-m", "attribution.serve", "--port", str(port)]
    command += ["--workspace", str(workspace)] if workspace else []
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT if python == Path(sys.executable) else data,
            env={**os.environ, "LINEUP_DATA": str(data)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Server(f"http://127.0.0.1:{port}", data, log, process)
    try:
        _wait_until_healthy(running, seconds)
        yield running
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_healthy(running: Server, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and running.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{running.url}/_stcore/health", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start in {seconds:.0f} s; it printed:\n{running.log.read_text()}")


@contextmanager
def browser():
    """A headless Chromium, a Playwright Browser; closed at the end."""
    with sync_playwright() as playwright:
        # --no-sandbox: Chromium refuses its sandbox to root, and it opens nothing but our own server.
        opened = playwright.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox"])
        yield opened
        opened.close()


def new_page(opened: Browser, first_visit: bool = False, **options) -> Page:
    """An empty page in a context of its own that every server here lets in. first_visit: of a browser that has seen
    neither the Start panel nor the hint; options: as of `new_context`."""
    context = new_context(opened, **options)
    let_in(context, first_visit)
    return context.new_page()


def new_context(opened: Browser, **options) -> BrowserContext:
    """A fresh context of 1400 x 1000 pixels; options: of Playwright's `new_context`."""
    return opened.new_context(**{"viewport": {"width": 1400, "height": 1000}} | options)


def let_in(context: BrowserContext, first_visit: bool = False) -> None:
    """Gives the context the cookies that every server here asks for, and no others; first_visit: as of `new_page`."""
    cookies = {TokenCheck(app=None, token=TOKEN, spend=bool).cookie.decode(): TOKEN}
    cookies |= {} if first_visit else dict.fromkeys(SEEN, "seen")
    context.clear_cookies()
    context.add_cookies([{"name": name, "value": v, "domain": "127.0.0.1", "path": "/"} for name, v in cookies.items()])


def leave(context: BrowserContext) -> None:
    """Closes all pages of a context; what they kept in the browser goes, but for its cache."""
    for page in context.pages:
        with suppress(Error):  # of a page that shows nothing of ours
            page.evaluate("localStorage.clear()")
        page.close()


def open_page(page: Page, url: str) -> Page:
    """Goes to `url` and returns once Streamlit is connected and its script has run."""
    page.goto(url)
    settle(page)
    return page


def settle(page: Page, seconds: float = 30) -> None:
    """Waits until the page is connected, its script rests and its widgets are there: Streamlit says that the script
    rests before they are, and a key pressed in between is lost. For an outcome, prefer Playwright's `expect`."""
    app = "[data-testid=stApp]"
    page.wait_for_selector(f"{app}[data-test-connection-state=CONNECTED]", timeout=1000 * seconds)
    page.wait_for_selector(f"{app}[data-test-script-state=notRunning]", timeout=1000 * seconds)
    page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')", timeout=1000 * seconds)
    # A widget answers from the frame after its first on: what it listens to is set up then.
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
