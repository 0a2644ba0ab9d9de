"""The words and the HTML of Brittleness; nothing here is a widget. Whatever comes from the workspace is escaped."""

from attribution import Workspace
from attribution.support import majority
from pages.ui import format as write


def which(spec: dict) -> str:
    """The images that a retrain spec edits: "the first 24 images of trak-10"."""
    found = f"{spec['k']} chosen image{'s' * (spec['k'] > 1)}"
    if spec["ranking"]:
        found = _first(spec["k"], spec["ranking"], spec.get("end") == "harmful")
    return found + (" and near-duplicates" if spec.get("groups") else "")


def _first(k: int, ranking: str, harmful: bool = False) -> str:
    if harmful:
        return f"the {f'{k} most harmful images' if k > 1 else 'most harmful image'} of {ranking}"
    return f"the first {f'{k} images' if k > 1 else 'image'} of {ranking}"


def heuristic(ws: Workspace, spec: dict) -> str:
    """What stands in for the harmful end of a ranking that has none."""
    if "repair" not in (spec["kind"], "repair" if spec.get("end") else "") or ws.ranking(spec["ranking"]).signed:
        return ""
    rival = ws.classes[ws.base.rival[spec["target"]]]
    return (
        f" {spec['ranking']} has no sign and so no harmful end: its first images of {rival}, which the target is "
        "mistaken for, stand in for it, a heuristic."
    )


def along(spec: dict) -> str:
    """How many near-duplicates come along, and by which measure."""
    if not spec.get("groups"):
        return ""
    groups = spec["groups"]
    how = f" (cosine of {groups['cosine']:g} or more in {groups['features']})"
    if "along" not in groups:
        return f" With near-duplicates{how}; k counts images with all of theirs."
    return f" Of these {groups['along']} came along as near-duplicates{how}."


def doing(spec: dict, ws: Workspace) -> str:
    """ "without the first 24 images of trak-10", or "with the first 24 images of trak-10 relabelled Coat"."""
    if spec["kind"] == "remove":
        return f"without {which(spec)}"
    return f"with {which(spec)} relabelled {ws.classes[ws.base.runner_up[spec['target']]]}"


def most_said(ws: Workspace, part: dict) -> str:
    """ "Coat in 4 of 5": the class that most of the trained models predict."""
    said = part["predictions"]
    most = max(sorted(set(said)), key=said.count)
    return f"{ws.classes[most]} in {said.count(most)} of {len(said)}"


def verdict(ws: Workspace, spec: dict, answer: dict) -> tuple[str, str] | None:
    """(one word, one sentence) of a complete retraining (jobs.retrain_answer), beside its controls; None before."""
    if not answer["complete"]:
        return None
    none, random = answer["controls"]["none"], answer["controls"]["random"]
    true = ws.classes[ws.val_labels[spec["target"]]]
    edit = f"{doing(spec, ws)} the models say {most_said(ws, answer)}"
    edit = edit[0].upper() + edit[1:]
    controls = f"{none['wrong']} of {none['of']} are wrong with all images as they are"
    if random["of"]:
        controls += f", {random['wrong']} of {random['of']} after the same with random images of the same classes"
    if spec.get("end") == "harmful":
        return _repair_verdict(true, edit, controls, answer["flipped"], none["flipped"], random)
    if none["flipped"]:
        return "Already wrong", f"{edit}. But {controls}: there is no {true} to flip."
    if answer["flipped"] and random["flipped"]:
        return "Flipped, by chance too", f"{edit}. But {controls}: any images of these classes would do."
    return ("Flipped" if answer["flipped"] else "Holds"), f"{edit}; {controls}."


def _repair_verdict(true, edit, controls, wrong, before, random) -> tuple[str, str]:
    if before is False:
        return "Right already", f"{edit}. But {controls}: there is nothing to repair."
    if wrong:
        return "Still wrong", f"{edit}; {controls}."
    if random["of"] and random["flipped"] is False:
        return "Repaired, by chance too", f"{edit}. But {controls}: without any images of these classes it is {true}."
    return "Repaired", f"{edit}; {controls}."


