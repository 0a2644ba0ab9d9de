"""Queues of suspect labels: which training images somebody looks through, in an order that stays as it was made.

A queue is made once from a detector's scores and kept (`attribution.audit.decision_log`): computing the detector again, or
deciding about images, moves none of its items.
"""

from dataclasses import dataclass

import numpy as np

from attribution.audit import detectors, evidence
from attribution.audit.detectors import out_of_sample
from attribution.errors import UserError
from attribution.metrics import label_detection

DEFAULT_SHARE = 0.05  # of the training images, where nobody says how many
MIN_DEFAULT_SIZE, MAX_DEFAULT_SIZE = 50, 1000  # images that a queue has then; more can be asked for, up to LONGEST
MAX_SIZE = 10_000
CONTROL_SHARE = 0.05  # of a queue's items, where random controls are asked for


@dataclass(frozen=True)
class QueueItems:
    """What a queue holds, in its order: training images int64 [n], which of them are random controls bool [n], their
    suspicion float32 [n], and the label that the detector would give instead int64 [n] (the given one where it has no
    other)."""

    images: np.ndarray
    controls: np.ndarray
    scores: np.ndarray
    suggestions: np.ndarray


def queue_spec(
    workspace,
    detector: str | None = None,
    size: int | None = None,
    given: int | None = None,
    suggested: int | None = None,
    controls: bool = False,
    blind: bool = False,
    images=None,
    origin: dict | None = None,
    seed: int = 0,
) -> dict:
    """What a queue is asked to be: JSON.

    detector: by name, `detectors.default_detector` if not given. size: at most so many images, SHARE of all if not given. given,
    suggested: only images of this given label, and of this suggestion. controls: mixes random ones in (CONTROLS).
    blind: suggestions are hidden until an image is decided. images: these instead of the most suspicious; origin: where
    they come from, such as {"from": target}. seed: draws the controls and their places.
    Raises UserError for what does not fit the workspace, and where nothing has been detected yet.
    """
    name = detector or detectors.default_detector(workspace)
    if name is None:
        raise UserError(
            "no detector has looked at these labels yet; compute them with: python -m attribution detectors build"
        )
    found = detectors.load(workspace, name)
    classes = len(workspace.classes)
    for number in (given, suggested):
        if number is not None and not 0 <= number < classes:
            raise UserError(f"class {number} is out of range; give 0 to {classes - 1}")
    if size is None:
        size = default_size(workspace) if images is None else min(len(images), MAX_SIZE)
    if not 1 <= size <= MAX_SIZE:
        raise UserError(f"a queue of {size} images cannot be made; give 1 to {MAX_SIZE:,}")
    asked = {
        "detector": name,
        "size": int(size),
        "given": given,
        "suggested": suggested,
        "controls": bool(controls),
        "blind": bool(blind),
        "seed": int(seed),
        "uses_val": found.uses_val or _shows_harm(workspace),
    }
    if images is not None:
        wrong = [i for i in images if not 0 <= i < workspace.n_train]
        if wrong:
            raise UserError(f"training image {wrong[0]} is out of range; give 0 to {workspace.n_train - 1}")
        asked["images"] = [int(i) for i in images]
    return asked | (origin or {})


def default_size(workspace) -> int:
    """How many images a queue has where nobody says."""
    return int(
        min(workspace.n_train, np.clip(round(DEFAULT_SHARE * workspace.n_train), MIN_DEFAULT_SIZE, MAX_DEFAULT_SIZE))
    )


def build_items(workspace, asked: dict) -> QueueItems:
    """The items of a `queue_spec`, most suspicious first, with the controls at random places among
    them. Raises UserError where no image fits its filters."""
    found = detectors.load(workspace, asked["detector"])
    suggestions = suggested_labels(workspace, found)
    labels = workspace.train_labels
    fits = np.zeros(workspace.n_train, bool)
    fits[asked["images"] if "images" in asked else slice(None)] = True
    for number, of in ((asked["given"], labels), (asked["suggested"], suggestions)):
        if number is not None:
            fits &= of == number
    if not fits.any():
        raise UserError("no training image fits these filters; set one of them back to any")
    order = label_detection.suspicion_order(found.scores)
    images = order[fits[order]][: asked["size"]]
    marks = np.zeros(len(images), bool)
    if asked["controls"]:
        images, marks = _mix_in_controls(images, labels, asked)
    return QueueItems(images, marks, found.scores[images], suggestions[images])


