"""How numbers and names are written, the same on every page."""

import html
import re
import time
from collections import Counter
from collections.abc import Iterable


def count(n: int) -> str:
    """5000 -> "5,000"."""
    return f"{n:,}"


def share(part: int, whole: int) -> str:
    """(4, 7) -> "57 %"; an empty whole is "–"."""
    return f"{100 * part / whole:.0f} %" if whole else "–"


def percent(value: float, digits: int = 1) -> str:
    """0.8591 -> "85.9 %"."""
    return f"{100 * value:.{digits}f} %"


def counted(n: int, noun: str) -> str:
    """(1, "image") -> "1 image", (5000, "image") -> "5,000 images"."""
    return f"{count(n)} {noun}{'s' * (n != 1)}"


def signed(value: float) -> str:
    """-0.4 -> "−0.40", with a minus sign rather than a hyphen."""
    return f"{value:+.2f}".replace("-", "−")


def score(value: float) -> str:
    """Three significant digits, without an exponent where it can be had: 0.0123, -4.57, 1.2e-05."""
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """0.42 -> "0.4 s", 75 -> "1 min 15 s", 7300 -> "2 h 2 min"."""
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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


def class_numbers(names: list[str], taken: str) -> dict[str, int]:
    """A distinct name for each class -> its number; a name that several classes bear, or that is `taken`, is followed
    by the number."""
    counts = Counter([taken, *names])
    return {f"{name} ({i})" if counts[name] > 1 else name: i for i, name in enumerate(names)}


def capitalised(text: str) -> str:
    """`text` with a capital first letter; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def plain(text: object) -> str:
    """`text` for markdown, shown as it is: names and paths may hold signs that markdown would take for its own."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:])", r"\\\1", str(text))


def planted_note(planted: int) -> str:
    """A sentence, after a space, that the labels hold planted errors; "" where there are none."""
    return f" Labels are as given, with {planted} planted errors." if planted else ""


def sentence(error: object) -> str:
    """An error's message as a sentence of markdown; it keeps a small first letter where that is a name: "k = 0"."""
    text = str(error)
    return plain(text if re.match(r"\w+ =", text) else text[:1].upper() + text[1:]) + "."


def escape(text: object) -> str:
    """`text` for HTML, attributes included."""
    return html.escape(str(text))
