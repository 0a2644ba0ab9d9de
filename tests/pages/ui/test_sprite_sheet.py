"""The atlas: what is drawn of grey, coloured and large images."""

import base64
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from attribution.live.pictures import Pictures, picture_routes
from pages.ui import sprite_sheet


def workspace(images, inverted):
    return SimpleNamespace(
        fingerprint=f"{images.shape} {inverted}", train_images=images, val_images=images, greyscale_inverted=inverted
    )


def pixels(url):
    return np.asarray(Image.open(BytesIO(base64.b64decode(url.split(",")[1]))))


@pytest.mark.parametrize(("shape", "turned"), [((6, 5), True), ((6, 5, 3), False)])
def test_grey_is_turned_dark_on_light_and_colours_stay(shape, turned):
    images = np.random.default_rng(0).integers(0, 255, (3, *shape), np.uint8)
    ws = workspace(images, inverted=True)
    shown = 255 - images if turned else images
    assert (pixels(sprite_sheet.image_url(ws, "val", 2)) == shown[2]).all()
    drawn = sprite_sheet.sheet(ws, "train", [2, 0])
    assert (drawn["columns"], drawn["count"], drawn["width"], drawn["height"]) == (2, 2, 5, 6)
    assert (pixels(drawn["url"]) == np.concatenate([shown[2], shown[0]], 1)).all()


def test_where_the_server_answers_for_pictures_a_sheet_is_its_address(monkeypatch):
    pictures = Pictures(most_bytes=400)
    monkeypatch.setattr(sprite_sheet, "PICTURES", pictures)
    images = np.random.default_rng(1).integers(0, 255, (40, 6, 5), np.uint8)
    ws = workspace(images, inverted=False)
    picture_routes(pictures)
    drawn = sprite_sheet.sheet(ws, "train", [2, 0])
    assert drawn["url"].startswith("pictures/") and len(drawn["url"]) < 80
    shown = np.asarray(Image.open(BytesIO(pictures.read(drawn["url"]))))
    assert (shown == np.concatenate([images[2], images[0]], 1)).all()
    other = workspace(images[::-1], inverted=True)
    assert sprite_sheet.sheet(other, "train", [2, 0])["url"].split("/")[1] != drawn["url"].split("/")[1]
    sprite_sheet.sheet(ws, "train", range(40))  # drives the first one out
    assert pictures.read(drawn["url"]) is None
    assert sprite_sheet.sheet(ws, "train", [2, 0]) == drawn and pictures.read(drawn["url"])


def test_large_images_are_made_smaller_for_the_rows_and_not_for_the_card():
    images = np.zeros((2, 4 * sprite_sheet.SIDE, 4 * sprite_sheet.SIDE, 3), np.uint8)
    images[1, ..., 1] = 200
    ws = workspace(images, inverted=False)
    drawn = sprite_sheet.sheet(ws, "val", [0, 1])
    assert (drawn["width"], drawn["height"]) == (sprite_sheet.SIDE, sprite_sheet.SIDE) and sprite_sheet.scale(ws) == 1
    assert (pixels(drawn["url"])[:, sprite_sheet.SIDE :] == [0, 200, 0]).all()
    assert pixels(sprite_sheet.image_url(ws, "val", 1)).shape == images.shape[1:]


def test_each_image_of_a_workspace_has_an_address(monkeypatch):
    pictures = Pictures()
    monkeypatch.setattr(sprite_sheet, "PICTURES", pictures)
    images = np.random.default_rng(2).integers(0, 255, (3, 6, 5), np.uint8)
    folder = sprite_sheet.image_folder(workspace(images, inverted=True))
    shown = np.asarray(Image.open(BytesIO(pictures.read(f"{folder}/train-2.png"))))
    assert (shown == 255 - images[2]).all()
    assert pictures.read(f"{folder}/val-3.png") is None
    large = sprite_sheet.image_folder(workspace(np.zeros((1, 600, 300, 3), np.uint8), inverted=False))
    assert Image.open(BytesIO(pictures.read(f"{large}/val-0.png"))).size == (100, 200)
