"""Exemplar SVM against scikit-learn: agreement and time, side by side on one core.

    .venv/bin/python tests/benchmarks/esvm.py [--data DIR] [--sets pixels,conv-unit,moco,...] [--json]

Candidates: the first 5,000 training images of one Fashion-MNIST class (of the full 60,000); targets: its 1,000 test
images. The feature sets have 128 dimensions and are made here, without training on a GPU; each also with every row
scaled to length 1 ("-unit", as many self-supervised projections are):

- pixels: the first 128 principal components of the pixels;
- conv: an untrained convolution layer (64 random 7x7 filters, ReLU, average-pooled), projected at random;
- mlp: the last hidden layer (ReLU) of a classifier trained for 3 epochs on all classes.

By name in --sets also those of the networks of the bundled demo: moco, simclr, dino and supervised, where all its
5,000 training images are candidates and its 1,000 validation images targets.

Agreement: Kendall's tau of the candidates' scores with LinearSVC(dual=False, tol=1e-6), the least of 100 targets.
Time per target: scikit-learn with its defaults, one target after the other; ours in a batch of 1,000, the preparation
of the candidates included. Both in turns in each round; medians over the rounds. "cpu" is processor time: on a busy
machine it says more than the clock. One target alone is timed from the bare features, "one more" on a kept object.
"""

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from attribution.data.fashion_mnist import DEBIAN_FOLDER, read  # noqa: E402
from attribution.rankings.exemplar_svm import ExemplarSVM, scores  # noqa: E402
from attribution.workspace.workspace import Workspace  # noqa: E402

SETS = ["pixels", "pixels-unit", "conv", "conv-unit", "mlp", "mlp-unit"]
DEMO_SETS = ["moco", "simclr", "dino", "supervised"]


def flat(images, labels):
    """(images float32 [n, 784] in 0..1, labels [n])."""
    return images.reshape(-1, 784).astype(np.float32) / 255, labels


def pixels(train, train_labels, test):
    mean = train.mean(0)
    _, axes = np.linalg.eigh(np.cov((train - mean).T))
    axes = axes[:, ::-1][:, :128].astype(np.float32)
    return (train - mean) @ axes, (test - mean) @ axes


def conv(train, train_labels, test):
    random = np.random.default_rng(0)
    filters = random.standard_normal((49, 64), np.float32) / 7
    projection = random.standard_normal((9 * 64, 128), np.float32) / 24

    def embed(images):
        patches = np.lib.stride_tricks.sliding_window_view(images.reshape(-1, 28, 28), (7, 7), axis=(1, 2))
        maps = np.maximum(patches[:, ::2, ::2][:, :9, :9].reshape(len(images), 9, 9, 49) @ filters, 0)
        pooled = maps.reshape(len(images), 3, 3, 3, 3, 64).mean((2, 4))
        return pooled.reshape(len(images), -1) @ projection

    return [np.concatenate([embed(part[i : i + 500]) for i in range(0, len(part), 500)]) for part in (train, test)]


def mlp(train, train_labels, test):
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        net = MLPClassifier((256, 128), max_iter=3, batch_size=256, random_state=0).fit(train, train_labels)

    def embed(h):
        for weights, bias in list(zip(net.coefs_, net.intercepts_))[:2]:
            h = np.maximum(h @ weights + bias, 0)
        return h.astype(np.float32)

    return embed(train), embed(test)


def linear_svc(candidates, target, **options):
    """The decision values [n] of scikit-learn's exemplar SVM."""
    x = np.concatenate([target[None], candidates])
    y = np.arange(len(x)) == 0
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        svm = LinearSVC(class_weight="balanced", C=0.1, **options).fit(x, y)
    return svm.decision_function(candidates)


def timed(work, *args):
    """(wall, processor) milliseconds."""
    wall, cpu = time.perf_counter(), time.thread_time()
    work(*args)
    return (time.perf_counter() - wall) * 1e3, (time.thread_time() - cpu) * 1e3


