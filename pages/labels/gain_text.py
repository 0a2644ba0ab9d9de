"""The words, tables and CSV of what an audit gained; no widgets. In HTML, names are escaped."""

import pandas as pd

from attribution import Workspace
from attribution.audit import gain as worth
from attribution.experiments.paired_arms import ARMS
from attribution.experiments.paired_arms import COMPARISONS as COMPARED
from pages.ui import format as write
from pages.ui import tables
from pages.ui.tables import Column, p_text, table_html
from pages.ui.verdict import cost_text

NAMES = {"none": "original", "corrected": "corrected", "random": "random re-inspected"}
PAIRS = {
    "corrected-none": "corrected − original",
    "random-none": "random − original",
    "corrected-random": "corrected − random",
}
#: of the CSV, before the recipe and its hash
COLUMNS = ["what", "arm", "class", "n", "seed", "value", "low", "high", "p", "target", "before", "after"]
CLASSES = 30  # rows of a table that is still read


def points(value: float) -> str:
    """0.0091 -> "+0.91", a difference of accuracies in points."""
    shown = f"{100 * value:+.2f}".replace("-", "−")
    return "0.00" if shown in ("+0.00", "−0.00") else shown


def interval(ci) -> str:
    """(0.001, 0.009) -> "+0.10 to +0.90", in points."""
    return f"{points(ci[0])} to {points(ci[1])}"


def decisions(spec: dict) -> str:
    """Such as "250 decisions, 74 relabelled and 6 removed": of a worth spec or an answer."""
    count = write.counted(spec["decided"], "decision")
    return f"{count}, {spec['relabelled']} relabelled and {spec['removed']} removed"


def earlier_text(answer: dict, spec: dict | None) -> str:
    """What is said above an answer to another question than `spec`, which is None where nothing is corrected now."""
    if spec and all(answer[name] == spec[name] for name in ("correction", "decided")):
        return (
            f"Measured on the current decisions, with {len(answer['seeds'])} seeds and {write.count(answer['n'])} "
            "validation images, as it was asked for elsewhere."
        )
    return f"Measured on earlier decisions: {decisions(answer)}. The current ones are not measured yet."


def cost_sentence(spec: dict, cost) -> str:
    """What would be compared, and what it costs. cost: an `estimate.JobCost`."""
    open_ = spec["unsure"] + spec["conflicts"]
    left = f"; {open_} unsure or in conflict keep their label" if open_ else ""
    how = "" if cost.known == cost.max_trainings else " Runs in the background; shorter jobs go first."
    count = write.counted(spec["decided"], "decision")
    return f"{count}: {spec['relabelled']} relabelled, {spec['removed']} removed{left}. {cost_text(cost)}.{how}"


def progress_text(job, ahead: int, left: float) -> str:
    """Such as "Job 3: 12 of 61, 40 s so far, about 2 min left."""
    if job.state == "queued":
        return f"Job {job.id}: waiting for the runner" + (f", {ahead} before it." if ahead else ".")
    if job.state == "cancelling":
        return f"Job {job.id}: stopping. Finished trainings are kept."
    if job.state == "paused":
        return f"Job {job.id}: paused after {job.done} of {job.total}."
    return (
        f"Job {job.id}: {job.done} of {job.total}, {write.seconds(job.seconds)} so far, about "
        f"{write.seconds(left)} left. It continues when this page is closed."
    )


def verdict(answer: dict) -> tuple[str, str]:
    """(a word or two, a sentence): what the paired intervals say."""
    gain, chance, lead = (answer["differences"][name] for name in ("corrected-none", "random-none", "corrected-random"))
    if gain["ci"][1] < 0:
        word = "The corrections made the model worse"
    elif gain["ci"][0] <= 0:
        word = "No difference found"
    else:
        word = "The corrections helped" if lead["ci"][0] > 0 else "Better, but not clearly better than random images"
    before, after = (100 * answer["accuracy"][arm]["mean"] for arm in ("none", "corrected"))
    half = " (the second half; the first may have influenced which images were reviewed)" if answer["uses_val"] else ""
    if answer.get("without"):
        half += f" without the {write.counted(len(answer['without']), 'target')} the review started from"
    return word, (
        f"Accuracy {before:.1f} → {after:.1f} %: {points(gain['mean'])} points (95 % {interval(gain['ci'])}; "
        f"{len(answer['seeds'])} paired seeds, {write.count(answer['n'])} validation images{half}, recipe "
        f"{answer['recipe']} {answer['recipe_hash']}). As many random images re-inspected: {points(chance['mean'])} "
        f"({interval(chance['ci'])}). Corrected minus random: {points(lead['mean'])} ({interval(lead['ci'])})."
    )


def arms_html(answer: dict) -> str:
    """A row an arm: labels changed, accuracy, and the paired difference; the last row is of the two audits."""
    columns = [
        Column(""),
        Column("labels changed", "n", "training images relabelled or removed, mean over seeds"),
        Column("accuracy", "n"),
        Column("95 %"),
        Column("difference to original", "n", "accuracy points, seed by seed"),
        Column("95 %"),
        Column("p", "n", "paired t-test"),
    ]
    rows = []
    for arm in ARMS:
        accuracy, changed = answer["accuracy"][arm], answer["edited"][arm]
        low, high = accuracy["ci"]
        row = [NAMES[arm], f"{sum(changed) / len(changed):g}", f"<b>{100 * accuracy['mean']:.2f}</b>"]
        row.append(f"{100 * low:.2f} to {100 * high:.2f}")
        rows.append(row + (_difference_cells(answer["differences"][f"{arm}-none"]) if arm != "none" else []))
    rows.append([PAIRS["corrected-random"], "", "", "", *_difference_cells(answer["differences"]["corrected-random"])])
    return table_html(columns, rows)


