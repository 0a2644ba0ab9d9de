"""The colours that carry meaning, from Okabe and Ito's set: told apart by everyone, and never red against green.

assets/strip.css and attribution/figure.py use the same two; a sign or a dash always stands beside the colour.
"""

HELPFUL = "#0072B2"
HARMFUL = "#D55E00"
HIGHLIGHT = "#E69F00"

# A ranking's line: colour, dash and marker, the same wherever it is drawn. The first two go by method, told apart by
# everyone (darkened from Okabe and Ito's set; blue and vermillion mean helpful and harmful); the marker by features.
METHODS = {"esvm": ("#B8478F", "solid"), "l2": ("#2F8FCB", "dash"), "cosine": ("#6A51A3", "longdashdot"),
           "ridge": ("#6B6B00", "longdash"), "signed": ("#7F5F4F", "dashdot"),
           "trak": ("#C98500", "longdash"), "datamodels": ("#008F68", "dashdot"), "random": ("#808080", "dot")}
OTHERS = [("#8C6D31", "dashdot"), ("#5B5B9F", "longdash"), ("#A05A5A", "dash")]
MARKERS = {"simclr": "square", "dino": "diamond", "supervised": "triangle-up", "pixels": "cross"}
#: colour and dash of the recipes that are compared, in order
RECIPES = [("#4C6A92", "solid"), ("#B07D2B", "longdash"), ("#7A5195", "dashdot"), ("#3F8F7F", "dash")]


def line(ranking: str) -> tuple[str, str, str]:
    """(colour, dash, marker) of a ranking, in Plotly's words."""
    method, _, features = ranking.partition("-")
    colour, dash = METHODS.get(method) or OTHERS[sum(ranking.encode()) % len(OTHERS)]
    return colour, dash, MARKERS.get(features, "circle")
