"""How numbers and names are written, the same on every page: numbers as the library writes them, and names escaped."""

import html
import re

from attribution.export.numbers import byte_size, count, percent, score, share  # noqa: F401 - for the pages
from attribution.export.numbers import duration as seconds  # noqa: F401

#: words that an error's message begins with, and no name does
OPENERS = frozenset(
    "a all an candidates class corrections end fitting give harmful image images job kind method near-duplicates "
    "neither no nothing of one port protocol reading repairs row say side target the there these this training "
    "where".split()
)


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
