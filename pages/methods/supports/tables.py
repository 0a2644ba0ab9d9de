"""The tables and captions of Methods; nothing here is a widget. Names are escaped."""

import csv
import io

from attribution.studies import Study, points
from pages.ui import format as write
from pages.ui import palette
from pages.ui.tables import framed, p_text

KINDS = {"remove": "Removal supports", "mislabel": "Mislabel supports", "repair": "Repair supports"}
COLUMNS = ("auc", "auc_ci", "median", "censored", "unstable", "already_wrong", "unfinished", "n", "trainings_mean")
DASHES = {
    "solid": [30],
    "dash": [6, 4],
    "dot": [3, 3],
    "dashdot": [7, 3, 2, 3],
    "longdash": [11, 4],
    "longdashdot": [10, 3, 2, 3],
}
FEW = 10  # targets, below which an interval is not worth its name


def table_html(measured: dict, lds: dict | None, k_max: int) -> str:
    """One row a ranking: the supports of each kind, and LDS, with its noise ceiling in the last row.

    measured: `studies.evaluate`; lds: `lds.evaluate`, or None where there is none."""
    names = list(dict.fromkeys(name for kind in measured.values() for name in kind["rankings"]))
    names += [name for name in (lds or {}).get("rankings", {}) if name not in names]
    heads = "".join(f'<th colspan="6" class="group">{KINDS[kind]}</th>' for kind in measured)
    cells = (
        f'<th class="n first" title="{AUC}">AUC</th><th title="{CI}">95 %</th><th class="n">median</th>'
        '<th class="n">censored</th><th class="n">unstable</th><th class="n">trainings</th>'
    ) * len(measured)
    body = ""
    for name in names:
        body += f"<tr><td>{swatch(name)}{write.escape(name)}</td>"
        for kind in measured.values():
            body += _cells(kind["rankings"].get(name), k_max)
        if lds:
            one = lds["rankings"].get(name)
            body += (
                f'<td class="n first"><b>{one["lds"]:.3f}</b></td><td>{interval(one["ci"], 3)}</td>'
                if one
                else '<td class="n first">–</td><td></td>'
            )
        body += "</tr>"
    if lds:
        heads += '<th colspan="2" class="group">LDS</th>'
        cells += '<th class="n first" title="mean Spearman correlation over targets">mean</th><th>95 %</th>'
        ceiling = f"{lds['ceiling']:.3f}" if lds.get("ceiling") is not None else "–"
        between = f'<td colspan="{6 * len(measured)}"></td>' if measured else ""
        body += (
            f'<tr class="last"><td>noise ceiling</td>{between}<td class="n first"><b>{ceiling}</b></td><td></td></tr>'
        )
    return framed(f"<tr><th></th>{heads}</tr><tr><th>ranking</th>{cells}</tr>", body)


AUC = "area under the curve over K: 1 when one image is enough for every target, 0 when none flips"
CI = "bootstrap over targets"
HOLM = "the p before it, corrected for the number of pairs"


def _cells(one: dict | None, k_max: int) -> str:
    if not one or not one["n"]:
        return '<td class="n first">–</td>' + "<td></td>" * 5
    median = f"{one['median']:g}" if one["median"] is not None else f"&gt; {k_max}"
    return (
        f'<td class="n first"><b>{one["auc"]:.2f}</b></td><td>{interval(one["auc_ci"])}</td>'
        f'<td class="n">{median}</td><td class="n">{round(one["censored"] * one["n"])} of {one["n"]}</td>'
        f'<td class="n">{one["unstable"]}</td><td class="n">{one["trainings_mean"]:.0f}</td>'
    )


