"""The colours that carry meaning, from Okabe and Ito's set: told apart by everyone, and never red against green.

assets/strip.css and attribution/figure.py use the same two; a sign or a dash always stands beside the colour.
"""

HELPFUL = "#0072B2"
HARMFUL = "#D55E00"
HIGHLIGHT = "#E69F00"
