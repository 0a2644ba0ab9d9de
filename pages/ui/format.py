"""How numbers and names are written, the same on every page."""

import html
import re
import time
from collections import Counter
from collections.abc import Iterable

from attribution.export import numbers
from attribution.export.numbers import count, percent, score, share  # noqa: F401 - for the pages
from attribution.export.numbers import duration as seconds  # noqa: F401
from attribution.inputs import names

visible = names.visible  # `text` where nothing in it is read as markup, such as the options of a selectbox
WORD_JOINER = "\u2060"  # has no width
#: What Streamlit's markdown rewrites in finished text, where no backslash helps: addresses become links, :names:
#: pictures, and arrows typographic. A word joiner after this much of it leaves it as it is.
_REWRITTEN = re.compile(r"(?:https?|www)(?=:|\.)|(?<=\w)@(?=[-\w]+\.)|:(?=[-+\w/]+:)|[<>~-](?=[->=])", re.IGNORECASE)
#: a command in finished text: code, so that it can be copied as it is
_COMMAND = re.compile(r"\bpython -m (?:attribution|pip) (?:(?:(?!\. )[^;`])*[^;`.,\s])?")
#: words that an error's message begins with, and no name does
OPENERS = frozenset(
    "a all an candidates class corrections end fitting give harmful image images job kind method near-duplicates "
    "neither no nothing of one port protocol reading repairs row say side target the there these this training "
    "where".split()
)


def counted(n: int, noun: str) -> str:
    """(1, "image") -> "1 image", (5000, "image") -> "5,000 images"."""
    return f"{count(n)} {noun}{'s' * (n != 1)}"


def date_time(moment: float | None) -> str:
    """Seconds since 1970 -> "22 Nov 2026, 21:07"; None -> "–"."""
    return time.strftime("%d %b %Y, %H:%M", time.localtime(moment)) if moment else "–"


def number_ranges(numbers: Iterable[int]) -> str:
    """[0, 1, 2, 3, 7] -> "0–3, 7"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" if b > a + 1 else f"{a}, {b}" for a, b in runs)


def class_numbers(classes: list[str], taken: str) -> dict[str, int]:
    """A distinct name for each class, as `visible` writes it -> its number; a name that several classes bear, or that
    is `taken`, is followed by the number."""
    classes = list(map(visible, classes))
    counts = Counter([taken, *classes])
    return {f"{name} ({i})" if counts[name] > 1 else name: i for i, name in enumerate(classes)}


def capitalised(text: str) -> str:
    """`text` with a capital first letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def byte_size(n: int) -> str:
    """1536256 -> "1.54 MB", 1536 -> "1.54 kB"; 0 is "none"."""
    return numbers.byte_size(n) if n else "none"


def decimal(value: float | None, digits: int = 2, sign: bool = False) -> str:
    """-0.513 -> "−0.51", with `sign` 0.5 -> "+0.50"; None is "–"."""
    return numbers.number(value, digits, sign).replace("-", "−")


def interval(pair, digits: int = 2, sign: bool = False) -> str:
    """(0.31, 0.55) -> "0.31 to 0.55"; None is "–"."""
    return numbers.interval(pair, digits, sign).replace("-", "−")


def plain(text: object) -> str:
    """`text` for markdown, shown as it is: names and paths may hold signs that markdown would take for its own. A
    command in it is shown as code."""
    pieces, end, whole = [], 0, str(text)
    for command in _COMMAND.finditer(whole):
        pieces += [_plain(whole[end : command.start()]), f"`{visible(command[0])}`"]
        end = command.end()
    return "".join([*pieces, _plain(whole[end:])])


def _plain(text: str) -> str:
    apart = _REWRITTEN.sub(lambda match: match[0] + WORD_JOINER, visible(text))
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", apart)


def plotted(text: object) -> str:
    """`text` for a label of Plotly, which reads some HTML in it, and decodes no quotes."""
    return html.escape(visible(text), quote=False)


def planted_note(planted: int) -> str:
    """A sentence, after a space, that the labels hold planted errors; "" where there are none."""
    return f" Labels are as given, with {planted} planted errors." if planted else ""


def sentence(error: object) -> str:
    """An error's message as a sentence of markdown. A capital is given to the words of OPENERS alone: paths, commands
    and names of files, rankings or classes stay as they are."""
    text = names.sentence(error)
    return plain(capitalised(text) if text.split(" ")[0] in OPENERS else text) + "."


def escape(text: object) -> str:
    """`text` for HTML, attributes included."""
    return html.escape(visible(text))
