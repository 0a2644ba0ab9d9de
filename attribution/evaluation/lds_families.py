"""Is similarity influence? The LDS report, its rankings grouped by what they compute.

A similarity says which training images look like the target. An influence says what a model would do without them, to
first order: of a head on the same features, or of the network itself. What sets them apart shows where both are
computed in one feature set, at the same cost.
"""

from collections.abc import Iterable

from attribution.rankings.combination import MARK
from attribution.rankings.similarity import METHODS as SIMILARITIES
from attribution.workspace.workspace import Workspace

#: family -> what it is called on pages, in the order it is drawn
FAMILIES = {
    "similarity": "similarity",
    "head": "influence under a head",
    "network": "influence in the network",
    "combination": "several together",
    "control": "control",
}
INFLUENCE, CONTROL = "influence", "random"
CONTROL_FAMILY = "control"


def family_of(ranking: str) -> str:
    """The family of a ranking, one of FAMILIES, by its name."""
    if MARK in ranking:
        return "combination"
    method = ranking.partition("-")[0]
    if method in SIMILARITIES:
        return "similarity"
    return {INFLUENCE: "head", CONTROL: "control"}.get(method, "network")


def group(names: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """family -> line -> its rankings: a line for each method of the live rankings, whose points are feature sets, and
    one for each other ranking."""
    lines: dict[str, dict[str, list[str]]] = {family: {} for family in FAMILIES}
    for name in names:
        family, method = family_of(name), name.partition("-")[0]
        line = method if family in ("similarity", "head") and name != f"{INFLUENCE}-all" else name
        lines[family].setdefault(line, []).append(name)
    return {family: found for family, found in lines.items() if found}


def compare(workspace: Workspace, rows: dict[str, dict]) -> dict:
    """What the rankings of one feature set say about it: {"sets": [{"features", "influence", "similarity": the ranking
    with the highest LDS, "ratio" of the two LDS, "apart": whether their intervals lie apart}], "best": the similarity
    with the highest LDS of all}. rows: "rankings" of an LDS report."""
    sets = []
    for features in workspace.features():
        alike = [f"{method}-{features}" for method in SIMILARITIES if f"{method}-{features}" in rows]
        name = f"{INFLUENCE}-{features}"
        if name not in rows or not alike:
            continue
        best = max(alike, key=lambda ranking: rows[ranking]["lds"])
        one, other = rows[name], rows[best]
        sets.append(
            {
                "features": features,
                "influence": name,
                "similarity": best,
                "ratio": one["lds"] / other["lds"] if other["lds"] > 0 else None,
                "apart": bool(one["ci"] and other["ci"] and one["ci"][0] > other["ci"][1]),
            }
        )
    similarities = [name for name in rows if family_of(name) == "similarity"]
    return {"sets": sets, "best": max(similarities, key=lambda name: rows[name]["lds"], default=None)}
