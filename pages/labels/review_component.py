"""The two components of the audit's review, and their data. They know of each other in the browser.

`review` (assets/audit/review.js) draws the images and the evidence for and against their labels, some of the queue at a
time. `post` (assets/audit/post.js) carries decisions to the server and answers what is written: small, so quick.

The data of the review:

    token     another one means another review, which begins at place `at`; the same one keeps its place
    queue     {"number", "detector", "blind", "random" (a tenth of it is drawn at random: no rank before a decision)}
    order     the queue's training images; `start` is the place of the first of `items`
    items     [{"id", "given", "suggested" or None, "score", "place", "picture", "at", "control", "bars" [[class, p]],
              "near" [[place in tiles, label, image]], "mix" [[class, count]], "harmed" [[place in harms, label, image,
              predicted or None]], "source", "note" (what stands for its place in the order, or None)}]: "picture" and
              "at" are places in `pictures` and `tiles`
    standing  image -> its current decision, see `decision_data`; `upto` is the newest entry of the log that it rests on
    mine      what this person can undo, oldest first: steps, each a list of [{"uid", "item", "old", "now"}]
    sources   {"opinion", "neighbours", "harmed"}: headings of the evidence, None where there is none

and "mode" ("one" or "wall"), "per" (images of a wall), "classes", "who", "of" (the data set), "of_all" (how many images
the detector has ranked), "pictures", "tiles" and "harms" (sprite sheets), "scale", "bigScale" and "filmScale".

What the browser sends: the review's "at" {"token", "at"}, the place it wants further images around, and "go" {"step"},
the step of the page to turn to; the post's "outbox" {"n", "client", "seen", "entries"}: all that it does not know to be
written, each with the queue it was made in. client: the tab's name; a uid begins with it, see `step_of`.
"""

import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np

from attribution import Workspace
from attribution.audit import detectors, error_estimate, evidence, faults, review_queue
from attribution.audit.decision_log import Queue
from attribution.audit.decisions import CurrentDecision
from attribution.export import error_sentences
from attribution.inputs.names import visible_all
from attribution.metrics import label_detection
from pages.ui import format as write
from pages.ui import sprite_sheet
from pages.ui.tile_strip import component

BEFORE, AFTER = 12, 48  # images around the place that is asked for
PIXELS = 1_500_000  # of the enlarged images of one review
BIG = 280  # about as many pixels on the page is an enlarged image wide
UNDO = 50  # of one's own steps can be undone after a reload
_UID = re.compile("([0-9a-f]{12}-[0-9a-f]{8})-[0-9a-f]{8}")  # tab, step, entry

_review = component(
    "review",
    "pic.js",
    "audit/outbox.js",
    "audit/decisions.js",
    "audit/tiles.js",
    "audit/review.js",
    style="audit/review.css",
)
_post = component("post", "audit/post.js")


def review(data: dict, on_go: Callable[[], None]) -> None:
    """Draws the review. on_go: a callback for when the browser asks for another step of the page."""
    _review(key="deck", data=data, on_at_change=_nothing, on_go_change=on_go)


def post(data: dict) -> None:
    """Draws the post, which is not seen."""
    _post(key="post", data=data, on_outbox_change=_nothing)


def _nothing() -> None:
    """What came is read from the session's state, where it also is after a reconnection."""


def decision_data(decision: CurrentDecision | None, newest: int) -> dict:
    """The current decision about an image, as the browser takes it; action None where there is none."""
    if decision is None:
        return {"action": None, "upto": newest}
    fields = ("action", "label", "who", "reason")
    conflict = [{name: getattr(other, name) for name in fields} for other in decision.conflict]
    known = {"conflict": conflict, "upto": newest, "tab": decision.client, "id": decision.id}
    return visible_all({name: getattr(decision, name) for name in fields} | known)


