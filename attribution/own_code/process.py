"""Processes that a user's code runs in: one that is asked once what an object says of itself, and one that answers."""

import base64
import io
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attribution.errors import UserError
from attribution.files import ROOT, python_path, read_json

if TYPE_CHECKING:
    from attribution.own_code import OwnObject

DESCRIBE_SECONDS = 120  # that a file may take to be imported: torch takes some
TAIL = 2000  # characters of output that are looked at for its last line
GUARD_SECONDS = 3  # that a guard has to end what the code has started


SERVER = "attribution.workspace.own_process"  # what the process runs: it knows workspaces


class OwnCodeError(UserError):
    """What a user's code did wrong, in a sentence."""


def describe(module: str, file: Path, arguments: list[str]) -> dict:
    """What `python -m module *arguments ANSWER` writes into the file ANSWER, as JSON. file: the user's, for errors.

    Raises UserError with the sentence under "error", and where the process writes nothing or takes too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer, output = Path(folder) / "answer.json", Path(folder) / "output.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *arguments[:2], str(answer), *arguments[2:]],
                cwd=folder,
                env={
                    **os.environ,
                    "PYTHONPATH": python_path(),
                },
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
            try:
                process.wait(DESCRIBE_SECONDS)
            except subprocess.TimeoutExpired:
                raise UserError(
                    f"{file} did not end its import within {DESCRIBE_SECONDS} s; move what takes long into its methods"
                ) from None
            finally:
                try:
                    os.killpg(process.pid, signal.SIGKILL)  # what it has started, too
                except ProcessLookupError:
                    pass
                process.wait()
        try:
            described = read_json(answer)
        except FileNotFoundError:
            tail = output.read_bytes()[-TAIL:].decode(errors="replace").strip().splitlines()
            raise UserError(
                f"{file} ended while it was imported ({tail[-1] if tail else 'without a word'}); mend it"
            ) from None
    if "error" in described:
        raise UserError(described["error"])
    return described


class OwnProcess:
    """A process with a user's code, behind a guard, that answers one question at a time.

    name: what errors call it. snapshot: the folder with the code's files. gpu: what CUDA_VISIBLE_DEVICES is to be. It
    reads a question a line, as JSON, and writes events as `runner.executors.worker` does. It ends, with all that it
    has started, when it is closed, when this process ends, and when it answers too late.
    """

    def __init__(self, name: str, snapshot: Path, threads: int = 1, gpu: str | None = None):
        self.name, self.lock = name, threading.Lock()
        self.events: queue.Queue[dict | None] = queue.Queue()
        variables = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "attribution.own_code.guard", str(snapshot), str(threads), SERVER],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": python_path(), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C goes through this process
        )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Whether it can answer nothing any more."""
        return self.process.poll() is not None or self.process.stdin.closed

    def ask(self, question: dict, patience: float, report: Callable[[int, int], None] | None = None) -> dict:
        """The answer to a question: its "done" event. patience: seconds without a sign of life.

        Raises OwnCodeError where the code raises, returns what it may not, crashes, or lets one wait for longer.
        """
        with self.lock:
            try:
                self.process.stdin.write(json.dumps(question) + "\n")
                self.process.stdin.flush()
            except (OSError, ValueError):  # it has just ended: its guard has said why
                pass
            try:
                while True:
                    event = self._next(patience)
                    if event["event"] == "done":
                        return event
                    if event["event"] == "epoch" and report:
                        report(event["epoch"], event["epochs"])
                    if event["event"] == "failed":
                        raise OwnCodeError(event["message"])
            except OwnCodeError:
                raise
            except BaseException:  # Ctrl-C: what it would answer nobody waits for
                self.close()
                raise

    def close(self) -> None:
        """Ends it with all that it has started."""
        with suppress(OSError):
            self.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GUARD_SECONDS)
        self.process.kill()
        self.process.wait()

    def _next(self, patience: float) -> dict:
        try:
            event = self.events.get(timeout=patience)
        except queue.Empty:
            with suppress(OSError):
                self.process.stdin.close()  # its guard ends it, and says what it wrote last
            last = self._last_words()
            self.close()
            raise OwnCodeError(f"{self.name} gave no answer for {patience:g} s and was ended{last}") from None
        if event is None:
            raise OwnCodeError(f"{self.name} has ended; ask again")
        if event["event"] == "lost":
            code = event.get("code")
            how = f"by {signal.Signals(-code).name}" if code and code < 0 else f"with exit status {code}"
            raise OwnCodeError(f"the process of {self.name} ended {how}{_quoted(event.get('output', ''))}")
        return event

    def _last_words(self) -> str:
        end = time.monotonic() + GUARD_SECONDS
        while (left := end - time.monotonic()) > 0:
            try:
                event = self.events.get(timeout=left)
            except queue.Empty:
                break
            if event is None:
                break
            if event["event"] == "lost":
                return _quoted(event.get("output", ""))
        return ""

    def _read(self) -> None:
        with self.process.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # killed in the middle of a line
                    self.events.put(json.loads(line))
        self.events.put(None)


def start(own: "OwnObject", opening: dict, threads: int = 1, gpu: str | None = None) -> OwnProcess:
    """A process in which an object was made and set up. opening: what it needs for that, see SERVER. Raises
    OwnCodeError where that fails."""
    process = OwnProcess(f"the {own.kind} {own.name}", own.check().snapshot, threads, gpu)
    try:
        process.ask({"do": "open", "own": asdict(own), **opening}, max(own.patience, DESCRIBE_SECONDS))
    except BaseException:
        process.close()
        raise
    return process


def check_numbers(
    event: dict, key: str, shape: tuple[int | None, ...], source: str, dtype: type | None = None
) -> np.ndarray:
    """The array of an event, of `dtype`, else float32 or float64, and of this shape; None in it is any length above 0.

    source: what errors call it. Raises OwnCodeError for another shape, and for what is not finite."""
    try:
        array = unpack_array(event[key])
    except (KeyError, TypeError, ValueError, EOFError) as error:
        raise OwnCodeError(f"{source} came back damaged ({error}); ask again") from None
    wanted = f"[{', '.join('d' if length is None else str(length) for length in shape)}]"
    fits = len(array.shape) == len(shape) and all(b in (None, a) for a, b in zip(array.shape, shape))
    if not fits or not array.size or array.dtype not in ([dtype] if dtype else [np.float32, np.float64]):
        raise OwnCodeError(f"{source} have the shape {list(array.shape)}; return numbers of the shape {wanted}")
    if not np.isfinite(array).all():
        first = int(np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(1))[0])
        raise OwnCodeError(f"{source} hold NaN or infinity (number {first} is the first); return finite numbers")
    return array


def pack_array(array: np.ndarray) -> str:
    """An array for an event: its `.npy` in base64."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return base64.b64encode(stream.getvalue()).decode()


def unpack_array(text: str) -> np.ndarray:
    """What `pack_array` packed. Raises ValueError for anything else; nothing in it is executed."""
    return np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False)


def _quoted(output: str) -> str:
    """The last line of what a process wrote, for the end of a sentence."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f" (its last line: {lines[-1][:200]})" if lines else " (it wrote nothing)"
