"""The tables of supports and LDS, as HTML and CSV, and the sentences that say how much they are worth."""

from attribution.evaluation.support_report import auc_variant, cdf_points
from attribution.experiments.study import Study
from pages.compare.auc_columns import AUC_HELP, INTERVAL_HELP
from pages.ui import format as write
from pages.ui import glossary, tables
from pages.ui.tables import Column, estimate, p_text, ranking_cell

KINDS = {"remove": "Removal supports", "mislabel": "Mislabelling supports", "repair": "Repair supports"}
FEW = 10  # targets, below which an interval is not worth its name
HOLM_HELP = glossary.TERMS["Holm's correction"]
KIND_COLUMNS = [  # of each kind of support
    Column("AUC", "n first", AUC_HELP),
    Column("95 %", help=INTERVAL_HELP),
    Column("median", "n", "images removed or relabelled until half of the targets flip"),
    Column("no flip", "n", glossary.TERMS['no flip within K ("censored")']),
    Column("≈", "n", glossary.TERMS["approximate support"]),
    Column("trainings", "n", "per target, on average"),
]
LDS_COLUMNS = [Column("mean", "n first", tables.LDS_HELP), tables.INTERVAL]
OWN_HEAD_HELP = "the same halves, refitted under the head on the features that the ranking looks at"
OWN_HEAD_COLUMNS = [Column("mean", "n first", OWN_HEAD_HELP), tables.INTERVAL]
PAIR_COLUMNS = [
    *[Column("")] * 3,
    Column("won · tied · lost", "n", "a smaller support wins"),
    Column("p", "n", "exact sign test, ties dropped"),
    Column("Holm", "n", HOLM_HELP),
    Column("AUC difference", "n", "on the same targets"),
    Column("95 %", "n", INTERVAL_HELP),
    Column("p", "n", "paired bootstrap"),
    Column("Holm", "n", HOLM_HELP),
]


def table_html(evaluated: dict, lds: dict | None, study: Study) -> str:
    """One row a ranking: the supports of each kind, and LDS, with its noise ceiling in the last row.

    evaluated: `support_report.evaluate_study` of `study`; lds: `lds.evaluate_rankings`, or None where there is
    none; it may have "own_heads" of `lds_report.under_own_heads`."""
    rows = {name: [ranking_cell(name)] for kind in evaluated.values() for name in kind["rankings"]}
    rows |= {name: [ranking_cell(name)] for name in (lds or {}).get("rankings", {}) if name not in rows}
    own = {name: row for name, row in (lds or {}).get("own_heads", {}).items() if name in rows}
    for name, row in rows.items():
        for kind in evaluated.values():
            row += _support_cells(kind["rankings"].get(name), study.k_max)
        if lds:
            scored = lds["rankings"].get(name, {})
            row += estimate(scored.get("lds"), scored.get("ci"), 3)
        if own:
            there = own.get(name, {})
            row += estimate(there.get("lds"), there.get("ci"), 3)
    columns = [Column("ranking"), *KIND_COLUMNS * len(evaluated)]
    groups = [("", 1), *((_title(kind, evaluated[kind], study), len(KIND_COLUMNS)) for kind in evaluated)]
    last = None
    if lds:
        last = ["noise ceiling", *[""] * (len(columns) - 1), estimate(lds.get("ceiling"), None, 3)[0]]
        columns, groups = [*columns, *LDS_COLUMNS], [*groups, ("LDS", len(LDS_COLUMNS))]
    if own:
        columns, groups = [*columns, *OWN_HEAD_COLUMNS], [*groups, ("LDS under its own head", len(OWN_HEAD_COLUMNS))]
    return tables.table_html(columns, rows.values(), groups, last)


def _title(kind: str, summary: dict, study: Study) -> str:
    """ "removal, 40 targets, default": what the figures of a kind are of."""
    n = sorted({row["n"] for row in summary["rankings"].values()})
    return auc_variant(kind, " to ".join(map(str, dict.fromkeys((n[0], n[-1])))), study.protocol)


def _support_cells(summary: dict | None, k_max: int) -> list:
    if not summary or not summary["n"]:
        return ["–", *[""] * (len(KIND_COLUMNS) - 1)]
    return [
        *estimate(summary["auc"], summary["auc_ci"]),
        median_text(summary, k_max),
        f"{round(summary['censored'] * summary['n'])} of {summary['n']}",
        summary["unstable"],
        f"{summary['trainings_mean']:.0f}",
    ]


def median_text(summary: dict, k_max: int) -> str:
    """The median support, as HTML; "> K" where half of the targets are censored."""
    return f"{summary['median']:g}" if summary["median"] is not None else f"&gt; {k_max}"


