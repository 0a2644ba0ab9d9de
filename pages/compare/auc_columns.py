"""AUCs of supports beside another measurement, as columns of its table and panels of its chart."""

from pages.ui.tables import Column, estimate, low_high

TITLES = {"remove": "removal AUC", "mislabel": "mislabel AUC"}
AUC_HELP = "area under the curve over K: 1 when one image is enough for every target, 0 when none flips"
INTERVAL_HELP = "bootstrap over targets"


def auc_row(supports: dict, kind: str, ranking: str) -> dict:
    """A ranking's row in `supports` (of `support_report.compare_on_same_targets`); empty where it was not studied."""
    row = supports.get(kind, {}).get("rankings", {}).get(ranking)
    return row if row and row["n"] else {}


def columns(supports: dict) -> list[Column]:
    """Two columns a kind of support."""
    return [
        column
        for kind in supports
        for column in (Column(TITLES[kind], "n first", AUC_HELP), Column("95 %", help=INTERVAL_HELP))
    ]


def cells(supports: dict, ranking: str) -> list[str]:
    """A ranking's cells of `columns`."""
    rows = (auc_row(supports, kind, ranking) for kind in supports)
    return [cell for row in rows for cell in estimate(row.get("auc"), row.get("auc_ci"))]


def csv_cells(supports: dict, ranking: str) -> dict:
    """A ranking's columns of a CSV file, the same whatever was studied."""
    cells = {}
    for kind in TITLES:
        row = auc_row(supports, kind, ranking)
        cells |= {f"{kind}_auc": row.get("auc"), **low_high(row.get("auc_ci"), f"{kind}_auc")}
        cells[f"{kind}_auc_targets"] = row.get("n")
    return cells


def sentences(supports: dict) -> list[str]:
    """A sentence for each kind of support: what its AUCs are of."""
    names = {"remove": "Removal", "mislabel": "Mislabel"}
    unfinished = {
        kind: f", {study['unfinished']} more unfinished (those that never flip are done first)"
        * bool(study["unfinished"])
        for kind, study in supports.items()
    }
    return [
        f"{names.get(kind, kind.capitalize())} AUC over the same {study['targets']} targets for all{unfinished[kind]}, "
        f"protocol {study['protocol']}, K = {study['K']}, 95 % over targets."
        for kind, study in supports.items()
    ]
