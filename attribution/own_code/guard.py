"""Stands between whoever asks and a process that runs a user's code: whatever that does, it can be ended.

It hands lines to that process and events back, keeps the last of what the code prints, and ends the process with all
that it has started as soon as stdin closes (a cancel, or the death of whoever asks) or the process ends. It imports
nothing of the user's, so nothing of the user's can keep it from that.
"""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import psutil

from attribution.files import python_path
from attribution.files.work_folder import WorkFolder

WORKER = "attribution.runner.executors.worker"
OUTPUT = 8000  # bytes of what the code wrote last that are kept
BLOCK = 1 << 16
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: what the code leaves behind becomes this process's child, and is found
SETTLE_SECONDS = 0.2  # for output that is still on its way when an event arrives
LAST_SECONDS = 1  # to say what the code wrote last, once it is ended


def main(snapshot: Path | None, threads: int, module: str = WORKER) -> None:
    """Serves one process, which runs `module`, such as a worker. snapshot: the code's files, which it finds in its
    working folder; threads: that libraries take."""
    with suppress(OSError, AttributeError):  # Linux alone has it
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    folder = WorkFolder()
    try:
        for file in snapshot.rglob("*") if snapshot else ():
            if file.is_file():
                link = folder.path / file.relative_to(snapshot)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.resolve())
        _serve(folder, threads, module)
    finally:
        folder.remove()


def _serve(folder: WorkFolder, threads: int, module: str) -> None:
    events_in, events_out = os.pipe()
    output_in, output_out = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(events_out)],
        cwd=folder.path,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONHASHSEED": "0", **_thread_variables(threads)},
        stdin=subprocess.PIPE,
        stdout=output_out,
        stderr=output_out,
        pass_fds=[events_out],
        start_new_session=True,
    )
    os.close(events_out)
    os.close(output_out)
    kept: deque[bytes] = deque()

    def hand_over():
        with suppress(OSError, ValueError):
            for line in sys.stdin.buffer:
                worker.stdin.write(line)
                worker.stdin.flush()
        end_children()  # and with that the loop below
        time.sleep(LAST_SECONDS)
        _end(folder)

    def keep_output():
        while block := os.read(output_in, BLOCK):
            kept.append(block)
            while len(kept) > 1 and sum(map(len, kept)) - len(kept[0]) > OUTPUT:
                kept.popleft()

    threading.Thread(target=hand_over, daemon=True).start()
    reader = threading.Thread(target=keep_output, daemon=True)
    reader.start()
    with os.fdopen(events_in, "rb") as events:
        for line in events:
            try:
                event = json.loads(line)
            except ValueError:  # ended in the middle of a line
                continue
            if event["event"] == "failed":
                time.sleep(SETTLE_SECONDS)
                event["output"] = _text(kept)
            elif event["event"] == "done":
                kept.clear()
            _write(event, folder)
    worker.wait()
    end_children()
    reader.join(SETTLE_SECONDS)
    _write({"event": "lost", "output": _text(kept), "code": worker.returncode}, folder)


def end_children() -> None:
    """Ends all processes that this one has started, and those that they have, until there are none."""
    for _ in range(100):
        children = psutil.Process().children(recursive=True)
        for child in children:
            with suppress(psutil.Error):
                child.kill()
        if not children:
            return
        psutil.wait_procs(children, 0.05)


def _write(event: dict, folder: WorkFolder) -> None:
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _end(folder)


def _end(folder: WorkFolder) -> None:
    """Ends this process at once, with all that the recipe has started, and removes its folder."""
    end_children()
    folder.remove()
    os._exit(0)


def _text(kept) -> str:
    return b"".join(kept)[-OUTPUT:].decode(errors="replace")


def _thread_variables(threads: int) -> dict[str, str]:
    return {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR")}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1] else None, int(sys.argv[2]), *sys.argv[3:])
    os._exit(0)  # a thread waits for stdin still, at which Python would print a fatal error