def measure(name, candidates, targets, rounds, agreement):
    batch = targets[np.arange(1000) % len(targets)]  # repeated where the class has fewer
    theirs, ours, one, kept = [], [], [], []
    svm = ExemplarSVM(candidates)
    for r in range(rounds):
        each = [timed(linear_svc, candidates, targets[(10 * r + i) % len(targets)]) for i in range(10)]
        theirs.append(np.median(each, axis=0))
        ours.append(np.array(timed(lambda: ExemplarSVM(candidates).solve(batch))) / len(batch))
        for i in range(10 * r, 10 * r + 10):
            target = targets[i % len(targets)][None]
            one.append(timed(scores, candidates, target))
            kept.append(timed(svm.scores, target))
    together = scores(candidates, batch[: max(agreement, 100)])
    tau = [
        kendalltau(together[i], linear_svc(candidates, targets[i], dual=False, tol=1e-6)).statistic
        for i in range(min(agreement, len(targets)))
    ]
    theirs, ours, one, kept = (np.median(a, axis=0) for a in (theirs, ours, one, kept))
    return {
        "set": name,
        "candidates": len(candidates),
        "dim": candidates.shape[1],
        "targets": len(targets),
        "tau_min": float(np.min(tau)),
        "tau_targets": len(tau),
        "sklearn_ms": theirs[0],
        "ours_ms": ours[0],
        "ratio": theirs[0] / ours[0],
        "sklearn_cpu_ms": theirs[1],
        "ours_cpu_ms": ours[1],
        "ratio_cpu": theirs[1] / ours[1],
        "one_target_ms": one[0],
        "one_target_cpu_ms": one[1],
        "one_more_target_ms": kept[0],
        "one_more_target_cpu_ms": kept[1],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DEBIAN_FOLDER, help="folder of Fashion-MNIST's four idx.gz files")
    parser.add_argument("--sets", default=",".join(SETS), help="which of " + ", ".join(SETS + DEMO_SETS))
    parser.add_argument("--label", type=int, default=6, help="the class (6: Shirt)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--agreement", type=int, default=100, help="targets to compare with scikit-learn")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not set(args.sets.split(",")) <= set(DEMO_SETS):
        if not (args.data / "train-images-idx3-ubyte.gz").exists():
            print(f"Skipped: no Fashion-MNIST in {args.data}; name its folder with --data.", file=sys.stderr)
            return
        (train, train_labels), (test, test_labels) = (flat(*read(split, args.data)) for split in ("train", "test"))

    def features(name):
        """(candidates, targets) of a feature set."""
        if name in DEMO_SETS:
            feature = Workspace.open().feature(name)
            return np.asarray(feature.train), np.asarray(feature.val)
        base, _, unit = name.partition("-")
        x, queries = {"pixels": pixels, "conv": conv, "mlp": mlp}[base](train, train_labels, test)
        if unit:
            x, queries = (f / np.maximum(np.linalg.norm(f, axis=1, keepdims=True), 1e-12) for f in (x, queries))
        return x[train_labels == args.label][:5000], queries[test_labels == args.label]

    results = []
    columns = {
        "set": "set",
        "tau_min": "tau min",
        "sklearn_ms": "sklearn ms",
        "ours_ms": "ours ms",
        "ratio": "ratio",
        "sklearn_cpu_ms": "sklearn cpu",
        "ours_cpu_ms": "ours cpu",
        "ratio_cpu": "ratio cpu",
        "one_target_ms": "one ms",
        "one_target_cpu_ms": "one cpu",
        "one_more_target_cpu_ms": "one more cpu",
    }
    with threadpool_limits(1):
        if not args.json:
            print("  ".join(f"{c:>12}" for c in columns.values()))
        for name in args.sets.split(","):
            results.append(measure(name, *features(name), args.rounds, args.agreement))
            if not args.json:
                row = [results[-1][c] for c in columns]
                print("  ".join(f"{v:>12}" if isinstance(v, str) else f"{v:>12.5g}" for v in row), flush=True)
    if args.json:
        print(json.dumps({"results": results}))


if __name__ == "__main__":
    main()
