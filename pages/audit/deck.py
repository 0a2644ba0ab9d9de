"""The audit's two components, and their data. They know of each other in the browser.

`deck` (assets/audit.js) draws the images and what speaks for and against their labels, some of the queue at a time.
`post` (assets/post.js) carries decisions to the server and answers what is written. It is small, so that it is quick.

The deck's data:

    token     another one means another deck, which begins at place `at`; the same one keeps its place
    queue     {"number", "detector", "blind"}
    order     the queue's training images; `start` is the place of the first of `items`
    items     [{"id", "given", "suggested" or None, "score", "place", "picture", "at", "control", "bars" [[class, p]],
              "near" [[place in tiles, label, image]], "mix" [[class, count]], "harmed" [[place in harms, label, image,
              predicted or None]], "source"}]: "picture" and "at" are places in `pictures` and `tiles`
    standing  image -> what stands, see `told`; `upto` is the newest entry of the log that this rests on
    mine      what this person can undo, oldest first: [{"uid", "item", "old", "now"}]
    sources   {"opinion", "neighbours", "harmed"}: headings of the evidence, None where there is none

and "mode" ("one" or "wall"), "per" (images of a wall), "classes", "who", "of" (the data set), "of_all" (how many images
the detector has ranked), "pictures", "tiles" and "harms" (atlases), "scale", "bigScale" and "filmScale".

What the browser sends: the deck's "at" {"token", "at"}, the place it wants further images around; the post's "outbox"
{"n", "client", "seen", "entries"}: all that it does not know to be written, each with the queue it was made in.
"""

import numpy as np

from attribution import Workspace, detectors, evidence, queues
from pages.ui import format as write
from pages.ui import sprite_sheet
from pages.ui.tile_strip import component

BEFORE, AFTER = 12, 48  # images around the place that is asked for
PIXELS = 1_500_000  # of the enlarged images of one deck
BIG = 280  # about as many pixels on the page is an enlarged image wide
UNDO = 50  # of one's own decisions can be undone after a reload

_deck = component("audit", "pic.js", "audit.js", style="audit.css")
_post = component("post", "post.js")


def deck(data: dict) -> None:
    """Draws the deck."""
    _deck(key="deck", data=data, on_at_change=_nothing)


def post(data: dict) -> None:
    """Draws the post, which is not seen."""
    _post(key="post", data=data, on_outbox_change=_nothing)


def _nothing() -> None:
    """What came is read from the session's state, where it also is after a reconnection."""


def told(one, upto: int) -> dict:
    """What stands of an image, as the browser takes it; action None where nothing does."""
    if one is None:
        return {"action": None, "upto": upto}
    others = [
        {"who": other.who, "action": other.action, "label": other.label, "reason": other.reason}
        for other in one.conflict
    ]
    return {
        "action": one.action,
        "label": one.label,
        "who": one.who,
        "reason": one.reason,
        "conflict": others,
        "upto": upto,
    }


