"""Names as they leave Lineup: shown as they are, and never obeyed.

Classes, files, workspaces and people are called what others chose. A sign in a name may steer what it is written to: a
terminal (control sequences), the direction of a line (bidi controls), XML (what it does not allow), a spreadsheet
(formulas). Each way out takes names through a function here, and escapes what its own format means by other signs.
"""

import dataclasses
import re
from typing import Any

#: controls, ends of lines, bidi controls, halves of surrogate pairs (bytes of a file's name that are no UTF-8), and
#: what XML 1.0 does not allow
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}
_DIGITS = re.compile("[0-9]{41,}")
#: a spreadsheet takes a cell that begins so for a formula, in the East with wide signs, too
_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")
_QUOTED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def visible(text: object) -> str:
    r"""`text` on one line, with what would steer its reader written as escapes; all else as it is.

    >>> print(visible("a\n\x1b[1mb"))
    a\n\x1b[1mb
    """
    return _STEERING.sub(lambda match: _escape(match[0]), str(text))


def visible_lines(text: str) -> str:
    """`text` as `visible`, its lines and tabs left alone: a whole page, in which names are escaped already."""
    return _STEERING.sub(lambda match: match[0] if match[0] in "\n\t" else _escape(match[0]), text)


def visible_all(value: Any) -> Any:
    """`value` with every text in it as `visible`: of a dict's values, a list's items and a data class's fields."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {key: visible_all(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(visible_all, value)) if type(value) in (list, tuple) else value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: visible_all(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


def sentence(error: object) -> str:
    """An error's message as `visible`, numbers of more digits than anything here has cut short."""
    return _DIGITS.sub(lambda match: f"{match[0][:20]}… ({len(match[0]):,} digits)", visible(error))


def is_formula(text: str) -> bool:
    """Whether a spreadsheet would take the text of a cell for a formula."""
    return bool(re.match("[=+\\-@\t\r\n＝＋－＠]", text)) and not _NUMBER.fullmatch(text)


def to_cell(value: Any) -> Any:
    """A cell of a CSV file: a text that a spreadsheet would take for a formula begins with an apostrophe; a number
    stays one. `from_cell` gives the text back.

    >>> to_cell("=1+1"), to_cell("-0.5"), to_cell(-0.5), to_cell("it's")
    ("'=1+1", '-0.5', -0.5, "it's")
    """
    is_text = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return "'" + value if is_text else value


def from_cell(text: str) -> str:
    """The text that `to_cell` made a cell of.

    >>> from_cell(to_cell("'=1")), from_cell("it's"), from_cell("=1")
    ("'=1", "it's", '=1')
    """
    return text[1:] if _QUOTED.match(text) else text


def _escape(sign: str) -> str:
    number = ord(sign)
    return _ESCAPES.get(sign) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
