"""How numbers and names are written, the same on every page."""

import html
import re


def count(n: int) -> str:
    """5000 -> "5,000"."""
    return f"{n:,}"


def share(part: int, whole: int) -> str:
    """(4, 7) -> "57 %"; an empty whole is "–"."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def percent(value: float, digits: int = 1) -> str:
    """0.8591 -> "85.9 %"."""
    return f"{100 * value:.{digits}f} %"


def score(value: float) -> str:
    """Three significant digits, without an exponent where it can be had: 0.0123, -4.57, 1.2e-05."""
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """0.42 -> "0.4 s", 75 -> "1 min 15 s", 7300 -> "2 h 2 min"."""
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def byte_size(n: int) -> str:
    """1536256 -> "1.54 MB", 1536 -> "1.54 kB"; 0 is "none"."""
    return "none" if not n else f"{n / 1e6:,.3g} MB" if n >= 1e5 else f"{n / 1e3:,.3g} kB"


def decimal(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """-0.513 -> "−0.51", with `sign` 0.5 -> "+0.50"; None is "–"."""
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")


def interval(pair, digits: int = 2, sign: bool = False) -> str:
    """(0.31, 0.55) -> "0.31 to 0.55"; None is "–"."""
    return "–" if pair is None else " to ".join(decimal(end, digits, sign) for end in pair)


def plain(text: object) -> str:
    """`text` for markdown, shown as it is: names and paths may hold signs that markdown would take for its own."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:])", r"\\\1", str(text))


def sentence(error: object) -> str:
    """An error's message as a sentence of markdown; it keeps a small first letter where that is a name: "k = 0"."""
    text = str(error)
    return plain(text if re.match(r"\w+ =", text) else text[:1].upper() + text[1:]) + "."


def escape(text: object) -> str:
    """`text` for HTML, attributes included."""
    return html.escape(str(text))
