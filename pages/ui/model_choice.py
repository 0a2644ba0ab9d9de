"""Whose predictions the pages speak about: the selector in their header, and what is said before a model retrains that
did not make them."""

import streamlit as st

from attribution import UserError, Workspace
from attribution.explore.opening_target import opening_model
from attribution.training.head.recipe import is_head
from attribution.workspace import base_models
from pages.ui import cli_command, measurement, state
from pages.ui import format as write

session = st.session_state


def options(ws: Workspace) -> list[str]:
    """The recipes that a page can speak about: the workspace's models, heads last, and its own recipe, which may have
    no predictions yet. The first is what a link without a model is about."""
    models = ws.models()
    return list(dict.fromkeys([*(name for name in models if not is_head(name)), ws.own_recipe, *models]))


def choose_at_first(ws: Workspace, at_root: bool) -> None:
    """Where a visit begins at the bare address, chooses the model that the workspace opens with; the address then says
    which. A link that says anything is about the first of `options`, as it was before there were heads. app.py calls
    it before anything else is read."""
    begins = state.LAST_PAGE not in session and state.MODEL not in session
    if begins and at_root and not st.query_params and (name := opening_model(ws)):
        session[state.MODEL] = st.query_params[state.MODEL] = name


def draw(ws: Workspace) -> None:
    """The selector, in the header; nothing where there is one model. app.py calls it before the page."""
    names = options(ws)
    asked = st.query_params.get(state.MODEL)
    if asked is not None and asked not in names:
        del st.query_params[state.MODEL]
        known = ", ".join(names)
        error = UserError(f"{ws.name} has no model {asked[:80]!r}; it has {known}, and this page is about {names[0]}")
        st.warning(write.sentence(error), icon=":material/link_off:")
        asked = None
    if session.get(state.MODEL) not in (None, *names):
        del session[state.MODEL]
    if len(names) < 2:
        return
    opening = opening_model(ws)
    if opening and asked is None and state.MODEL not in session:
        session[state.MODEL] = names[0]
    with st.container(key="model-choice", horizontal=True, vertical_alignment="center"):
        st.selectbox(
            "Model",
            names,
            index=None if opening else 0,  # what is the default stands in no address, and the bare one is another's
            required=True,
            key=state.MODEL,
            bind="query-params",
            help="Whose predictions, retrainings and held-out halves the pages speak about.",
        )


def chosen(ws: Workspace) -> Workspace:
    """The workspace as the model that is chosen sees it, else as the first one of `options` does."""
    names = options(ws)
    name = session.get(state.MODEL)
    return ws.with_model(name if name in names else names[0])


def of_model(ws: Workspace) -> str:
    """ " of resnet9", where there is more than one model and a figure has to say whose it is, else ""."""
    return f" of {ws.recipe}" if len(options(ws)) > 1 else ""


def draw_warning(ws: Workspace) -> None:
    """Before anything is retrained: that the base predictions are not of the recipe that would be, and the ways to one
    that made them."""
    warning = base_models.recipe_warning(ws)
    if not warning:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center", gap="small", key="recipe-warning"):
        st.markdown(f":material/warning: {write.sentence(UserError(warning))}", width="stretch")
        with st.container(horizontal=True, gap="small", width="content"):
            if not ws.get_recipe().problem:
                words = ["base", "train"]
                st.button(
                    f"Train base models of {write.plain(ws.recipe)}",
                    key="train the right model",
                    on_click=measurement.start,
                    args=(ws, words),
                    help=cli_command.line(ws, *words),
                    disabled=not ws.can_add("base"),
                )
            others = [name for name in ws.models() if name != ws.recipe and not _warning(ws, name)]
            for name in [name for name in others if not is_head(name)] or others[:1]:
                st.button(f"Look at {write.plain(name)}", key=f"look at {name}", on_click=show, args=(name,))


def _warning(ws: Workspace, name: str) -> str:
    return "" if is_head(name) else base_models.recipe_warning(ws.with_model(name))


def show(name: str) -> None:
    """Turns the pages to another model; a callback."""
    session[state.MODEL] = name
