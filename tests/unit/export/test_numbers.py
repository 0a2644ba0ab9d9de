"""Numbers, sizes and durations: the examples in the docstrings hold, and so do the edges between units."""

import doctest

import pytest

from attribution.export import numbers
from pages.ui import format as pages


def test_every_function_shows_examples_that_hold():
    result = doctest.testmod(numbers)
    functions = [name for name, item in vars(numbers).items() if callable(item) and item.__module__ == numbers.__name__]
    assert result.failed == 0 and result.attempted >= len(functions) >= 10
    assert [name for name in functions if ">>> " + name not in getattr(numbers, name).__doc__] == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.0996, "0.1 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.7, "1 min 0 s"),
        (3599.7, "1 h 0 min"),
        (100 * 3600, "100 h 0 min"),
    ],
)
def test_a_duration_never_overflows_its_unit(seconds, text):
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (16_000, "16 kB"), (7e12, "7 TB")])
def test_a_size_is_never_written_with_an_exponent(n, text):
    assert numbers.byte_size(n) == text


def test_pages_write_numbers_as_the_library_does():
    assert (pages.count, pages.share, pages.percent) == (numbers.count, numbers.share, numbers.percent)
    assert (pages.score, pages.seconds) == (numbers.score, numbers.duration)
    assert (pages.byte_size(1536), pages.byte_size(0)) == (numbers.byte_size(1536), "none")
