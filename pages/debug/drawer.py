"""What slides over the rows from the right when it is asked for: the verdict, how far to trust the rows, the history,
the selected image, the group of all targets that match the filters.

Which panel is open stands in the address (panel=verdict, trust, history, image or group), and so do the job and the
image: a reload, Back and a second tab show the same."""

from collections.abc import Callable

import streamlit as st

from attribution import Workspace
from pages.ui import link
from pages.ui.tile_strip import component

TRUST, GROUP = "trust", "group"
PANELS = {"verdict": "Verdict", TRUST: "Trust", "history": "History", GROUP: "Group", "image": "Image"}
PANEL, IMAGE = "panel", "image"  # parameters of the address
TAB = "tab of the drawer"
SEEN = "what the drawer was about"  # key: the target of the run before, and the image
state_of = st.session_state

_component = component("drawer", "drawer.js")


def restore(ws: Workspace) -> list[str]:
    """Takes out of the address a panel or an image that there is not; says so in sentences."""
    params, errors = st.query_params, []
    if (panel := params.get(PANEL)) is not None and panel not in PANELS:
        del params[PANEL]
        errors.append(
            "this link opens a panel that there is not; it is one of verdict, trust, history, group and image"
        )
    if IMAGE in params and not 0 <= (link.number(IMAGE) if link.number(IMAGE) is not None else -1) < ws.n_train:
        del params[IMAGE]
        errors.append(f"this link selects a training image that there is not; give 0 to {ws.n_train - 1}")
    return errors


def follow(target: int) -> None:
    """Closes the image's panel where the person went on to another target; an address that names both is kept."""
    seen, now = state_of.get(SEEN), (target, st.query_params.get(IMAGE))
    if seen and seen[0] != target and seen[1] == now[1] and now[1] is not None:
        del st.query_params[IMAGE]
        if st.query_params.get(PANEL) == IMAGE:
            del st.query_params[PANEL]
    state_of[SEEN] = (target, st.query_params.get(IMAGE))


def panel() -> str | None:
    """The panel that is open, None where the drawer is closed."""
    return st.query_params.get(PANEL)


def image() -> int | None:
    """The training image that is selected."""
    return link.number(IMAGE)


def open_panel(name: str) -> None:
    """Opens a panel; a callback."""
    st.query_params[PANEL] = name


def close() -> None:
    """Closes the drawer; a callback."""
    st.query_params.pop(PANEL, None)
    st.query_params.pop(IMAGE, None)


def select_image(number: int) -> None:
    """Opens a training image, or closes it where it is open; a callback."""
    if image() == number and panel() == IMAGE:
        return close()
    st.query_params[IMAGE], st.query_params[PANEL] = str(number), IMAGE


def keep_image(number: int, target: int) -> None:
    """Keeps a training image open while another target is gone to; a callback."""
    st.query_params[IMAGE], st.query_params[PANEL] = str(number), IMAGE
    state_of[SEEN] = (target, str(number))


def draw(panels: dict[str, Callable[[], None]]) -> None:
    """The drawer, where a panel is open. panels: name -> draws it."""
    name = panel()
    if name not in panels:
        return
    state_of[TAB] = name
    with st.container(key="drawer", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", key="drawer-head"):
            st.segmented_control(
                "What the drawer shows",
                list(panels),
                format_func=PANELS.get,
                required=True,
                key=TAB,
                label_visibility="collapsed",
                on_change=_turn,
            )
            st.button("Close", key="close drawer", icon=":material/close:", type="tertiary", on_click=close, help="Esc")
        panels[name]()
        _component(key="drawer keys", data={"panel": PANELS[name]})


def _turn() -> None:
    st.query_params[PANEL] = state_of[TAB]
