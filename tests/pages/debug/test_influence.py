"""In the drawer of a training image: whom it helps and harms, and what is like it."""

import numpy as np
import pytest

from attribution.explore import hubs
from attribution.explore.influence import image_influence
from attribution.features import near_duplicates
from attribution.runner import commands
from pages.debug import influence
from tests.pages.page import open_page, texts

RANKINGS = ["trak-10", "l2-moco"]


@pytest.fixture
def listed(ws):
    for lists in hubs.compute(ws, RANKINGS):
        hubs.save(ws, lists, {})
    return ws


def opened(image=7):
    app = open_page(target="1", rankings=RANKINGS, panel="image", image=str(image))
    assert not app.exception, app.exception
    return app


def test_a_row_for_each_ranking_and_end(listed):
    found = [image_influence(listed, 7, name) for name in RANKINGS]
    places = {target: target for target in range(listed.n_val)}
    rows = influence.reach_data(listed, 7, found, {}, places, 1)["rows"]
    assert [(row["name"], row["sign"]) for row in rows] == [("trak-10", "+"), ("trak-10", "-"), ("l2-moco", "+")]
    assert [tile["id"] for tile in rows[0]["tiles"]] == [1, 4, 7, 10]
    assert rows[0]["tiles"][0]["text"] == "validation image 1, Box <b>, #3 of its list"
    assert rows[0]["tiles"][0]["score"] == "0.125" and "mark" not in rows[0]["tiles"][0]
    assert rows[0]["notes"] == ["in 4 of 12 lists", "hub no. 1 of 60"]
    assert rows[1]["tiles"][0]["mark"] == "label: Bar" and rows[1]["tiles"][0]["score"].startswith("−")
    assert rows[2]["notes"][0] == "in 4 of 4 lists" and rows[2]["tiles"][0]["caption"].startswith("#")


def test_without_lists_they_are_asked_for(ws, monkeypatch):
    asked = []
    monkeypatch.setattr(commands, "start_command", lambda ws, words: asked.append(words))
    app = opened()
    assert "Predictions it helps or harms most" in texts(app)
    found = [image_influence(ws, 7, name) for name in RANKINGS]
    rows = influence.reach_data(ws, 7, found, {}, {target: target for target in range(12)}, 1)["rows"]
    assert rows[0]["tiles"] and "notes" in rows[0] and not rows[0]["notes"]  # scores need no lists
    assert rows[2]["empty"] == "whose lists it stands in has not been looked up yet"
    app.button(key="start evaluate hubs --rankings trak-10,l2-moco").click().run()
    assert asked == [["evaluate", "hubs", "--rankings", "trak-10,l2-moco"]] and not app.exception


def test_with_lists_there_is_nothing_to_ask(listed):
    app = opened()
    assert not [one for one in app.button if "hubs" in (one.key or "")]
    assert any(
        one.value.startswith("python -m attribution reach --image 7 --rankings trak-10,l2-moco") for one in app.code
    )


def test_nothing_is_looked_up_without_a_card(listed):
    app = open_page()
    assert "Predictions it helps" not in texts(app)


def test_images_like_it(ws):
    train = np.load(ws.path / "features" / "moco" / "train.npy")
    train[10] = train[7]
    np.save(ws.path / "features" / "moco" / "train.npy", train)
    assert f"near-duplicates at a cosine of {near_duplicates.DEFAULT_COSINE:g} in moco features" in texts(opened())
    found = {
        "features": "moco",
        "cosine": 0.98,
        "group": np.array([10, 40]),
        "near": np.array([10, 13]),
        "cosines": np.float32([1, 0.9]),
    }
    row = influence.alike_data(ws, found, {}, 1)["rows"][0]
    assert [tile["caption"] for tile in row["tiles"]] == ["= 1.000 Box <b>", "0.900 Box <b>", "= by others Box <b>"]
    assert influence.alike_text({**found, "group": np.zeros(0)}).startswith("No near-duplicate at")
    many = {**found, "group": np.arange(100, 5100)}
    assert "At least 5,000 near-duplicates" in influence.alike_text(many) and "60 of them" in influence.alike_text(many)
    assert len(influence._shown(many)) == 62
