"""Names as they leave Lineup: shown as they are, and never obeyed.

Classes, files, rankings and people are called what others chose. A sign in a name may steer what it is written to: a
terminal (control sequences), the direction of a line (bidi controls), XML and a database (what they do not allow), or
where a line ends. Such signs are written as escapes, as in Python: each way out takes names through `visible`.
"""

import re

#: controls, ends of lines, bidi controls, halves of surrogate pairs (bytes of a file's name that are no UTF-8), and
#: what XML 1.0 does not allow
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
_DIGITS = re.compile("[0-9]{41,}")


def visible(text: object) -> str:
    r"""`text` on one line, with what would steer its reader written as escapes; all else as it is.

    >>> print(visible("a\nb \x1b[1m"))
    a\nb \x1b[1m
    """
    return _STEERING.sub(lambda match: _escape(match[0]), str(text))


def sentence(error: object) -> str:
    """An error's message as `visible`, numbers of more digits than anything here has cut short."""
    return _DIGITS.sub(lambda match: f"{match[0][:20]}… ({len(match[0]):,} digits)", visible(error))


def visible_all(value):
    """JSON `value` with every text in it as `visible`, keys left alone."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: visible_all(item) for key, item in value.items()}
    return [visible_all(item) for item in value] if isinstance(value, (list, tuple)) else value


def _escape(sign: str) -> str:
    number = ord(sign)
    return _ESCAPES.get(sign) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