def support_verdict(ws: Workspace, target: int, ranking: str, kind: str, found: dict) -> tuple[str, str]:
    """(one word, one sentence) of a support search's answer (`support.Support` as a dict)."""
    true, edit = ws.classes[ws.val_labels[target]], "removed" if kind == "remove" else "relabelled"
    if found["status"] == "already_wrong":
        return "Already wrong", f"most base models do not read target {target} as {true}: there is nothing to flip."
    if found["status"] == "already_right":
        return "Already right", f"most base models read target {target} as {true}: there is nothing to repair."
    if kind == "repair":
        return _repair_found(true, ranking, found)
    if found["status"] == "censored":
        return f"None up to {found['lo']}", (
            f"with {_first(found['lo'], ranking)} {edit}, most models still say {true}. The search ends there: the "
            "support is larger, or there is none."
        )
    sentence = f"most models no longer say {true} with {_first(found['hi'], ranking)} {edit}"
    sentence += f"; with {found['lo']} they still do." if found["lo"] else "."
    return f"Support {found['support']}", sentence + _doubt(found)


def _doubt(found: dict) -> str:
    """How far the size of a support is to be trusted."""
    text = ""
    if found["status"] == "unstable":
        adaptive = any("p" in row for row in found["trace"])
        why = "The most trainings allowed did not settle" if adaptive else "Fresh seeds changed a verdict at"
        text += f" {why} this edge: take it as near the threshold, not as a number."
    if found.get("others"):
        low, high = found["others"]
        text += f" Five other seeds would put it {_between(low, high)} in 90 % of cases, by the margins measured."
    return text


def _between(low: int | None, high: int | None) -> str:
    if low is None:
        return "beyond the largest k"
    return f"at {low} or beyond" if high is None else f"at {low}" if low == high else f"between {low} and {high}"


def _repair_found(true, ranking, found) -> tuple[str, str]:
    if found["status"] == "censored":
        return f"None up to {found['lo']}", (
            f"without {_first(found['lo'], ranking, True)} most models are still wrong. The search ends there: the "
            "repair is larger, or there is none."
        )
    sentence = f"most models say {true} without {_first(found['hi'], ranking, True)}"
    sentence += f"; without {found['lo']} they are still wrong." if found["lo"] else "."
    return f"Repair {found['support']}", sentence + _doubt(found)


def outcomes(kind: str) -> dict[bool, str]:
    """The word for a probe whose models are mostly wrong, and for one whose models are not."""
    return {True: "still wrong", False: "repaired"} if kind == "repair" else {True: "flipped", False: "survived"}


# -- HTML


def groups_html(ws: Workspace, spec: dict, answer: dict) -> str:
    """A line for the edit and for each control: a dot a seed, what the models say, and the mean margin."""
    label = int(ws.val_labels[spec["target"]])
    names = {"edit": write.capitalised(doing(spec, ws)), "none": "Nothing changed"}
    parts = {"edit": answer, "none": answer["controls"]["none"]}
    random = answer["controls"]["random"]
    if random["of"]:
        parts["random"] = random
        draws = f", {spec['draws']} draws" if spec["draws"] > 1 else ""
        names["random"] = f"{spec['k']} random, same classes{draws}"
    return f'<div class="lu-lab">{"".join(_group(ws, label, names[part], parts[part]) for part in parts)}</div>'


def _group(ws, label, name, part) -> str:
    draws = sorted({run["draw"] for run in part["runs"]})
    seeds = ("".join(dot(ws, label, run) for run in part["runs"] if run["draw"] == draw) for draw in draws)
    dots = "".join(f'<span class="draw">{one}</span>' for one in seeds)
    whole = part["n"] == part["of"]
    tally = f"{part['wrong']} of {part['of']} wrong" if whole else f"{part['n']} of {part['of']} trained"
    margin = f"mean margin {_signed(sum(part['margins']) / part['n'])}" if part["n"] else ""
    said = most_said(ws, part) if part["n"] else "waiting"
    return (
        f'<div>{write.escape(name)}</div><div class="dots">{dots}</div><div><b>{write.escape(said)}</b></div>'
        f'<div class="lu-faint">{tally}{" · " + margin if margin else ""}</div>'
    )


