"""Groups: validation images that are explained together, such as a cell of the confusion matrix, and their ranking.

A ranking scores training images for one target; for a group it is the sum of its members' scores. Influence is read
from one half of the members, so that the other half can judge what came of it.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.inputs.limits import read_whole, shortened
from attribution.metrics.group_change import mean_ranks
from attribution.rankings.base import Ranking, top_k
from attribution.training.edits import parse_image_numbers
from attribution.workspace.workspace import Workspace

MIN_CHECKED, SEED = 20, 0
FORMS = (
    "Coat->Shirt, class:Coat, wrong:Coat, false-positives:Shirt, ids:3,5,9, differ:MODEL (predicted otherwise by it) "
    "or lost-to:MODEL (right by it alone)"
)

#: kinds of group that a second model tells apart, and what their members have in common
BESIDE = {"differ": "predicted otherwise by {}", "lost-to": "predicted wrongly, and rightly by {}"}


@dataclass(frozen=True)
class Group:
    """name: as it was asked for. about: what its members have in common, words that follow "validation images".
    members: int64 [n], ascending. end: the end of a ranking that is looked at where nobody says which: harmful where
    the model gets every member wrong, else helpful."""

    name: str
    about: str
    members: np.ndarray
    end: str

    @property
    def checked(self) -> bool:
        """Whether there are enough members for one half to judge by."""
        return len(self.members) >= MIN_CHECKED

    def halves(self, seed: int = SEED) -> tuple[np.ndarray, np.ndarray]:
        """The members that influence is read from and those that judge, int64, ascending, drawn by `seed`; of an odd
        number one more judges. Twice all of them where they are too few (fewer than MIN_CHECKED)."""
        if not self.checked:
            return self.members, self.members
        order = np.random.default_rng(seed).permutation(self.members)
        middle = len(order) // 2
        return np.sort(order[:middle]), np.sort(order[middle:])


@dataclass(frozen=True)
class GroupRanking:
    """The order of the training images for a group. ids: int64 [n], first first. scores: float64 [n], the sum of the
    members' scores, their mean rank, or by how much two rankings' sums differ. by: "sum", "mean rank" or "difference".
    targets: the members it was read from, int64. heuristic: whether an unsigned ranking's images of the class that each
    member is mistaken for stand for harmful ones."""

    ids: np.ndarray
    scores: np.ndarray
    by: str
    targets: np.ndarray
    heuristic: bool


def class_number(workspace: Workspace, word: str) -> int:
    """The number of the class that `word` names, or is. Raises UserError for a word that is no class."""
    if word in workspace.classes:
        return workspace.classes.index(word)
    number = read_whole(word)
    if number is None or not 0 <= number < len(workspace.classes):
        raise UserError(f"no class {shortened(word)!r} in {workspace.name}; it has {', '.join(workspace.classes)}")
    return number


def read_group(workspace: Workspace, text: str) -> Group:
    """The group that `text` names, one of FORMS; classes by name or number, predictions by the model looked at.

    Raises UserError for text of another form, for what is no class or no model, and where no validation image is in the
    group.
    """
    text = text.strip()
    labels, predicted = workspace.val_labels, workspace.base.prediction
    kind, colon, words = (part.strip() for part in text.partition(":"))
    cell = re.fullmatch(r"(.+?)\s*(?:->|→)\s*(.+)", text)
    if colon and kind == "ids":
        numbers = parse_image_numbers(words, workspace.n_val, "validation")
        inside, about = np.isin(np.arange(workspace.n_val), numbers), "named by hand"
    elif colon and kind in ("class", "wrong", "false-positives"):
        number = class_number(workspace, words)
        name = workspace.classes[number]
        inside, about = {
            "class": (labels == number, f"labelled {name}"),
            "wrong": ((labels == number) & (predicted != number), f"labelled {name} and predicted otherwise"),
            "false-positives": (
                (predicted == number) & (labels != number),
                f"predicted {name} and labelled otherwise",
            ),
        }[kind]
    elif colon and kind in BESIDE:
        inside, about = beside(workspace, kind, words), BESIDE[kind].format(words)
    elif cell:
        true, said = (class_number(workspace, word) for word in cell.groups())
        inside = (labels == true) & (predicted == said)
        about = f"labelled {workspace.classes[true]} and predicted {workspace.classes[said]}"
    else:
        raise UserError(f"{shortened(text)!r} names no group of validation images; write one like {FORMS}")
    members = np.flatnonzero(inside)
    if not len(members):
        raise UserError(f"no validation image is {about} under {workspace.recipe}; choose another group or --model")
    wrong = bool((predicted != labels)[members].all())
    return Group(text, about, members, "harmful" if wrong else "helpful")


def beside(workspace: Workspace, kind: str, other_model: str) -> np.ndarray:
    """Which validation images a second model tells apart, bool [n_val]: "differ", those that it predicts otherwise, or
    "lost-to", those that it alone predicts rightly. Raises UserError for what is no model."""
    labels, predicted = workspace.val_labels, workspace.base.prediction
    other = workspace.with_model(other_model).base.prediction
    return other != predicted if kind == "differ" else (other == labels) & (predicted != labels)


def name_group(
    workspace: Workspace,
    members: np.ndarray,
    label: int | None = None,
    predicted: int | None = None,
    other: str | None = None,
) -> str:
    """The shortest text that `read_group` reads as exactly these validation images (int, ascending). label, predicted:
    numbers of the classes they have in common; other: how a second model tells them apart; where that is known."""
    true, said = (None if number is None else workspace.classes[number] for number in (label, predicted))
    texts = [f"{true}->{said}"] if true and said else []
    texts += [f"class:{true}", f"wrong:{true}"] if true and not said else []
    texts += [f"false-positives:{said}"] if said and not true else []
    texts += [other] if other else []
    for text in texts:
        with suppress(UserError):  # a class whose name says something else here
            if np.array_equal(read_group(workspace, text).members, members):
                return text
    return f"ids:{','.join(map(str, np.asarray(members).tolist()))}"


def rank_group(workspace: Workspace, ranking: Ranking, targets: np.ndarray, end: str) -> GroupRanking:
    """The training images in the order of a ranking for several targets at once, int [n], at an end.

    A ranking with every score goes by the sum of `Ranking.scores`, which the mean orders alike; of a signed one those
    images are listed whose sum is on that side of 0. One that keeps lists goes by the mean rank. A ranking without sign
    has no harmful end: as in `base.most_harmful`, images of the class that each target is mistaken for are taken.
    Raises UserError for another end, and where none of the targets is ranked or no image is at that end.
    """
    if end not in ("helpful", "harmful"):
        raise UserError(f"end {end!r} is not known; say helpful or harmful")
    heuristic = end == "harmful" and not ranking.signed
    side, candidates = ("helpful", "rival") if heuristic else (end, None)
    targets = np.intersect1d(targets, ranking.targets)
    if not len(targets):
        raise UserError(f"{ranking.name} ranks none of these validation images; choose another ranking")
    if ranking.complete:
        total, pool = np.zeros(workspace.n_train), np.zeros(workspace.n_train, bool)
        for target in targets.tolist():
            total += ranking.scores(target, candidates)
            pool[ranking.candidates(target, candidates)] = True
        sign = 1 if side == "helpful" else -1
        ids = np.flatnonzero(pool & (sign * total > 0) if ranking.signed else pool)
        ids, by = ids[top_k(sign * total[ids], len(ids))], "sum"
    else:
        lists = [ranking.top(target, workspace.n_train, candidates, side).ids for target in targets.tolist()]
        total = mean_ranks(lists, workspace.n_train)
        ids = np.unique(np.concatenate(lists))
        ids, by = ids[top_k(-total[ids], len(ids))], "mean rank"
    if not len(ids):
        raise UserError(f"{ranking.name} has no {end} image for this group; choose another ranking or --end")
    return GroupRanking(ids, total[ids], by, targets, heuristic)


def rank_difference(
    workspace: Workspace, first: Ranking, other: Ranking, targets: np.ndarray, end: str
) -> GroupRanking:
    """The training images by how much more two rankings' scores of a group differ than those of other images, int [n],
    at an end: "helpful", those whose score by `first` exceeds that by `other` most, or "harmful", the reverse.

    Scores of two models have two scales: each sum over the targets is divided by its standard deviation over the
    training images. Raises UserError for another end, for a ranking without a sign or not every score, and where one of
    the two ranks none of the targets.
    """
    if end not in ("helpful", "harmful"):
        raise UserError(f"end {end!r} is not known; say helpful or harmful")
    for ranking in (first, other):
        if not (ranking.signed and ranking.complete):
            raise UserError(
                f"two models are compared by signed rankings with every score, and {ranking.name} is none; choose one "
                "such as influence-moco"
            )
    targets = np.intersect1d(targets, np.intersect1d(first.targets, other.targets))
    if not len(targets):
        raise UserError(f"{first.name} and {other.name} rank none of these validation images in common")
    sums = [np.sum([ranking.scores(target) for target in targets.tolist()], 0) for ranking in (first, other)]
    spreads = [float(total.std()) for total in sums]
    difference = np.subtract(*(total / spread if spread else total for total, spread in zip(sums, spreads)))
    sign = 1 if end == "helpful" else -1
    ids = np.flatnonzero(sign * difference > 0)
    if not len(ids):
        raise UserError(f"{first.name} and {other.name} score every image of this group alike")
    ids = ids[top_k(sign * difference[ids], len(ids))]
    return GroupRanking(ids, difference[ids], "difference", targets, False)
