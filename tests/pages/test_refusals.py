"""A store that cannot be used: every page says so in one sentence, and nothing of it is touched."""

import pytest

from attribution.store.database import FILE
from attribution.store.results import ResultStore
from tests import tiny
from tests.pages.page import open_page


@pytest.fixture
def file(tmp_path, monkeypatch):
    """The database of a workspace's store."""
    ws = tiny.write(tmp_path / "w")
    monkeypatch.setenv("LINEUP_WORKSPACE", str(ws.path))
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    store = ResultStore.for_workspace(ws)
    store.put_support("r", "trak-10", 0, "remove", "default", 20, {})
    store.add_job({"verb": "study"}, "")
    store.close()
    return ResultStore.folder_of(ws) / FILE


def another_version(file):
    store = ResultStore(file.parent, "0" * 64)
    store.db.execute("PRAGMA user_version = 99")
    store.close()
    return "schema version 99, and this Lineup reads 2"


def damaged(file):
    file.write_bytes(b"not a database" * 1000)
    return "are damaged (file is not a database)"


def damaged_inside(file):
    """Its first page is whole, so that it can be opened."""
    file.write_bytes(file.read_bytes()[:4096] + b"\x77" * (file.stat().st_size - 4096))
    return "are damaged (database disk image is malformed)"


@pytest.mark.parametrize("how", [another_version, damaged, damaged_inside])
@pytest.mark.parametrize("page", ["debug", "compare"])
def test_a_page_says_so_in_one_sentence(file, page, how):
    expected = how(file)
    before = file.read_bytes()
    app = open_page(page)
    assert not app.exception and [expected in one.value.replace("\\", "") for one in app.error] == [True]
    assert file.read_bytes() == before