def dot(ws: Workspace, label: int, run: dict) -> str:
    """One seed: ○ queued, a filling ring while it trains, ● still right, ◆ wrong."""
    seed = f"seed {run['seed']}"
    if run["state"] == "running":
        words, share = f"{seed}: epoch {run['epoch']} of {run['epochs']}", run["epoch"] / max(1, run["epochs"])
        return _dot("running", words, f' style="--share:{share:.2f}"')
    if run["state"] != "done":
        return _dot("", f"{seed}: waiting")
    wrong = run["predicted"] != label
    margin = f", margin {_signed(run['margin'])}" if "margin" in run else ""
    return _dot("wrong" if wrong else "right", f"{seed}: {ws.classes[run['predicted']]}{margin}")


def _dot(kind: str, words: str, style: str = "") -> str:
    words = write.escape(words)
    return f'<span class="dot {kind}"{style} role="img" title="{words}" aria-label="{words}"></span>'


def probes_html(ws: Workspace, target: int, probes: list[dict], kind: str = "remove") -> str:
    """The search's trace as a table, in the order tried; probes as `Replay.probes`."""
    label = int(ws.val_labels[target])
    lines = ""
    for probe in probes:
        done = [run for run in probe["runs"] if run["state"] == "done"]
        wrong = sum(run["predicted"] != label for run in done)
        flipped = flips(probe, label)
        said = most_said(ws, {"predictions": [run["predicted"] for run in done]}) if done else "waiting"
        margins = [run["margin"] for run in done if "margin" in run]
        mean = sum(margins) / len(margins) if margins else probe.get("margin")
        margin = "" if mean is None else _signed(mean)
        outcome = {**outcomes(kind), None: "…"}[flipped]
        look = {True: "flipped", False: "survived", None: ""}[flipped]
        sure = f", {100 * max(probe['p'], 1 - probe['p']):.0f} % sure" if "p" in probe else ""
        lines += (
            f'<tr><td class="n">{probe["k"]}</td><td>{"fresh seeds" if probe["confirm"] else ""}</td>'
            f'<td><span class="draw">{"".join(dot(ws, label, run) for run in probe["runs"])}</span></td>'
            f'<td class="n">{wrong} of {len(done)}</td><td class="n">{margin}</td>'
            f'<td>{write.escape(said)}</td><td class="{look}">{outcome}{sure}</td></tr>'
        )
    head = "".join(
        f"<th{' class=n' if name in ('k', 'wrong', 'mean margin') else ''}>{name}</th>"
        for name in ("k", "", "seeds", "wrong", "mean margin", "the models say", "verdict")
    )
    return f'<table class="lu-table"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def flips(probe: dict, label: int, n: int = 5) -> bool | None:
    """A probe's verdict so far; None while it is open. An adaptive search's is that of its posterior."""
    if "p" in probe:
        return probe["p"] >= 0.5
    return majority([run["predicted"] for run in probe["runs"] if run["state"] == "done"], label, n)


def probes_of(trace: list[dict]) -> list[dict]:
    """`Support.trace` as probes: it keeps each seed's prediction, and of their margins only the mean, "margin"."""
    return [
        {
            "k": row["k"],
            "confirm": bool(row.get("confirm")),
            "margin": row.get("margin"),
            "runs": [
                {"seed": seed, "state": "done", "predicted": predicted}
                for seed, predicted in zip(row["seeds"], row["predictions"])
            ],
            **({"p": row["p"]} if "p" in row else {}),
        }
        for row in trace
    ]


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def job_html(job) -> str:
    """One line of the history: state, what, when, how long."""
    signs = {
        "queued": "○",
        "running": "◐",
        "paused": "‖",
        "cancelling": "◐",
        "cancelled": "✕",
        "failed": "!",
        "done": "●",
    }
    about = [
        write.date_time(job.created),
        write.seconds(job.seconds) if job.started else "",
        f"{job.done} of {job.total}" if not job.ended and job.total else "",
        job.message,
    ]
    return (
        f'<div class="lu-job"><span aria-hidden="true">{signs.get(job.state, "")}</span> <b>{job.state}</b> '
        f'{write.escape(job.what)} <span class="lu-faint">· {write.escape(" · ".join(filter(None, about)))}</span>'
        "</div>"
    )


