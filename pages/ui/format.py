"""How numbers and names are written, the same on every page."""

import html
import re

#: words that an error's message begins with, and no name does
OPENERS = frozenset(
    "a all an candidates class corrections end fitting give harmful image images job kind method near-duplicates "
    "neither no nothing of one port protocol reading repairs row say side target the there these this training "
    "where".split()
)


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


def plain(text: object) -> str:
    """`text` for markdown, shown as it is: names and paths may hold signs that markdown would take for its own."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:])", r"\\\1", str(text))


def sentence(error: object) -> str:
    """An error's message as a sentence of markdown. A capital is given to the words of OPENERS alone: paths, commands
    and names of files, rankings or classes stay as they are."""
    text = str(error)
    return plain(text[:1].upper() + text[1:] if text.split(" ")[0] in OPENERS else text) + "."


def escape(text: object) -> str:
    """`text` for HTML, attributes included."""
    return html.escape(str(text))
