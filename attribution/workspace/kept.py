"""What is computed once while a report is made, which asks for the same in a dozen places."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Answer = TypeVar("Answer")

_answers: ContextVar[dict | None] = ContextVar("answers", default=None)


@contextmanager
def keep_answers() -> Iterator[None]:
    """Within it, `once` keeps what it was given; of this thread alone."""
    token = _answers.set({})
    try:
        yield
    finally:
        _answers.reset(token)


def once(key: Hashable, compute: Callable[[], Answer]) -> Answer:
    """What compute() gives, or gave to the same key within `keep_answers`: nobody may change it.

    >>> with keep_answers():
    ...     first, again = once("a", list), once("a", list)
    >>> first is again, once("a", list) is once("a", list)
    (True, False)
    """
    answers = _answers.get()
    if answers is None:
        return compute()
    if key not in answers:
        answers[key] = compute()
    return answers[key]
