"""Detectors by harm: which training images does a signed ranking hold against the validation images?

Only the first half of the validation images is read (`prune.halves`), so that accuracy can be measured on the other.
"""

import numpy as np

from attribution import prune
from attribution.detectors.base import Found, digest

FAMILY = "harm"


def names(workspace) -> list[str]:
    """One for each stored ranking with a sign; a similarity knows no harm."""
    stored = [name for name in workspace.rankings() if f"rankings/{name}" in workspace.manifest["parts"]]
    return [f"harm-{name}" for name in stored if workspace.ranking(name).signed]


def missing(workspace, name: str) -> str:
    ranking = workspace.ranking(_ranking(name))
    if not ranking.complete:
        return f"{ranking.name} keeps the ends of its lists only; import it again with --dense"
    if not len(_targets(workspace, ranking)):
        return f"{ranking.name} ranks for none of the validation images that harm is read from"
    return ""


def sources(workspace, name: str) -> dict:
    part = f"rankings/{_ranking(name)}"
    return {part: digest(workspace, part)}


def compute(workspace, names: list[str], progress) -> dict[str, Found]:
    """Suspicion: the sum of an image's scores below zero, without their sign, over the targets. Suggestion: the true
    class of the targets that it harms most in sum, of those that are not its own; the given label where it harms none
    of these."""
    found = {}
    for name in names:
        ranking = workspace.ranking(_ranking(name))
        targets = _targets(workspace, ranking)
        scores, suggestion = harm(ranking, targets, workspace.train_labels, workspace.val_labels,
                                  lambda *at, name=name: progress(f"{name}: targets", *at))
        about = f"harm to {len(targets):,} validation images by {ranking.name}"
        found[name] = Found(scores, suggestion, about, uses_val=True, more={"targets": len(targets)})
    return found


def harm(ranking, targets: np.ndarray, labels: np.ndarray, val_labels: np.ndarray, progress=lambda *at: None,
         ) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 [n_train] and suggestions int64 [n_train], see `compute`. Class by class, so that no more than a
    few rows of [n_train] are held."""
    total, most, suggestion, done = np.zeros(len(labels)), np.zeros(len(labels)), labels.copy(), 0
    for label in np.unique(val_labels[targets]):
        of_class = np.zeros(len(labels))
        for target in targets[val_labels[targets] == label]:
            of_class += np.maximum(-np.nan_to_num(ranking.scores(int(target))), 0)
            done += 1
            progress(done, len(targets))
        total += of_class
        better = (of_class > most) & (labels != label)
        suggestion[better], most[better] = label, of_class[better]
    return total, suggestion


def _targets(workspace, ranking) -> np.ndarray:
    return np.intersect1d(prune.halves(workspace)[0], ranking.targets)


def _ranking(name: str) -> str:
    return name.removeprefix("harm-")
