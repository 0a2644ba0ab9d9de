"""AUCs of supports beside another measurement, as columns of its table and panels of its chart."""

from attribution.evaluation.support_report import KINDS, auc_titles
from pages.ui import glossary
from pages.ui.tables import Column, estimate, low_high

CSV_KINDS = ("remove", "mislabel")
AUC_HELP = glossary.TERMS["AUC (of supports)"]
INTERVAL_HELP = "95 % interval, bootstrap over targets"


def title(supports: dict, kind: str) -> str:
    """ "AUC: removal, 15 targets, adaptive" of `support_report.compare_on_same_targets`."""
    return auc_titles(supports)[kind]


def heading(supports: dict, kind: str) -> str:
    """`title` in two lines, as HTML."""
    return title(supports, kind).replace(", ", ",<br>", 1)


def auc_row(supports: dict, kind: str, ranking: str) -> dict:
    """A ranking's row in `supports` (of `support_report.compare_on_same_targets`); empty where it was not studied."""
    row = supports.get(kind, {}).get("rankings", {}).get(ranking)
    return row if row and row["n"] else {}


def columns(supports: dict) -> list[Column]:
    """Two columns a kind of support."""
    return [
        column
        for kind in supports
        for column in (Column(heading(supports, kind), "n first", AUC_HELP), Column("95 %", help=INTERVAL_HELP))
    ]


def cells(supports: dict, ranking: str) -> list[str]:
    """A ranking's cells of `columns`."""
    rows = (auc_row(supports, kind, ranking) for kind in supports)
    return [cell for row in rows for cell in estimate(row.get("auc"), row.get("auc_ci"))]


def csv_cells(supports: dict, ranking: str) -> dict:
    """A ranking's columns of a CSV file, the same whatever was studied."""
    cells = {}
    for kind in CSV_KINDS:
        row = auc_row(supports, kind, ranking)
        cells |= {f"{kind}_auc": row.get("auc"), **low_high(row.get("auc_ci"), f"{kind}_auc")}
        cells[f"{kind}_auc_targets"] = row.get("n")
    return cells


def sentences(supports: dict) -> list[str]:
    """A sentence for each kind of support: what its AUCs are of."""
    unfinished = {
        kind: f", {study['unfinished']} more unfinished (those that never flip finish first)"
        * bool(study["unfinished"])
        for kind, study in supports.items()
    }
    return [
        f"{KINDS[kind].capitalize()} AUC over the same {study['targets']} targets for all{unfinished[kind]}, "
        f"protocol {study['protocol']}, K = {study['K']}, 95 % over targets."
        for kind, study in supports.items()
    ]
