"""The atlas: what is drawn of grey, coloured and large images."""

import base64
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

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


def test_large_images_are_made_smaller_for_the_rows_and_not_for_the_card():
    images = np.zeros((2, 4 * sprite_sheet.SIDE, 4 * sprite_sheet.SIDE, 3), np.uint8)
    images[1, ..., 1] = 200
    ws = workspace(images, inverted=False)
    drawn = sprite_sheet.sheet(ws, "val", [0, 1])
    assert (drawn["width"], drawn["height"]) == (sprite_sheet.SIDE, sprite_sheet.SIDE) and sprite_sheet.scale(ws) == 1
    assert (pixels(drawn["url"])[:, sprite_sheet.SIDE :] == [0, 200, 0]).all()
    assert pixels(sprite_sheet.image_url(ws, "val", 1)).shape == images.shape[1:]
