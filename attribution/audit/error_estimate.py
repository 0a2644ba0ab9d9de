"""How many labels are wrong: what models guess before anybody has looked, and what a person's decisions say.

Models err, and cannot say by how much; so theirs is called a first guess. Decisions give an estimate: what was looked
at because it is suspicious is known, and the images drawn from the whole set say how often the others are wrong.
"""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec

import numpy as np

from attribution.audit import faults
from attribution.audit.decision_log import Queue
from attribution.audit.decisions import CurrentDecision
from attribution.audit.detectors import imported, out_of_fold, out_of_sample
from attribution.errors import UserError
from attribution.files.libraries import install_command
from attribution.metrics.error_count import AHEAD, Counts, errors_ahead, guess_errors, seconds_each, total_errors
from attribution.metrics.label_detection import tie_order
from attribution.metrics.statistics import share_with_interval
from attribution.workspace.parts import Progress
from attribution.workspace.workspace import Workspace

FEWEST_DRAWN = 20  # random images of a class that are decided, for an estimate of it alone
LAST_TIMES = 100  # decisions that a person's speed is taken from
UNKNOWN, RIGHT, WRONG = -1, 0, 1


def first_guess(workspace: Workspace, progress: Progress = lambda *at: None) -> dict:
    """`guess_errors` by models that did not see the image, and "by", which these are: {"by", "images", "errors",
    "range", "classes"}. images: those that a model did not see.

    They are imported out-of-fold probabilities, else the held-out predictions, else those of a linear classifier
    without the image's fold, which is then fitted. Raises UserError where there is none of these, and where
    cleanlab is not installed.
    """
    if find_spec("cleanlab") is None:
        raise UserError(f"a first guess needs cleanlab: {install_command('train')}")
    labels = np.asarray(workspace.train_labels)
    own = imported.probability_names(workspace)
    predictions = None if own else out_of_sample.out_of_sample_predictions(workspace)
    if own:
        probabilities, by = imported.load_probabilities(workspace, own[0]), f"imported probabilities ({own[0]})"
    elif predictions is not None and predictions.models.any():
        probabilities, by = predictions.probabilities, predictions.description
    else:
        name = next(
            (n for n in out_of_fold.names(workspace) if not out_of_fold.missing_requirement(workspace, n)), None
        )
        if name is None:
            raise UserError(
                "a first guess needs models that did not see the images, or features that have not seen the labels; "
                "compute some with: python -m attribution detectors build confident"
            )
        features = name.removeprefix(out_of_fold.PREFIX)
        train = np.asarray(workspace.feature(features).train)
        probabilities = out_of_fold.out_of_fold(
            workspace.head(features).head, train, lambda *at: progress(f"{name}: folds", *at)
        )
        by = f"a linear classifier on {features}, fitted without the image's fold of {out_of_fold.FOLDS}"
    known = np.flatnonzero(np.isfinite(probabilities).all(1))
    return {"by": by, "images": len(known), **guess_errors(labels[known], probabilities[known])}


def stored_guess(workspace: Workspace) -> float | None:
    """How many errors were guessed when the detector "confident" was built; None where it was not, or by a version that
    did not guess."""
    part = f"detectors/{out_of_sample.CONFIDENT_NAME}"
    return workspace.manifest["parts"].get(part, {}).get("guessed_errors")


def estimate(
    labels: np.ndarray,
    n_classes: int,
    queues: Iterable[Queue],
    current: Mapping[int, CurrentDecision],
    number: int | None = None,
) -> dict:
    """How many of the labels are wrong by what was decided, JSON.

    labels: the given labels, int [n_train]; queues: all of the log in which anything is decided; current: image -> its
    decision; number: of the queue that "next" speaks of, that of the newest decision if not given.

    "decided", "found"  images whose label was judged, and those of them whose label is wrong: relabelled or removed
    "certain", "drawn"  {"wrong", "right", "unknown"}: images that were looked at for their place in an order; and those
                        drawn from the whole set, as far as they are no suspects. unknown: unsure, in conflict, or
                        passed over
    "total"             `total_errors`; None before any drawn one is judged
    "classes"           [{"class", "images", "found", "drawn", "errors", "ci"}], by given label; errors and ci are None
                        where fewer than FEWEST_DRAWN drawn images of a class are judged
    "next"              what the next suspects of the queue hold, by the trend of those judged: `errors_ahead`, and
                        "ahead" (how many it speaks of) and "seconds" (what a decision takes, None where that is not
                        known); None before enough suspects are judged
    "suggestions"       `share_with_interval` of the relabelled images whose new label is what had been suggested

    The interval of "total" holds for images decided in the order shown, up to a place that the drawn ones did not
    choose. It counts what a person finds: an error that nobody sees is none.
    """
    queues, labels = list(queues), np.asarray(labels)
    verdicts = _verdicts(labels, queues, current)
    certain, drawn = split_looked_at(len(labels), queues, current, verdicts)
    certain_by_class, drawn_by_class = (
        [np.bincount(labels[mask & (verdicts == verdict)], minlength=n_classes) for verdict in (WRONG, RIGHT, UNKNOWN)]
        for mask in (certain, drawn)
    )
    sizes = np.bincount(labels, minlength=n_classes)
    found = np.bincount(labels[verdicts == WRONG], minlength=n_classes)
    classes = []
    for c in range(n_classes):
        known, sample = (Counts(*(int(part[c]) for part in parts)) for parts in (certain_by_class, drawn_by_class))
        measured = None
        if sample.wrong + sample.right >= FEWEST_DRAWN:
            measured = total_errors(known, sample, int(sizes[c]))
        row = {"class": c, "images": int(sizes[c]), "found": int(found[c]), "drawn": sample.images}
        classes.append(row | (measured or {"errors": None, "ci": None}))
    known, sample = (Counts(*(int(part.sum()) for part in parts)) for parts in (certain_by_class, drawn_by_class))
    return {
        "decided": int((verdicts != UNKNOWN).sum()),
        "found": int(found.sum()),
        "certain": vars(known).copy(),
        "drawn": vars(sample).copy(),
        "total": total_errors(known, sample, len(labels)),
        "classes": classes,
        "next": _next_errors(queues, current, verdicts, number),
        "suggestions": _suggestions(labels, queues, current),
    }


