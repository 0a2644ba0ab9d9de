"""A head: seconds of its first fit and of refits without some images, beside scikit-learn's from the same start.

python tests/benchmarks/head.py [--sizes 5000,50000,500000] [--dim 128] [--penalty 0.001] [--edits 5]
                                [--demo]

Features are drawn: ten classes around centres so far apart that some 80 % are told apart. With --demo the head is that
of the demo's `moco` features instead. Removed are the images with the most influence on a target, which move the
weights more than random ones. scikit-learn's LogisticRegression (lbfgs, warm_start, from the full solution) solves the
same objective on the same float64 features, at its default tolerance and at the loosest of several at which its margins
are within 0.0001 of the head's; it is left out above 50,000 images. `refit_ms` are medians over edits, `ratio` is
scikit-learn's median at that tolerance over ours. One thread, and seconds of the processor, which on an idle machine
are those of the clock. Prints JSON.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from attribution import Workspace
from attribution.training.head import Head
from attribution.training.head.head import margins_of

CLASSES = 10
REMOVED = (16, 128, 1280)
MAX_REFERENCE = 50_000
TOLERANCES = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8)
PRECISION = 1e-4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="5000,50000")
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--penalty", type=float, default=1e-3)
    parser.add_argument("--edits", type=int, default=5, help="of each number of images removed")
    parser.add_argument("--demo", action="store_true")
    options = parser.parse_args()
    if options.demo:
        ws = Workspace.open()
        features = ws.feature("moco")
        sets = [(features.train.astype(np.float32), ws.train_labels, features.val.astype(np.float32), ws.val_labels)]
    else:
        sets = (draw(int(size), options.dim) for size in options.sizes.split(","))
    with threadpool_limits(1):
        print(
            json.dumps(
                {"threads": 1, "clock": "processor", "rows": [measure(*data, options) for data in sets]},
                indent=1,
            )
        )


def draw(n: int, dim: int, n_val: int = 1000):
    """Training features and labels, and those of validation images."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLASSES, dim)) * 2.8 / np.sqrt(dim)
    labels = rng.integers(CLASSES, size=n + n_val)
    features = rng.standard_normal((n + n_val, dim), np.float32)
    features += centres[labels].astype(np.float32)
    return features[:n], labels[:n], features[n:], labels[n:]


def measure(train, labels, val, val_labels, options) -> dict:
    """One row: a size, and what was measured there."""
    penalty, start = options.penalty, time.process_time()
    head = Head.fit(train, labels, CLASSES, penalty)
    fit_seconds = time.process_time() - start
    n = len(train)
    row = {
        "images": n,
        "dim": head.dim,
        "penalty": penalty,
        "accuracy": round(float((head.logits(head.weights, val).argmax(1) == val_labels).mean()), 3),
        "fit_seconds": round(fit_seconds, 2),
        "refit_ms": {},
    }
    if n <= MAX_REFERENCE:
        start = time.process_time()
        head.choose_penalty()
        row["choice_seconds"] = round(time.process_time() - start, 2)
        row["scikit_learn"] = {}
        full = scikit(head, train, penalty, labels)
    for removed in REMOVED:
        if removed > n / 10:
            continue
        ours, theirs, default, errors = [], [], [], []
        for target in range(options.edits):
            order = np.argsort(-head.influence(val[[target]], val_labels[[target]])[0])
            keep = np.setdiff1d(np.arange(n), order[:removed])
            weights, seconds = timed(lambda keep=keep: head.refit(keep))
            ours.append(seconds)
            if n <= MAX_REFERENCE:
                margins = margins_of(head.logits(weights, val), val_labels)
                for tolerance in TOLERANCES:
                    found, seconds = refit_scikit(full, head, train, labels, keep, tolerance)
                    logits = found.decision_function(head.standardise(val)[:, :-1].astype(np.float64))
                    error = float(np.abs(margins_of(logits, val_labels) - margins).max())
                    if tolerance == TOLERANCES[0]:
                        default.append((seconds, error))
                    if error <= PRECISION:
                        break
                theirs.append(seconds)
                errors.append(error)
        row["refit_ms"][removed] = round(1000 * float(np.median(ours)), 1)
        if n <= MAX_REFERENCE:
            row["scikit_learn"][removed] = {
                "ms": round(1000 * float(np.median(theirs)), 1),
                "margins_within": round(max(errors), 6),
                "ratio": round(float(np.median(theirs) / np.median(ours)), 1),
                "ms_at_default": round(1000 * float(np.median([seconds for seconds, _ in default])), 1),
                "margins_within_at_default": round(max(error for _, error in default), 4),
            }
    return row


def timed(call, repeats: int = 3):
    """What call() returns, and its seconds: the least of some, since other processes only add."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        answer = call()
        seconds.append(time.process_time() - start)
    return answer, min(seconds)


def scikit(head: Head, train, penalty: float, labels) -> LogisticRegression:
    """scikit-learn's model of the full set, at the head's solution."""
    model = LogisticRegression(C=1 / (penalty * len(train)), warm_start=True, max_iter=1000)
    model.fit(np.eye(CLASSES, head.dim), np.arange(CLASSES))  # has it set up its attributes
    model.coef_, model.intercept_ = head.weights[:-1].T.copy(), head.weights[-1].copy()
    return model.set_params(max_iter=10_000)


def refit_scikit(full: LogisticRegression, head: Head, train, labels, keep, tolerance: float):
    """scikit-learn's model of an edit, from the full solution, and its seconds without preparing the features."""
    features = head.standardise(train)[keep, :-1].astype(np.float64)
    start_at = full.coef_.copy(), full.intercept_.copy()
    full.set_params(tol=tolerance)
    start = time.process_time()
    full.fit(features, labels[keep])
    seconds = time.process_time() - start
    found = LogisticRegression()
    found.coef_, found.intercept_, found.classes_ = full.coef_, full.intercept_, full.classes_
    full.coef_, full.intercept_ = start_at
    return found, seconds


if __name__ == "__main__":
    main()