def pairs_html(pairs: list[dict]) -> str:
    """Every ranking against every other on the targets that both have."""
    heads = [
        ("", ""),
        ("", ""),
        ("", ""),
        ("won · tied · lost", "a smaller support wins"),
        ("p", "exact sign test, ties dropped"),
        ("Holm", HOLM),
        ("AUC difference", "on the same targets"),
        ("95 %", CI),
        ("p", "paired bootstrap"),
        ("Holm", HOLM),
    ]
    head = "".join(f'<th class="n" title="{title}">{name}</th>' for name, title in heads)
    body = ""
    for row in pairs:
        tally = f"{row['win']} · {row['tie']} · {row['loss']}"
        numbers = [tally, p_text(row["p"]), p_text(row["p_holm"])]
        if row["auc_difference"] is not None:
            numbers += [
                signed(row["auc_difference"]),
                interval(row["auc_difference_ci"], sign=True),
                p_text(row["auc_difference_p"]),
                p_text(row["auc_difference_p_holm"]),
            ]
        body += (
            f"<tr><td>{swatch(row['a'])}{write.escape(row['a'])}</td><td>against</td>"
            f"<td>{swatch(row['b'])}{write.escape(row['b'])}</td>"
            + "".join(f'<td class="n">{number}</td>' for number in numbers)
            + "</tr>"
        )
    return framed(f"<tr>{head}</tr>", body)


def counts(kind: str, rankings: dict) -> str:
    """ "20 targets. Already wrong and left out: ..." of one kind of support."""
    n = sorted({one["n"] for one in rankings.values()})
    text = f"{KINDS[kind]}: {n[0]} targets" if len(n) == 1 else f"{KINDS[kind]}: {n[0]} to {n[-1]} targets a ranking"
    if len(n) == 1 and n[0] == 1:
        text = text[:-1]
    nothing = "already_right" if kind == "repair" else "already_wrong"
    left_out = max(one[nothing] for one in rankings.values())
    unfinished = sum(one["unfinished"] for one in rankings.values())
    text += f", {left_out} more {nothing.replace('_', ' ')} and left out"
    return text + (f", {unfinished} searches unfinished" if unfinished else "")


def lds_made(lds: dict) -> str:
    """On what LDS was measured."""
    return f"LDS over {lds['masks']} held-out halves with {lds['seeds']} seeds each."


def few(measured: dict) -> str | None:
    """What the number of targets can and cannot show, or None where it is large."""
    least = {kind: min(one["n"] for one in found["rankings"].values()) for kind, found in measured.items()}
    n = min(least.values())
    if n < FEW:
        small = " and ".join(
            f"{one} target{'s' * (one != 1)} ({KINDS[kind].lower()})" for kind, one in least.items() if one < FEW
        )
        return (
            f"Too few to compare rankings: {small}. Read those curves as examples; a study of 20 or more targets "
            "gives intervals worth reading."
        )
    if n < 50:
        return (
            f"With {n} targets the intervals are a little too narrow (in simulations 95 % ones held the true AUC "
            "in 91 % of studies of 10 targets and in 94 % of 20), and small differences are noise."
        )
    return None


def study_cost(cost) -> str:
    """ "200 searches, 12 known; some 4,400 trainings, about 2 h 10 min on 2 workers (...)"."""
    known = f", {cost.known} of them answered already" if cost.known else ""
    if cost.known == cost.searches:
        return f"All {cost.searches} searches of this study are answered already."
    workers = "1 worker" if cost.workers == 1 else f"{cost.workers} workers"
    basis = f"judged by {cost.measured} searches done here" if cost.measured else "a guess: no search was done here yet"
    return (
        f"{cost.searches} searches{known}. The rest: some {write.count(round(cost.trainings))} trainings, about "
        f"{write.seconds(cost.seconds)} on {workers} ({basis}; {write.seconds(cost.each)} a training). It runs in "
        "the background, lets shorter jobs pass, and goes on where it was stopped."
    )


def study_progress(job, ahead: int) -> str:
    """ "Study under way (job 3): 12 of 201 searches, 4 min 3 s so far. ..."."""
    if job.state == "queued":
        return f"Study (job {job.id}): waiting for the runner" + (f", {ahead} jobs before it." if ahead else ".")
    if job.state == "cancelling":
        return f"Study (job {job.id}): stopping. What it has found is kept."
    if job.state == "paused":
        return f"Study (job {job.id}): paused after {job.done} of {job.total} searches."
    return (
        f"Study under way (job {job.id}): {job.done} of {job.total} searches, {write.seconds(job.seconds)} so far. "
        "Each curve is drawn over the targets that are finished, with a band from the worst to the best case of "
        "those that are not: targets that never flip finish first."
    )


