"""Do people agree? The decisions of each two people about the same images, beside what chance would give them.

Only images that both decided count, by the newest decision of each that is not undone. Cohen's kappa (Cohen, 1960) is 1
where they always agree and 0 where no more than chance; what it is of are labels, so that "the label is right" of one
and the same label given by the other are one answer.
"""

import warnings
from collections.abc import Iterable
from itertools import combinations

import numpy as np

from attribution.audit.decisions import REVISIONS, Entry
from attribution.metrics.statistics import percentile_interval

MIN_IMAGES = 10  # that two people have to share: kappa of fewer says nothing
RESAMPLES, SEED = 400, 0


def answers_by_person(entries: Iterable[Entry], train_labels: np.ndarray) -> dict[str, dict[int, int | str]]:
    """Name -> image -> what that person says of it now: a class number, "remove" or "unsure". entries: of a log, in its
    order; those without a name are nobody's."""
    decisions, undone = [], set()
    for entry in entries:
        if entry.action in REVISIONS:
            (undone.add if entry.action == "undo" else undone.discard)(entry.of)
        else:
            decisions.append(entry)
    said: dict[str, dict[int, int | str]] = {}
    for entry in decisions:
        if entry.uid in undone or not entry.who:
            continue
        labels = {"keep": int(train_labels[entry.item]), "relabel": entry.label}
        said.setdefault(entry.who, {})[entry.item] = labels.get(entry.action, entry.action)
    return said


def agreement(entries: Iterable[Entry], train_labels: np.ndarray) -> list[dict]:
    """A row for each two people who decided at least MIN_IMAGES of the same images, most images first: {"people": two
    names, "images": n, "same": share of equal answers, "kappa", "ci": 95 % bootstrap over images}; kappa is None where
    both gave one and the same answer to all."""
    said = answers_by_person(entries, train_labels)
    rows = []
    for first, second in combinations(sorted(said), 2):
        images = sorted(said[first].keys() & said[second].keys())
        if len(images) >= MIN_IMAGES:
            answers = np.array([[str(said[name][image]) for name in (first, second)] for image in images])
            rows.append({"people": [first, second], "images": len(images), **_kappa(answers)})
    return sorted(rows, key=lambda row: -row["images"])


def _kappa(answers: np.ndarray) -> dict:
    """answers: text [images, 2]."""
    from sklearn.metrics import cohen_kappa_score  # half a second, which nothing else here waits for

    def kappa(rows: np.ndarray) -> float:
        with warnings.catch_warnings():  # of a draw in which both say one thing: nan
            warnings.simplefilter("ignore")
            return float(cohen_kappa_score(*answers[rows].T))

    value = kappa(np.arange(len(answers)))
    if np.isnan(value):
        return {"same": 1.0, "kappa": None, "ci": None}
    drawn = np.random.default_rng(SEED).integers(len(answers), size=(RESAMPLES, len(answers)))
    ends = percentile_interval(np.array([kappa(rows) for rows in drawn]))
    return {"same": float((answers[:, 0] == answers[:, 1]).mean()), "kappa": value, "ci": ends}
