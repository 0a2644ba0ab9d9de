"""What every page says before it draws anything."""

import json

import numpy as np
import pytest

from attribution import Workspace
from attribution.files import read_array, write_array
from attribution.importing import importing
from attribution.importing.formats import ForeignRanking
from pages.ui import theme
from tests.pages.page import html, open_page, texts


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


def test_data_and_jobs_says_since_when_they_are_compared(ws):
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


def toasts(app) -> list[str]:
    return [toast.value for toast in app.toast]


def change(ws, **values):
    """Writes other values into the manifest, as another program would."""
    file = ws.path / "workspace.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def test_a_page_says_once_that_the_workspace_changed_on_disk(ws):
    app = open_page("data")
    assert not toasts(app)
    change(ws, note="another program was here")
    app.run()
    assert toasts(app) == ["This workspace changed on disk; the page shows it as it is now."]
    assert not toasts(app.run()) and not app.exception


def test_what_the_page_changes_itself_is_no_news(ws):
    importing.import_ranking(ws, foreign(ws), "mine", provenance={"file": "mine.npy"})
    app = open_page("data", part="features")
    app.button("take out").click().run()
    assert "mine" not in Workspace.open(ws.path).rankings() and not toasts(app) and not app.exception


def foreign(ws) -> ForeignRanking:
    scores = np.random.default_rng(0).normal(size=(12, 60)) + 5 * (ws.train_labels == ws.val_labels[:, None])
    return ForeignRanking("Mine", True, np.arange(12), read_scores=lambda start, stop: scores[start:stop])


@pytest.mark.parametrize("page", ["debug", "data"])
def test_another_data_set_in_its_place_stops_the_page(ws, page):
    app = open_page(page, target="3")
    change(ws, name="others", dataset={**ws.manifest["dataset"], "fingerprint": "f" * 64})
    app.run()
    (said,) = app.warning
    assert "holds another data set now: others" in said.value.replace("\\", "") and not app.exception
    assert not app.header, "nothing of either is drawn"
    assert '<a class="lu-reload" href="?"' in html(app)
    app = open_page(page)
    assert not app.warning and not app.exception, "a new visit knows nothing of the old images"


def test_what_lives_long_is_set_aside_for_each_page_and_after_some_visits(monkeypatch):
    freezer = theme._Freezer()
    assert freezer.is_due("debug", is_new=True) and not freezer.is_due("debug", is_new=False)
    assert freezer.is_due("labels", is_new=False)
    due = [freezer.is_due("debug", is_new=True) for _ in range(2 * theme.FREEZE_VISITS)]
    assert due == 2 * ([False] * (theme.FREEZE_VISITS - 1) + [True])


def test_a_server_that_finds_no_workspace_still_starts(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "none"))
    theme.warm_up()
    assert "none" in texts(open_page("debug"))
