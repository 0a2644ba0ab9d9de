"""A head: multinomial logistic regression on frozen features, refitted exactly after an edit, and its influence.

It minimises the sum of the losses + penalty * n / 2 * |W|^2, where n counts the full training set, whatever an edit
leaves of it. Features are standardised by the full set's mean and standard deviation. Intercepts are not penalised and
sum to 0; there are no class weights and there is no seed.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from attribution.errors import UserError
from attribution.training.head import solver
from attribution.training.head.solver import ABSENT_LOGIT, Point, Problem

#: goes up where the same data can give other weights
VERSION = 1
#: the penalties that `choose_penalty` tries
PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
FOLDS = 5
#: the widest features, and how large they may be in float32, in bytes
MAX_DIM = 8192
MAX_BYTES = 16 * 2**30
#: weights up to which the Hessian is factored: 6,000 take 0.7 GB for a while. Above, conjugate gradients do without
MAX_FACTORED = 6000
#: a column whose standard deviation is at most this share of its largest number is constant, but for rounding
CONSTANT = 1e-6
_FOLD_DECREMENT = 0.1  # the sum of losses is within 0.005 of the least: far finer than a prediction


@dataclass(frozen=True)
class PenaltyChoice:
    """penalty: the one chosen. accuracies: {penalty: share of training images that are predicted right}, each image by
    a head that was fitted without its fold; empty where somebody else chose."""

    penalty: float
    accuracies: dict[float, float]


class Head:
    """A head that is fitted to its full training set. Nothing that is asked of it changes it."""

    #: mean and standard deviation of the full training set's features, float64 [d]; 1 for constant columns
    mean: np.ndarray
    std: np.ndarray
    #: the solution on the full training set, as of `refit`
    weights: np.ndarray
    choice: PenaltyChoice

    def __init__(self, features: np.ndarray, labels: np.ndarray, n_classes: int):
        """Standardises, but does not fit: see `Head.fit`."""
        self.labels = _check_labels(labels, len(features), n_classes)
        self.n_train, self.dim = features.shape
        self.n_classes = int(n_classes)
        self.mean, self.std = _scales(features)
        self._x = np.ascontiguousarray(self.standardise(features).T)
        self._gram = solver.gram(self._x)
        self._lock = threading.Lock()
        self._prepared: solver.Preconditioner | None = None
        self._reach: float | None = None

    @classmethod
    def fit(
        cls,
        features: np.ndarray,
        labels: np.ndarray,
        n_classes: int,
        penalty: float | None = None,
        start: np.ndarray | None = None,
    ) -> Head:
        """The head of a full training set.

        features: float [n_train, d]. labels: int [n_train], from 0. penalty: of the squared weights for each training
        image; None has `choose_penalty` choose. start: weights to begin with, `weights` of an earlier fit to the same;
        the result is the same. Raises UserError for features that are not finite, too wide or too large, labels that
        are no classes, fewer than two classes, and a penalty that is not above 0.
        """
        features = _check_features(features)
        head = cls(features, labels, n_classes)
        if penalty is not None and not 0 < penalty < np.inf:
            raise UserError(f"a head's penalty is a number above 0, not {penalty}")
        head.choice = head.choose_penalty() if penalty is None else PenaltyChoice(float(penalty), {})
        problem = head._problem(np.ones(head.n_train), head.labels)
        begin = np.zeros((head.dim + 1, head.n_classes)) if start is None else start
        point, first = head._point(problem, begin), solver.Kronecker(head._gram, head.n_classes, problem.penalty)
        theta, steps = solver.solve(problem, point, first, problem.tolerance / 100)
        if start is not None and not steps:
            theta = point.theta  # the solution already: each process that begins with it then has the same numbers
        head._full = Point.at(problem, theta)
        head._full_present = problem.present
        head.weights = _to_weights(theta, problem.present)
        return head

    @property
    def penalty(self) -> float:
        """Of the squared weights, for each image of the full training set."""
        return self.choice.penalty

    def choose_penalty(self) -> PenaltyChoice:
        """The one of PENALTIES with the best cross-validated accuracy, the largest where several have it.

        Five folds, each with the same share of every class, cut in the order of the images: no chance is involved.
        """
        place = np.empty(self.n_train, np.int64)
        place[np.argsort(self.labels, kind="stable")] = np.arange(self.n_train)
        right = dict.fromkeys(PENALTIES, 0)
        for fold in range(min(FOLDS, self.n_train)):
            inside = place % FOLDS == fold
            if inside.all() or not inside.any():
                continue
            x, labels = np.ascontiguousarray(self._x[:, ~inside]), self.labels[~inside]
            present = np.bincount(labels, minlength=self.n_classes) > 0
            theta = np.zeros((self.n_classes, self.dim + 1))
            for penalty in PENALTIES:
                problem = Problem(x, labels, np.ones(len(labels)), present, penalty * len(labels))
                inverse = solver.Kronecker(self._gram * (len(labels) / self.n_train), self.n_classes, problem.penalty)
                theta, _ = solver.solve(problem, Point.at(problem, theta), inverse, _FOLD_DECREMENT)
                logits = _to_weights(theta, present).T @ self._x[:, inside]
                right[penalty] += int((logits.argmax(0) == self.labels[inside]).sum())
        accuracies = {penalty: count / self.n_train for penalty, count in right.items()}
        return PenaltyChoice(max(PENALTIES, key=lambda penalty: (accuracies[penalty], penalty)), accuracies)

    def standardise(self, features: np.ndarray) -> np.ndarray:
        """Features float [n, d] less the full training set's mean, over its standard deviation, and a column of ones:
        float32 [n, d + 1]. Raises UserError for another width and for numbers that are not finite."""
        features = np.asarray(features)
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise UserError(f"this head takes features [n, {self.dim}], not {list(features.shape)}")
        standardised = np.ones((len(features), self.dim + 1), np.float32)
        for at in range(0, len(features), 4096):
            rows = slice(at, at + 4096)
            standardised[rows, :-1] = (features[rows].astype(np.float64) - self.mean) / self.std
        if not np.isfinite(standardised).all():
            raise UserError("these features hold numbers that are not finite; train or import them again")
        return standardised

    def refit(
        self,
        keep: np.ndarray | None = None,
        labels: np.ndarray | None = None,
        start: np.ndarray | None = None,
        finer: float = 1,
    ) -> np.ndarray:
        """The exact weights after an edit: float64 [d + 1, classes], the intercepts last.

        keep: the training images that stay, int [m], each once; None for all. labels: int [n_train] after the edit;
        None for those of the full set. start: weights to begin with, those of an edit alike; the result is the same.
        A class without an image leaves the softmax: its weights are 0 and its logit is ABSENT_LOGIT everywhere. Margins
        err by at most solver.TOLERANCE / `finer` at features of usual length. Raises UserError where nothing is kept,
        for a number that is no training image, and for labels that are no classes.
        """
        problem = self._problem(self._image_weights(keep), self._edited_labels(labels), self.prepare())
        theta, _ = self._solve(problem, start, finer=finer)
        return _to_weights(theta, problem.present)

    def logits(self, weights: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Logits float64 [n, classes] of features float [n, d] by weights of `refit`; ABSENT_LOGIT for classes that
        had no training image. Raises UserError as `standardise`."""
        return self.standardise(features).astype(np.float64) @ weights

    def margins(self, weights: np.ndarray, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The correct logit minus the best other one, float64 [n], always finite: of a class that had no training image
        it is near ABSENT_LOGIT, below 0. labels: the correct ones, int [n]. Raises UserError as `standardise`."""
        return margins_of(self.logits(weights, features), labels)

    def influence(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        others: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        keep: np.ndarray | None = None,
        train_labels: np.ndarray | None = None,
        relabel_to: int | None = None,
    ) -> np.ndarray:
        """By how much the removal of each training image alone would lower a target's margin, in logits, to first
        order: float64 [targets, n_train]. Helpful images have scores above 0. Images that are not kept have 0.

        The score is -(x_i, r_i) . H^-1 . gradient of the margin, with x_i the image's features, r_i its probabilities
        minus its label's indicator, and H the Hessian: influence functions (Cook and Weisberg, 1982; Koh and Liang,
        arXiv 1703.04730, section 2.2), exact here but for the order.

        features: of the targets, float [targets, d]. labels: the class of each that is explained, int [targets].
        others: the class its margin is against, int [targets]; None takes the best other one. weights: where an edit
        brought the head (`refit`), with its keep and train_labels; None for the full training set. relabel_to: a class;
        the scores are then of giving each image this label, not of its removal. Raises UserError as `standardise` and
        `refit`.
        """
        targets = self.standardise(features).astype(np.float64)
        at_full = weights is None and keep is None and train_labels is None
        weights = self.weights if weights is None else weights
        if others is None:
            others = best_others(targets @ weights, labels)
        towards = np.zeros((len(targets), self.n_classes, self.dim + 1))
        rows = np.arange(len(targets))
        towards[rows, np.asarray(labels)] += targets
        towards[rows, np.asarray(others)] -= targets
        if at_full and isinstance(self._preconditioner, solver.Factor):
            towards[:, ~self._full_present] = 0
            moves = self._preconditioner.solve(towards)
            return self._scores(moves, self._changes(self._full.residuals, self.labels, None, relabel_to))
        problem = self._problem(self._image_weights(keep), self._edited_labels(train_labels))
        point = self._full if at_full else self._point(problem, weights)
        tolerance = 1e-8 if at_full else 1e-4
        moves = np.stack(
            [
                solver.inverse_product(problem, point.probabilities, right, self._preconditioner, tolerance)[0]
                for right in towards
            ]
        )
        return self._scores(moves, self._changes(point.residuals, problem.labels, problem.weights, relabel_to))

    def image_influence(
        self, image: int, features: np.ndarray, labels: np.ndarray, others: np.ndarray | None = None
    ) -> np.ndarray:
        """A training image's `influence` on the margins of targets, on the full training set: float64 [targets].

        One system of equations is solved, whatever the number of targets. features, labels, others: as of `influence`.
        """
        targets = self.standardise(features).astype(np.float64)
        if others is None:
            others = best_others(targets @ self.weights, labels)
        gradient = self._full.residuals[:, image, None] * self._x[None, :, image].astype(np.float64)
        if isinstance(self._preconditioner, solver.Factor):
            move = self._preconditioner.solve(gradient[None])[0]
        else:
            problem = self._problem(np.ones(self.n_train), self.labels)
            move, _ = solver.inverse_product(problem, self._full.probabilities, gradient, self._preconditioner, 1e-8)
        change = targets @ move.T
        rows = np.arange(len(targets))
        return change[rows, others] - change[rows, labels]

    def _changes(self, residuals, labels, weights, relabel_to) -> np.ndarray:
        """By how much an edit of each image lowers the derivatives of its loss, [classes, n_train]."""
        if relabel_to is None:
            return residuals
        changes = np.zeros_like(residuals)
        changes[relabel_to] = 1
        changes[labels, np.arange(self.n_train)] -= 1
        return changes if weights is None else changes * weights

    def _scores(self, moves: np.ndarray, changes: np.ndarray) -> np.ndarray:
        """moves: H^-1 . gradient of the margin, [targets, classes, d + 1]."""
        scores = np.empty((len(moves), self.n_train))
        for rows, x in solver.blocks(self._x):
            scores[:, rows] = -np.einsum("tcn,cn->tn", moves @ x, changes[:, rows])
        return scores

    @property
    def _preconditioner(self) -> solver.Preconditioner:
        """What refits begin with. It is made when it is first asked for: the Hessian of wide features takes longer than
        the fit, and predictions do without."""
        with self._lock:
            if self._prepared is None:
                problem = self._problem(np.ones(self.n_train), self.labels)
                if self._full.theta.size <= MAX_FACTORED:
                    self._prepared = solver.Factor(problem, self._full)
                else:
                    self._prepared = solver.Kronecker(self._gram, self.n_classes, problem.penalty)
            return self._prepared

    def prepare_influence(self) -> None:
        """Makes what the first influence waits for."""
        self._preconditioner  # noqa: B018

    def prepare(self) -> float:
        """Makes what refits need, and returns how far their margins reach (`Problem.reach`). An influence does without
        half of it."""
        preconditioner = self._preconditioner
        with self._lock:
            if self._reach is None and isinstance(preconditioner, solver.Factor):
                problem = self._problem(np.ones(self.n_train), self.labels)
                self._reach = preconditioner.reach(problem, self._full)
            elif self._reach is None:
                self._reach = np.inf
            return self._reach

    def _problem(self, image_weights: np.ndarray, labels: np.ndarray, reach: float = np.inf) -> Problem:
        present = np.bincount(labels[image_weights > 0], minlength=self.n_classes) > 0
        # with fewer images the Hessian is smaller, and margins reach further
        reach *= np.sqrt(self.n_train / image_weights.sum())
        return Problem(self._x, labels, image_weights, present, self.penalty * self.n_train, reach)

    def _solve(
        self, problem: Problem, start: np.ndarray | None, tolerance: float | None = None, finer: float = 1
    ) -> tuple[np.ndarray, int]:
        point = self._full.under(problem) if start is None else self._point(problem, start)
        if tolerance is None:  # the decrement by another matrix than the Hessian may be too small
            tolerance = problem.tolerance / finer / (1 if isinstance(self._preconditioner, solver.Factor) else 10)
        return solver.solve(problem, point, self._preconditioner, tolerance)

    def _point(self, problem: Problem, weights: np.ndarray) -> Point:
        theta = np.where(weights[-1] > ABSENT_LOGIT, weights, 0).T
        return Point.at(problem, np.ascontiguousarray(np.where(problem.present[:, None], theta, 0)))

    def _image_weights(self, keep) -> np.ndarray:
        if keep is None:
            return np.ones(self.n_train)
        keep = np.asarray(keep)
        if not len(keep):
            raise UserError("an edit has to leave a training image; this one leaves none")
        if keep.dtype.kind not in "iu" or keep.min() < 0 or keep.max() >= self.n_train:
            raise UserError(f"training images have numbers from 0 to {self.n_train - 1}; keep holds others")
        weights = np.zeros(self.n_train)
        weights[keep] = 1
        return weights

    def _edited_labels(self, labels) -> np.ndarray:
        return self.labels if labels is None else _check_labels(labels, self.n_train, self.n_classes)


def margins_of(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The logit of each row's label minus the best other one, float64 [n]. logits: [n, classes]; labels: int [n]."""
    rows = np.arange(len(logits))
    return logits[rows, labels] - logits[rows, best_others(logits, labels)]


