"""Names that would steer whoever shows them, on the pages that show names: read as markup nowhere, and not obeyed."""

import json
import re

import pytest

from attribution.audit import detectors
from attribution.audit.decision_log import DecisionLog
from attribution.features import projection
from attribution.workspace import copies
from pages.ui import format as write
from pages.ui import state
from tests.names import GROUPS, HOSTILE, steering
from tests.names import write as named
from tests.pages.page import open_page

PAGES = {
    "debug": {"job": "x", "panel": "verdict"},
    "labels": {},
    "data": {},
}
#: what a name would become in markdown, were it not escaped
MARKUP = re.compile(
    r"(?<!\\)(?:\*\*fat|\[link\]|`code`|\$x|:smile:|:red\[|<b>fat|https?:|&lt;b)|https?\\?:|www\\?\.evil"
)
#: fields of an element whose text is no markdown: a key, a file of ours, a picture, or what is shown as it is
RAW = ("id", "url", "key", "form_id", "widget_id", "js", "css", "arrow_data", "spec", "figure")


@pytest.fixture(params=GROUPS.values(), ids=GROUPS, scope="module")
def ws(request, tmp_path_factory):
    """A workspace whose name, classes and ranking are called by hostile names, with a decision about an image."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        patch.setenv("LINEUP_WORKSPACE", str(folder / "w"))
        ws = named(folder / "w", request.param)
        detectors.build_detectors(ws, ["knn-moco"])
        found = {"images": 1, "pairs": 2, "kept": [[0, 1], [0, 3]]}  # of one class, and of two
        copies.save(ws, found, None, {})
        projection.save(ws, projection.project(ws, "moco", "pca"), {})
        with DecisionLog.of(ws) as log:
            words = ws.name.replace("\0", "").encode(errors="replace").decode()
            entry = {"uid": "a", "item": 5, "action": "relabel", "label": 1, "reason": words[:200], "seen": 0}
            log.append([entry], words[:50], "here")
        yield ws


def bare(text: str) -> str:
    """A text without what markdown needs."""
    return text.replace("\\", "").replace(write.WORD_JOINER, "")


def texts_of(value):
    """The texts in a JSON value."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from texts_of(inner)


def elements(app) -> list[tuple[str, str, str]]:
    """(kind of element, field, text) of all that is sent to the browser."""
    found = []

    def walk(kind, message):
        for field, value in message.ListFields():
            for one in value if hasattr(value, "extend") else [value]:
                if field.name == "json":  # a component's data; signs are escaped in it
                    found.extend((kind, "in json", text) for text in texts_of(json.loads(one)))
                elif isinstance(one, str):
                    found.append((kind, field.name, one))
                elif hasattr(one, "ListFields"):
                    walk(kind, one)

    for block in (app.main, app.sidebar):
        for node in block:
            if hasattr(node.proto, "ListFields"):
                walk(node.type, node.proto)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_names_as_they_are(ws, page):
    if page == "debug":
        app = open_page(page, {state.PICKER: "wall", state.PLANTED: True}, target="1")
    else:
        app = open_page(page, **PAGES[page])
    assert not app.exception
    seen = elements(app)
    assert len(seen) > 10 and any(bare(write.visible(ws.name))[:9] in bare(text) for *_, text in seen)
    for kind, field, text in seen:
        if field in RAW:
            continue
        assert not steering(text, "\n"), (kind, field, text[:200])
        if (
            kind in ("markdown", "caption", "heading", "header", "alert", "button", "progress", "expander")
            or kind == "help"
        ):
            assert not MARKUP.search(text), (kind, field, text[:300])
        if kind == "html":
            assert "<b>fat" not in text and "<script>alert" not in text, text[:300]


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_every_way_to_write_a_name(name):
    shown = write.plain(name)
    assert not steering(shown) and not MARKUP.search(shown)
    assert bare(shown) == bare(write.visible(name))
    assert not steering(write.escape(name)) and not re.search("[<>\"']", write.escape(name))
    assert not re.search("[<>]", write.plotted(name)) and not steering(write.plotted(name))
    assert not steering(write.sentence(name))
