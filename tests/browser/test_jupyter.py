"""A notebook in a real JupyterLab: the dashboard in a frame, by its proxy and without one, and a picture at its end."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from playwright.sync_api import expect

from tests import tiny
from tests.browser import serving

pytest.importorskip("jupyterlab", reason="JupyterLab is not installed")
pytest.importorskip("jupyter_server_proxy", reason="jupyter-server-proxy is not installed")
BASE = "/user/ann/"  # as a JupyterHub has it
RUN = """async (cell) => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  await panel.context.ready;
  await panel.sessionContext.ready;
  await panel.sessionContext.session.kernel.info;
  panel.content.activeCellIndex = cell;
  await app.commands.execute("notebook:run-cell");
  await app.commands.execute("docmanager:save");
}"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab whose folder has the notebooks that `write` has written, and that folder."""
    folder = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    homes = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "RUNTIME", "DATA")}
    (folder / "notebooks").mkdir()
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}", f"--ServerApp.base_url={BASE}"]
    command += [f"--ServerApp.port={port}", "--IdentityProvider.token=secret"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **homes, "PYTHONPATH": str(serving.ROOT), "LINEUP_DATA": str(folder / "lineup")},
            stdout=log,
            stderr=log,
        )
    address = f"http://localhost:{port}{BASE}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{address}api", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
        yield address, folder / "notebooks"
    finally:
        process.terminate()
        process.wait(20)


def open_notebook(page, lab, name: str, *cells: str):
    """A notebook of these cells, open in JupyterLab."""
    address, folder = lab
    code = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "execution_count": None, "outputs": [], "source": cell}
        for i, cell in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    content = {"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (folder / f"{name}.ipynb").write_text(json.dumps(content))
    page.goto(f"{address}lab/workspaces/{name}/tree/{name}.ipynb?token=secret")
    expect(page.locator(".jp-Notebook .jp-CodeCell").first).to_be_visible(timeout=60_000)


SHOW = "import attribution as lineup\nws = lineup.open({path!r}, model='head-moco')\nws.show(0)"
FRAME, PICTURE = "iframe[title=Lineup]", "img[alt^='validation image 0']"


def test_by_the_proxy_all_of_it_works(page, lab, tmp_path):
    open_notebook(page, lab, "proxy", SHOW.format(path=str(tiny.write(tmp_path / "w").path)))
    page.evaluate(RUN, 0)
    frame = page.frame_locator(FRAME)
    expect(frame.locator("[data-part=cut]")).to_be_visible(timeout=60_000)
    assert page.locator(FRAME).get_attribute("src").startswith(f"{lab[0]}proxy/")
    expect(page.locator(PICTURE)).to_be_hidden()
    # what a head says at the cut comes from a route of the server's own
    expect(frame.locator(".live").first).to_contain_text("without", timeout=60_000)
    frame.get_by_role("link", name="Data & jobs").click()
    expect(frame.get_by_role("heading", name="Data & jobs: tiny").first).to_be_visible(timeout=60_000)


def test_without_a_proxy_it_is_shown_until_it_ends(page, lab, tmp_path):
    page.route(re.compile("/proxy/"), lambda route: route.fulfill(status=404))
    open_notebook(page, lab, "direct", SHOW.format(path=str(tiny.write(tmp_path / "w").path)), "ws.stop()")
    page.evaluate(RUN, 0)
    expect(page.frame_locator(FRAME).locator("[data-part=cut]")).to_be_visible(timeout=60_000)
    assert re.match(r"http://localhost:\d+/\?", page.locator(FRAME).get_attribute("src"))
    page.evaluate(RUN, 1)
    page.reload()
    expect(page.locator(PICTURE)).to_be_visible(timeout=60_000)
    expect(page.locator(FRAME)).to_be_hidden()
