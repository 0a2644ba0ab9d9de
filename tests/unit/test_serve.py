"""What can go wrong before the dashboard starts: one sentence, exit status 2, no traceback; and who is let in."""

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from attribution import serve
from attribution.access import tokens
from attribution.access.middleware import TokenCheck
from attribution.errors import UserError
from tests.browser import serving
from tests.conftest import Ended


def one_sentence(done):
    assert done.code == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 1 and "Traceback" not in done.err
    return done.err


def test_a_port_in_use(run_python):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"port {port} is in use" in one_sentence(run_python("-m", "attribution.serve", "--port", port))


@pytest.mark.parametrize("port", ["0", "-1", "65536", "eight", ""])
def test_no_port(port):
    with pytest.raises(UserError, match="is no port"):
        serve.check_port(port)


def test_a_free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert serve.check_port(str(port)) == port


@pytest.fixture
def start(monkeypatch, capsys):
    """start("--port", 8599) -> Ended(code, out, err) of the server's start, which is refused, in this process."""

    def start(*arguments):
        monkeypatch.setattr(sys, "argv", ["attribution.serve", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            serve.main()
        return Ended(end.value.code, *capsys.readouterr())

    return start


def test_a_data_folder_that_is_not_writable(start, monkeypatch, tmp_path):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("LINEUP_DATA", str(file / "data"))
    assert "cannot be written" in one_sentence(start("--port", 8599))


def test_a_data_folder_is_created(monkeypatch, tmp_path):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "new" / "data"))
    assert serve.check_data_folder() == tmp_path / "new" / "data"
    assert list((tmp_path / "new" / "data").iterdir()) == []


def test_no_workspace(start, tmp_path):
    assert "there is no workspace" in one_sentence(start("--port", 8599, "--workspace", tmp_path / "nowhere"))


# -- who is let in


@pytest.fixture
def started(monkeypatch, capsys, tmp_path):
    """started(page_url=...) -> what a start printed on stdout and stderr, and what it would have run: serve's own
    arguments and the opener's."""
    programs = []
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LINEUP_NO_TOKEN", "1")
    monkeypatch.delenv("LINEUP_WORKSPACE", raising=False)
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setattr(os, "execv", lambda path, arguments: programs.append(arguments))
    monkeypatch.setattr(subprocess, "Popen", lambda arguments, **options: programs.append(arguments))

    def started(**options):
        serve.serve(free_port(), **options)
        return *capsys.readouterr(), programs

    return started


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_printed_link_has_the_token_and_no_program_has_it(started, tmp_path):
    out, err, programs = started(page_url="/?target=3")
    token = tokens.read_token(tmp_path / "data")
    assert f"/?target=3&token={token} " in out and out.count("\n") == 1
    assert err == "" and len(programs) == 2
    assert token not in str(programs) and token not in str(os.environ)
    assert "LINEUP_NO_TOKEN" not in os.environ


def test_the_token_is_switched_off_with_a_line(started):
    out, err, _ = started(with_token=False)
    assert "token=" not in out and "no token is asked for" in err.lower() and err.count("\n") == 1
    assert os.environ["LINEUP_NO_TOKEN"] == "1"


def test_a_data_folder_that_is_shared_on_purpose_is_said(started, tmp_path):
    assert started()[1] == ""
    (tmp_path / "data").chmod(0o770)
    assert started()[1].splitlines() == [
        f"The data folder {tmp_path / 'data'} is shared: others can read or change what is in it"
    ]


def test_the_default_data_folder_is_closed_to_others(monkeypatch, tmp_path):
    monkeypatch.delenv("LINEUP_DATA")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    folder = tmp_path / ".local" / "share" / "lineup"
    folder.mkdir(parents=True)
    folder.chmod(0o775)
    assert serve.check_data_folder() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A tests.browser.serving.Server of the demo."""
    with serving.server(tmp_path_factory.mktemp("serve")) as running:
        yield running


def ask(server, path: str, **headers) -> http.client.HTTPResponse:
    """The server's answer to a GET, redirects not followed; its text is its `text`."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.text = answer.read().decode("latin-1")
    connection.close()
    return answer


def test_a_server_lets_in_who_has_the_link(server):
    link = re.search(r"http://\S+", server.log.read_text())[0]
    assert link == f"{server.url}/?token={serving.TOKEN}"
    refused = ask(server, "/")
    assert refused.status == 403 and "Open the link that Lineup printed" in refused.text
    assert ask(server, "/_stcore/health").status == 200
    for path in (
        "/_stcore/host-config",
        "/static/",
        "/media/x",
        "/component/x",
        "/_stcore/metrics",
        "/labels?token=no",
    ):
        assert ask(server, path).status == 403
    answer = ask(server, f"/labels?image=3&token={serving.TOKEN}")
    assert (answer.status, answer.headers["location"]) == (303, "/labels?image=3")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    assert "<title>Streamlit" in ask(server, "/labels?image=3", Cookie=cookie).text
    assert ask(server, "/_stcore/host-config", Cookie=cookie, Origin="http://elsewhere.org").status == 403


