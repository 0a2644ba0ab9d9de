"""A small workspace and its store, fresh for each test."""

import pytest

from attribution.store.results import ResultStore
from tests import tiny


@pytest.fixture
def ws(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    (tmp_path / "w").mkdir()
    return tiny.write(tmp_path / "w")


@pytest.fixture
def store(ws):
    store = ResultStore.for_workspace(ws)
    yield store
    store.close()
