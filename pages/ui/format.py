"""How numbers and names are written, the same on every page: numbers as the library writes them, and names escaped."""

import html
import re

from attribution.export.numbers import byte_size, count, percent, score, share  # noqa: F401 - for the pages
from attribution.export.numbers import duration as seconds  # noqa: F401


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
