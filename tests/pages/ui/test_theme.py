"""What every page says before it draws anything."""

import numpy as np
import pytest

from attribution.files import read_array, write_array
from pages.ui import theme
from tests.pages.page import open_page, texts


@pytest.mark.parametrize("page", ["debug", "compare", "data"])
def test_a_page_says_that_the_images_have_changed(ws, monkeypatch, page):
    monkeypatch.setattr(theme, "LOOK_SECONDS", 1e-6)
    assert not open_page(page).error
    file = ws.path / "images" / "train.npy"
    images = np.array(read_array(file))
    images[7, 0, 0] ^= 1
    write_array(file, images)
    app = open_page(page)
    assert any("have changed since its results were computed" in error.value for error in app.error)
    assert not app.exception


def test_the_workspace_page_says_since_when_they_are_compared(ws):
    assert "created before Lineup recorded all images" in texts(open_page("data"))


def test_the_key_of_caches_changes_with_what_is_recorded_of_a_part(ws):
    key = theme.cache_key(ws)
    assert theme.cache_key(ws) == key and len(key) < 100
    ws.record_part("rankings/trak-10", {**ws.manifest["parts"]["rankings/trak-10"], "description": "another"})
    changed = theme.cache_key(ws)
    assert changed != key
    ws.manifest["parts"]["rankings/trak-10"]["description"] = "in place"
    assert theme.cache_key(ws) not in (key, changed)
    assert theme.cache_key(ws.with_model("head-moco")) != theme.cache_key(ws)
