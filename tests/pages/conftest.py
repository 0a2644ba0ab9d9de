"""What the page tests share: the tiny workspace as the one that is shown, its store, and the front page.

No runner is ever started."""

import pytest

from attribution.experiments import jobs
from attribution.store.results import ResultStore
from tests import tiny
from tests.pages.page import open_page


@pytest.fixture
def ws(tmp_path, monkeypatch):
    (tmp_path / "w").mkdir()
    ws = tiny.write(tmp_path / "w")
    monkeypatch.setenv("LINEUP_WORKSPACE", str(ws.path))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(jobs, "ensure_runner", lambda workspace: None)
    return ws


@pytest.fixture
def store(ws):
    store = ResultStore.for_workspace(ws)
    yield store
    store.close()


@pytest.fixture
def app(ws):
    """The front page of `ws`, an AppTest that has not run yet; for others see tests/pages/page.py."""
    return open_page(run=False)
