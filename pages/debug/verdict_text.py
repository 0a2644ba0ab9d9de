"""The words and the HTML of questions and answers; no widgets. In HTML, text from the workspace is escaped."""

from attribution import Workspace
from attribution.evaluation.adaptive_supports import AdaptiveSupports
from attribution.experiments.support_search import probe_verdict
from attribution.training.head.recipe import is_head
from pages.ui import format as write


def top_images(ranking: str | None, k: int, harmful: bool = False) -> str:
    """ "datamodels-2k's top 16 images", or "trak-10's 3 most harmful images"; of no ranking "3 chosen images"."""
    if ranking is None:
        return f"{k} chosen image{'s' * (k > 1)}"
    if k == 1:
        return f"{ranking}'s {'most harmful' if harmful else 'top'} image"
    return f"{ranking}'s {k} most harmful images" if harmful else f"{ranking}'s top {k} images"


def edited_images(spec: dict) -> str:
    """The images that a retrain spec edits: "trak-10's top 24 images"."""
    images = top_images(spec["ranking"], spec["k"], spec.get("end") == "harmful")
    return images + (" and near-duplicates" if spec.get("groups") else "")


def heuristic_note(ws: Workspace, spec: dict) -> str:
    """What stands in for the harmful end of a ranking that has none."""
    if "repair" not in (spec["kind"], "repair" if spec.get("end") else "") or ws.ranking(spec["ranking"]).signed:
        return ""
    rival = ws.classes[ws.base.confused_class[spec["target"]]]
    return (
        f" {spec['ranking']} has no sign and so no harmful end: its first images of {rival}, which the target is "
        "mistaken for, stand in for it, a heuristic."
    )


def duplicates_note(spec: dict) -> str:
    """How many near-duplicates come along, and by which measure."""
    if not spec.get("groups"):
        return ""
    groups = spec["groups"]
    how = f" (cosine of {groups['cosine']:g} or more in {groups['features']})"
    if "along" not in groups:
        return f" With near-duplicates{how}; k counts images with all of theirs."
    return f" Of these {groups['along']} came along as near-duplicates{how}."


def edit_text(spec: dict, ws: Workspace) -> str:
    """Such as "without trak-10's top 24 images", or "with trak-10's top 24 images relabelled Coat"."""
    if spec["kind"] == "remove":
        return f"without {edited_images(spec)}"
    return f"with {edited_images(spec)} relabelled {ws.classes[ws.base.likeliest_wrong_class[spec['target']]]}"


def majority_text(ws: Workspace, part: dict) -> str:
    """Such as "Coat in 4 of 5": the class that most of the trained models predict."""
    predictions = part["predictions"]
    most = max(sorted(set(predictions)), key=predictions.count)
    return f"{ws.classes[most]} in {predictions.count(most)} of {len(predictions)}"


def majority(ws: Workspace, part: dict, changed: bool = True) -> str:
    """Such as "4 of 5 models predict Coat", and "... still predict Coat" where nothing `changed`; of a head's one
    refit "it predicts Coat (exact)"."""
    predictions = part["predictions"]
    most = max(sorted(set(predictions)), key=predictions.count)
    votes, name, still = predictions.count(most), ws.classes[most], "" if changed else "still "
    if ws.get_recipe().deterministic and len(predictions) == 1:
        return f"it {still}predicts {name}" + (" (exact)" if is_head(ws.recipe) else "")
    return f"{votes} of {len(predictions)} {still}predict{'s' * (votes == 1)} {name}"


def control_text(ws: Workspace, answer: dict) -> str:
    """ "without 16 random images of the same classes: T-shirt in 5 of 5"; of a mislabelling they are relabelled."""
    random = answer["controls"]["random"]
    images = answer["k"] + (answer.get("groups") or {}).get("along", 0)
    word = "without" if answer["kind"] == "remove" else "with wrong labels on"
    noun = "1 random image of the same class" if images == 1 else f"{images} random images of the same classes"
    return f"{word} {noun}: {majority_text(ws, random)}" + (" draws" if is_head(answer["recipe"]) else "")


def retraining_verdict(ws: Workspace, spec: dict, answer: dict) -> tuple[str, str] | None:
    """(one word, one sentence) of a complete retraining (`RetrainSpec.answer`), beside its controls; None before."""
    if not answer["complete"]:
        return None
    none, random = answer["controls"]["none"], answer["controls"]["random"]
    true = ws.classes[ws.val_labels[spec["target"]]]
    changed = answer["flipped"] != (spec.get("end") == "harmful")
    edit = write.capitalised(f"{edit_text(spec, ws)}, {majority(ws, answer, changed)}")
    controls = f"{write.capitalised(control_text(ws, answer))}. " if random["of"] else ""
    controls += f"With all images: {majority_text(ws, none)}"
    if spec.get("end") == "harmful":
        return _repair_verdict(true, edit, controls, answer["flipped"], none["flipped"], random)
    if none["flipped"]:
        return "Already wrong", f"{edit}. {controls}: there is no {true} to flip."
    if answer["flipped"] and random["flipped"]:
        return "Flipped, by chance too", f"{edit}. {controls}. Any images of these classes would do."
    return ("Flipped" if answer["flipped"] else "Holds"), f"{edit}. {controls}."


