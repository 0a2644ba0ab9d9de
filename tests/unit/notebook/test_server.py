"""The dashboard of a notebook: found again, let in by its link, and ended with whoever started it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from attribution.errors import UserError
from attribution.notebook import server as servers
from attribution.notebook.server import jupyter_origins, no_server_reason, running_server, start_server
from tests import tiny

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def running(tmp_path_factory, data_folder):
    """A server of a tiny workspace."""
    server = start_server(tiny.write(tmp_path_factory.mktemp("w")).path)
    yield server
    server.stop()


def ask(server, path="/", cookie=None):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
    answer = connection.getresponse()
    answer.read()
    return answer


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_its_link_lets_in_once(running):
    assert ask(running).status == 403
    link = urlsplit(running.link({"target": 3, "rankings": ["mine", "trak-10"]}))
    assert f"{link.scheme}://{link.netloc}/" == running.address
    answer = ask(running, f"{link.path}?{link.query}")
    assert (answer.status, answer.headers["location"]) == (303, "/?target=3&rankings=mine&rankings=trak-10")
    assert ask(running, cookie=answer.headers["set-cookie"].split(";")[0]).status == 200
    assert ask(running, f"{link.path}?{link.query}").status == 403


def test_it_is_found_again(running):
    assert start_server(running.path) is running is start_server(running.path, running.port)
    assert running_server(running.path) is running and running.is_running
    assert running_server(Path("/nowhere")) is None


def test_the_token_is_in_no_argument_and_no_environment(running, data_folder):
    (token,) = [file.read_text() for file in data_folder.glob("access-*/token")]
    for name in ("cmdline", "environ"):
        assert token.encode() not in Path(f"/proc/{running._process.pid}/{name}").read_bytes()


def test_it_moves_to_another_port_and_stops(ws):
    first = start_server(ws.path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="is in use"):
            start_server(ws.path, taken.getsockname()[1])
        port = taken.getsockname()[1]
    assert first.is_running
    second = start_server(ws.path, port)
    assert not first.is_running and second.port == port
    second.stop()
    second.stop()
    assert not second.is_running and not listens(port) and running_server(ws.path) is None


def test_one_that_was_killed_is_replaced_and_the_oldest_ends(ws, tmp_path, monkeypatch):
    monkeypatch.setattr(servers, "_running", {})
    monkeypatch.setattr(servers, "MAX_SERVERS", 1)
    first = start_server(ws.path)
    os.kill(first._process.pid, signal.SIGKILL)
    first._process.wait()
    second = start_server(ws.path)
    assert second is not first and second.is_running
    third = start_server(tiny.write(tmp_path / "other").path)
    assert third.is_running and not second.is_running
    third.stop()


def test_it_ends_with_the_process_that_started_it(ws):
    """However that ends; interrupting it, as a notebook does with all processes of its group, is no end."""
    script = f"""
import time
from attribution.notebook.server import start_server
server = start_server({str(ws.path)!r})
try:
    print(server.port, server._process.pid, flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        port, pid = map(int, process.stdout.readline().split())
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n" and listens(port)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists() and not listens(port)


def test_one_that_cannot_start_says_why(ws, monkeypatch):
    monkeypatch.setattr(
        servers, "server_command", lambda *_, **__: [sys.executable, "-c", "raise SystemExit('no room')"]
    )
    with pytest.raises(UserError, match=r"the dashboard does not start \(no room\); try: python -m attribution.serve"):
        start_server(ws.path)
    assert running_server(ws.path) is None


def test_the_jupyter_server_that_it_is_a_kernel_of_may_show_it_in_a_frame(ws, tmp_path, monkeypatch):
    assert jupyter_origins() == []
    monkeypatch.setenv("JPY_PARENT_PID", "4711")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setitem(sys.modules, "ipykernel", object())
    file = tmp_path / "jpserver-4711.json"
    for described in (None, "[]", "{", '{"port": "x"}', "{}"):
        if described is not None:
            file.write_text(described)
        assert jupyter_origins() == []
    file.write_text(json.dumps({"port": 8888, "secure": True}))
    assert jupyter_origins() == ["https://localhost:8888", "https://127.0.0.1:8888"]
    file.write_text(json.dumps({"port": 8888, "token": "secret"}))
    assert jupyter_origins() == ["http://localhost:8888", "http://127.0.0.1:8888"]
    server = start_server(ws.path)
    policy = ask(server).headers["content-security-policy"]
    assert policy == "frame-ancestors 'self' http://localhost:8888 http://127.0.0.1:8888"
    assert b"secret" not in Path(f"/proc/{server._process.pid}/environ").read_bytes()
    server.stop()


def test_without_one_no_other_page_may(running):
    assert ask(running).headers["content-security-policy"] == "frame-ancestors 'self'"


@pytest.mark.parametrize(("variable", "place"), [("COLAB_RELEASE_TAG", "Colab"), ("KAGGLE_KERNEL_RUN_TYPE", "Kaggle")])
def test_where_no_server_is_started(monkeypatch, variable, place):
    assert no_server_reason() is None
    monkeypatch.setenv(variable, "x")
    assert place in no_server_reason()