def deck_data(
    ws: Workspace, queue, standing: dict, upto: int, *, who: str, mode: str, per: int, at: int, token: str
) -> dict:
    """The deck around place `at` of a queue, a `decisions.Queue`."""
    images = np.asarray(queue.items)
    start, stop = _window(ws, len(images), mode, per, at)
    shown = images[start:stop]
    found = evidence.of(ws, shown) if mode == "one" else [None] * len(shown)
    near = np.unique(np.concatenate([shown, *(one.neighbours for one in found if one)])).astype(int)
    places = {int(image): place for place, image in enumerate(near)}
    harmed = np.unique(np.concatenate([np.zeros(0, int), *(one.harmed for one in found if one)])).astype(int)
    harms = {int(image): place for place, image in enumerate(harmed)}
    ranked = _places(ws, queue.spec["detector"], images[start:stop])
    items = [_item(ws, queue, start + i, found[i], places, harms, i, ranked[i]) for i in range(len(shown))]
    whole = shown if mode == "one" else shown[:1]
    side = max(ws.train_images.shape[1:3])
    return {
        "token": token,
        "of": ws.fingerprint,
        "mode": mode,
        "per": per,
        "queue": {"number": queue.number, "detector": queue.spec["detector"], "blind": bool(queue.spec.get("blind"))},
        "order": images.tolist(),
        "start": start,
        "at": at,
        "items": items,
        "classes": ws.classes,
        "who": who,
        "of_all": write.count(ws.n_train),
        "upto": upto,
        "standing": {int(i): told(standing[int(i)], upto) for i in images if int(i) in standing},
        "mine": _mine(standing, queue, who),
        "sources": _sources(ws, mode),
        "pictures": sprite_sheet.sheet(ws, "train", whole, whole=True),
        "tiles": sprite_sheet.sheet(ws, "train", near),
        "harms": sprite_sheet.sheet(ws, "val", harmed),
        "scale": sprite_sheet.scale(ws),
        "filmScale": sprite_sheet.scale(ws, 40),
        "bigScale": max(1, BIG // side),
    }


def _window(ws, n, mode, per, at) -> tuple[int, int]:
    if mode == "wall":
        first = min(at, n - 1) // per * per
        return max(0, first - per), min(n, first + 2 * per)
    room = max(12, PIXELS // int(np.prod(ws.train_images.shape[1:3])))
    return max(0, at - BEFORE), min(n, at + min(AFTER, room))


def _item(ws, queue, at, found, places, harms, picture, ranked) -> dict:
    image, labels = int(queue.items[at]), ws.train_labels
    item = {
        "id": image,
        "given": int(labels[image]),
        "suggested": int(queue.suggestions[at]),
        "score": write.score(queue.scores[at]),
        "place": write.count(ranked),
        "picture": picture,
        "at": places[image],
        "control": bool(queue.controls[at]),
    }
    if found is None:
        return item | {"bars": [], "near": [], "mix": [], "harmed": []}
    said = ws.base.prediction if ws.has_base else None
    return item | {
        "bars": [[c, round(p, 3)] for c, p in found.bars],
        "mix": [list(one) for one in found.mix],
        "near": [[places[int(i)], int(labels[i]), int(i)] for i in found.neighbours],
        "harmed": [
            [harms[int(i)], int(ws.val_labels[i]), int(i), None if said is None else int(said[i])] for i in found.harmed
        ],
        "source": f"image {ws.train_index[image]} of the source data",
    }


def _places(ws, detector: str, images) -> list[int]:
    """The place of each image among all, by a detector's scores as they are now, 1 for the most suspicious."""
    if detector not in detectors.names(ws):
        return [0] * len(images)
    order = detectors.order(detectors.load(ws, detector).scores)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(1, len(order) + 1)
    return places[images].tolist()


def _mine(standing: dict, queue, who: str) -> list[dict]:
    own = sorted(
        (one for one in standing.values() if one.who == who and one.queue == queue.number), key=lambda one: one.id
    )[-UNDO:]
    return [
        {
            "uid": one.uid,
            "item": one.item,
            "old": None,
            "now": {"action": one.action, "label": one.label, "who": one.who},
        }
        for one in own
    ]


def _sources(ws, mode: str) -> dict:
    if mode != "one":
        return {"opinion": None, "neighbours": None, "harmed": None}
    found = evidence.sources(ws)
    return {
        "opinion": found.opinion and f"what {found.opinion} say",
        "neighbours": found.neighbours
        and f"nearest of the training images in {found.neighbours}; of {evidence.NEIGHBOURS}:",
        "harmed": found.harmed and f"validation images it harms most, by {found.harmed}",
    }


def post_data(ws: Workspace, queue, standing: dict, upto: int, changed: set[int], answer: dict) -> dict:
    """What the post answers. queue: the one on view, or None. changed: its images that were decided about since the
    browser last knew."""
    found = {"of": ws.fingerprint, "queue": None, "acked": answer["acked"], "error": answer["error"], "upto": upto}
    if queue is None:
        return found
    return found | {
        "queue": queue.number,
        "said": {"lines": lines(queue, standing)},
        "changed": {image: told(standing.get(image), upto) for image in sorted(changed)},
    }


def lines(queue, standing: dict) -> list[str]:
    """How good the detector has been so far, in words."""
    found = queues.precision(queue.items, queue.controls, standing)
    said = []
    for name, text in (("suspects", "wrong so far"), ("controls", "of the random controls")):
        one = found[name]
        if one["judged"]:
            low, high = one["ci"]
            said.append(f"{one['wrong']} of {one['judged']} {text}: {one['share']:.0%} (95 % {low:.0%} to {high:.0%})")
    return said
