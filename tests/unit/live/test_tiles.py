"""The route that shows one image."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from attribution.live.tiles import tile_folder, tile_routes


@pytest.fixture
def browser(ws):
    with TestClient(Starlette(routes=tile_routes())) as browser:
        yield browser


@pytest.mark.parametrize(("split", "image"), [("train", 59), ("val", 0)])
def test_a_tile_is_the_image_and_may_be_kept(ws, browser, split, image):
    answer = browser.get(f"/{tile_folder(ws)}/{split}/{image}.png")
    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
    pixels = ws.train_images if split == "train" else ws.val_images
    assert np.array_equal(np.asarray(Image.open(BytesIO(answer.content))), 255 - pixels[image])


@pytest.mark.parametrize("path", ["train/60", "val/12", "val/-1", "val/²", "val/" + "9" * 400, "other/0", "val/x"])
def test_what_is_no_image_is_not_found(ws, browser, path):
    assert browser.get(f"/{tile_folder(ws)}/{path}.png").status_code == 404


def test_an_address_shows_nothing_of_another_workspace(ws, browser):
    assert browser.get(f"/tile/{'1' * 16}/val/0.png").status_code == 404