def interval(pair, digits: int = 2, sign: bool = False) -> str:
    """(0.31, 0.55) -> "0.31 to 0.55"; nothing where there is none."""
    if pair is None:
        return "–"
    show = signed if sign else (lambda value: f"{value:.{digits}f}")
    return f"{show(pair[0])} to {show(pair[1])}".replace("-", "−")


def signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def swatch(ranking: str) -> str:
    """The ranking's line, as in the chart: its colour, and its dashes as stops of a gradient in pixels."""
    colour, dash, _ = palette.line(ranking)
    stops, at = [], 0
    for i, length in enumerate(DASHES[dash]):
        shade = "transparent" if i % 2 else colour
        stops += [f"{shade} {at}px {at + length}px"]
        at += length
    return f'<span class="swatch" style="background: repeating-linear-gradient(90deg, {", ".join(stops)})"></span>'


def to_csv(measured: dict, lds: dict | None, about: dict) -> str:
    """The table as CSV: a row for each ranking and kind, one for a ranking that has LDS alone, `about` in each."""
    out = io.StringIO()
    ends = ("auc_low", "auc_high")
    names = [
        "ranking",
        "kind",
        *(name for name in COLUMNS if name != "auc_ci"),
        *ends,
        "lds",
        "lds_low",
        "lds_high",
        "lds_ceiling",
        *about,
    ]
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    for kind, found in measured.items():
        for ranking, one in found["rankings"].items():
            row = {name: one[name] for name in COLUMNS if name != "auc_ci"} | dict(zip(ends, one["auc_ci"] or ("", "")))
            writer.writerow({"ranking": ranking, "kind": kind, **row, **_lds_columns(ranking, lds), **about})
    studied = {ranking for found in measured.values() for ranking in found["rankings"]}
    for ranking in (lds or {}).get("rankings", {}):
        if ranking not in studied:
            writer.writerow({"ranking": ranking, **_lds_columns(ranking, lds), **about})
    return out.getvalue()


def curves_csv(found: Study, about: dict) -> str:
    """The steps of the CDFs: a row for each target that flips, in the order of its curve, `about` in each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["kind", "ranking", "k", "share_flipped", "target", "status", *about])
    for kind, rankings in found.tables.items():
        for ranking, results in rankings.items():
            for k, share, target, status in points(results, found.k_max):
                writer.writerow([kind, ranking, k, round(share, 6), target, status, *about.values()])
    return out.getvalue()


def _lds_columns(ranking: str, lds: dict | None) -> dict:
    scored = (lds or {}).get("rankings", {}).get(ranking)
    if not scored:
        return {}
    low, high = scored["ci"] or ("", "")
    return {"lds": scored["lds"], "lds_ceiling": lds["ceiling"], "lds_low": low, "lds_high": high}


def of_study(found: Study) -> dict:
    """What `charts.chart` is told to draw a study as it is on view."""
    return {
        "protocol": found.protocol,
        "rankings": list(dict.fromkeys(name for table in found.tables.values() for name in table)),
    }


def side_by_side(found: dict) -> list[str]:
    """A sentence for each kind of `studies.side_by_side`: what its AUCs are of."""
    names = {"remove": "Removal", "mislabel": "Mislabel"}
    going = {
        kind: f", {one['unfinished']} more unfinished (those that never flip are done first)" * bool(one["unfinished"])
        for kind, one in found.items()
    }
    return [
        f"{names.get(kind, kind.capitalize())} AUC over the same {one['targets']} targets for all{going[kind]}, "
        f"protocol {one['protocol']}, K = {one['K']}, 95 % over targets."
        for kind, one in found.items()
    ]