def _difference_cells(difference: dict) -> list[str]:
    """A difference in points, its interval and its p value."""
    return [f"<b>{points(difference['mean'])}</b>", interval(difference["ci"]), p_text(difference["p"])]


def classes_note(answer: dict) -> str:
    """What the reader of the table of classes must know."""
    some = [row for row in answer["classes"] if row["n"]]
    few = f" The {CLASSES} of {len(some)} with the largest change; the CSV has all." if len(some) > CLASSES else ""
    return (
        "Accuracy in % on the validation images of a class, and paired differences in points, each with its own "
        f"95 % interval: with {len(some)} classes some exclude 0 by chance.{few}"
    )


def classes_html(ws: Workspace, answer: dict) -> str:
    """A row a class that has validation images, in their order; of many those that change most, these first."""
    rows = [row for row in answer["classes"] if row["n"]]
    if len(rows) > CLASSES:
        rows = sorted(rows, key=lambda row: -abs(row["corrected-none"]["mean"]))[:CLASSES]
    means = [Column(name, "n") for name in NAMES.values()]
    differences = [Column(PAIRS["corrected-none"], "n"), Column("95 %"), Column("p", "n")]
    differences += [Column(PAIRS["random-none"], "n"), Column("95 %")]
    cells = [
        [
            write.escape(ws.classes[row["class"]]),
            write.count(row["n"]),
            *(f"{100 * row[arm]['mean']:.1f}" for arm in ARMS),
            *_difference_cells(row["corrected-none"]),
            *_difference_cells(row["random-none"])[:2],
        ]
        for row in rows
    ]
    return table_html([Column("class"), Column("images", "n"), *means, *differences], cells)


def changed_text(name: str, n: int, by_chance: int, seeds: int) -> str:
    """Over a strip of targets, without the full stop. name: "repaired" or "broken"."""
    given, corrected = "in most seeds with the original labels", "in most with the corrected ones"
    ways = {"repaired": f"wrong {given} and correct {corrected}", "broken": f"correct {given} and wrong {corrected}"}
    more = f". Below each: how many of {seeds} seeds are correct, before → after" if n else ""
    return (
        f"{write.counted(n, 'target') if n else 'No target'} {name}: {ways[name]} ({by_chance} with random images "
        f"re-inspected){more}"
    )


def provenance(ws: Workspace, answer: dict) -> str:
    """How it was made, and of what its intervals speak."""
    righted = sum(answer["edited"]["random"]) / len(answer["edited"]["random"])
    errors = worth.ERROR_SOURCES[answer["errors"]]
    return (
        f"Random: each seed re-inspects {write.counted(answer['decided'], 'image')} of its own draw, and {errors} "
        f"({righted:g} labels on average). Intervals are 95 % t-intervals over {len(answer['seeds'])} seeds: they "
        "speak of other seeds and draws, not of other validation images, whose labels are taken as they are. Recipe "
        f"{answer['recipe']} {answer['recipe_hash']}, seeds {answer['seeds'][0]} to {answer['seeds'][-1]}; "
        f"trained on {'; '.join(answer['made_on'])}.{write.planted_note(ws.planted)}"
    )


def to_csv(ws: Workspace, answer: dict) -> str:
    """Long form. what: "accuracy" or "difference" (arm: the arm, or the two of a difference), by class (empty: all) and
    seed (empty: the mean, with its interval); "repaired" or "broken" targets, with how many seeds are right."""
    rows = []
    for name, summary in (answer["accuracy"] | answer["differences"]).items():
        what = "difference" if name in COMPARED else "accuracy"
        whole = {"what": what, "arm": name, "n": answer["n"]}
        rows += [whole | {"seed": s, "value": round(v, 6)} for s, v in zip(answer["seeds"], summary["values"])]
        rows.append(whole | _rounded(summary))
    for row in answer["classes"]:
        for name in answer["accuracy"] | answer["differences"] if row["n"] else ():
            what = "difference" if name in COMPARED else "accuracy"
            of_class = {"what": what, "arm": name, "class": ws.classes[row["class"]], "n": row["n"]}
            rows.append(of_class | _rounded(row[name]))
    for arm, changes in answer["targets"].items():
        for what, targets in changes.items():
            rows += [{"what": what, "arm": arm, "n": answer["n"]} | target for target in targets]
    table = pd.DataFrame(rows, columns=COLUMNS, dtype=object)  # object: whole numbers stay whole beside empty cells
    table = table.assign(recipe=answer["recipe"], recipe_hash=answer["recipe_hash"])
    return tables.to_csv(table)


def _rounded(summary: dict) -> dict:
    return {
        "value": round(summary["mean"], 6),
        "low": round(summary["ci"][0], 6),
        "high": round(summary["ci"][1], 6),
        "p": summary.get("p"),
    }
