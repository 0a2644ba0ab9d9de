"""What can go wrong before the dashboard starts: one sentence, exit status 2, no traceback."""

import socket
import sys

import pytest

from attribution import serve
from attribution.errors import UserError
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
