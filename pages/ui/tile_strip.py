"""The tile strip: rows of image tiles. Debug's rows, its wall of targets and every preview are drawn with it.

`strip(key, data, on_pick, on_row, on_cut, on_act, on_trust)` draws `data`, a dict:

    atlas    {"url", "columns", "count", "width", "height"}: one picture that holds all tiles (sprite_sheet.py)
    scale    integer, how many pixels an image's pixel takes; `zoom` the same for the large view of a tile
    layout   "rows" (rankings, ranks aligned in columns), "line" (one row that scrolls) or "wall" (one that wraps)
    rows     list of rows
    axis     heading of the rank numbers above the columns; absent: no rank numbers
    cut      {"k", "max", "shown"}: a line after rank k across all rows; `shown` is the number of columns drawn and
             `max` how far the keys may go beyond them; absent: no cut
    selected id of the tile that is selected, in every row, or None
    pitch    least distance of two tiles in pixels, where captions are long
    of       what the rows are about, such as the target; kept in the page as data-of, so that a benchmark sees it drawn
    present  whether type and tiles are to be large, for a room full of people
    top      whether the page goes up to its top where a tile is chosen: it is about that one then
    live     {"url", "model", "target", "label", "classes", "rows": [[ranking, end, candidates], ...]}: the server's
             routes that say what a head would answer at the cut; each row that has a `live` shows it; absent: no head
    ahead    of rows about a target: where the rows of others are, see attribution/live/ahead.py, or None
    way      of tiles that are targets: [the one before the open one, the one after it], None where there is none; what
             is chosen among them is shown at once in the strip that has `ahead`
    footnote the line under the strip while nothing is pointed at; absent: no such line

A row: {"id", "tiles"} and, as far as they apply, "name" (absent: no header), "short" (its name where a tile's places
are listed), "colour" (of its ranking, from palette.py), "about", "sign" ("+" or "-"), "sign_text", "mix" [{"text",
"count", "same"}], "notes" [text] (a line together), "support" {"k" or None, "text"} (a mark after rank k where that is
on view, and the text in that line), "details" [text] (of the tooltip alone), "chosen" and "choose" (the header is a
button, and what it does), "label" (for screen readers), "empty" (why it has no tiles), "action"
{"text", "title"} (the button behind that), "live" (its place in `live` above), "trust"
{"level" (a key of `trust.VERDICTS`), "text", "details" (of its tooltip)} (how far the row can be trusted, a button).

A tile: {"id", "at" (place in the atlas), "text" (what it is, in words)} and, as far as they apply, "caption", "mark" (a
caption that stands out, such as "label: Coat"), "score", "flag" (a note such as a planted label).

What the person does comes back once, before the page runs again:
    on_pick({"id", "row", "rank"})  a tile was clicked, or chosen with Enter or space
    on_row(row id)                  a row's header was clicked
    on_trust(row id)                how far a row can be trusted was clicked
    on_cut(k)                       the cut was moved, by drag, arrow keys or a click on a rank
    on_act({"row", "of"})           the button of a row without tiles was clicked, where the rows were about `of`
"""

import json
from collections.abc import Callable

import streamlit as st

from attribution.files import APP
from attribution.inputs import names
from attribution.live.scripts import SCRIPTS

ASSETS = APP / "assets"
SHORT = 4000  # characters: of a text that goes into every message


def component(name: str, *scripts: str, style: str | None = None):
    """The component lineup.<name>, drawn by files of assets/: the JavaScript `scripts`, joined in this order since a
    component is one text, of which the last exports the component; and the style sheet `style`. Call it once, where a
    module is first imported. Nothing of the user's goes into these texts.

    Where our own server runs the pages, a long text is brought from an address that the browser keeps."""
    js = "".join((ASSETS / script).read_text() for script in scripts)
    css = (ASSETS / style).read_text() if style else ""
    if SCRIPTS.is_served and len(js) > SHORT:
        address = SCRIPTS.publish(f"{js}\nexport const STYLE = {json.dumps(css)};\n")
        js, css = f"const ADDRESS = {json.dumps(address)};\n" + (ASSETS / "loader.js").read_text(), ""
    return st.components.v2.component(f"lineup.{name}", js=js, **({"css": css} if css else {}))


_component = component("tile_strip", "pic.js", "live.js", "ahead.js", "tile_strip.js", style="tile_strip.css")


def strip(
    key: str,
    data: dict,
    on_pick: Callable | None = None,
    on_row: Callable | None = None,
    on_cut: Callable | None = None,
    on_act: Callable | None = None,
    on_trust: Callable | None = None,
) -> None:
    """Draws `data`; see above. key: unique on the page."""
    handlers = {"pick": on_pick, "row": on_row, "cut": on_cut, "act": on_act, "trust": on_trust}
    _component(
        key=key,
        data=names.visible_all(data),
        **{f"on_{event}_change": _handler(key, event, handler) for event, handler in handlers.items()},
    )


def _handler(key: str, event: str, handler: Callable | None) -> Callable:
    def handle():
        value = st.session_state[key].get(event)
        if handler and value is not None:
            handler(value)

    return handle


def strip_data(layout: str, rows: list[dict], atlas: dict, scale: int, **more) -> dict:
    """The data of a strip without a selection; more: what else it has, or has otherwise."""
    zoom = 5 if scale > 1 else 2
    return {"layout": layout, "atlas": atlas, "scale": scale, "zoom": zoom, "selected": None, "rows": rows} | more


def image_row(name: str, label: str, ids, texts, **lists) -> dict:
    """A row without a header, of the images of a sprite sheet in its order. lists: as in `tiles`."""
    return {"id": name, "label": label, "tiles": tiles({int(i): at for at, i in enumerate(ids)}, ids, texts, **lists)}


def tiles(places: dict[int, int], ids, texts, **lists) -> list[dict]:
    """The tiles of a row. places: image -> place in the atlas; lists: caption, mark, score or flag -> a list as long as
    `ids`, None where absent."""
    return [
        {"id": int(image), "at": places[int(image)], "text": texts[i]}
        | {name: values[i] for name, values in lists.items() if values is not None and values[i] is not None}
        for i, image in enumerate(ids)
    ]
