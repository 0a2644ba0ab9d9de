"""Pages run without a browser: how a test opens one, and reads what it shows."""

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from tests.conftest import ROOT


def open_page(page: str = "debug", session: dict | None = None, run: bool = True, **link) -> AppTest:
    """A page at its address with the query parameters of `link`; session: what the visit has in its state before."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app._page_hash = calc_hash(page)  # a deep link; switch_page, after a first run, drops the address
    for name, value in (session or {}).items():
        app.session_state[name] = value
    app.query_params.update(link)
    return app.run() if run else app


def texts(app: AppTest) -> str:
    """The texts of a page, headings, boxes and errors included, without the backslashes of markdown."""
    elements = [*app.header, *app.subheader, *app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return " ".join(str(element.value) for element in elements).replace("\\", "")


def html(app: AppTest) -> str:
    """The HTML that a page draws itself."""
    return " ".join(element.proto.body for element in app.get("html"))


def commands(app: AppTest) -> list[str]:
    """The command lines on view."""
    return [code.value for code in app.code]
