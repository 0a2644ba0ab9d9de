"""How a server bears a class: sessions on Debug without browsers, each of which goes to another target every two
seconds.

    .venv/bin/python tests/benchmarks/classroom.py [--sessions 10 50] [--seconds 60] [--workspace DIR]

The sessions speak Streamlit's own protocol (tests/sessions.py) and begin at moments spread over the two seconds. A
change lasts from the click to the end of the script that it sets off, messages received; a session that still waits
when its next change is due clicks as soon as it may. Prints JSON, a line for each number of sessions: milliseconds, and
the share of one processor that the server and this load generator took.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.browser import serving  # noqa: E402
from tests.sessions import Session  # noqa: E402

EVERY = 2.0  # seconds between two changes of a session


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workspace", type=Path)
    asked = parser.parse_args()
    for number in asked.sessions:
        with tempfile.TemporaryDirectory() as data, serving.server(Path(data), asked.workspace) as server:
            print(json.dumps(asyncio.run(measure(server, number, asked.seconds))), flush=True)


async def measure(server: serving.Server, number: int, seconds: float) -> dict:
    """`number` sessions at once, for so long; the figures of a line."""
    sessions = [Session(server.url) for _ in range(number)]
    for session in sessions:  # one after the other, so that none is measured while others begin
        await session.__aenter__()
    process, own = psutil.Process(server.process.pid), psutil.Process()
    before, own_before, start = used(process), used(own), time.perf_counter()
    changes = await asyncio.gather(
        *(visit(session, start + EVERY * at / number, start + seconds, at) for at, session in enumerate(sessions))
    )
    wall = time.perf_counter() - start
    served, generated = used(process) - before, used(own) - own_before
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


def used(process: psutil.Process) -> float:
    """Seconds of processor that a process has taken."""
    times = process.cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main()
