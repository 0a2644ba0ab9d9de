"""One server and one Chromium for all browser tests, closed after the last; for each a page with nothing kept in the
browser but its cache, without which Streamlit's own scripts would be fetched and compiled again and again.

def test_something(open_page):
    page = open_page("/compare?tab=Cost")
    expect(page.get_by_role("heading", name="cost")).to_be_visible()
"""

from pathlib import Path

import pytest

from tests import tiny
from tests.browser import chromium

FAILURES = Path(__file__).parent / "failures"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    missing = None if chromium.find() else pytest.mark.skip(reason="no Chromium or Chrome on this machine")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if missing:
                item.add_marker(missing)


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    """A tests.browser.serving.Server of the demo, its results in a temporary folder."""
    from tests.browser import serving

    with serving.server(tmp_path_factory.mktemp("lineup")) as running:
        yield running


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A tests.browser.serving.Server of the tiny workspace, for all tests of a file."""
    from tests.browser import serving

    with serving.server(tmp_path_factory.mktemp("data"), tiny.write(tmp_path_factory.mktemp("shapes")).path) as running:
        yield running


@pytest.fixture(scope="package")
def browser():
    """A Playwright Browser."""
    from tests.browser import serving

    with serving.browser() as opened:
        yield opened


@pytest.fixture(scope="package")
def context(browser):
    """The Playwright BrowserContext of all tests' pages."""
    from tests.browser import serving

    return serving.new_context(browser)


@pytest.fixture
def page(context, request):
    """An empty page. Where the test fails, what it showed is kept in tests/browser/failures."""
    from tests.browser import serving

    serving.let_in(context)
    page = context.new_page()
    yield page
    if getattr(request.node, "failed", False):
        FAILURES.mkdir(exist_ok=True)
        page.screenshot(path=FAILURES / f"{request.node.name}.png", full_page=True)
    serving.leave(context)


@pytest.fixture
def open_page(page, server):
    """open_page("/?target=3") goes there on the session's server, waits until it rests, returns the page."""
    from tests.browser import serving

    return lambda path="/": serving.open_page(page, server.url + path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed
    return report
