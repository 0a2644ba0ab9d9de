"""How a test opens a tab of Methods."""

from streamlit.testing.v1 import AppTest

from tests.pages.page import open_page


def opened(tab: str, **query) -> AppTest:
    """Methods with this tab on view, which raised nothing. query: more of the address."""
    app = open_page("compare", tab=tab, **query)
    assert not app.exception, app.exception
    return app