def test_a_server_listens_on_this_machine_alone(server):
    heard = [one for one in psutil.Process(server.process.pid).net_connections("inet") if one.status == "LISTEN"]
    assert {one.laddr.ip for one in heard} == {"127.0.0.1"}


def stream(server, query="", host=None, **headers):
    """Opens the websocket, as a browser's page does; `host` is the one in the browser's address."""
    own = urlsplit(server.url)
    return connect(
        f"ws://{host or own.netloc}/_stcore/stream{query}",
        sock=socket.create_connection((own.hostname, own.port)),
        subprotocols=["streamlit"],
        additional_headers=headers,
        open_timeout=20,
    )


COOKIE = f"{TokenCheck(None, serving.TOKEN, None).cookie.decode()}={serving.TOKEN}"


def test_the_websocket_of_a_server_needs_the_cookie_and_our_own_page(server):
    def status(*arguments, **headers) -> int:
        try:
            with stream(server, *arguments, **headers):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert status() == 403
    assert status(Cookie=COOKIE[:-1]) == 403
    assert status(f"?token={serving.TOKEN}") == 403
    assert status(Cookie=COOKIE, Origin="http://elsewhere.org") == 403
    assert status(Cookie=COOKIE, Origin="http://127.0.0.1:1") == 403
    assert status(Cookie=COOKIE) == 101
    assert status(Cookie=COOKIE, Origin=server.url) == 101
    assert status("", "localhost:9000", Cookie=COOKIE, Origin="http://localhost:9000") == 101  # behind a port forward


def test_the_token_is_in_no_log_no_argument_and_no_environment(server):
    ask(server, f"/?token={serving.TOKEN}")
    ask(server, f"/?token={serving.TOKEN}x")
    with suppress(InvalidStatus), stream(server, f"?token={serving.TOKEN}"):
        pass
    assert server.log.read_text().count(serving.TOKEN) == 1  # the link
    ours = psutil.Process(server.process.pid)
    for process in (ours, *ours.children(recursive=True)):
        assert serving.TOKEN not in str(process.cmdline()) and serving.TOKEN not in str(process.environ())


def test_the_browser_is_opened_by_a_link_that_works_once(server, run_python, tmp_path):
    """The browser is a script that keeps its argument, the address."""
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/address\n')
    browser.chmod(0o755)
    url = f"{server.url}/?target=3"
    port = str(urlsplit(url).port)
    done = run_python("-c", serve.OPENER_SCRIPT, url, port, "yes", BROWSER=str(browser), LINEUP_DATA=str(server.data))
    assert done.code == 0, done.err
    address = (tmp_path / "address").read_text().strip()
    path = address.removeprefix(server.url)
    assert re.fullmatch(r"/\?target=3&once=[\w-]{43}", path) and serving.TOKEN not in address
    answer = ask(server, path)
    assert (answer.status, answer.headers["location"]) == (303, "/?target=3")
    assert serving.TOKEN in answer.headers["set-cookie"]
    assert ask(server, path).status == 403


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_stopped_ends_well(number, tmp_path):
    with serving.server(tmp_path) as running:
        with stream(running, Cookie=COOKIE):
            running.process.send_signal(number)
            assert running.process.wait(20) == 0
        assert "Traceback" not in running.log.read_text()


def test_the_server_reads_the_token_from_its_file(run_python, tmp_path):
    program = "import asgi; print(asgi.token_check())"
    done = run_python("-c", program, LINEUP_DATA=str(tmp_path), LINEUP_NO_TOKEN="")
    assert done.code == 1 and "there is no token in" in done.err
    done = run_python("-c", program, LINEUP_DATA=str(tmp_path), LINEUP_NO_TOKEN="1")
    assert (done.code, done.out.strip()) == (0, "[]"), done.err


def test_the_server_starts_without_what_only_pages_need(run_python, tmp_path):
    """They are imported while the first visitor's browser loads the page; and Streamlit still has the switch that
    spares it from reading the source of everything that is imported."""
    done = run_python(
        "-c",
        "import sys, asgi\n"
        "from streamlit import delta_generator\n"
        "print(sorted({'matplotlib', 'pandas', 'scipy', 'torch'} & set(sys.modules)))\n"
        "import inspect\n"
        "print('_use_warning_has_been_displayed' in inspect.getsource(delta_generator._maybe_print_use_warning))",
        LINEUP_NO_TOKEN="1",
    )
    assert done.out.split("\n")[:2] == ["[]", "True"], done.err
