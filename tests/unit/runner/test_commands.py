"""Commands in the background: how they end, and that the page that started them is not needed."""

import json
import os
import signal
import time

import psutil
import pytest

from attribution.runner import commands
from attribution.store.lock import is_locked


def ended(ws, number, seconds=60):
    """The command `number` once it is no longer running."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        one = next((one for one in commands.list_commands(ws) if one.number == number), None)
        if one and not one.is_open:
            return one
        time.sleep(0.1)
    raise AssertionError(f"command {number} is still running")


def running(ws, number):
    """The command `number` once it runs, and the pid of its watcher."""
    deadline = time.monotonic() + 60
    folder = commands._commands_folder(ws) / str(number)
    while not (folder / "out").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert commands.list_commands(ws)[0].is_open
    return json.loads((folder / "asked.json").read_text())["pid"]


def test_one_that_works_and_one_that_does_not(ws):
    good, bad = (
        commands.start_command(ws, ["info", "--json"]),
        commands.start_command(ws, ["rank", "--target", "99"]),
    )
    assert (good, bad) == (1, 2)
    done, failed = ended(ws, good), ended(ws, bad)
    assert done.state == "done" and json.loads(done.message)["workspace"] == "tiny" and done.seconds > 0
    assert failed.state == "failed" and "Traceback" not in failed.message and failed.message
    assert [one.number for one in commands.list_commands(ws)] == [2, 1]


def test_cancel_stops_it(ws):
    number = commands.start_command(ws, ["runner", "--idle", "120"])
    pid = running(ws, number)
    commands.cancel_command(ws, number)
    assert ended(ws, number, 20).state == "cancelled"
    deadline = time.monotonic() + 20
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_locked(commands._commands_folder(ws) / str(number))
    commands.cancel_command(ws, number)  # again: nothing happens
    assert ended(ws, number).state == "cancelled"


def test_one_that_was_killed_is_not_said_to_run(ws):
    number = commands.start_command(ws, ["runner", "--idle", "120"])
    os.killpg(running(ws, number), signal.SIGKILL)
    assert ended(ws, number, 10).state == "lost"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_while_it_runs(ws, hours):
    """As seen afterwards: it was started an hour before its process was, or an hour from now."""
    number = commands.start_command(ws, ["runner", "--idle", "120"])
    pid = running(ws, number)
    file = commands._commands_folder(ws) / str(number) / "asked.json"
    asked = json.loads(file.read_text())
    file.write_text(json.dumps(asked | {"started": asked["started"] + 3600 * hours}))
    assert commands.list_commands(ws)[0].is_open and commands.list_commands(ws)[0].seconds >= 0
    os.killpg(pid, signal.SIGKILL)
    assert ended(ws, number, 10).state == "lost"


def test_progress_reaches_the_page(ws, tmp_path, monkeypatch):
    from attribution.cli import ProgressBar

    monkeypatch.setenv(commands.PROGRESS_VARIABLE, str(tmp_path / "progress.json"))
    with ProgressBar() as progress:
        progress("reading", 3, 10)
    assert json.loads((tmp_path / "progress.json").read_text()) == {"text": "reading", "done": 3, "total": 10}


def test_only_the_last_are_remembered(ws):
    home = commands._commands_folder(ws)
    for number in range(1, commands.MAX_COMMANDS + 5):
        (home / str(number)).mkdir(parents=True)
    ended(ws, commands.start_command(ws, ["info"]))
    assert len(list(home.iterdir())) == commands.MAX_COMMANDS
