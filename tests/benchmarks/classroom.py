"""How a server bears a class: sessions on Debug without browsers, each of which goes to another target every two
seconds.

    .venv/bin/python tests/benchmarks/classroom.py [--sessions 10 50] [--seconds 60] [--workspace DIR] [--servers 2]

The sessions speak Streamlit's own protocol (tests/sessions.py) and begin at moments spread over the two seconds. A
change lasts from the click to the end of the script that it sets off, messages received; a session that still waits
when its next change is due clicks as soon as it may. Prints JSON, a line for each number of sessions: milliseconds, and
the share of one processor that the server and this load generator took. With several servers these stand behind nginx,
which has to be installed, as docs/classroom/nginx.conf has it.
"""

import argparse
import asyncio
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402
from tests.sessions import Session  # noqa: E402

EVERY = 2.0  # seconds between two changes of a session
NGINX = Path(__file__).resolve().parents[2] / "docs" / "classroom" / "nginx.conf"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--servers", type=int, default=1)
    asked = parser.parse_args()
    for number in asked.sessions:
        with tempfile.TemporaryDirectory() as data, several(Path(data), asked.workspace, asked.servers) as (url, pids):
            print(json.dumps({"servers": asked.servers, **asyncio.run(measure(url, pids, number, asked.seconds))}))
            sys.stdout.flush()


@contextmanager
def several(data: Path, workspace: Path | None, number: int):
    """So many servers with one data folder: yields the address of all, and the process ids of the servers."""
    with ExitStack() as running:
        servers = [running.enter_context(serving.server(data, workspace)) for _ in range(number)]
        pids = [server.process.pid for server in servers]
        if number == 1:
            yield servers[0].url, pids
            return
        url, front = running.enter_context(nginx(data / "nginx", [server.url for server in servers]))
        yield url, [*pids, front]


@contextmanager
def nginx(folder: Path, urls: list[str]):
    """nginx as the documentation has it, before the servers at `urls`: yields its address and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers = "".join(f"server {url.removeprefix('http://')};\n" for url in urls)
    text = re.sub(r"(server 127.0.0.1:\d+;\s*)+", servers, NGINX.read_text())
    (folder / "temporary").mkdir(parents=True)
    (folder / "nginx.conf").write_text(re.sub(r"listen [^;]+", f"listen 127.0.0.1:{port}", text))
    process = subprocess.Popen(["nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"])
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)) and process.poll() is None:
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


async def measure(url: str, pids: list[int], number: int, seconds: float) -> dict:
    """`number` sessions at once, for so long; the figures of a line."""
    sessions = [Session(url) for _ in range(number)]
    for session in sessions:  # one after the other, so that none is measured while others begin
        await session.__aenter__()
    own = psutil.Process()
    before, own_before, start = used_by(pids), used(own), time.perf_counter()
    changes = await asyncio.gather(
        *(visit(session, start + EVERY * at / number, start + seconds, at) for at, session in enumerate(sessions))
    )
    wall = time.perf_counter() - start
    served, generated = used_by(pids) - before, used(own) - own_before
    for session in sessions:
        await session.__aexit__()
    milliseconds = 1000 * np.concatenate(changes)
    p50, p95 = np.percentile(milliseconds, [50, 95])
    return {
        "sessions": number,
        "changes": len(milliseconds),
        "longer_than_two_seconds": int((milliseconds > 1000 * EVERY).sum()),
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        "max_ms": round(milliseconds.max(), 1),
        "server_share_of_a_processor": round(served / wall, 2),
        "server_ms_a_change": round(1000 * served / len(milliseconds), 1),
        "generator_share_of_a_processor": round(generated / wall, 2),
    }


async def visit(session: Session, due: float, end: float, seed: int) -> list[float]:
    """Goes from target to target until `end`: seconds that each change took."""
    random, changes = np.random.default_rng(seed), []
    while due < end:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        changes.append(await session.pick(int(random.choice(session.film))))
        due = max(due + EVERY, time.perf_counter())
    return changes


def used_by(pids: list[int]) -> float:
    """Seconds of processor that processes, and those that they have started, have taken."""
    started = [process for pid in pids for process in (psutil.Process(pid), *psutil.Process(pid).children(True))]
    return sum(used(process) for process in started)


def used(process: psutil.Process) -> float:
    """Seconds of processor that a process has taken."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