def best_others(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The class with the largest logit but for each row's label, int64 [n]. logits: [n, classes]; labels: int [n]."""
    others = np.array(logits)
    others[np.arange(len(others)), labels] = -np.inf
    return others.argmax(1)


def _to_weights(theta: np.ndarray, present: np.ndarray) -> np.ndarray:
    """theta [classes, d + 1] as weights [d + 1, classes], with ABSENT_LOGIT as the intercept of absent classes."""
    weights = np.ascontiguousarray(theta.T)
    weights[-1, ~present] = ABSENT_LOGIT
    return weights


def _scales(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column, float64 [d], the latter 1 where a column is constant. Raises
    UserError where a column holds numbers that are not finite."""

    def blocks():
        return (features[at : at + 4096].astype(np.float64) for at in range(0, len(features), 4096))

    with np.errstate(invalid="ignore", over="ignore"):
        mean = sum(block.sum(0) for block in blocks()) / len(features)
        std = np.sqrt(sum(((block - mean) ** 2).sum(0) for block in blocks()) / len(features))
    if not np.isfinite(std).all():
        bad = np.flatnonzero(~np.isfinite(std))
        raise UserError(
            f"{len(bad)} of {len(std)} columns of these features hold numbers that are not finite, column {bad[0]} the "
            "first; train or import the features again"
        )
    largest = np.max([np.abs(block).max(0) for block in blocks()], axis=0)
    return mean, np.where(std <= CONSTANT * largest, 1, std)


def _check_features(features) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 2 or features.dtype.kind not in "fiu" or not all(features.shape):
        raise UserError(f"a head takes features as numbers [images, d], not {features.dtype} {list(features.shape)}")
    n_train, dim = features.shape
    if dim > MAX_DIM:
        raise UserError(f"these features are {dim:,} wide, and a head takes at most {MAX_DIM:,}; choose another set")
    size = 4 * n_train * (dim + 1)
    if size > MAX_BYTES:
        raise UserError(
            f"these features take {size / 2**30:.0f} GiB in memory, {n_train:,} x {dim:,}, and a head takes at most "
            f"{MAX_BYTES / 2**30:.0f}; choose a narrower set"
        )
    return features


def _check_labels(labels, n_train: int, n_classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    if n_classes < 2:
        raise UserError(f"a head tells at least two classes apart, and here is {n_classes}")
    if labels.shape != (n_train,) or labels.dtype.kind not in "iu":
        raise UserError(f"a head takes {n_train:,} labels, one a training image, not {labels.dtype} {labels.shape}")
    if labels.min() < 0 or labels.max() >= n_classes:
        raise UserError(f"labels go from 0 to {n_classes - 1}; these go from {labels.min()} to {labels.max()}")
    return labels.astype(np.int64)
