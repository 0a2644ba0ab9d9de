"""How numbers, sizes and durations are written for people: the same on the pages, the command line and the report.

All return plain text with an ASCII minus; escaping, and typographic signs, are the caller's.
"""

MISSING = "–"


def count(n: int) -> str:
    """A whole number with thousands separated.

    >>> count(5000)
    '5,000'
    """
    return f"{n:,}"


def share(part: int, whole: int) -> str:
    """`part` of `whole` in whole percents; `MISSING` where the whole is empty.

    >>> share(4, 7)
    '57 %'
    >>> share(0, 0)
    '–'
    """
    return percent(part / whole, 0) if whole else MISSING


def percent(value: float, digits: int = 1) -> str:
    """A fraction in percents.

    >>> percent(0.8591)
    '85.9 %'
    >>> percent(0.8591, 0)
    '86 %'
    """
    return f"{100 * value:.{digits}f} %"


def score(value: float) -> str:
    """Three significant digits, with an exponent only where it would be long without.

    >>> score(0.01234), score(-4.567), score(0.000012)
    ('0.0123', '-4.57', '1.2e-05')
    """
    return f"{value:.3g}"


def number(value: float | None, digits: int = 3, sign: bool = False) -> str:
    """A fixed number of digits after the point; `MISSING` for None. sign: a plus before positive ones.

    >>> number(0.5), number(0.5, 2, sign=True), number(None)
    ('0.500', '+0.50', '–')
    """
    return MISSING if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def interval(ends: tuple[float, float] | None, digits: int = 3, sign: bool = False) -> str:
    """The two ends of a confidence interval; `MISSING` for None.

    >>> interval((0.31, 0.55), 2)
    '0.31 to 0.55'
    """
    return " to ".join(number(end, digits, sign) for end in ends) if ends else MISSING


def estimate(mean: float | None, ends: tuple[float, float] | None, digits: int = 3, sign: bool = False) -> str:
    """A mean with its confidence interval, as far as they are known.

    >>> estimate(0.43, (0.31, 0.55), 2)
    '0.43 (0.31 to 0.55)'
    >>> estimate(0.43, None), estimate(None, None)
    ('0.430', '–')
    """
    between = f" ({interval(ends, digits, sign)})" if mean is not None and ends else ""
    return number(mean, digits, sign) + between


def mean_ci(row: dict, scale: float = 1, digits: int = 3, sign: bool = False) -> str:
    """A mean with its interval: row {"mean", "ci"}, either None where it is not known. scale: 100 for percents.

    >>> mean_ci({"mean": 0.25, "ci": [0.125, 0.5]}, 100, 1)
    '25.0 (12.5 to 50.0)'
    """
    if row["mean"] is None:
        return estimate(None, None)
    ends = row["ci"] and [scale * end for end in row["ci"]]
    return estimate(scale * row["mean"], ends, digits, sign)


def p_value(p: float | None) -> str:
    """A p value, with no more digits than tell something; `MISSING` for None.

    >>> p_value(0.00001), p_value(0.0312), p_value(0.312)
    ('< 0.001', '0.031', '0.31')
    """
    return MISSING if p is None else "< 0.001" if p < 0.001 else number(p, 3 if p < 0.1 else 2)


def byte_size(n: int) -> str:
    """A number of bytes in decimal units, three significant digits.

    >>> byte_size(512), byte_size(1536256), byte_size(999_999)
    ('512 B', '1.54 MB', '1 MB')
    """
    size, units = float(n), iter(("B", "kB", "MB", "GB", "TB", "PB"))
    unit = next(units)
    while size >= 999.5:
        size, unit = size / 1000, next(units)
    return f"{size:.3g} {unit}"


def duration(seconds: float) -> str:
    """A length of time in its two largest units.

    >>> duration(0.0042), duration(0.42), duration(42.3)
    ('4.2 ms', '0.4 s', '42 s')
    >>> duration(75), duration(7300)
    ('1 min 15 s', '2 h 2 min')
    """
    if 0 < seconds < 0.0995:
        return f"{1000 * seconds:.2g} ms"
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 3599.5:
        return "{} min {} s".format(*divmod(round(seconds), 60))
    return "{} h {} min".format(*divmod(round(seconds / 60), 60))
