"""How often the intervals of the number of label errors hold the truth, over 100 draws of planted errors.

    .venv/bin/python tests/benchmarks/error_count.py [--draws 100] [--workspace DIR] [--queue 500]

Two data sets: a model of scores (5,000 images, 10 classes, of which some are alike; suspicion is high for most errors
and some right labels), and held-out predictions of a workspace (the demo's part `out_of_subset`). Its labels count as
right; in each draw some are turned into the class that the predictions confuse theirs with. A queue is made as on the
page, a tenth of it at random, and decided in its order by somebody who never errs, to a fifth, a half, and its end.

total   the estimate from decisions: "coverage" of 100 draws, mean width and mean error, in images
classes the same, by given label, where there are enough random images
next    whether the next 100 suspects hold what is said ("above": how many more are expected than there are)
guess   the first guess by cleanlab: errors guessed less those planted; "coverage" of its range over resampled images;
        "rise": guessed errors above those guessed without planting, for each planted one. In the workspace, hard images
        and errors that were there before count as guessed ones, too

Prints JSON; a row for each data set and share of planted errors.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution import Workspace  # noqa: E402
from attribution.audit import error_estimate, review_queue  # noqa: E402
from attribution.audit.decision_log import Queue  # noqa: E402
from attribution.audit.decisions import CurrentDecision  # noqa: E402
from attribution.audit.detectors.out_of_sample import out_of_sample_predictions  # noqa: E402
from attribution.metrics.error_count import guess_errors  # noqa: E402
from attribution.metrics.label_detection import suspicion_order  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402

SHARES = (0.01, 0.03, 0.08)
STOPS = (0.2, 0.5, 1.0)  # of the queue
QUEUE_SIZE = 500
N, CLASSES, ALIKE, CONCENTRATION = 5000, 10, 0.6, 0.25
SEED = 43
GUESSES = 10  # draws of the first guess, which takes a second each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--workspace", type=Path, default=DEMO)
    parser.add_argument("--queue", type=int, default=QUEUE_SIZE, help="images of the queue")
    options = parser.parse_args()
    predictions = out_of_sample_predictions(Workspace.open(options.workspace))
    labels = np.asarray(Workspace.open(options.workspace).train_labels)
    known = np.isfinite(predictions.probabilities).all(1)
    rows = []
    for share in SHARES:
        rows.append(
            {"set": "model of scores", "share": share} | measure(score_model, share, options.draws, options.queue)
        )
        held_out = lambda rng: (labels[known], predictions.probabilities[known])  # noqa: E731
        rows.append(
            {"set": "held-out predictions", "share": share} | measure(held_out, share, options.draws, options.queue)
        )
    print(json.dumps({"draws": options.draws, "queue": options.queue, "rows": rows}, indent=1))


def score_model(rng: np.random.Generator, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """(true labels int [n], probabilities [n, CLASSES]): classes come in pairs that are alike, and some images lie
    between the two."""
    labels = rng.integers(0, CLASSES, n)
    clarity = rng.beta(ALIKE, CONCENTRATION, n)
    probabilities = np.full((n, CLASSES), 0.02) + rng.exponential(0.01, (n, CLASSES))
    probabilities[np.arange(n), labels] += clarity
    probabilities[np.arange(n), labels ^ 1] += 1 - clarity
    return labels, probabilities / probabilities.sum(1, keepdims=True)


def plant(labels: np.ndarray, probabilities: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Labels of which a share is wrong: of random images, each the class that those of its class are taken for, as
    often as the mean probabilities say."""
    classes = probabilities.shape[1]
    confusion = np.stack([probabilities[labels == c].mean(0) for c in range(classes)])
    np.fill_diagonal(confusion, 0)
    confusion /= confusion.sum(1, keepdims=True)
    planted = labels.copy()
    for image in rng.choice(len(labels), round(share * len(labels)), replace=False):
        planted[image] = rng.choice(classes, p=confusion[labels[image]])
    return planted


