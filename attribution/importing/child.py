"""The process that reads foreign files for a command: it is watched, and ended where it takes far more memory than the
files call for. What ends it ends not the command, which says so in a sentence."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from attribution.errors import UserError
from attribution.files import python_path
from attribution.importing.importing import remove_staged

CHILD_VARIABLE = "LINEUP_IMPORT_CHILD"  # set for the process that reads
#: bytes of memory that it may take: so many times what the files have on the disk, and these for Python and torch
TIMES, FREE_BYTES = 3, 1 << 30
SHARE = 0.75  # of the machine's memory, which it may not exceed whatever the files have
SECONDS = 0.02  # between two looks at it
PATIENCE = 10  # seconds that it has to tidy up after its command has died


def in_child(
    work: Callable[[], dict], command: list[str], paths: list[Path], folder: Path, times: float = TIMES
) -> dict:
    """What work() returns, done by a process of its own: Python with the arguments `command`, which has to come to the
    same call again.

    paths: the files and folders that work reads. folder: the workspace's, where half an import is removed if the
    process is ended. times: how often their size, with FREE_BYTES, is the memory that it may take; pages of mapped
    files do not count. Raises UserError where it takes more, or is ended by a signal (a mapped file that is cut short
    does that), and SystemExit where it ends with a sentence of its own. Ctrl-C ends both.
    """
    if os.environ.get(CHILD_VARIABLE):
        _answer(work)
    limit = memory_limit(paths, times)
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            # -P: else a file in the working folder could stand for a module
            [sys.executable, "-P", *command],
            stdin=subprocess.PIPE,  # it ends when this process does
            stdout=out,
            env={**os.environ, CHILD_VARIABLE: "1", "PYTHONPATH": python_path()},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # Ctrl-C goes through this process
        )
        try:
            within = _watch(process, limit)
        except BaseException:
            _stop(process)
            raise
        finally:
            process.stdin.close()
            if process.returncode != 0:
                remove_staged(folder, process.pid)
        if not within:
            raise UserError(
                f"reading {paths[0]} took more than {limit / 2**20:,.0f} MiB of memory, far more than a file of that "
                "size calls for, and was stopped; save the numbers anew, uncompressed"
            )
        if process.returncode < 0:
            raise UserError(f"{paths[0]} {_signal_text(-process.returncode)}")
        if process.returncode:
            raise SystemExit(process.returncode)
        out.seek(0)
        return json.loads(out.read().splitlines()[-1])


def memory_limit(paths: list[Path], times: float = TIMES) -> int:
    """The bytes of memory that reading these files and folders may take."""
    size = sum(_size(path) for path in paths)
    return int(min(times * size + FREE_BYTES, SHARE * psutil.virtual_memory().total))


def _size(path: Path, depth: int = 2) -> int:
    """Bytes of a file, or of the files in a folder and in the folders in it: no format has any deeper."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode) and depth >= 0:
            return sum(_size(entry, depth - 1) for entry in path.iterdir())
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    except (OSError, ValueError):
        return 0


def _watch(process: subprocess.Popen, limit: int) -> bool:
    """Waits for the process to end; False where it was ended since it took more than `limit` bytes."""
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            memory = watched.memory_info()
        except psutil.Error:  # it has just ended
            memory = None
        # what is mapped of a file can be given up, and is no memory that it takes; macOS does not tell them apart
        if memory and memory.rss - getattr(memory, "shared", 0) > limit:
            process.kill()
            process.wait()
            return False
        time.sleep(SECONDS)
    return True


def _stop(process: subprocess.Popen) -> None:
    """Has the process tidy up and end; where one does not wait for that, ends it."""
    process.terminate()
    try:
        process.wait()
    except BaseException:
        process.kill()
        process.wait()
        raise


def _answer(work: Callable[[], dict]) -> None:
    """In the process that reads: prints what work() returns, as JSON, and ends."""

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_end_with_command, daemon=True).start()
    try:
        print(json.dumps(work()))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0)


def _end_with_command() -> None:
    os.read(0, 1)  # stdin: its end comes with that of the command
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(130)


def _signal_text(number: int) -> str:
    if number == signal.SIGBUS:
        return "was cut short while it was read; copy it again, and import it when nothing writes to it"
    if number == signal.SIGKILL:
        return "could not be read to the end, as the system ended that, perhaps for want of memory; make room for it"
    return f"ended the process that read it ({signal.Signals(number).name}); save or copy it again"
