"""Names that would steer whoever shows them, and a tiny workspace whose classes and name they are."""

import json

from attribution import Workspace
from tests import tiny

#: what each would do -> the name
HOSTILE = {
    "title of the terminal": "\x1b]0;owned\x07x",
    "colour of the terminal": "\x1b[31mred",
    "markup of rich": "[bold]loud[/bold] [/x]",
    "two lines": "one\ntwo\r\nthree",
    "tab and NUL": "\ta\0b",
    "HTML": "<b>fat</b><img src=x onerror=alert(1)>",
    "quotes": "\"'><script>alert(1)</script>",
    "markdown": "**fat** [link](https://evil.example) `code` # head",
    "address": "https://evil.example/x www.evil.example me@evil.example",
    "shortcodes": ":smile: :material/warning: :red[x] :streamlit:",
    "arrow": "a -> b -- c",
    "LaTeX": "$x^2$ \\frac{a}{b}",
    "formula": '=HYPERLINK("https://evil.example")',
    "plus": "+1+1",
    "at": "@SUM(A1)",
    "bidi override": "\u202egnp.exe\u2066x\u2069",
    "bidi marks": "\u200e\u200f\u061cx",
    "lines of Unicode": "a\u2028b\u2029c\x85d",
    "half a pair": "caf\udce9",
    "no character": "\ufffe\uffff",
    "entity": "&lt;b&gt; &#x202e;",
    "long": "W" * 5000,
    "comment": "<!-- x --> ]]> --",
    "nothing": "",
}
#: signs that steer a terminal, a line or an XML parser; none leaves Lineup, but in data
STEERING = {chr(n) for n in (*range(32), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F, *range(0x2028, 0x202F))} | {
    chr(n) for n in (*range(0x2066, 0x206A), 0xFFFE, 0xFFFF, 0xDCE9)
}


def steering(text: str, allowed: str = "") -> set[str]:
    """The steering signs in a text."""
    return STEERING & set(text) - set(allowed)


#: three at a time: the classes of a workspace
GROUPS = {
    ", ".join(names): [HOSTILE[name] for name in names]
    for names in (list(HOSTILE)[start : start + 3] for start in range(0, len(HOSTILE), 3))
}


def write(folder, classes: list[str]) -> Workspace:
    """The tiny workspace with these three classes, its own name and its ranking's method that of the first."""
    name = classes[0]
    path = tiny.write(folder).path
    manifest = json.loads((path / "workspace.json").read_text())
    manifest["name"] = manifest["dataset"]["name"] = name
    manifest["dataset"]["classes"] = classes
    manifest["parts"]["rankings/trak-10"] |= {"method": name, "about": name}
    (path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(path)
