"""The process that reads for an import: what it answers, how it ends when it takes too much, is killed or told to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from attribution import UserError, Workspace
from attribution.importing import child
from tests.conftest import ROOT

#: comes to the same call as the test does, with `work` as its body; file and workspace are what follows it
SCRIPT = """
import mmap, os, signal, sys, time
from pathlib import Path
from attribution.importing.child import in_child
from attribution.importing.importing import staged_folder

file, folder = map(Path, sys.argv[1:])

def work():
    with staged_folder(folder / "rankings" / "mine") as staged:
        (staged / "half").touch()
        {body}
    return {{"it": 1}}

in_child(work, ["-c", sys.argv[0], *sys.argv[1:]], [file], folder)
"""
CUT = """
        with open(file, "r+b") as stream:
            mapped = mmap.mmap(stream.fileno(), 0)
            os.truncate(file, 0)
            mapped[4096]
"""


@pytest.fixture
def read(tmp_path):
    """read("pass") -> what `in_child` returns where work does that, with a new ranking half written."""
    (tmp_path / "file").write_bytes(bytes(10_000))
    (tmp_path / "w").mkdir()

    def read(body, **options):
        script = SCRIPT.format(body=body)
        command = ["-c", script, str(tmp_path / "file"), str(tmp_path / "w")]
        return child.in_child(None, command, [tmp_path / "file"], tmp_path / "w", **options)

    return read


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "w").rglob("*"))


def test_its_answer(read, tmp_path):
    assert read("print('something else')") == {"it": 1}
    assert left(tmp_path) == ["half", "mine", "rankings"]


@pytest.mark.parametrize(
    "body, why",
    [
        ("x = [bytes(range(256)) * 2**20 for _ in range(16)]; time.sleep(60)", "took more than 1,024 MiB of memory"),
        (CUT, "was cut short while it was read; copy it again"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "perhaps for want of memory; make room"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", r"ended the process that read it \(SIGSEGV\); save or copy it again"),
    ],
    ids=["memory", "cut short", "killed", "crashed"],
)
def test_what_ends_it_is_a_sentence(read, tmp_path, body, why):
    start = time.monotonic()
    with pytest.raises(UserError, match=why) as error:
        read(body)
    assert str(error.value).startswith(("reading ", str(tmp_path))) and "\n" not in str(error.value)
    assert left(tmp_path) == ["rankings"] and time.monotonic() - start < 50


def test_a_mapped_file_takes_no_memory(read, tmp_path, monkeypatch):
    """400 MB of it, read to the end, where 300 are left."""
    os.truncate(tmp_path / "file", 400 * 2**20)
    monkeypatch.setattr(child, "FREE_BYTES", 300 * 2**20)
    body = "import numpy; numpy.memmap(file, mode='r')[::4096].sum()"
    assert read(body, times=0) == {"it": 1}


def test_its_own_sentence_is_handed_on(read, capfd):
    with pytest.raises(SystemExit) as end:
        read("print('a mistake', file=sys.stderr); sys.exit(2)")
    assert end.value.code == 2 and capfd.readouterr().err == "a mistake\n"


def test_the_limit_follows_the_files(tmp_path):
    (tmp_path / "scores" / "deep" / "deeper" / "deepest").mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "scores"):
        (folder / "ring").symlink_to("ring")
        (folder / "device").symlink_to("/dev/zero")
        (folder / "file").write_bytes(bytes(1000))
    whole = child.FREE_BYTES + 6000
    assert child.memory_limit([tmp_path]) == whole
    assert child.memory_limit([tmp_path / "file", tmp_path / "none"], 12) == child.FREE_BYTES + 12_000
    os.truncate(tmp_path / "file", 2**40)  # sparse
    assert child.memory_limit([tmp_path]) < psutil.virtual_memory().total


def start(tmp_path, body) -> tuple[subprocess.Popen, psutil.Process]:
    """A command and the process that reads for it, which has begun to write."""
    (tmp_path / "file").write_bytes(bytes(10_000))
    (tmp_path / "w").mkdir()
    script = SCRIPT.format(body=body)
    script = script.replace("sys.argv[0]", 'os.environ["SCRIPT"]')
    command = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "file"), str(tmp_path / "w")],
        cwd=ROOT,
        env={**os.environ, "SCRIPT": script},
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # ignored where the tests run in the background
    )
    end = time.monotonic() + 60
    while "half" not in left(tmp_path):
        assert time.monotonic() < end and command.poll() is None
        time.sleep(0.05)
    (reader,) = psutil.Process(command.pid).children()
    return command, reader


@pytest.mark.parametrize("whom", [os.killpg, os.kill], ids=["as on a terminal", "the command alone"])
def test_ctrl_c_ends_both(tmp_path, whom):
    command, reader = start(tmp_path, "time.sleep(600)")
    whom(command.pid, signal.SIGINT)
    assert command.wait(30) != 0 and command.stderr.read().count(b"KeyboardInterrupt") == 1
    assert not reader.is_running() and left(tmp_path) == ["rankings"]


def test_it_does_not_outlive_its_command(tmp_path):
    command, reader = start(tmp_path, "time.sleep(600)")
    command.kill()
    command.wait()
    reader.wait(30)
    assert left(tmp_path) == ["rankings"]


def test_an_import_that_takes_too_much_leaves_nothing(ws, tmp_path, run, monkeypatch):
    scores = np.random.default_rng(0).normal(size=(12, 60)) + 5 * (ws.train_labels == ws.val_labels[:, None])
    np.save(tmp_path / "mine.npy", scores)
    before = sorted(ws.path.rglob("*"))
    command = ["import", "tensor", tmp_path / "mine.npy", "--name", "mine", "--sign", "helpful"]
    with monkeypatch.context() as patch:
        patch.setattr(child, "FREE_BYTES", 0)
        done = run(*command)
    assert (done.code, done.out) == (2, "") and len(done.err.splitlines()) == 1 and "and was stopped" in done.err
    assert sorted(ws.path.rglob("*")) == before
    assert run(*command).code == 0 and "mine" in Workspace.open(ws.path).rankings()
