"""How a test opens a tab of Compare, or a topic of its Advanced tab."""

from streamlit.testing.v1 import AppTest

from tests.pages.page import open_page


def opened(tab: str, **query) -> AppTest:
    """Compare with this tab on view, which raised nothing. query: more of the address."""
    app = open_page("compare", tab=tab, **query)
    assert not app.exception, app.exception
    return app


def opened_topic(topic: str, **query) -> AppTest:
    """Compare with this topic of Advanced on view, which raised nothing."""
    return opened("Advanced", topic=topic, **query)
