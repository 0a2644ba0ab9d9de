"""How well detectors, and cleanlab beside them, find label errors that were made, by kind and share of errors.

    .venv/bin/python tests/benchmarks/label_errors.py [--images DIR] [--skip 0] [--per-class 1000]
        [--kinds uniform,class,instance] [--rates 0.05,0.1,0.2] [--draw 0] [--work DIR] [--out FILE.parquet]

images: a folder with train.parquet and test.parquet (a column of images, and label), such as CIFAR-10's; without it the
demo and its planted errors. Every set is a workspace of its own under --work, so that what is interrupted goes on.
Three kinds of wrong label (the rate is the share of wrong ones):

uniform   any other class, equally likely
class     another class, as likely as weak annotators take the one for the other
instance  drawn from what weak annotators say of this image, so that hard images are wrong more often

The weak annotators are two small networks, a linear classifier and nearest neighbours, each fitted to images of its own
outside the set; they disagree with each other. No annotator is of the set that is judged.

cleanlab     cleanlab's label quality of five-fold out-of-fold probabilities of the workspace's own network
cleanlab-ours  the same of the probabilities that "confident" reads

Precision in the first 1, 5 and 10 %, average precision with an interval over resampled images, and the share of
suggestions that are right, of the wrong images among the first 10 %.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from attribution import Workspace  # noqa: E402
from attribution.audit import detectors  # noqa: E402
from attribution.audit.detectors.out_of_fold import FOLDS, draw_folds  # noqa: E402
from attribution.audit.detectors.out_of_sample import out_of_sample_predictions  # noqa: E402
from attribution.files import write_table  # noqa: E402
from attribution.metrics.label_detection import average_precision, suspicion_order  # noqa: E402
from attribution.workspace.workspace import DEMO  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("uniform", "class", "instance")
SHARES = (0.01, 0.05, 0.10)
ANNOTATOR_IMAGES = 250  # of each class, for each annotator, counted from the end of the file
VALIDATION_PER_CLASS = 100
RESAMPLED = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--skip", type=int, default=0, help="so many images of each class are left out first")
    parser.add_argument("--per-class", type=int, default=1000)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--rates", default="0.05,0.1,0.2")
    parser.add_argument("--draw", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "label-errors")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not options.images:
        ws = Workspace.open(DEMO)
        truth = ws.truth()
        rows = judge(ws, truth["planted"].to_numpy(bool), truth["original"].to_numpy(), {})
        report(rows, options.out, {"set": "demo"})
        return
    everything = []
    for kind in options.kinds.split(","):
        for rate in map(float, options.rates.split(",")):
            said = {"kind": kind, "rate": rate, "draw": options.draw, "skip": options.skip}
            folder = options.work / f"{kind}-{rate:g}-{options.draw}-{options.skip}"
            rows = run_set(folder, options, kind, rate)
            everything += [said | row for row in rows]
            report(rows, None, said)
    if options.out:
        write_table(options.out, pd.DataFrame(everything))


def report(rows: list[dict], out: Path | None, said: dict) -> None:
    print(json.dumps(said | {"detectors": rows}), flush=True)
    if out:
        write_table(out, pd.DataFrame([said | row for row in rows]))


# -- a set


def run_set(folder: Path, options, kind: str, rate: float) -> list[dict]:
    """Makes the set, builds its detectors and judges them."""
    make_set(folder, options, kind, rate)
    os.environ["LINEUP_DATA"] = str(folder / "data")
    workspace = folder / "workspace"
    if not workspace.exists():
        command(
            "workspace", "create", workspace, "--dataset", "parquet", "--root", folder / "images", "--name", folder.name
        )
    seconds = build(workspace)
    ws = Workspace.open(workspace)
    wrong, true = (np.load(folder / f"{name}.npy") for name in ("wrong", "true"))
    return judge(ws, wrong, true, cleanlab_scores(folder, ws), seconds)


def build(workspace: Path) -> dict[str, float]:
    """Collects the evidence as a person would, by one command; its seconds."""
    start = time.perf_counter()
    command("audit", "start", "--workspace", workspace)
    return {"audit start": round(time.perf_counter() - start, 1)}


def command(*words) -> None:
    subprocess.run([sys.executable, "-m", "attribution", *map(str, words)], check=True, cwd=ROOT, stdout=sys.stderr)


def make_set(folder: Path, options, kind: str, rate: float) -> None:
    """images/train.parquet with wrong labels and images/test.parquet with right ones; wrong.npy says which."""
    if (folder / "wrong.npy").exists():
        return
    (folder / "images").mkdir(parents=True, exist_ok=True)
    train, test = (pq.read_table(options.images / f"{split}.parquet") for split in ("train", "test"))
    labels = train["label"].to_numpy()
    rows = take(labels, options.skip, options.per_class)
    validation = take(test["label"].to_numpy(), 0, VALIDATION_PER_CLASS)
    rng = np.random.default_rng([options.draw, KINDS.index(kind), round(1000 * rate)])
    said = None if kind == "uniform" else annotator_probabilities(options, train, rows)
    given = noisy_labels(kind, labels[rows], said, rate, rng, int(labels.max()) + 1)
    pq.write_table(test.take(validation), folder / "images" / "test.parquet")
    noisy = train.take(rows)
    noisy = noisy.set_column(noisy.column_names.index("label"), "label", pa.array(given, noisy["label"].type))
    pq.write_table(noisy, folder / "images" / "train.parquet")
    np.save(folder / "true.npy", labels[rows])
    np.save(folder / "wrong.npy", given != labels[rows])


def take(labels: np.ndarray, skip: int, count: int) -> np.ndarray:
    """Rows of `count` images of each class after the first `skip` of it, in the order of the file."""
    return np.sort(
        np.concatenate([np.flatnonzero(labels == label)[skip : skip + count] for label in np.unique(labels)])
    )


def noisy_labels(kind, labels, said, rate, rng, n_classes) -> np.ndarray:
    """Labels int64 [n] of which about the share `rate` is wrong. said: what annotators say of each image, float [n,
    classes]."""
    from scipy.optimize import brentq

    true = np.eye(n_classes, dtype=bool)[labels]
    if kind == "uniform":
        said = np.ones((len(labels), n_classes))
    elif kind == "class":
        said = np.stack([said[labels == label].mean(0) for label in range(n_classes)])[labels]
    said = np.clip(said, 1e-6, None)

    def drawn_from(boost: float) -> np.ndarray:
        weight = said * np.where(true, np.exp(boost), 1)
        return weight / weight.sum(1, keepdims=True)

    boost = brentq(lambda value: 1 - drawn_from(value)[true].mean() - rate, -30, 30)
    cumulative = drawn_from(boost).cumsum(1)
    return np.minimum((cumulative < rng.random((len(labels), 1))).sum(1), n_classes - 1)


# -- weak annotators


def annotator_probabilities(options, train: pa.Table, rows: np.ndarray) -> np.ndarray:
    """What the weak annotators say of the images `rows`, in the mean: float [n, classes]."""
    kept = options.work / f"annotators-{options.skip}-{options.per_class}.npy"
    if kept.exists():
        return np.load(kept)
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline

    labels = train["label"].to_numpy()
    counts = np.bincount(labels)
    images = decoded(train, rows)
    said = []
    for number in range(4):
        end = counts.min() - number * ANNOTATOR_IMAGES
        own = take(labels, end - ANNOTATOR_IMAGES, ANNOTATOR_IMAGES)
        if np.intersect1d(own, rows).size:
            raise SystemExit("the annotators' images are among those of the set; take fewer with --per-class")
        seen = decoded(train, own)
        if number < 2:
            said.append(network_probabilities(seen, labels[own], images, seed=number))
            continue
        model = KNeighborsClassifier(15) if number == 3 else LogisticRegression(C=0.01, max_iter=300)
        model = make_pipeline(PCA(64, random_state=0), model)
        flat = [np.asarray(some, np.float32).reshape(len(some), -1) / 255 for some in (seen, images)]
        said.append(model.fit(flat[0], labels[own]).predict_proba(flat[1]))
    right = [round(float((one.argmax(1) == labels[rows]).mean()), 3) for one in said]
    print(json.dumps({"annotators right": right}), file=sys.stderr)
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, np.mean(said, 0))
    return np.load(kept)


def network_probabilities(images, labels, judged, seed: int, recipe: str = "demo-cnn") -> np.ndarray:
    """What a network trained on `images` says of `judged`: float [n, classes]."""
    from attribution.training import recipes
    from attribution.training.trainer import Trainer

    data = SimpleNamespace(
        train_images=images,
        train_labels=labels,
        val_images=judged,
        val_labels=np.zeros(len(judged), int),
        classes=[str(label) for label in range(int(labels.max()) + 1)],
    )
    return Trainer(data, recipes.get_recipe(recipe)).run(seed=seed).probabilities


def decoded(table: pa.Table, rows: np.ndarray) -> np.ndarray:
    """Images uint8 [n, H, W, 3]."""
    import io

    from PIL import Image

    column = next(name for name in table.column_names if name != "label")
    encoded = table[column].take(pa.array(rows)).to_pylist()
    encoded = [one["bytes"] if isinstance(one, dict) else one for one in encoded]
    return np.stack([np.asarray(Image.open(io.BytesIO(one)).convert("RGB")) for one in encoded])


# -- cleanlab, and the verdict


def cleanlab_scores(folder: Path, ws: Workspace) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """1 - cleanlab's label quality, and the likeliest class, by what its probabilities are of."""
    from cleanlab.rank import get_label_quality_scores

    labels, kept = np.asarray(ws.train_labels), folder / "folds.npy"
    if not kept.exists():
        fold, probabilities = draw_folds(labels), np.zeros((ws.n_train, len(ws.classes)), np.float32)
        images = np.asarray(ws.train_images[:])
        for number in range(FOLDS):
            inside = fold == number
            probabilities[inside] = network_probabilities(images[~inside], labels[~inside], images[inside], seed=0)
        np.save(kept, probabilities)
    ours = out_of_sample_predictions(ws).probabilities
    return {
        name: (1 - get_label_quality_scores(labels, probabilities), probabilities.argmax(1))
        for name, probabilities in (("cleanlab", np.load(kept)), ("cleanlab-ours", ours))
    }


