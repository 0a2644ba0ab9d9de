"""What the tests of Methods read off its tabs, run without a browser."""

from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

APP = Path(__file__).resolve().parents[3] / "app.py"


def opened(tab: str, **query) -> AppTest:
    """Methods with this tab on view, which raised nothing. query: more of the address."""
    app = AppTest.from_file(str(APP), default_timeout=30)
    app._page_hash = calc_hash("methods")
    app.query_params.update({"tab": tab, **query})
    app.run()
    assert not app.exception, app.exception
    return app


def texts(app: AppTest) -> str:
    """All headings, captions, markdown and messages, without what escapes their signs."""
    elements = [*app.header, *app.markdown, *app.caption, *app.info, *app.warning, *app.error]
    return " ".join(str(element.value) for element in elements).replace("\\", "")


def commands(app: AppTest) -> list[str]:
    """The command lines on view."""
    return [code.value for code in app.code]


def html(app: AppTest) -> str:
    """All HTML: the tables, and cards of images."""
    return " ".join(element.proto.body for element in app.get("html"))
