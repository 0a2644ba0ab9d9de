"""What `python -m attribution.serve` starts: the dashboard of app.py behind the token that lets a browser in."""

import gc
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread

import streamlit as st
from starlette.middleware import Middleware
from streamlit import delta_generator

from attribution.access.middleware import TokenCheck
from attribution.access.tokens import read_token, spend_code
from attribution.files import data_folder
from attribution.files.libraries import leave_out_grammar
from attribution.live.ahead import ahead_routes
from attribution.live.pictures import picture_routes
from attribution.live.routes import live_routes
from attribution.live.scripts import script_routes
from pages.ui.old_links import old_link_routes

FIRST_PAGE_SECONDS = 3


def token_check() -> list[Middleware]:
    """The middleware that lets in who has the token; none where `--no-token` switched it off."""
    if os.environ.get("LINEUP_NO_TOKEN"):
        return []
    data, framed_by = data_folder(), os.environ.get("LINEUP_FRAMED_BY", "").split()
    return [Middleware(TokenCheck, token=read_token(data), spend=partial(spend_code, data), framed_by=framed_by)]


@asynccontextmanager
async def warmed_up(_app: st.App) -> AsyncIterator[None]:
    """Begins what the first visitor would wait for, while the server already answers."""
    Thread(target=warm_up, daemon=True).start()
    yield


def warm_up() -> None:
    """Imports and makes what the first visitors would wait for, the front page's first."""
    try:
        from pages.ui import theme  # only now: the server is up before all that pages need is there

        theme.warm_up()
        import_room("debug")
        time.sleep(FIRST_PAGE_SECONDS)  # in which the first visitor's page is drawn
    finally:
        gc.enable()
    theme.warm_up_refits()
    for room in ("compare", "labels", "data"):
        import_room(room)
    import_module("scipy.stats")  # two thirds of a second, when a finding of Compare first has an interval


def import_room(name: str) -> None:
    """Imports the modules of a room of pages/."""
    pages = Path(__file__).parent / "pages"
    for file in sorted((pages / name).rglob("*.py")):
        if file.name not in ("page.py", "__init__.py"):  # a page is a script, and draws
            import_module(".".join(file.relative_to(pages.parent).with_suffix("").parts))


leave_out_grammar()
# Whether this is a console is known; Streamlit would find out by reading the source of whatever is imported: 0.2 s.
delta_generator._use_warning_has_been_displayed = True
# Streamlit finds this line by its syntax: `streamlit run asgi.py` and `uvicorn asgi:app` both serve it.
routes = [*live_routes(), *ahead_routes(), *picture_routes(), *script_routes(), *old_link_routes()]
app = st.App(Path(__file__).with_name("app.py"), routes=routes, middleware=token_check(), lifespan=warmed_up)
