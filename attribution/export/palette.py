"""The colours, dashes and markers that stand for rankings and recipes, on pages and in figures alike.

Colours are Okabe and Ito's set, some darkened: told apart by everyone. A dash or a marker always stands beside one.
"""

#: Colours that carry meaning, the same as in assets/strip.css; a sign or a dash always stands beside them.
HELPFUL = "#0072B2"
HARMFUL = "#D55E00"
HIGHLIGHT = "#E69F00"

# A ranking's line: the first two go by method (blue and vermillion mean helpful and harmful); the marker by features.
METHODS = {
    "esvm": ("#B8478F", "solid"),
    "l2": ("#2F8FCB", "dash"),
    "cosine": ("#6A51A3", "longdashdot"),
    "ridge": ("#6B6B00", "longdash"),
    "signed": ("#7F5F4F", "dashdot"),
    "trak": ("#C98500", "longdash"),
    "datamodels": ("#008F68", "dashdot"),
    "random": ("#808080", "dot"),
}
OTHERS = [("#8C6D31", "dashdot"), ("#5B5B9F", "longdash"), ("#A05A5A", "dash")]
MARKERS = {"simclr": "square", "dino": "diamond", "supervised": "triangle-up", "pixels": "cross"}
#: of candidates that a ranking's name says
CANDIDATES = {"true": "star", "pair": "hexagon", "all": "pentagon"}
#: colour and dash of the recipes that are compared, in order
RECIPES = [("#4C6A92", "solid"), ("#B07D2B", "longdash"), ("#7A5195", "dashdot"), ("#3F8F7F", "dash")]
#: methods whose markers are drawn open where dashes are not to be seen: colour alone does not tell so many apart
OPEN = ("ridge", "signed")


def line(ranking: str) -> tuple[str, str, str]:
    """(colour, dash, marker) of a ranking, in Plotly's words; "NAME@all", of other candidates, has NAME's line."""
    name, _, candidates = ranking.partition("@")
    method, _, features = name.partition("-")
    colour, dash = METHODS.get(method) or OTHERS[sum(ranking.encode()) % len(OTHERS)]
    return colour, dash, CANDIDATES.get(candidates) or MARKERS.get(features, "circle")