def _repair_verdict(true, edit, controls, wrong, before, random) -> tuple[str, str]:
    if before is False:
        return "Right already", f"{edit}. {controls}: there is nothing to repair."
    if wrong:
        return "Still wrong", f"{edit}. {controls}."
    if random["of"] and random["flipped"] is False:
        return "Repaired, by chance too", f"{edit}. {controls}. Without any images of these classes it is {true}."
    return "Repaired", f"{edit}. {controls}."


def support_verdict(ws: Workspace, target: int, ranking: str, kind: str, answer: dict) -> tuple[str, str]:
    """(one word, one sentence) of a support search's answer (`support_search.Support` as a dict)."""
    true, edit = ws.classes[ws.val_labels[target]], "removed" if kind == "remove" else "relabelled"
    recipe = ws.get_recipe()
    if answer["status"] == "already_wrong":
        return "Already wrong", f"most base models do not read target {target} as {true}: there is nothing to flip."
    if answer["status"] == "already_right":
        return "Already right", f"most base models read target {target} as {true}: there is nothing to repair."
    if kind == "repair":
        return _repair_support_verdict(true, ranking, answer)
    if answer["status"] == "censored":
        says = f"{recipe.name} still says" if recipe.deterministic else "most models still say"
        return f"None up to {answer['lo']}", (
            f"with {top_images(ranking, answer['lo'])} {edit}, {says} {true}. The search ends there: the support is "
            "larger, or there is none."
        )
    says, still = ("most models no longer say", "they still do")
    if recipe.deterministic:
        says, still = f"{recipe.name} no longer says", "it still does"
    sentence = f"{says} {true} with {top_images(ranking, answer['hi'])} {edit}"
    sentence += f"; with {answer['lo']} {still}." if answer["lo"] else "."
    return f"Support {answer['support']}", sentence + _reliability(answer)


def adaptive_text(found: AdaptiveSupports, target: int) -> str:
    """What the adaptive order needs to flip a target, beside the prefix of influence; "" where it was not measured."""
    sizes = [found.supports(order).get(target) for order in ("adaptive", "prefix")]
    if None in sizes:
        return ""
    adaptive, prefix = (
        write.counted(support.support, "image") if support.support else f"none up to {found.k_max}" for support in sizes
    )
    return (
        f"Its support with influence computed anew after every {found.batch} images removed: {adaptive}; in the order "
        f"of the full training set: {prefix}."
    )


def _reliability(answer: dict) -> str:
    """How far the size of a support is to be trusted."""
    text = ""
    if answer["status"] == "unstable":
        adaptive = any("p" in row for row in answer["trace"])
        why = "The most trainings allowed did not settle" if adaptive else "Fresh seeds changed a verdict at"
        text += f" {why} this edge: read it as about {answer['support']}."
    if answer.get("others"):
        low, high = answer["others"]
        text += f" Five other seeds would put it {_between(low, high)} in 90 % of cases, by the margins measured."
    return text


def _between(low: int | None, high: int | None) -> str:
    if low is None:
        return "beyond the largest k"
    return f"at {low} or beyond" if high is None else f"at {low}" if low == high else f"between {low} and {high}"


def _repair_support_verdict(true, ranking, answer) -> tuple[str, str]:
    if answer["status"] == "censored":
        return f"None up to {answer['lo']}", (
            f"without {top_images(ranking, answer['lo'], True)} most models are still wrong. The search ends there: "
            "the repair is larger, or there is none."
        )
    sentence = f"most models say {true} without {top_images(ranking, answer['hi'], True)}"
    sentence += f"; without {answer['lo']} they are still wrong." if answer["lo"] else "."
    return f"Repair {answer['support']}", sentence + _reliability(answer)


def outcome_words(kind: str) -> dict[bool, str]:
    """The word for a probe whose models are mostly wrong, and for one whose models are not."""
    return {True: "still wrong", False: "repaired"} if kind == "repair" else {True: "flipped", False: "survived"}


# -- HTML


def retraining_html(ws: Workspace, spec: dict, answer: dict) -> str:
    """A line for the edit and for each control: a dot a seed, what the models say, and the mean margin."""
    label = int(ws.val_labels[spec["target"]])
    names = {"edit": write.capitalised(edit_text(spec, ws)), "none": "Nothing changed"}
    parts = {"edit": answer, "none": answer["controls"]["none"]}
    random = answer["controls"]["random"]
    if random["of"]:
        parts["random"] = random
        draws = f", {spec['draws']} draws" if spec["draws"] > 1 else ""
        names["random"] = f"{spec['k']} random, same classes{draws}"
    return f'<div class="lu-lab">{"".join(_part_html(ws, label, names[part], parts[part]) for part in parts)}</div>'