def judge(ws: Workspace, wrong: np.ndarray, true: np.ndarray, others: dict, seconds: dict | None = None) -> list[dict]:
    """One row a detector. wrong: bool [n]; true: labels int [n]; others: as `cleanlab_scores`."""
    stored = [detectors.load(ws, name) for name in detectors.names(ws)]
    judged = {one.name: (one.scores, one.suggestion) for one in stored} | others
    rng = np.random.default_rng(0)
    resampled = [rng.integers(0, len(wrong), len(wrong)) for _ in range(RESAMPLED)]
    rows = []
    for name, (scores, suggestion) in judged.items():
        order = suspicion_order(scores)
        low, high = np.quantile([average_precision(wrong[some], scores[some]) for some in resampled], (0.025, 0.975))
        row = {"detector": name, "average_precision": average_precision(wrong, scores), "low": low, "high": high}
        row |= {f"precision_{share:g}": wrong[order[: round(share * len(wrong))]].mean() for share in SHARES}
        first = order[: round(SHARES[-1] * len(wrong))]
        found = first[wrong[first]]
        row["suggestions_right"] = None if suggestion is None else (suggestion[found] == true[found]).mean()
        rows.append(row | {"wrong": int(wrong.sum()), "n": len(wrong), "seconds": json.dumps(seconds or {})})
    return rows


if __name__ == "__main__":
    main()
