"""Rows of image tiles: the one component that Explore's rows, its wall of targets and every preview are drawn with.

`strip(key, data, on_pick, on_row, on_cut)` draws `data`, a dict:

    atlas    {"url", "columns", "count", "width", "height"}: one picture that holds all tiles (atlas.py)
    scale    integer, how many pixels an image's pixel takes; `zoom` the same for the large view of a tile
    layout   "rows" (rankings, ranks aligned in columns), "line" (one row that scrolls) or "wall" (one that wraps)
    rows     list of rows
    axis     heading of the rank numbers above the columns; absent: no rank numbers
    cut      {"k", "max", "shown"}: a line after rank k across all rows; `shown` is the number of columns drawn and
             `max` how far the keys may go beyond them; absent: no cut
    selected id of the tile that is selected, in every row, or None
    pitch    least distance of two tiles in pixels, where captions are long
    of       what the rows are about, such as the target; kept in the page as data-of, so that a benchmark sees it drawn
    top      whether the page goes up to its top where a tile is chosen: it is about that one then
    footnote the line under the strip while nothing is pointed at; absent: no such line

A row: {"id", "tiles"} and, as far as they apply, "name" (absent: no header), "short" (its name where a tile's places
are listed), "about", "sign" ("+" or "-"), "sign_text", "mix" [{"text", "count", "same"}], "notes" [text], "support"
{"k" or None, "text"} (a mark after rank k where that is on view, and the text in the header), "chosen" and "choose"
(the header is a button with this tooltip), "label" (for screen readers), "empty" (why it has no tiles).

A tile: {"id", "at" (place in the atlas), "text" (what it is, in words)} and, as far as they apply, "caption", "mark" (a
caption that stands out, such as "≠ Coat"), "score", "flag" (a note such as a planted label).

What the person does comes back once, before the page runs again:
    on_pick({"id", "row", "rank"})  a tile was clicked, or chosen with Enter or space
    on_row(row id)                  a row's header was clicked
    on_cut(k)                       the cut was moved, by drag, arrow keys or a click on a rank
"""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def component(name: str):
    """The component drawn by assets/<name>.css and .js; one without a style sheet draws nothing. Call it once, where a
    module is first imported. Nothing of the user's goes into these texts."""
    css, js = ASSETS / f"{name}.css", (ASSETS / f"{name}.js").read_text()
    if not css.exists():
        return st.components.v2.component(f"lineup.{name}", js=js)
    return st.components.v2.component(f"lineup.{name}", css=css.read_text(), js=(ASSETS / "pic.js").read_text() + js)


_component = component("strip")


def strip(
    key: str,
    data: dict,
    on_pick: Callable | None = None,
    on_row: Callable | None = None,
    on_cut: Callable | None = None,
) -> None:
    """Draws `data`; see above. key: unique on the page."""
    handlers = {"pick": on_pick, "row": on_row, "cut": on_cut}
    _component(
        key=key,
        data=data,
        **{f"on_{event}_change": _handler(key, event, handler) for event, handler in handlers.items()},
    )


def _handler(key: str, event: str, handler: Callable | None) -> Callable:
    def handle():
        value = st.session_state[key].get(event)
        if handler and value is not None:
            handler(value)

    return handle


def tiles(places: dict[int, int], ids, texts, **more) -> list[dict]:
    """The tiles of a row. places: image -> place in the atlas; `more`: lists as long as `ids`, None where absent."""
    made = []
    for i, image in enumerate(ids):
        tile = {"id": int(image), "at": places[int(image)], "text": texts[i]}
        tile |= {name: values[i] for name, values in more.items() if values is not None and values[i] is not None}
        made.append(tile)
    return made
