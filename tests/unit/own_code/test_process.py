"""A process with a user's code: whatever it does is one sentence, and nothing of it is left."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from attribution import own_code
from attribution.own_code import OwnCodeError
from attribution.own_code.process import check_numbers, pack_array, start
from tests.conftest import ROOT

CLASS = """
import os, subprocess, sys, time
import numpy as np
class Mine:
    name = "mine"
    def scores(self, target):
"""


@pytest.fixture
def made(ws, tmp_path):
    processes = []

    def make(body: str):
        (tmp_path / "mine.py").write_text(CLASS + "".join(f"        {line}\n" for line in body.splitlines()))
        own = own_code.take("ranking", f"{tmp_path / 'mine.py'}:Mine")
        processes.append(start(own, {"workspace": str(ws.path)}))
        return processes[-1]

    yield make
    for process in processes:
        process.close()


def ask(process, patience=60.0):
    return process.ask({"do": "scores", "target": 0}, patience)


def test_it_may_print_what_it_likes_and_has_a_folder_of_its_own(made, tmp_path):
    body = "print('x' * 1000_000)\nprint('{}', file=sys.stderr)\nopen('left.txt', 'w')\nprint(flush=True)\n"
    process = made(body + "open(sys.argv[0] and 'where.txt', 'w')\nreturn np.arange(60)")
    assert check_numbers(ask(process), "scores", (60,), "scores").tolist() == list(range(60))
    folder = Path(psutil.Process(process.process.pid).children()[0].cwd())
    assert (folder / "left.txt").exists() and folder != tmp_path
    process.close()
    assert not folder.exists() and process.has_ended


@pytest.mark.parametrize(
    ("body", "match"),
    [
        ("raise ValueError('what\\nelse')", "^mine.scores raised ValueError: what$"),
        ("sys.exit('bye')", "^mine.scores raised SystemExit: bye$"),
        ("print('the last line', flush=True)\nos._exit(3)", "ended with exit status 3 .its last line: the last line.$"),
        ("os.kill(os.getpid(), 9)", "the process of the ranking mine ended by SIGKILL .it wrote nothing.$"),
        ("return 'scores'", "are <U6, and numbers are needed"),
        ("return [[1, 2], [3]]", "are no array"),
        ("return np.array([object()])", "are object, and numbers are needed"),
    ],
)
def test_what_it_does_wrong_is_one_sentence(made, body, match):
    with pytest.raises(OwnCodeError, match=match) as caught:
        ask(made(body))
    assert "\n" not in str(caught.value)


def test_after_an_exception_it_answers_again(made):
    process = made("self.n = getattr(self, 'n', 0) + 1\nif self.n == 1: 1 / 0\nreturn [1.0]")
    with pytest.raises(OwnCodeError, match="ZeroDivisionError"):
        ask(process)
    assert ask(process)["event"] == "done"


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux finds what a process has left behind")
def test_one_that_hangs_is_ended_with_all_that_it_has_started(made):
    sleep = "subprocess.Popen(['sleep', '98764'], start_new_session=True)"
    process = made(f"print('not yet', flush=True)\n{sleep}\ntime.sleep(1000)")
    began = time.monotonic()
    with pytest.raises(OwnCodeError, match=r"gave no answer for 1 s and was ended \(its last line: not yet\)$"):
        ask(process, 1)
    assert time.monotonic() - began < 8 and not sleepers()
    with pytest.raises(OwnCodeError, match="has ended"):
        ask(process)


@pytest.mark.skipif(not Path("/proc").exists(), reason="Linux finds what a process has left behind")
def test_it_ends_with_whoever_asked(ws, tmp_path):
    sleep = "subprocess.Popen(['sleep', '98764'], start_new_session=True)"
    (tmp_path / "mine.py").write_text(f"{CLASS}        {sleep}\n        time.sleep(1000)\n")
    script = (
        "from attribution import own_code\nfrom attribution.own_code.process import start\n"
        f"own = own_code.take('ranking', {str(tmp_path / 'mine.py') + ':Mine'!r})\n"
        f"start(own, {{'workspace': {str(ws.path)!r}}}).ask({{'do': 'scores', 'target': 0}}, 600)\n"
    )
    asker = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    end = time.monotonic() + 60
    while not sleepers():
        assert time.monotonic() < end and asker.poll() is None
        time.sleep(0.05)
    asker.kill()
    asker.wait()
    end = time.monotonic() + 5
    while sleepers():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros(59, np.float32), r"have the shape \[59\]; return numbers of the shape \[60\]"),
        (np.zeros((60, 1), np.float32), r"have the shape \[60, 1\]"),
        (np.zeros(60, np.float16), "have the shape"),
        (np.full(60, np.nan, np.float32), "NaN or infinity .number 0 is the first"),
        (np.r_[np.zeros(59), np.inf].astype(np.float32), "number 59 is the first"),
    ],
)
def test_what_comes_back_is_checked(array, match):
    with pytest.raises(OwnCodeError, match=match):
        check_numbers({"scores": pack_array(array)}, "scores", (60,), "scores")


@pytest.mark.parametrize("text", ["", "no base64!", "AAAA", 3, None])
def test_what_is_no_array_is_refused(text):
    with pytest.raises(OwnCodeError, match="came back damaged"):
        check_numbers({"scores": text}, "scores", (60,), "scores")


def sleepers():
    found = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]
    return [command for command in found if command and command[-1] == "98764"]
