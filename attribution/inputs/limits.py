"""What a number may be that a command line, a link or a spec gives: read within bounds, refused in one sentence."""

import math
from collections.abc import Iterable, Mapping

import numpy as np

from attribution.errors import UserError

#: of a ranking, a k or a sample: more than any data set has here
MAX_IMAGES = 10_000_000
MAX_SEEDS = 1_000  # trainings of one edit
MAX_DRAWS = 1_000  # random edits that one edit is compared with
MAX_MODELS = 100_000  # of one kind
MAX_DIM = 1_000_000  # dimensions of a projection
MAX_SEED = 2**31 - 1  # what draws
MAX_NUMBER = 2**63 - 1  # what SQLite and NumPy hold
DIGITS_SHOWN = 20


def read_whole(text: object) -> int | None:
    """The whole number that `text` is, or writes in ASCII digits; None for anything else, and for one of more than 18
    digits: nothing here counts so far, and Python refuses to read some thousands of them."""
    if isinstance(text, (int, np.integer)) and not isinstance(text, bool):
        return int(text) if abs(text) <= MAX_NUMBER else None
    word = str(text).strip()
    digits = word.removeprefix("-")
    return int(word) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else None


def check_whole(value: object, name: str, least: int, most: int) -> int:
    """`value`, a number or its digits, as an int. Raises UserError where it is no whole number from `least` to `most`.

    name: what the sentence calls it, such as "--seeds".

    >>> check_whole("5", "--seeds", 1, 1000)
    5
    """
    number = read_whole(value)
    if number is None or not least <= number <= most:
        what = "out of range" if _is_whole(value) else "not a whole number"
        raise UserError(f"{name} {shortened(value)} is {what}; give a whole number from {least:,} to {most:,}")
    return number


def check_fraction(value: object, name: str, least: float, most: float) -> float:
    """`value`, a number or its digits, as a float. Raises UserError where it is no number from `least` to `most`."""
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        what = "not a number" if math.isnan(number) else "out of range"
        raise UserError(f"{name} {shortened(value)} is {what}; give a number from {least:,g} to {most:,g}")
    return number


def check_numbers(values: Mapping) -> None:
    """Raises UserError where a number among the values of a spec, lists of them included, is below 0, endless or more
    than what is stored holds; and for more seeds or draws than there may be."""
    for name, value in values.items():
        several = isinstance(value, Iterable) and not isinstance(value, (str, Mapping))
        for number in value if several else [value]:
            if isinstance(number, (int, float, np.number)) and not 0 <= number <= MAX_NUMBER:
                raise UserError(f"{name} = {shortened(number)} is out of range; give a number of at least 0")
    if len(values.get("seeds", ())) > MAX_SEEDS:
        raise UserError(f"{len(values['seeds']):,} seeds are too many; give at most {MAX_SEEDS:,}")
    if values.get("draws", 0) > MAX_DRAWS:
        raise UserError(f"{values['draws']:,} draws are too many; give at most {MAX_DRAWS:,}")


def shortened(value: object) -> str:
    """`value` for a sentence: of a long one its beginning and its length."""
    text = str(value) if not isinstance(value, int) or abs(value) <= MAX_NUMBER else f"{'-' * (value < 0)}over 2^63"
    return text if len(text) <= DIGITS_SHOWN else f"{text[:DIGITS_SHOWN]}… ({len(text):,} signs)"


def _is_whole(value: object) -> bool:
    digits = "0" if isinstance(value, int) else str(value).strip().removeprefix("-")
    return digits.isascii() and digits.isdecimal()