def pairs_html(pairs: list[dict]) -> str:
    """Every ranking against every other on the targets that both have."""
    rows = []
    for pair in pairs:
        row = [ranking_cell(pair["a"]), "against", ranking_cell(pair["b"])]
        row += [f"{pair['win']} · {pair['tie']} · {pair['loss']}", p_text(pair["p"]), p_text(pair["p_holm"])]
        if pair["auc_difference"] is not None:
            row += [
                write.decimal(pair["auc_difference"], sign=True),
                write.interval(pair["auc_difference_ci"], sign=True),
                p_text(pair["auc_difference_p"]),
                p_text(pair["auc_difference_p_holm"]),
            ]
        rows.append(row)
    return tables.table_html(PAIR_COLUMNS, rows)


def counts(kind: str, rankings: dict) -> str:
    """ "Removal supports: 20 targets, 2 more already wrong and left out" of one kind of support."""
    n = sorted({summary["n"] for summary in rankings.values()})
    text = f"{KINDS[kind]}: {n[0]} targets" if len(n) == 1 else f"{KINDS[kind]}: {n[0]} to {n[-1]} targets a ranking"
    if len(n) == 1 and n[0] == 1:
        text = text[:-1]
    nothing = "already_right" if kind == "repair" else "already_wrong"
    left_out = max(summary[nothing] for summary in rankings.values())
    unfinished = sum(summary["unfinished"] for summary in rankings.values())
    text += f", {left_out} more {nothing.replace('_', ' ')} and left out"
    return text + (f", {unfinished} searches unfinished" if unfinished else "")


def few_targets(evaluated: dict) -> str | None:
    """What the number of targets can and cannot show, or None where it is large."""
    least = {kind: min(row["n"] for row in summary["rankings"].values()) for kind, summary in evaluated.items()}
    n = min(least.values())
    if n < FEW:
        small = " and ".join(
            f"{count} target{'s' * (count != 1)} ({KINDS[kind].lower()})"
            for kind, count in least.items()
            if count < FEW
        )
        return (
            f"Too few to compare rankings: {small}. Read these curves as examples; a study of 20 or more targets "
            "gives intervals worth reading."
        )
    if n < 50:
        return (
            f"With {n} targets the intervals are a little too narrow (in simulations 95 % ones held the true AUC "
            "in 91 % of studies of 10 targets and in 94 % of 20), and small differences are noise."
        )
    return None


def to_csv(evaluated: dict, lds: dict | None, provenance: dict) -> str:
    """The table as CSV: a row for each ranking and kind, one for a ranking that has LDS alone, `provenance` in each."""
    numbers = ("auc", "median", "censored", "unstable", "already_wrong", "unfinished", "n", "trainings_mean")
    scores = (lds or {}).get("rankings", {})
    rows = [
        {
            "ranking": ranking,
            "kind": kind,
            **{name: summary[name] for name in numbers},
            **tables.low_high(summary["auc_ci"], "auc"),
            **_lds_cells(scores.get(ranking), lds),
        }
        for kind, one_kind in evaluated.items()
        for ranking, summary in one_kind["rankings"].items()
    ]
    studied = {row["ranking"] for row in rows}
    rows += [{"ranking": name, **_lds_cells(row, lds)} for name, row in scores.items() if name not in studied]
    columns = [
        "ranking",
        "kind",
        *numbers,
        "auc_low",
        "auc_high",
        "lds",
        "lds_low",
        "lds_high",
        "lds_ceiling",
        *provenance,
    ]
    return tables.to_csv(({**row, **provenance} for row in rows), columns)


def _lds_cells(scored: dict | None, lds: dict | None) -> dict:
    if not scored:
        return {}
    return {"lds": scored["lds"], "lds_ceiling": lds["ceiling"], **tables.low_high(scored["ci"], "lds")}


def curves_csv(study: Study, provenance: dict) -> str:
    """The steps of the curves: a row for each target that flips, in the order of its curve, `provenance` in each."""
    rows = [
        (kind, ranking, k, round(share, 6), target, status, *provenance.values())
        for kind, rankings in study.tables.items()
        for ranking, results in rankings.items()
        for k, share, target, status in cdf_points(results, study.k_max)
    ]
    columns = ["kind", "ranking", "k", "share_flipped", "target", "status", *provenance]
    return tables.to_csv((dict(zip(columns, row)) for row in rows), columns)


def study_options(study: Study) -> dict:
    """What `charts.chart` and the command lines are told to take a study as it is on view."""
    return {
        "protocol": study.protocol,
        "rankings": list(dict.fromkeys(name for table in study.tables.values() for name in table)),
    }


def evaluate_command(command: list[str], study: Study) -> list[str]:
    """The words of a command that evaluates the study on view."""
    options = study_options(study)
    return [*command, "--protocol", options["protocol"], "--rankings", ",".join(options["rankings"]), "--json"]