def review_data(
    ws: Workspace, queue: Queue, decided: dict, newest: int, *, who: str, mode: str, per: int, at: int, token: str
) -> dict:
    """The review around place `at` of a queue. decided, newest: as of `decision_cache.current`."""
    order = np.asarray(queue.items)
    start, stop = _window(ws, len(order), mode, per, at)
    images = order[start:stop]
    proofs = evidence.gather_evidence(ws, images) if mode == "one" else []
    tiles = np.unique(np.concatenate([images, *(proof.neighbours for proof in proofs)])).astype(int)
    harmed = np.unique(np.concatenate([np.zeros(0, int), *(proof.harmed for proof in proofs)])).astype(int)
    places = {int(image): place for place, image in enumerate(tiles)}
    harmed_places = {int(image): place for place, image in enumerate(harmed)}
    ranks = _ranks(ws, queue.spec["detector"], images)
    items = [_item(ws, queue, start + i, places, i, ranks[i]) for i in range(len(images))]
    if queue.spec.get("of") == faults.STORED.name:
        for item, note in zip(items, fault_notes(ws, images)):
            item["note"] = note
    for item, proof in zip(items, proofs):
        item |= _evidence(ws, item["id"], proof, places, harmed_places)
    return {
        "token": token,
        "of": ws.fingerprint,
        "mode": mode,
        "per": per,
        "queue": {"number": queue.number, "detector": queue.spec["detector"]}
        | {name: bool(queue.spec.get(name)) for name in ("blind", "random")},
        "order": order.tolist(),
        "start": start,
        "at": at,
        "items": items,
        "classes": list(map(write.visible, ws.classes)),
        "who": write.visible(who),
        "of_all": write.count(ws.n_train),
        "upto": newest,
        "standing": {int(i): decision_data(decided[int(i)], newest) for i in order if int(i) in decided},
        "mine": _own_decisions(decided, queue, who),
        "sources": _sources(ws, mode),
        "pictures": sprite_sheet.sheet(ws, "train", images if mode == "one" else images[:1], whole=True),
        "tiles": sprite_sheet.sheet(ws, "train", tiles),
        "harms": sprite_sheet.sheet(ws, "val", harmed),
        "scale": sprite_sheet.scale(ws),
        "filmScale": sprite_sheet.scale(ws, 40),
        "bigScale": max(1, BIG // max(ws.train_images.shape[1:3])),
    }


def step_of(uid: str) -> str:
    """What entries of one step share: those that one key made together, and that are undone together."""
    made = _UID.fullmatch(uid)
    return made[1] if made else uid


def post_data(
    ws: Workspace,
    queue: Queue | None,
    decided: dict,
    newest: int,
    changed: set[int],
    answer: dict,
    tabs: list[str] | None = None,
    queues: Sequence[Queue] = (),
) -> dict:
    """What the post answers. queue: the one on view, or None; changed: its images that were decided about since the
    browser last knew; answer: of `decision_cache.write_outbox`; tabs: those that decided under this name just now;
    queues: those that anything was decided in."""
    data = {"of": ws.fingerprint, "queue": None, "acked": answer["acked"], "error": answer["error"], "upto": newest}
    if queue is None:
        return data
    return data | {
        "queue": queue.number,
        "said": {"lines": precision_lines(queue, decided), "rows": error_rows(ws, queue, queues, decided)},
        "changed": {image: decision_data(decided.get(image), newest) for image in sorted(changed)},
        "tabs": tabs or [],
    }


def precision_lines(queue: Queue, decided: dict) -> list[str]:
    """How many of the labels looked at so far were wrong, in words."""
    precision = review_queue.queue_precision(queue.items, queue.controls, decided)
    lines = []
    for name, text in (("suspects", "suspects"), ("controls", "random controls")):
        part = precision[name]
        if part["judged"] and not (name == "controls" and queue.spec.get("random")):  # these are in `error_rows`
            low, high = part["ci"]
            share = f"{write.percent(part['share'], 0)} (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
            lines.append(f"{part['wrong']} of {part['judged']} {text} mislabeled: {share}")
    return lines


def error_rows(ws: Workspace, queue: Queue, queues: Sequence[Queue], decided: dict) -> list[str]:
    """How many labels are wrong, what the next suspects hold, and how good the suggestions are, in words."""
    if queue.spec.get("of") == faults.STORED.name or not decided:
        guess = error_estimate.stored_guess(ws)
        return [error_sentences.guess_sentence(guess, ws.n_train)] if guess is not None and not decided else []
    labels = np.asarray(ws.train_labels)
    answer = error_estimate.estimate(labels, len(ws.classes), queues, decided, queue.number)
    lines = [
        error_sentences.total_sentence(answer, ws.n_train) if answer["total"] or queue.spec.get("random") else "",
        error_sentences.next_sentence(answer),
        error_sentences.suggestion_sentence(answer),
    ]
    return [line for line in lines if line]


def _window(ws: Workspace, n: int, mode: str, per: int, at: int) -> tuple[int, int]:
    """(first, one beyond the last) place of the images to send."""
    if mode == "wall":
        first = min(at, n - 1) // per * per
        return max(0, first - per), min(n, first + 2 * per)
    room = max(12, PIXELS // int(np.prod(ws.train_images.shape[1:3])))
    return max(0, at - BEFORE), min(n, at + min(AFTER, room))


def _item(ws: Workspace, queue: Queue, at: int, places: dict, picture: int, rank: int) -> dict:
    image = int(queue.items[at])
    return {
        "id": image,
        "given": int(ws.train_labels[image]),
        "suggested": int(queue.suggestions[at]),
        "score": write.score(queue.scores[at]),
        "place": write.count(rank),
        "picture": picture,
        "at": places[image],
        "control": bool(queue.controls[at]),
        "note": None,
        "bars": [],
        "near": [],
        "mix": [],
        "harmed": [],
    }


def fault_notes(ws: Workspace, images: np.ndarray) -> list[str]:
    """What is wrong with each picture: "image fault: dark 0.12, blurred 0.20"; the numbers are cleanvision's, 0 is
    the worst."""
    found = faults.load(ws)
    rows = [found.of_image(int(image)) if found else [] for image in images]
    return [
        f"image fault: {', '.join(f'{faults.KINDS[kind]} {score:.2f}' for kind, score in row)}"
        if row
        else "no image fault found"
        for row in rows
    ]


def _evidence(ws: Workspace, image: int, proof, places: dict, harmed_places: dict) -> dict:
    predicted = ws.base.prediction if ws.has_base else None
    return {
        "bars": [[c, round(p, 3)] for c, p in proof.class_probabilities],
        "mix": [list(count) for count in proof.neighbour_labels],
        "near": [[places[int(i)], int(ws.train_labels[i]), int(i)] for i in proof.neighbours],
        "harmed": [
            [harmed_places[int(i)], int(ws.val_labels[i]), int(i), None if predicted is None else int(predicted[i])]
            for i in proof.harmed
        ],
        "source": f"image {ws.train_index[image]} of the source data",
    }


def _ranks(ws: Workspace, detector: str, images: np.ndarray) -> list[int]:
    """The rank of each image among all, by a detector's scores as they are now, 1 for the most suspicious."""
    if detector not in detectors.names(ws):
        return [0] * len(images)
    order = label_detection.suspicion_order(detectors.load(ws, detector).scores)
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(1, len(order) + 1)
    return ranks[images].tolist()


def _own_decisions(decided: dict, queue: Queue, who: str) -> list[list[dict]]:
    """The last steps of one person in this queue, oldest first: decisions that one key made are one step."""
    own = [decision for decision in decided.values() if decision.who == who and decision.queue == queue.number]
    own.sort(key=lambda decision: decision.id)
    steps = itertools.groupby(own, lambda decision: step_of(decision.uid))
    return [[_own_decision(decision) for decision in step] for _, step in steps][-UNDO:]


def _own_decision(decision: CurrentDecision) -> dict:
    now = {"action": decision.action, "label": decision.label, "who": write.visible(decision.who)}
    return {"uid": decision.uid, "item": decision.item, "old": None, "now": now | {"tab": decision.client}}


def opinion_title(source: str) -> str:
    """ "1,000 models that did not see the image" -> "Held-out predictions (1,000 models)"."""
    models, held_out, _ = source.partition(" that did not see the image")
    return f"Held-out predictions ({models})" if held_out else f"Predictions of {source}"


def _sources(ws: Workspace, mode: str) -> dict:
    if mode != "one":
        return {"opinion": None, "neighbours": None, "harmed": None}
    sources = evidence.evidence_sources(ws)
    return {
        "opinion": sources.opinion and opinion_title(sources.opinion),
        "neighbours": sources.neighbours
        and f"Nearest training images ({sources.neighbours}); labels of {evidence.N_NEIGHBOURS}:",
        "harmed": sources.harmed and f"Validation images it harms most ({sources.harmed})",
    }
