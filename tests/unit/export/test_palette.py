"""Colours: blue is left to what it means, and every method has a line of its own."""

import colorsys
import tomllib

import pytest

from attribution.export import palette
from tests.conftest import ROOT

BLUE = (190, 250)  # degrees of hue


def hue(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 360 * colorsys.rgb_to_hls(red, green, blue)[0]


@pytest.mark.parametrize("colour", [style[0] for style in palette.METHOD_STYLES.values()])
def test_no_method_is_blue(colour):
    assert colour == "#808080" or not BLUE[0] <= hue(colour) < BLUE[1]


def test_no_recipe_and_no_unknown_method_is_blue():
    for colour, _ in [*palette.RECIPE_STYLES, *palette.FALLBACK_STYLES, *palette.ORDER_STYLES.values()]:
        assert not BLUE[0] <= hue(colour) < BLUE[1], colour
    assert BLUE[0] <= hue(palette.HELPFUL) < BLUE[1]


def test_every_method_has_a_line_of_its_own():
    assert len(set(palette.METHOD_STYLES.values())) == len(palette.METHOD_STYLES)
    assert len({colour for colour, _ in palette.METHOD_STYLES.values()}) == len(palette.METHOD_STYLES)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_selected_is_no_more_blue_than_grey(theme):
    colour = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())["theme"][theme]["primaryColor"]
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    assert colorsys.rgb_to_hsv(red, green, blue)[1] < 0.4 < colorsys.rgb_to_hsv(0, 0x72 / 255, 0xB2 / 255)[1]