# -- studies

BAND = (
    "Band: between the least and the most targets that can have flipped by k once every search has ended; it "
    "closes as they do. Targets that never flip end first: a curve over the finished ones alone would mislead."
)


PAUSING = "Pause lets the trainings under way end, and keeps them; Cancel stops at once."


def study_name(job) -> str:
    """ "12, running: 40 targets, 22 Nov 2026, 21:07"."""
    return f"{job.id}, {job.state}: {len(job.spec['targets'])} targets, {write.date_time(job.created)}"


def study_heading(spec: dict) -> str:
    """ "40 targets under 5 rankings: how few images decide them?"."""
    targets, rankings = len(spec["targets"]), len(spec["rankings"])
    return (
        f"{targets} target{'s' * (targets > 1)} under {rankings} ranking{'s' * (rankings > 1)}: "
        f"how few images decide {'them' if targets > 1 else 'it'}?"
    )


def study_state(job, found, ahead: int) -> str:
    """ "Job 12, running for 4 min 3 s: 57 of 400 searches answered." found: `attribution.progress.Progress`."""
    so_far = write.seconds(job.seconds)
    under_way = "1 training" if found.running == 1 else f"{found.running} trainings"
    states = {
        "queued": "waiting for the runner" + (f", {ahead} job{'s' * (ahead > 1)} before it" if ahead else ""),
        "running": f"running for {so_far}",
        "cancelling": "stopping",
        "paused": f"paused; {under_way} under way end{'s' * (found.running == 1)} first"
        if found.running
        else "paused: nothing of it is running",
        "done": f"done in {so_far}, {write.date_time(job.finished)}",
        "cancelled": f"cancelled after {so_far}; what it found is kept",
        "failed": f"failed after {so_far} ({job.message})",
    }
    return f"Job {job.id}, {states[job.state]}: {found.answered} of {found.searches} searches answered."


def study_facts_html(job, found) -> str:
    """What was trained, what is left, and how long that may take, with how it is reckoned."""
    facts = [
        (write.count(found.trained), "trainings done", "those known before count too"),
        (f"{found.running}", "under way", "trained for this study now"),
    ]
    if found.retried:
        facts.append((f"{found.retried}", "failed, tried again", "a worker ended under them, in this job or another"))
    if not job.ended and found.answered < found.searches:
        basis = (
            f"by the mean of {write.count(found.measured)} searches answered here"
            if found.measured
            else "halfway between the fewest and the most, as none was answered here yet"
        )
        workers = "1 worker" if found.workers == 1 else f"{found.workers} workers"
        left = write.count(round(found.left))
        facts += [
            (f"about {left}", "trainings left", basis),
            (
                f"about {write.seconds(found.seconds)}",
                "left, an estimate",
                f"{left} × {found.each:.3g} s a training "
                f"({f'median of the last {found.timed}' if found.timed else 'a guess yet'}), on {workers}",
            ),
        ]
    return (
        '<div class="lu-facts">'
        + "".join(
            f'<div><b>{write.escape(value)}</b> {write.escape(name)}<div class="lu-faint">{write.escape(about)}</div></div>'
            for value, name, about in facts
        )
        + "</div>"
    )


def growth_html(panels) -> str:
    """The bands' ends as a table: a row each, with how many have flipped by the largest k at least and at most."""
    lines = "".join(
        f"<tr><td>{write.escape(panel.ranking)}</td><td>{write.escape(panel.kind)}</td>"
        f'<td class="n">{panel.answered} of {panel.targets}</td>'
        f'<td class="n">{_share(panel.low[-1], panel.high[-1])}</td></tr>'
        for panel in panels
    )
    k = panels[0].ks[-1] if panels else 0
    head = (
        '<th>ranking</th><th>kind</th><th class="n">searches answered</th>'
        f'<th class="n">flipped (or repaired) by k = {k}, in the end</th>'
    )
    return f'<table class="lu-table"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _share(low: float, high: float) -> str:
    if low != low:  # no target counts: all are already wrong
        return "–"
    return f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"
