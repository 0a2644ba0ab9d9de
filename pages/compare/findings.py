"""What the measurements of a workspace come to: a sentence each, with the interval it rests on."""

from attribution.evaluation import lds_families
from pages.compare.costs.ranking_cost import build_time
from pages.compare.supports.tables import FEW
from pages.ui import format as write

CHEAPER = 4  # times less to build: from here on a ranking counts as the cheaper choice
NAMED = 2  # rankings that a lead is not certain over, beyond which they are counted


def fewest_images(evaluated: dict, model: str, protocol: str) -> str:
    """Which ranking flips most predictions with fewest images; "" where too few targets were studied. evaluated: of
    `support_report.evaluate_study`."""
    summary = evaluated.get("remove", {"rankings": {}, "pairs": []})
    rows = {name: row for name, row in summary["rankings"].items() if row["auc"] is not None and row["n"] >= FEW}
    if len(rows) < 2:
        return ""
    best = max(rows, key=lambda name: rows[name]["auc"])
    row = rows[best]
    text = (
        f"Predictions of {model} flip with the fewest images removed under {best}: AUC {_with_interval(row, 'auc', 2)} "
        f"over {write.counted(row['n'], 'target')}, {protocol}"
    )
    close = [
        pair["b"] if pair["a"] == best else pair["a"]
        for pair in summary["pairs"]
        if best in (pair["a"], pair["b"]) and _holds_zero(pair["auc_difference_ci"])
    ]
    if close:
        named = " and ".join(close) if len(close) <= NAMED else f"{len(close)} other rankings"
        text += f"; its lead over {named} may be chance (the interval of the difference holds 0)"
    if "random" in rows and best != "random":
        text += f"; random images of the same class reach {write.decimal(rows['random']['auc'])}"
    return text + "."


def similarity(compared: dict, rows: dict[str, dict], model: str) -> str:
    """Whether similarity is influence; "" where both were not measured. compared: of `lds_families.compare`; rows: of
    the LDS report."""
    sets, best = compared["sets"], compared["best"]
    if not sets:
        return ""
    apart = sum(row["apart"] for row in sets)
    least = min((row["influence"] for row in sets), key=lambda name: rows[name]["lds"])
    verdict = "What looks alike is not what decides: in" if apart == len(sets) else "In"
    return (
        f"{verdict} {apart} of {len(sets)} feature sets influence under a head predicts {model} better than every "
        f"similarity, and their 95 % intervals do not overlap (LDS of the weakest influence, "
        f"{least}, {_with_interval(rows[least], 'lds', 3)}; of the best similarity, {best}, "
        f"{_with_interval(rows[best], 'lds', 3)})."
    )


def price(costs: list[dict], rankings: dict) -> str:
    """What the best LDS costs, and what is had for much less; "" where LDS was not measured. costs: of
    `cost.cost_rows`; rankings: LDS of all rankings, some of which may be newer than the costs."""
    rows = [row for row in costs if row["lds"] is not None and row["build_seconds"] is not None]
    if not rankings:
        return ""
    best_name = max(rankings, key=lambda name: rankings[name]["lds"])
    text = f"The best LDS, {_with_interval(rankings[best_name], 'lds', 3)}, is that of {best_name}"
    best = next((row for row in rows if row["ranking"] == best_name), None)
    if best is None:
        return f"{text}, whose cost was not measured."
    text += f", which took {build_time(best['build_seconds'])} to build"
    cheap = [
        row
        for row in rows
        if CHEAPER * row["build_seconds"] <= best["build_seconds"]
        and lds_families.family_of(row["ranking"]) != lds_families.CONTROL_FAMILY
    ]
    if not cheap:
        return text + "."
    other = max(cheap, key=lambda row: row["lds"])
    took = build_time(other["build_seconds"])
    return text + f"; {other['ranking']} took {took} and has {_with_interval(other, 'lds', 3)}."


def _with_interval(row: dict, key: str, digits: int) -> str:
    """ "0.31 (0.21 to 0.41)"."""
    ends = row.get(f"{key}_ci") or row.get("ci")
    text = write.decimal(row[key], digits)
    return text + (f" ({write.interval(ends, digits)})" if ends else "")


def _holds_zero(ends) -> bool:
    return not ends or ends[0] <= 0 <= ends[1]
