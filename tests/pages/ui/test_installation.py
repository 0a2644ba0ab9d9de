"""While what training needs is being installed, every page says how far that is, and all else works."""

import json
import os

import pytest

from attribution.files.libraries import INSTALL_VARIABLE
from tests.pages.page import open_page, texts


@pytest.fixture
def told(tmp_path, monkeypatch):
    file = tmp_path / "told.json"
    monkeypatch.setenv(INSTALL_VARIABLE, str(file))
    return lambda state, text: file.write_text(
        json.dumps({"state": state, "text": text, "pid": os.getpid(), "started": 0})
    )


@pytest.mark.parametrize("page", ["debug", "compare"])
def test_a_page_says_how_far_it_is(ws, told, page):
    told("running", "downloading torch (800 MB; 900 MB so far)")
    app = open_page(page)
    assert "Training is being installed: downloading torch (800 MB; 900 MB so far), " in texts(app)
    assert not app.exception and not app.error
    told("failed", "what training needs could not be installed (no network); see log")
    assert "could not be installed (no network); see log." in texts(open_page(page))
    told("done", "what training needs is installed")
    assert "installed" not in texts(open_page(page))