def _mix_in_controls(images, labels, asked):
    """Random images of the same filter of given labels, but none that is there already, put among the others."""
    rng = np.random.default_rng(asked["seed"])
    others = np.setdiff1d(
        np.flatnonzero(labels == asked["given"]) if asked["given"] is not None else np.arange(len(labels)), images
    )
    drawn = rng.choice(others, min(len(others), max(1, round(CONTROL_SHARE * len(images)))), replace=False)
    marks = np.zeros(len(images) + len(drawn), bool)
    marks[rng.choice(len(marks), len(drawn), replace=False)] = True
    mixed = np.empty(len(marks), np.int64)
    mixed[marks], mixed[~marks] = drawn, images
    return mixed, marks


def suggested_labels(workspace, found) -> np.ndarray:
    """The label that a detector would give instead, int64 [n_train]. A detector that only doubts (self-influence, harm)
    has no opinion of its own: there it is the likeliest other class of `detectors.opinion`, or the given label."""
    labels = workspace.train_labels
    if found.suggestion is not None:
        return np.asarray(found.suggestion, np.int64)
    opinion = out_of_sample.out_of_sample_predictions(workspace)
    if opinion is None or len(workspace.classes) < 2:
        return np.array(labels)
    probabilities = np.array(opinion.probabilities, np.float32)
    unknown = np.isnan(probabilities).any(1)
    probabilities[np.arange(len(labels)), labels] = -1
    return np.where(unknown, labels, np.nan_to_num(probabilities, nan=-1).argmax(1))


def uses_validation(workspace, log, standing: dict) -> bool:
    """Whether validation images may have led to any of the decisions in `standing` (image -> `decision_log.CurrentDecision`):
    what comes of these has to be measured on others.

    They have where the detector of a queue read them when it was made, where harmed ones are shown beside the images
    to decide about, and where a queue was made of given images, such as a target's suspects. They may have where
    nobody knows, as of decisions that were imported.
    """
    made = {row.number: row.spec for row in log.queues()}
    asked = [made.get(number, {}) for number in {one.queue for one in standing.values()}]
    return bool(asked) and (
        _shows_harm(workspace) or any("images" in spec or spec.get("uses_val", True) for spec in asked)
    )


def starting_targets(log) -> list[int]:
    """The validation images, of either half, whose suspects somebody decided about, ascending: none of them may be
    among those that an audit is measured on."""
    asked = log.decided_queues()
    return sorted({row.spec["from"] for row in log.queues() if row.number in asked and "from" in row.spec})


def _shows_harm(workspace) -> bool:
    """Whether the evidence shows validation images."""
    return evidence.default_harm_detector(workspace) is not None


def queue_precision(images, controls, standing: dict) -> dict[str, dict]:
    """How often what was looked at so far is wrong: {"suspects": ..., "controls": ...}, each {"wrong", "judged",
    "share" and "ci" (None before anything is judged)}.

    Wrong are images that were relabelled or taken out, judged also those whose label was found right; unsure ones and
    those two people disagree about count as neither. ci: the 95 % Wilson interval. It speaks of the images judged: in
    the order of suspicion those that follow hold fewer errors.
    standing: image -> `decision_log.CurrentDecision`.
    """
    from scipy.stats import binomtest

    found = {}
    for name, wanted in (("suspects", False), ("controls", True)):
        actions = [
            standing[int(image)].action
            for image, control in zip(images, controls)
            if control == wanted and int(image) in standing and not standing[int(image)].conflict
        ]
        judged = [action for action in actions if action != "unsure"]
        wrong = sum(action in ("relabel", "remove") for action in judged)
        share, ci = None, None
        if judged:
            interval = binomtest(wrong, len(judged)).proportion_ci(method="wilson")
            share, ci = wrong / len(judged), [float(interval.low), float(interval.high)]
        found[name] = {"wrong": wrong, "judged": len(judged), "share": share, "ci": ci}
    return found
