"""Commands about labels and pictures: audit start, detectors build, list and remove, faults, evaluate inspection,
people and errors, worth."""

import time
from contextlib import closing
from typing import Annotated

import typer

from attribution import own_code
from attribution.audit import detectors, gather, review_queue
from attribution.audit import faults as picture_faults
from attribution.audit.decision_log import DecisionLog
from attribution.cli import (
    JsonOption,
    Recipe,
    WorkspaceOption,
    answered,
    decisions_text,
    fraction_option,
    print_answer,
    say,
    split_names,
    user_name,
    whole_option,
    with_progress,
)
from attribution.errors import UserError
from attribution.export.numbers import duration, estimate, mean_ci, number, p_value, percent
from attribution.inputs import limits
from attribution.runner import commands
from attribution.workspace import heads
from attribution.workspace.provenance import command_provenance
from attribution.workspace.workspace import DEMO, Workspace

SECOND_HALF = " (the second half: detectors have read the first)"
FIRST_FAULTS = 20  # images of each fault that are printed


def audit_start(
    images: Annotated[
        int | None,
        whole_option(
            "--images", 1, review_queue.MAX_SIZE, "Make a queue of so many to review, a tenth of them drawn at random."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        fraction_option("--minutes", 0.1, 100_000, "Leave out what would take longer; all there is, if not given."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Return at once; every page shows how far it is.")
    ] = False,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Collect all evidence about labels that the workspace has the ground for, the quickest first, and combine it.
    Interrupted, it goes on when run again; what has come can be reviewed meanwhile."""
    if background:
        words = [
            "audit",
            "start",
            *(["--images", images] if images else []),
            *(["--minutes", minutes] if minutes else []),
        ]
        words += ["--model", ws.model] if ws.model else []
        number_started = commands.start_command(ws, words)
        print_answer(
            as_json, {"workspace": ws.name, "command": number_started}, "it runs; every page shows how far it is"
        )
        return
    to_come = gather.steps(ws)
    if to_come:
        expected = sum(step.seconds for step in to_come)
        say(f"about {duration(expected)}: {'; '.join(step.name for step in to_come)}")
    gathered = with_progress(gather.gather, ws, minutes and 60 * minutes)
    ws = type(ws).open(ws.path).with_model(ws.model)
    queue = None
    if images:
        with closing(DecisionLog.of(ws)) as log:
            queue = review_queue.add_queue(ws, log, review_queue.queue_spec(ws, size=images), user_name() or "somebody")
    print_answer(
        as_json,
        {"workspace": ws.name, "detectors": gathered.built, "left": gathered.left, "seconds": gathered.seconds}
        | ({"queue": queue} if images else {}),
        f"{', '.join(gathered.built) or 'nothing new'}: {duration(gathered.seconds)}",
        *(f"{name} is left out: {why}" for name, why in gathered.left.items()),
        *([f"queue {queue} has {images} images to review in Clean labels"] if images else []),
    )


def detectors_build(
    names: Annotated[
        str | None, typer.Argument(help="Names, with commas; if not given all that can be had and are not there yet.")
    ] = None,
    module: Annotated[
        str | None,
        typer.Option(
            help="A detector of your own, mine.py:Mine: remembered by its name, and run as you.", metavar="FILE:CLASS"
        ),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Compute detectors and store them. Where no models are known that did not see the images, eight half-models are
    trained first; trainings that were done are not repeated."""
    if names is not None and not split_names(names):
        raise UserError("no detector is named; give names with commas between, or none for all")
    chosen = split_names(names) if names is not None else None
    if module:
        chosen = [*(chosen or []), detectors.own.add(ws, module).name]
    built = with_progress(detectors.build_detectors, ws, chosen)
    lines = [f"{name}: {provenance['about']}" for name, provenance in built.items()]
    print_answer(
        as_json,
        {"workspace": ws.name, "detectors": built},
        *(lines or [f"every detector that {ws.name} can have is there"]),
    )


def detectors_list(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """The stored detectors, and those that can be built or why not."""
    rows = []
    for name in detectors.names(ws):
        detector = detectors.load(ws, name)
        stored = {
            "about": detector.description,
            "uses_val": detector.uses_val,
            "suggests": detector.suggestion is not None,
        }
        rows.append({"name": name, "family": detector.family, "built": True, **stored, "needs": ""})
    unknown = dict.fromkeys(("about", "uses_val", "suggests"))
    stored_names = {row["name"] for row in rows}
    rows += [
        {"name": name, "family": None, "built": False, **unknown, "needs": needs}
        for name, needs in detectors.available(ws).items()
        if name not in stored_names
    ]
    table = [
        {
            "detector": row["name"],
            "family": row["family"],
            "": row["about"] or row["needs"] or "can be built",
            "reads validation images": {True: "the first half", False: "no"}.get(row["uses_val"]),
        }
        for row in rows
    ]
    print_answer(as_json, {"detectors": rows}, ("", table))


def detectors_remove(name: Annotated[str, typer.Argument(help="One of yours.")], as_json: JsonOption = False):
    """Remove one of your detectors from this machine. What it built stays."""
    own_code.remove("detector", name)
    print_answer(as_json, {"removed": name}, f"{name} is no detector of this machine any more; what it built is kept")


def faults(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """Training images that are dark, blurred, of an odd size or shape, nearly one colour, or there twice, by
    cleanvision (of the extra `faults`); Clean labels can then review them."""
    ws.check_can_add(picture_faults.STORED.name)
    start = time.perf_counter()
    found = with_progress(picture_faults.compute, ws)
    picture_faults.save(ws, found, {**command_provenance("faults"), "seconds": round(time.perf_counter() - start, 1)})
    telling, counts = found.telling(), found.counts()
    kinds = {
        kind: {
            "images": n,
            "share": n / ws.n_train,
            "telling": kind in telling,
            "first": found.order(kind)[:FIRST_FAULTS].tolist() if kind in telling else [],
        }
        for kind, n in counts.items()
    }
    table = [
        {
            "fault": picture_faults.KINDS[kind],
            "images": row["images"],
            "share": percent(row["share"]),
            "worst": " ".join(map(str, row["first"])) or ("so are most" if row["images"] else ""),
        }
        for kind, row in kinds.items()
    ]
    library = picture_faults.STORED.provenance(ws)["library"]
    answer = {"workspace": ws.name, "n_train": ws.n_train, "library": library, "faults": kinds}
    print_answer(
        as_json, answer, f"{len(found.order()):,} of {ws.n_train:,} images have a fault, by {library}", ("", table)
    )


def evaluate_inspection(
    detector_names: Annotated[
        str | None,
        typer.Option("--detectors", help="Names, with commas; the first that `detectors list` names if not given."),
    ] = None,
    draws: Annotated[int, whole_option("--draws", 2, limits.MAX_DRAWS, "Random orders.")] = 20,
    seed: Annotated[int, whole_option("--seed", 0, limits.MAX_SEED, "Draws them.")] = 0,
    decisions: Annotated[
        bool,
        typer.Option("--decisions", help="After your own decisions so far, in their order; no error need be known."),
    ] = False,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """What inspecting images buys: accuracy after the first m images of a detector's order, their wrong labels put
    right, beside random orders. Exact under a head (--model), where errors are known."""
    from attribution.evaluation import inspection_curve

    if decisions:
        if detector_names:
            raise UserError("--decisions are in the order in which they were made; leave --detectors out")
        return _evaluate_decisions(ws, as_json)
    chosen = split_names(detector_names) if detector_names else None
    answer = with_progress(inspection_curve.compute, ws, chosen, draws, seed)
    tables = [
        (
            f"in the order of {name}",
            [
                {
                    "inspected": f"{point['inspected']:,}",
                    "found": f"{point['found']:,}",
                    "accuracy": number(100 * point["accuracy"], 2),
                    "minus random": mean_ci(point["against_random"], 100, 2, sign=True),
                }
                for point in points
            ],
        )
        for name, points in answer["orders"].items()
    ]
    chance = [
        {
            "inspected": f"{point['inspected']:,}",
            "found": number(point["found"], 1),
            "accuracy": estimate(100 * point["accuracy"], [100 * end for end in point["ci"]], 2),
        }
        for point in answer["random"]
    ]
    kind = "planted errors" if answer["errors"] == "planted" else "errors, by imported true labels,"
    none, every = (number(100 * answer["accuracy"][name], 2) for name in ("none", "all"))
    print_answer(
        as_json,
        answer,
        f"{answer['n_errors']:,} {kind} among {answer['n_train']:,} training images; accuracy in % on {answer['n']:,} "
        f"validation images{SECOND_HALF if answer['uses_val'] else ''}, {answer['recipe']} {answer['recipe_hash']}, "
        f"exact refits: {none} with none put right, {every} with all",
        *((f"{title} (95 % over validation images)", rows) for title, rows in tables),
        (f"in random order, mean of {answer['draws']} (95 % over them)", chance),
    )


def _evaluate_decisions(ws: Workspace, as_json: bool) -> None:
    """Prints accuracy after so many of the current decisions."""
    from attribution.audit import accuracy_curve

    heads.check_seen(ws, "accuracy after so many decisions is measured by exact refits")
    with DecisionLog.of(ws) as log:
        current = log.current_decisions()
        uses_val = review_queue.uses_validation(ws, log, current)
        without = tuple(review_queue.starting_targets(log))
        damage = log.damage()
    steps = accuracy_curve.decision_steps(ws, current)
    answer = with_progress(accuracy_curve.measure, ws, ws.recipe, steps, uses_val, without)
    rows = [
        {
            "decided": f"{point['decided']:,}",
            "changed": f"{point['changed']:,}",
            "accuracy": number(100 * point["accuracy"], 2),
            "minus none": mean_ci(point["gain"], 100, 2, sign=True),
        }
        for point in answer["curve"]
    ]
    title = (
        f"accuracy in % on {answer['n']:,} validation images{SECOND_HALF if uses_val else ''}, {answer['recipe']} "
        f"{answer['recipe_hash']}, exact refits, after your first decisions (95 % over validation images)"
    )
    print_answer(
        as_json, answer | ({"damaged": damage} if damage else {}), (title, rows), *([damage] if damage else [])
    )


def evaluate_errors(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """How many training labels are wrong: a model's first guess, and the estimate from decisions in Clean labels."""
    from attribution.audit import error_estimate
    from attribution.audit.decision_log import DecisionLog
    from attribution.export import error_sentences

    guess, needs = None, ""
    try:
        guess = with_progress(error_estimate.first_guess, ws)
    except UserError as error:  # decisions need no model
        needs = str(error)
    with DecisionLog.of(ws) as log:
        current = log.current_decisions()
        numbers = sorted({decision.queue for decision in current.values()} - {None})
        queues = [queue for number in numbers if (queue := log.queue(number))]
        damage = log.damage()
    answer = error_estimate.estimate(ws.train_labels, len(ws.classes), queues, current)
    lines = (
        [error_sentences.guess_sentence(guess["errors"], ws.n_train), f"It is by {guess['by']}."] if guess else [needs]
    )
    lines += [
        error_sentences.total_sentence(answer, ws.n_train),
        error_sentences.next_sentence(answer),
        error_sentences.suggestion_sentence(answer),
        damage,
    ]
    rows = [
        {
            "label": ws.classes[row["class"]],
            "images": row["images"],
            "first guess": guess and number(guess["classes"][row["class"]]["errors"], 0),
            "found": row["found"],
            "random images": row["drawn"],
            "estimate": estimate(row["errors"], row["ci"], 0) if row["ci"] else None,
        }
        for row in answer["classes"]
    ]
    print_answer(
        as_json,
        {"workspace": ws.name, "n_train": ws.n_train, "guess": guess, "guess_needs": needs, **answer}
        | ({"damaged": damage} if damage else {}),
        *filter(None, lines),
        ("wrong labels by given label (95 % interval)", rows),
    )


def evaluate_people(ws: WorkspaceOption = DEMO, as_json: JsonOption = False):
    """Do people agree about labels? Cohen's kappa of each two who decided the same images in Clean labels."""
    from attribution.audit import people
    from attribution.export import error_sentences

    with DecisionLog.of(ws) as log:
        rows = people.agreement(log.entries(), ws.train_labels)
        damage = log.damage()
    nobody = f"No two people have decided {people.MIN_IMAGES} of the same images yet."
    print_answer(
        as_json,
        {"workspace": ws.name, "pairs": rows} | ({"damaged": damage} if damage else {}),
        *([error_sentences.people_sentence(row) for row in rows] or [nobody]),
        *([damage] if damage else []),
    )


def worth(
    seeds: Annotated[
        int, whole_option("--seeds", 1, limits.MAX_SEEDS, "Trainings per training set, paired by seed.")
    ] = 20,
    recipe: Recipe = None,
    second_half: Annotated[
        bool | None,
        typer.Option(
            "--second-half/--all-validation",
            help="What it is measured on; the second half if not given, where validation images may have led to what "
            "was decided.",
        ),
    ] = None,
    ws: WorkspaceOption = DEMO,
    as_json: JsonOption = False,
):
    """Accuracy with the audit's corrections, without any, and with as many random images re-inspected."""
    from attribution.audit import gain

    with DecisionLog.of(ws) as decisions:
        current = decisions.current_decisions()
        if second_half is None:
            second_half = review_queue.uses_validation(ws, decisions, current)
        starting_targets = review_queue.starting_targets(decisions)
        damage = decisions.damage()
    answer = answered(ws, gain.gain_spec(ws, current, seeds, second_half, recipe, starting_targets))
    accuracies = [{"": arm, "accuracy": mean_ci(row, 100, 2), "p": None} for arm, row in answer["accuracy"].items()]
    accuracies += [
        {"": arms.replace("-", " against "), "accuracy": mean_ci(row, 100, 2, sign=True), "p": p_value(row["p"])}
        for arms, row in answer["differences"].items()
    ]
    classes = [
        {
            "class": ws.classes[row["class"]],
            "n": row["n"],
            **{arm: row[arm] and number(100 * row[arm]["mean"], 1) for arm in ("none", "corrected", "random")},
            "corrected minus uncorrected": row["n"] and mean_ci(row["corrected-none"], 100, 2, sign=True) or None,
        }
        for row in answer["classes"]
    ]
    print_answer(
        as_json,
        answer | ({"damaged": damage} if damage else {}),
        f"{answer['decided']} images decided on: {decisions_text(answer)}.",
        f"random: each seed re-inspects {answer['decided']} images of its own; {gain.ERROR_SOURCES[answer['errors']]} "
        f"(on average {number(sum(answer['edited']['random']) / seeds, 1)}).",
        (
            f"accuracy on {answer['n']} validation images in %, recipe {answer['recipe']} {answer['recipe_hash']}, "
            f"{seeds} paired seeds, mean (95 % over seeds)",
            accuracies,
        ),
        ("by class", classes),
        *(
            f"{arm}: {len(row['repaired'])} targets repaired, {len(row['broken'])} broken, of {answer['n']}"
            for arm, row in answer["targets"].items()
        ),
        *([damage] if damage else []),
    )