def decide(queue: Queue, truth: np.ndarray, given: np.ndarray, stop: float) -> dict[int, CurrentDecision]:
    """The decisions of somebody who never errs, about the first part of a queue, 4 seconds each."""
    current = {}
    for at, item in enumerate(queue.items[: round(stop * len(queue.items))]):
        wrong = truth[item] != given[item]
        action, label = ("relabel", int(truth[item])) if wrong else ("keep", None)
        current[item] = CurrentDecision(
            at + 1, str(at), 4.0 * at, "me", "tab", item, action, label, None, None, "", 1, 0
        )
    return current


def make_queue(scores: np.ndarray, suggestions: np.ndarray, seed: int, size: int) -> Queue:
    """A queue as the page makes it, a tenth of it at random."""
    spec = {"size": size, "seed": seed, "random": True, "detector": "doubt"}
    items, drawn = review_queue._mix_in_random(suspicion_order(scores), spec)
    return Queue(
        1, spec, items.tolist(), drawn.tolist(), scores[items].tolist(), suggestions[items].tolist(), "me", 0.0
    )


def measure(draw_set, share: float, draws: int, size: int = QUEUE_SIZE, n_guesses: int = GUESSES) -> dict:
    """Coverage of every interval, at each stop."""
    found = {stop: {"total": [], "classes": [], "next": []} for stop in STOPS}
    guesses = []
    for draw in range(draws):
        rng = np.random.default_rng([SEED, draw, round(1000 * share)])
        truth, probabilities = draw_set(rng)
        given = plant(truth, probabilities, share, rng)
        wrong = truth != given
        scores = (1 - probabilities[np.arange(len(given)), given]).astype(np.float32)
        queue = make_queue(scores, probabilities.argmax(1), draw, size)
        order = suspicion_order(scores)
        for stop in STOPS:
            current = decide(queue, truth, given, stop)
            answer = error_estimate.estimate(given, probabilities.shape[1], [queue], current)
            found[stop]["total"].append((answer["total"], wrong.sum()))
            found[stop]["classes"] += [
                (row, wrong[given == row["class"]].sum()) for row in answer["classes"] if row["errors"] is not None
            ]
            rest = _suspects_to_come(queue, len(current), order)[: answer["next"]["ahead"]]
            found[stop]["next"].append((answer["next"], wrong[rest].sum()))
        if draw < n_guesses:
            before = guess_errors(truth, probabilities)["errors"]
            guesses.append((guess_errors(given, probabilities), wrong.sum(), before))
    stops = [
        {"decided": round(stop * size)} | {name: _coverage(rows) for name, rows in found[stop].items()}
        for stop in STOPS
    ]
    return {"planted": round(share * len(given)), "stops": stops, "guess": _guess_row(guesses) if guesses else None}


def _suspects_to_come(queue: Queue, n_decided: int, order: np.ndarray) -> np.ndarray:
    """Those of the queue that are not decided, then those that another queue would have first."""
    items, drawn = np.asarray(queue.items), np.asarray(queue.controls)
    return np.concatenate([items[n_decided:][~drawn[n_decided:]], order[~np.isin(order, items)]])


def _coverage(rows: list[tuple[dict | None, int]]) -> dict | None:
    rows = [(one, truth) for one, truth in rows if one]
    if not rows:
        return None
    inside = [one["ci"][0] <= truth <= one["ci"][1] for one, truth in rows]
    return {
        "n": len(rows),
        "coverage": round(float(np.mean(inside)), 3),
        "width": round(float(np.mean([one["ci"][1] - one["ci"][0] for one, _ in rows])), 1),
        "above": round(float(np.mean([one["errors"] - truth for one, truth in rows])), 2),
    }


def _guess_row(guesses: list[tuple[dict, int, float]]) -> dict:
    inside = [guess["range"][0] <= truth <= guess["range"][1] for guess, truth, _ in guesses]
    return {
        "n": len(guesses),
        "coverage": float(np.mean(inside)),
        "above": round(float(np.mean([guess["errors"] - truth for guess, truth, _ in guesses])), 1),
        "rise": round(float(np.mean([(guess["errors"] - before) / truth for guess, truth, before in guesses])), 2),
    }


if __name__ == "__main__":
    main()
