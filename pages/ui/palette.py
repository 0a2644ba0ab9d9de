"""The colours that carry meaning, from Okabe and Ito's set: told apart by everyone, and never red against green.

assets/tile_strip.css and attribution/figure.py use the same two; a sign or a dash always stands beside the colour. The
colours of rankings and recipes are the library's, which draws figures with them.
"""

from attribution.palette import OPEN, RECIPES, line

__all__ = ["HARMFUL", "HELPFUL", "HIGHLIGHT", "OPEN", "RECIPES", "line"]

HELPFUL = "#0072B2"
HARMFUL = "#D55E00"
HIGHLIGHT = "#E69F00"
