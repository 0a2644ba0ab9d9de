"""The server's side of the solver: starts it when it is first asked, and again where it has ended."""

import asyncio
import itertools
import json
import os
import subprocess
import sys
import threading
from contextlib import suppress

from attribution.errors import UserError
from attribution.files import ROOT


class SolverClient:
    """Asks one solver process, for any number of browsers."""

    def __init__(self):
        self.numbers = itertools.count()
        self.lock = threading.Lock()
        self.process: subprocess.Popen | None = None
        self.waiting: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Future]] = {}

    async def ask(self, question: dict) -> list[dict]:
        """The answer to a question of `solver`. Raises UserError with its sentence, and where the process has ended."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future = loop.create_future()
        await loop.run_in_executor(None, self._send, question, loop, future)
        answer = await future
        if "error" in answer:
            raise UserError(answer["error"])
        return answer["answer"]

    def close(self) -> None:
        """Ends the process."""
        with self.lock:
            self._end()

    def _send(self, question, loop, future) -> None:
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self._end()
                self.process = self._start()
            number = next(self.numbers)
            self.waiting[number] = loop, future
            try:
                self.process.stdin.write(json.dumps({**question, "id": number}) + "\n")
                self.process.stdin.flush()
            except OSError:  # it has just ended: its reader says so to all who wait
                pass

    def _end(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            with suppress(OSError):  # what it could not be told any more
                self.process.stdin.close()

    def _start(self) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-m", "attribution.live.solver"],
            cwd=ROOT,
            env={**os.environ, **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        return process

    def _read(self, process) -> None:
        with process.stdout:
            for line in process.stdout:
                answer = json.loads(line)
                self._resolve(answer["id"], answer)
        with self.lock:
            lost = list(self.waiting) if process is self.process else []
        for number in lost:
            self._resolve(number, {"error": "the process that refits has ended; move the cut again"})

    def _resolve(self, number: int, answer: dict) -> None:
        loop, future = self.waiting.pop(number)

        def resolve():
            if not future.done():  # its browser may have gone
                future.set_result(answer)

        try:
            loop.call_soon_threadsafe(resolve)
        except RuntimeError:  # the server is ending
            pass
