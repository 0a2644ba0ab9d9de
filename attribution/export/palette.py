"""The colours, dashes and markers that stand for rankings and recipes, on pages and in figures alike.

No method and no recipe is blue: blue means helpful. Colours are Okabe and Ito's set, some darkened: told apart by
everyone. A dash or a marker always stands beside one.
"""

#: Colours that carry meaning, the same as in assets/strip.css; a sign or a dash always stands beside them.
HELPFUL = "#0072B2"
HARMFUL = "#D55E00"
HIGHLIGHT = "#E69F00"

#: Method -> colour and dash of its rankings' lines; blue and vermillion are left to helpful and harmful.
METHOD_STYLES = {
    "esvm": ("#B8478F", "solid"),
    "l2": ("#4F9A2F", "dash"),
    "cosine": ("#6A51A3", "longdashdot"),
    "ridge": ("#6B6B00", "longdash"),
    "signed": ("#7F5F4F", "dashdot"),
    "influence": ("#8A5CE6", "solid"),  # to be seen on light and dark ground
    "trak": ("#C98500", "longdash"),
    "datamodels": ("#008F68", "dashdot"),
    "unrolled": ("#7A5195", "dash"),
    "combination": ("#B0566A", "longdashdot"),
    "random": ("#808080", "dot"),
}
#: Rankings that have a dash of their own, to be told from others of their method.
RANKING_STYLES = {"influence-all": ("#8A5CE6", "dash")}
#: Of methods that are not listed.
FALLBACK_STYLES = [("#8C6D31", "dashdot"), ("#7B5B8F", "longdash"), ("#A05A5A", "dash")]
#: Feature set, or "all" of them, -> marker; a circle for all others.
FEATURE_MARKERS = {"all": "star", "simclr": "square", "dino": "diamond", "supervised": "triangle-up", "pixels": "cross"}
#: of a ranking that is computed in no feature set, where a chart is about them
NO_FEATURES = "x"
#: Candidates that a ranking's name says -> marker.
CANDIDATE_MARKERS = {"true": "star", "pair": "hexagon", "all": "pentagon"}
#: Colour and dash of recipes that are compared, in order.
RECIPE_STYLES = [("#3F8F7F", "solid"), ("#B07D2B", "longdash"), ("#7A5195", "dashdot"), ("#9A5B4F", "dash")]
#: Colour and dash of the two orders in which images go, see `evaluation.adaptive_supports`.
ORDER_STYLES = {"prefix": ("#8A5CE6", "dash"), "adaptive": ("#B07D2B", "solid")}
#: Methods whose markers are drawn hollow where no dash is to be seen: colour alone does not tell so many apart.
HOLLOW_METHODS = ("ridge", "signed")


def ranking_style(ranking: str) -> tuple[str, str, str]:
    """(colour, dash, marker) of a ranking, by Plotly's names; "NAME@all", of other candidates, has NAME's line."""
    name, _, candidates = ranking.partition("@")
    method, _, features = name.partition("-")
    style = RANKING_STYLES.get(name) or METHOD_STYLES.get("combination" if "+" in name else method)
    colour, dash = style or FALLBACK_STYLES[sum(ranking.encode()) % len(FALLBACK_STYLES)]
    return colour, dash, CANDIDATE_MARKERS.get(candidates) or FEATURE_MARKERS.get(features, "circle")
