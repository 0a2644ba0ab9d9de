"""Review queues: the training images that a person looks through, in a fixed order.

A queue is built once from a detector's scores and kept in the decision log: computing the detector again, or deciding
about images, moves none of its items.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribution.audit import detectors, evidence, faults
from attribution.audit.decision_log import DecisionLog
from attribution.audit.decisions import CurrentDecision
from attribution.audit.detectors import out_of_sample
from attribution.audit.detectors.base import Detector
from attribution.errors import UserError
from attribution.metrics import label_detection
from attribution.workspace.workspace import Workspace

DEFAULT_SHARE = 0.05  # of the training images, where no size is given
MIN_DEFAULT_SIZE, MAX_DEFAULT_SIZE = 50, 1000  # images of a queue without a size
MAX_SIZE = 10_000  # images of any queue
CONTROL_SHARE = 0.05  # of a queue's items, where random controls are asked for
RANDOM_SHARE = 0.1  # of a queue's items, where a part of it is drawn from the whole set
RANDOM_SEED = 47  # of these draws, with that of the queue


@dataclass(frozen=True)
class QueueItems:
    """What a queue holds, in its order. images: training images int64 [n]; controls: which of them were drawn at
    random, bool [n]; scores: their suspicion, float32 [n]; suggestions: as `suggested_labels`, int64 [n]."""

    images: np.ndarray
    controls: np.ndarray
    scores: np.ndarray
    suggestions: np.ndarray


def queue_spec(
    workspace: Workspace,
    detector: str | None = None,
    size: int | None = None,
    given: int | None = None,
    suggested: int | None = None,
    controls: bool = False,
    blind: bool = False,
    images: Sequence[int] | None = None,
    origin: dict | None = None,
    seed: int = 0,
    random: bool | None = None,
) -> dict:
    """What a queue is asked to be, as JSON; `build_items` builds it. Of faults of the pictures: `faults.queue_spec`.

    detector: by name, `detectors.default_detector` if not given. size: at most so many images, `default_size` if not
    given. given, suggested: only images of this given label, and of this suggestion. controls: mixes random ones in
    (CONTROL_SHARE). blind: suggestions are hidden until an image is decided. images: these instead of the most
    suspicious; origin: where they come from, such as {"from": target}. seed: draws the controls and their places.
    random: a tenth of the queue (RANDOM_SHARE) is drawn from the whole set, suspicious or not, for
    `error_estimate.estimate`; if not given, where all of the set is looked at and no controls are asked for.

    Raises UserError for what does not fit the workspace, and where nothing has been detected yet.
    """
    name = detector or detectors.default_detector(workspace)
    if name is None:
        raise UserError(
            "no detector has looked at these labels yet; compute them with: python -m attribution detectors build"
        )
    stored = detectors.load(workspace, name)
    classes = len(workspace.classes)
    for number in (given, suggested):
        if number is not None and not 0 <= number < classes:
            raise UserError(f"class {number} is out of range; give 0 to {classes - 1}")
    if size is None:
        size = default_size(workspace) if images is None else min(len(images), MAX_SIZE)
    if not 1 <= size <= MAX_SIZE:
        raise UserError(f"a queue of {size} images cannot be made; give 1 to {MAX_SIZE:,}")
    of_the_whole_set = given is None and suggested is None and images is None and not controls
    if random and not of_the_whole_set:
        raise UserError(
            "random images are drawn from the whole set; leave them out, or the filters, chosen images and controls"
        )
    spec = {
        "detector": name,
        "size": int(size),
        "given": given,
        "suggested": suggested,
        "controls": bool(controls),
        "blind": bool(blind),
        "random": of_the_whole_set if random is None else bool(random),
        "seed": int(seed),
        "uses_val": stored.uses_val or _shows_harm(workspace),
        "version": stored.version,
    }
    if images is not None:
        if unknown := [i for i in images if not 0 <= i < workspace.n_train]:
            raise UserError(f"training image {unknown[0]} is out of range; give 0 to {workspace.n_train - 1}")
        spec["images"] = [int(i) for i in images]
    return spec | (origin or {})


def default_size(workspace: Workspace) -> int:
    """How many images a queue has where no size is given."""
    return int(
        min(workspace.n_train, np.clip(round(DEFAULT_SHARE * workspace.n_train), MIN_DEFAULT_SIZE, MAX_DEFAULT_SIZE))
    )


def add_queue(workspace: Workspace, log: DecisionLog, spec: dict, who: str) -> int:
    """Keeps the queue of a `queue_spec` in the log, made by `who`; its number. Raises UserError as `build_items`, and
    where nothing can be written."""
    items = build_items(workspace, spec)
    arrays = (items.images, items.controls, items.scores, items.suggestions)
    return log.add_queue(spec, *(array.tolist() for array in arrays), who)


def build_items(workspace: Workspace, spec: dict) -> QueueItems:
    """The items of a `queue_spec`, most suspicious first, with random images or controls at random places among them.

    Raises UserError where no image fits its filters."""
    if spec.get("of") == faults.STORED.name:  # of the picture, whatever the label
        images, scores = faults.queue_images(workspace, spec)
        return QueueItems(images, np.zeros(len(images), bool), scores, workspace.train_labels[images])
    detector = detectors.load(workspace, spec["detector"])
    suggestions = suggested_labels(workspace, detector)
    labels = workspace.train_labels
    fits = np.zeros(workspace.n_train, bool)
    fits[spec["images"] if "images" in spec else slice(None)] = True
    for label, image_labels in ((spec["given"], labels), (spec["suggested"], suggestions)):
        if label is not None:
            fits &= image_labels == label
    if not fits.any():
        raise UserError("no training image fits these filters; set one of them back to any")
    order = label_detection.suspicion_order(detector.scores)
    images = order[fits[order]][: spec["size"]]
    controls = np.zeros(len(images), bool)
    if spec.get("random"):
        images, controls = _mix_in_random(order, spec)
    elif spec["controls"]:
        images, controls = _mix_in_controls(images, labels, spec)
    return QueueItems(images, controls, detector.scores[images], suggestions[images])


def suggested_labels(workspace: Workspace, detector: Detector) -> np.ndarray:
    """The label that a detector would give instead, int64 [n_train]. For a detector that never suggests one
    (self-influence) it is the likeliest other class by models that did not see the image, or the given label."""
    labels = workspace.train_labels
    if detector.suggestion is not None:
        return np.asarray(detector.suggestion, np.int64)
    opinion = out_of_sample.out_of_sample_predictions(workspace)
    if opinion is None or len(workspace.classes) < 2:
        return np.array(labels)
    probabilities = np.array(opinion.probabilities, np.float32)
    unknown = np.isnan(probabilities).any(1)
    probabilities[np.arange(len(labels)), labels] = -1
    return np.where(unknown, labels, np.nan_to_num(probabilities, nan=-1).argmax(1))


def uses_validation(workspace: Workspace, log: DecisionLog, current: dict[int, CurrentDecision]) -> bool:
    """Whether validation images may have led to any of the current decisions: their gain has to be measured on others.

    They have where the detector of a queue read them, where harmed ones are shown beside the images to decide about,
    and where a queue was made of given images, such as a target's suspects. They may have where nobody knows, as of
    decisions that were imported.
    """
    specs = {row.number: row.spec for row in log.queues()}
    decided = [specs.get(number, {}) for number in {decision.queue for decision in current.values()}]
    return bool(decided) and (
        _shows_harm(workspace) or any("images" in spec or spec.get("uses_val", True) for spec in decided)
    )


def starting_targets(log: DecisionLog) -> list[int]:
    """The validation images, of either half, whose suspects somebody decided about, ascending: none of them may be
    among those that an audit is measured on."""
    decided = log.decided_queues()
    return sorted({row.spec["from"] for row in log.queues() if row.number in decided and "from" in row.spec})


def queue_precision(
    images: Sequence[int], controls: Sequence[bool], current: dict[int, CurrentDecision]
) -> dict[str, dict]:
    """How often the labels looked at so far are wrong: {"suspects": ..., "controls": ...}, each {"wrong", "judged",
    "share" and "ci" (None before anything is judged)}.

    Wrong are images that were relabelled or removed, judged also those whose label was found right; unsure ones and
    conflicts count as neither. ci: the 95 % Wilson interval. It speaks of the images judged: in the order of suspicion
    those that follow hold fewer errors.
    """
    from scipy.stats import binomtest

    precision = {}
    for name, is_control in (("suspects", False), ("controls", True)):
        actions = [
            current[int(image)].action
            for image, control in zip(images, controls)
            if control == is_control and int(image) in current and not current[int(image)].conflict
        ]
        judged = [action for action in actions if action != "unsure"]
        wrong = sum(action in ("relabel", "remove") for action in judged)
        share, ci = None, None
        if judged:
            interval = binomtest(wrong, len(judged)).proportion_ci(method="wilson")
            share, ci = wrong / len(judged), [float(interval.low), float(interval.high)]
        precision[name] = {"wrong": wrong, "judged": len(judged), "share": share, "ci": ci}
    return precision


def _mix_in_controls(images: np.ndarray, labels: np.ndarray, spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """The images with random others of the same given label put among them, and which of them are these."""
    rng = np.random.default_rng(spec["seed"])
    pool = np.arange(len(labels)) if spec["given"] is None else np.flatnonzero(labels == spec["given"])
    others = np.setdiff1d(pool, images)
    drawn = rng.choice(others, min(len(others), max(1, round(CONTROL_SHARE * len(images)))), replace=False)
    controls = np.zeros(len(images) + len(drawn), bool)
    controls[rng.choice(len(controls), len(drawn), replace=False)] = True
    mixed = np.empty(len(controls), np.int64)
    mixed[controls], mixed[~controls] = drawn, images
    return mixed, controls


def _mix_in_random(order: np.ndarray, spec: dict) -> tuple[np.ndarray, np.ndarray]:
    """The first of the order, with a tenth drawn from the whole set, one somewhere in each ten places, and which of
    them are these. A suspect that is drawn stands at its random place alone."""
    rng = np.random.default_rng([RANDOM_SEED, spec["seed"]])
    size = min(spec["size"], len(order))
    n_drawn = max(1, round(RANDOM_SHARE * size)) if size > 1 else 0
    drawn = rng.permutation(len(order))[:n_drawn]
    controls = np.zeros(size, bool)
    bounds = np.linspace(0, size, n_drawn + 1).astype(int)
    controls[rng.integers(bounds[:-1], bounds[1:])] = True
    mixed = np.empty(size, np.int64)
    mixed[controls], mixed[~controls] = drawn, order[~np.isin(order, drawn)][: size - n_drawn]
    return mixed, controls


def _shows_harm(workspace: Workspace) -> bool:
    """Whether the evidence shows validation images."""
    return evidence.default_harm_detector(workspace) is not None