def _part_html(ws, label, name, part) -> str:
    draws = sorted({run["draw"] for run in part["runs"]})
    seeds = ("".join(seed_html(ws, label, run) for run in part["runs"] if run["draw"] == draw) for draw in draws)
    dots = "".join(f'<span class="draw">{dots}</span>' for dots in seeds)
    whole = part["n"] == part["of"]
    tally = f"{part['wrong']} of {part['of']} wrong" if whole else f"{part['n']} of {part['of']} trained"
    margin = f"mean margin {write.decimal(sum(part['margins']) / part['n'], sign=True)}" if part["n"] else ""
    majority_class = majority_text(ws, part) if part["n"] else "waiting"
    return (
        f'<div>{write.escape(name)}</div><div class="dots">{dots}</div><div><b>{write.escape(majority_class)}</b></div>'
        f'<div class="lu-faint">{tally}{" · " + margin if margin else ""}</div>'
    )


def seed_html(ws: Workspace, label: int, run: dict) -> str:
    """One seed: ○ queued, a filling ring while it trains, ● still right, ◆ wrong."""
    seed = f"seed {run['seed']}"
    if run["state"] == "running":
        words, share = f"{seed}: epoch {run['epoch']} of {run['epochs']}", run["epoch"] / max(1, run["epochs"])
        return _dot_html("running", words, f' style="--share:{share:.2f}"')
    if run["state"] != "done":
        return _dot_html("", f"{seed}: waiting")
    wrong = run["predicted"] != label
    margin = f", margin {write.decimal(run['margin'], sign=True)}" if "margin" in run else ""
    return _dot_html("wrong" if wrong else "right", f"{seed}: {ws.classes[run['predicted']]}{margin}")


def _dot_html(kind: str, words: str, style: str = "") -> str:
    words = write.escape(words)
    return f'<span class="dot {kind}"{style} role="img" title="{words}" aria-label="{words}"></span>'


def probes_html(ws: Workspace, target: int, probes: list[dict], kind: str = "remove") -> str:
    """The search's trace as a table, in the order tried; probes as `Replay.probes`."""
    label = int(ws.val_labels[target])
    lines = ""
    for probe in probes:
        done = [run for run in probe["runs"] if run["state"] == "done"]
        wrong = sum(run["predicted"] != label for run in done)
        flipped = probe_flips(probe, label)
        majority_class = majority_text(ws, {"predictions": [run["predicted"] for run in done]}) if done else "waiting"
        margins = [run["margin"] for run in done if "margin" in run]
        mean = sum(margins) / len(margins) if margins else probe.get("margin")
        margin = "" if mean is None else write.decimal(mean, sign=True)
        outcome = {**outcome_words(kind), None: "…"}[flipped]
        look = {True: "flipped", False: "survived", None: ""}[flipped]
        sure = f", {100 * max(probe['p'], 1 - probe['p']):.0f} % sure" if "p" in probe else ""
        lines += (
            f'<tr><td class="n">{probe["k"]}</td><td>{"fresh seeds" if probe["confirm"] else ""}</td>'
            f'<td><span class="draw">{"".join(seed_html(ws, label, run) for run in probe["runs"])}</span></td>'
            f'<td class="n">{wrong} of {len(done)}</td><td class="n">{margin}</td>'
            f'<td>{write.escape(majority_class)}</td><td class="{look}">{outcome}{sure}</td></tr>'
        )
    head = "".join(
        f"<th{' class=n' if name in ('k', 'wrong', 'mean margin') else ''}>{name}</th>"
        for name in ("k", "", "seeds", "wrong", "mean margin", "the models say", "verdict")
    )
    return f'<table class="lu-table"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def probe_flips(probe: dict, label: int, n: int = 5) -> bool | None:
    """A probe's verdict so far; None while it is open. An adaptive search's is that of its posterior."""
    if "p" in probe:
        return probe["p"] >= 0.5
    return probe_verdict([run["predicted"] for run in probe["runs"] if run["state"] == "done"], label, n)


def probes_of_trace(trace: list[dict]) -> list[dict]:
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
        f"{job.done} of {job.total}" if not job.has_ended and job.total else "",
        job.message,
    ]
    return (
        f'<div class="lu-job"><span aria-hidden="true">{signs.get(job.state, "")}</span> <b>{job.state}</b> '
        f'{write.escape(job.what)} <span class="lu-faint">· {write.escape(" · ".join(filter(None, about)))}</span>'
        "</div>"
    )
