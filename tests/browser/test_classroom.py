"""A class on one server, without browsers: tests/benchmarks/classroom.py has the figures."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.sessions import Session

SESSIONS, CHANGES = 8, 6
MOST_MESSAGES = 45  # of a change; the whole page takes some 75
MOST_SECONDS = 0.25  # of the server's processor for a change, with room for a slow machine: it takes 0.03


@pytest.fixture(scope="module")
def visits(shapes):
    """(messages of the first draw, of each change; what each address says at last, and should; seconds a change)."""

    async def visit(number: int) -> tuple[int, list[int], str, int]:
        async with Session(shapes.url) as session:
            first, changes = session.messages, []
            for change in range(CHANGES):
                target = 1 + (number + change) % (len(session.film) - 1)  # no address names the first one
                await session.pick(target)
                changes.append(session.messages)
            return first, changes, session.query, target

    async def all_of_them() -> tuple[list, float]:
        async with Session(shapes.url) as session:  # what is read and imported once
            await session.pick(session.film[-1])
        process = psutil.Process(shapes.process.pid)
        before = sum(process.cpu_times()[:2])
        found = await asyncio.gather(*(visit(number) for number in range(SESSIONS)))
        return found, (sum(process.cpu_times()[:2]) - before) / (SESSIONS * (CHANGES + 1))

    with ThreadPoolExecutor(1) as pool:  # this thread may have the event loop of other tests' browser
        return pool.submit(asyncio.run, all_of_them()).result()


def test_each_session_is_answered_and_keeps_its_own_target(visits):
    for _, _, query, target in visits[0]:
        assert f"target={target}" in query.split("&")


def test_a_change_draws_what_is_about_the_target_alone(visits):
    for first, changes, _, _ in visits[0]:
        assert max(changes) <= MOST_MESSAGES < first


def test_a_change_costs_the_server_little(visits):
    assert visits[1] < MOST_SECONDS