def split_looked_at(
    n: int, queues: Iterable[Queue], current: Mapping[int, CurrentDecision], verdicts: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which of n images were looked at whatever was drawn, and which drawn ones are a random sample of all others: two
    masks, bool [n].

    A queue is looked at up to the last place that is decided in it. A drawn image that would have come up as a suspect
    by then counts as one, although it stands at a random place. verdicts: int [n], -1 where there is none.
    """
    certain, drawn, everywhere = np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool)
    ties = tie_order(n)
    for queue in queues:
        if queue.spec.get("of") == "conflicts" or _of_faults(queue):  # images that were decided before; no labels
            continue
        items, is_drawn = np.asarray(queue.items), np.asarray(queue.controls, bool) & bool(queue.spec.get("random"))
        everywhere[items[is_drawn]] = True
        last_place = _last_place(queue, current)
        if last_place is None:
            continue
        reached = np.arange(len(items)) <= last_place
        certain[items[reached & ~is_drawn]] = True
        drawn[items[reached & is_drawn]] = True
        places = np.flatnonzero(reached & ~is_drawn)
        if is_drawn.any() and len(places):
            scores, last = np.asarray(queue.scores), places[-1]
            tied_before = (scores == scores[last]) & (ties[items] < ties[items[last]])
            certain[items[is_drawn & ((scores > scores[last]) | tied_before)]] = True
    images = np.fromiter(current, np.int64, len(current))
    imported = np.fromiter((decision.queue is None for decision in current.values()), bool, len(current))
    images = images[imported | ~everywhere[images]]  # also those of a queue of conflicts
    certain[images if verdicts is None else images[verdicts[images] != UNKNOWN]] = True
    return certain, drawn & ~certain


def _next_errors(
    queues: list[Queue], current: Mapping[int, CurrentDecision], verdicts: np.ndarray, number: int | None
) -> dict | None:
    if number is None and current:
        number = max(current.values(), key=lambda decision: decision.id).queue
    queue = next((queue for queue in queues if queue.number == number), None)
    last_place = queue and _last_place(queue, current)
    if last_place is None or _of_faults(queue):
        return None
    items = np.asarray(queue.items)
    judged = verdicts[items[~np.asarray(queue.controls, bool) & (np.arange(len(items)) <= last_place)]]
    measured = errors_ahead(judged[judged != UNKNOWN] == WRONG)
    if measured is None:
        return None
    made = [decision for decision in current.values() if decision.queue == number]
    who = max(made, key=lambda decision: decision.id).who
    times = sorted(decision.at for decision in made if decision.who == who)[-LAST_TIMES:]
    return {"ahead": AHEAD, **measured, "seconds": seconds_each(times)}


def _last_place(queue: Queue, current: Mapping[int, CurrentDecision]) -> int | None:
    """The last place of a queue that is decided in it; None where none is."""
    places = (at for at in range(len(queue.items) - 1, -1, -1) if queue.items[at] in current)
    return next((at for at in places if current[queue.items[at]].queue == queue.number), None)


def _of_faults(queue: Queue) -> bool:
    return queue.spec.get("of") == faults.STORED.name


def _verdicts(labels: np.ndarray, queues: Iterable[Queue], current: Mapping[int, CurrentDecision]) -> np.ndarray:
    """Of each image WRONG, RIGHT or UNKNOWN, int8 [n_train]. What was decided of a fault of its picture says nothing of
    its label."""
    verdicts = np.full(len(labels), UNKNOWN, np.int8)
    of_faults = {queue.number for queue in queues if _of_faults(queue)}
    for image, decision in current.items():
        if decision.conflict or decision.action == "unsure" or decision.queue in of_faults:
            continue
        same = decision.action == "keep" or (decision.action == "relabel" and decision.label == labels[image])
        verdicts[image] = RIGHT if same else WRONG
    return verdicts


def _suggestions(labels: np.ndarray, queues: Iterable[Queue], current: Mapping[int, CurrentDecision]) -> dict:
    """Of the images that were given another label, those that got the suggested one; each by the queue it was decided
    in. One that was removed has no label that could have been suggested."""
    by_queue = {queue.number: queue for queue in queues}
    relabelled = [
        decision
        for decision in current.values()
        if decision.action == "relabel" and not decision.conflict and decision.label != labels[decision.item]
    ]
    suggested: dict[int, dict] = {}
    right = n = 0
    for decision in relabelled:
        queue = by_queue.get(decision.queue)
        if queue is None or queue.suggestions is None or _of_faults(queue):
            continue
        if queue.number not in suggested:
            suggested[queue.number] = dict(zip(queue.items, queue.suggestions))
        if decision.item in suggested[queue.number]:
            n += 1
            right += suggested[queue.number][decision.item] == decision.label
    return share_with_interval(right, n)
