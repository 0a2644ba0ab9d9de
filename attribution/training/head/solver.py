"""The arithmetic of a head: multinomial logistic regression by a quasi-Newton method with a fixed factor.

Arrays in, arrays out; numpy and scipy alone. Here features are float32 [d + 1, n], the last row ones, weights float64
[classes, d + 1], the intercept last, and what there is for each image and class is [classes, n]: sums over classes then
go along the memory.

The method is L-BFGS (Liu and Nocedal, Mathematical Programming 45, 1989; Nocedal and Wright, Numerical Optimization,
2nd ed., algorithm 7.4) that begins with a `Preconditioner` as its inverse Hessian: that of the full training set at its
solution (`Factor`), from where the solution of an edit is a few steps away. All is known in float64 where it starts;
what changes from there runs in float32, whose rounding is that of the change and not of the whole (`_Moved`). Where a
solution is wanted more exactly than that allows, everything is computed in float64 at the weights found, and it starts
again there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import dsyrk, ssymv

#: the logit of a class without training images: its probability, exp(-1000), is 0 even in float64
ABSENT_LOGIT = -1000.0
#: what a margin may err by, in logits, at an image whose features are of usual length
TOLERANCE = 2e-5
MAX_STEPS = 2000
_MEMORY = 12  # pairs of steps that L-BFGS keeps
_ROWS = 4096  # images that are held in float64 at a time
_ROUNDING = 3e-7  # by how much float32 brings a decrement down before its rounding shows
_STALLED = 1e-5  # below this share of it, rounding is why a decrement does not fall
_FAR = 10.0  # in logits: float32 holds a change of the probabilities well up to here
_SAMPLE = 256  # images that say how far margins move
_FEW = 0.1  # of the images: where less changed, the rest of a gradient is not computed again


class Preconditioner(Protocol):
    """An approximation of the inverse Hessian, symmetric and positive definite."""

    def apply(self, gradient: np.ndarray) -> np.ndarray:
        """Its product with a gradient, float [classes, d + 1]."""


@dataclass(frozen=True)
class Problem:
    """What is minimised: the sum of losses, each times its weight, + penalty / 2 * |W|^2, intercepts left out.

    x: float32 [d + 1, n]. labels: int64 [n]. weights: float64 [n]. present: classes that take part, bool [classes].
    reach: how far a margin may be off for each unit of the Newton decrement, where that is known (`Factor.reach`).
    """

    x: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    present: np.ndarray
    penalty: float
    reach: float = np.inf

    @property
    def tolerance(self) -> float:
        """The Newton decrement at which margins err by at most TOLERANCE at an image whose features are of usual
        length: whatever is known, the Hessian is at least `penalty`, and a margin is a product with the features
        twice."""
        return TOLERANCE / min(self.reach, float(np.sqrt(2 * len(self.x) / self.penalty)))

    def logits(self, theta: np.ndarray) -> np.ndarray:
        """Logits float64 [classes, n] at weights `theta`; those of absent classes mean nothing."""
        logits = np.empty((len(theta), self.x.shape[1]))
        for rows, x in blocks(self.x):
            logits[:, rows] = theta @ x
        return logits

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities float64 [classes, n]; 0 for absent classes."""
        shifted = logits - logits.max(0) if self.present.all() else logits - logits[self.present].max(0)
        if not self.present.all():
            shifted[~self.present] = ABSENT_LOGIT
        probabilities = np.exp(shifted, out=shifted)
        probabilities /= probabilities.sum(0)
        return probabilities

    def residuals(self, probabilities: np.ndarray) -> np.ndarray:
        """Derivatives of the weighted losses by the logits, float64 [classes, n]."""
        residuals = probabilities.copy()
        residuals[self.labels, np.arange(len(self.labels))] -= 1
        residuals *= self.weights
        return residuals

    def product(self, values: np.ndarray) -> np.ndarray:
        """Sum over images of `values`, float64 [classes, n], times their features, in float64: [classes, d + 1]."""
        total = np.zeros((len(values), len(self.x)))
        for rows, x in blocks(self.x):
            total += values[:, rows] @ x.T
        return total

    def fast_product(self, values: np.ndarray) -> np.ndarray:
        """As `product`, in float32."""
        return (self.x @ values.astype(np.float32, copy=False).T).T.astype(np.float64)

    def penalise(self, data_part: np.ndarray, theta: np.ndarray) -> np.ndarray:
        """The derivative of the objective, given that of the losses: float64 [classes, d + 1]."""
        total = data_part.copy()
        total[:, :-1] += self.penalty * theta[:, :-1]
        total[~self.present] = 0
        return total


@dataclass(frozen=True)
class Point:
    """Weights and what is known there: logits, probabilities and residuals, float64 [classes, n], and the derivative of
    the losses, float64 [classes, d + 1]."""

    theta: np.ndarray
    logits: np.ndarray
    probabilities: np.ndarray
    residuals: np.ndarray
    losses: np.ndarray

    @classmethod
    def at(cls, problem: Problem, theta: np.ndarray) -> Point:
        """All of it in float64."""
        logits = problem.logits(theta)
        probabilities = problem.probabilities(logits)
        residuals = problem.residuals(probabilities)
        return cls(theta, logits, probabilities, residuals, problem.product(residuals))

    def under(self, problem: Problem) -> Point:
        """The same weights under another problem of the same images, in float64; cheap where few residuals differ."""
        probabilities = problem.probabilities(self.logits)
        residuals = problem.residuals(probabilities)
        change = residuals - self.residuals
        images = np.flatnonzero(change.any(0))
        if len(images) > _FEW * change.shape[1]:
            losses = problem.product(residuals)
        else:
            losses = self.losses + change[:, images] @ problem.x[:, images].astype(np.float64).T
        return Point(self.theta, self.logits, probabilities, residuals, losses)


def solve(
    problem: Problem, start: Point, preconditioner: Preconditioner, tolerance: float | None = None
) -> tuple[np.ndarray, int]:
    """The weights that minimise a problem, float64 [classes, d + 1], and how many steps it took.

    start: under `problem`. tolerance: the Newton decrement to reach, the problem's own where it is None. Rows of absent
    classes are 0; intercepts of the others sum to 0. Raises ArithmeticError where MAX_STEPS do not get there.
    """
    tolerance = problem.tolerance if tolerance is None else tolerance
    moved, steps, pairs = _Moved(problem, start), 0, []
    largest = before = best = since = 0.0  # decrements: in float64 last, a step ago, the least; steps since it halved
    while steps < MAX_STEPS:
        gradient = moved.gradient
        direction, decrement = _two_loops(problem, preconditioner, gradient, pairs)
        if moved.is_start:
            largest = before = best = decrement
            since = 0
        # this direction brings it down by about as much as the last one did, and costs nothing more
        expected = decrement * min(decrement / before, 1) if before else 0.0
        if expected <= max(tolerance, _ROUNDING * largest):
            if tolerance >= _ROUNDING * largest:
                return _centre(problem, moved.theta + direction), steps
            moved = _Moved(problem, Point.at(problem, moved.theta + direction))
            continue
        best, since = (decrement, 0) if decrement < best / 2 else (best, since + 1)
        if since > 3 and decrement < _STALLED * largest:
            moved = _Moved(problem, Point.at(problem, moved.theta))
            continue
        length, direction = moved.search(direction)
        change, step = moved.gradient - gradient, length * direction
        product = float(np.vdot(change, step))
        if product > 0:
            pairs = [*pairs[1 - _MEMORY :], (step, change, 1 / product)]
        before = decrement
        steps += 1
    raise ArithmeticError(f"no solution within {MAX_STEPS} steps")


class _Moved:
    """Weights some way from a point, and the gradient there.

    Of the point everything is known in float64. What is different here, `logits` and `change` of the probabilities, is
    in float32, and is exact to its own size, not to that of the whole: rounding shows only when a gradient has become
    some millionths of what it was at the point.
    """

    def __init__(self, problem: Problem, start: Point):
        self.problem, self.start, self.theta = problem, start, start.theta
        self._losses, self.gradient = start.losses, problem.penalise(start.losses, start.theta)
        self._probabilities = start.probabilities.astype(np.float32)
        self._weights = None if (problem.weights == 1).all() else problem.weights.astype(np.float32)
        self._logits = np.zeros_like(self._probabilities)
        self._change = np.zeros_like(self._probabilities)
        # made once and written again at each step: fresh memory of this size costs as much as a product does
        self._along, self._weighted, self._next_logits, self._next_change, self._scratch = (
            np.empty_like(self._probabilities) for _ in range(5)
        )

    @property
    def is_start(self) -> bool:
        """Whether these are still the weights of the point."""
        return self.theta is self.start.theta

    def search(self, direction: np.ndarray) -> tuple[float, np.ndarray]:
        """Moves along a direction, to where the slope is at most half of what it is here. Returns how far, and the
        direction as it was taken, in float32.

        The objective is convex, so its slope only grows: the minimum is where it changes its sign.
        """
        problem, along, weighted = self.problem, self._along, self._along
        short = direction.astype(np.float32)
        direction = short.astype(np.float64)
        np.matmul(short, problem.x, out=along)
        if self._weights is not None:
            weighted = np.multiply(along, self._weights, out=self._weighted)
        slope = float(np.vdot(self.gradient, direction))
        flat = problem.penalty * float((direction[:, :-1] ** 2).sum())
        length = -slope / (self._curvature() + flat)
        low, high = 0.0, np.inf
        for _ in range(30):
            logits = np.multiply(along, np.float32(length), out=self._next_logits)
            logits += self._logits
            self._write_change(logits, self._next_change)
            step = np.subtract(self._next_change, self._change, out=self._scratch)
            there = slope + float(np.vdot(step, weighted)) + length * flat
            if abs(there) <= 0.5 * abs(slope):
                break
            low, high = (length, high) if there < 0 else (low, length)
            length = 2 * length if high == np.inf else (low + high) / 2
        length = float(np.float32(length))
        self.theta = self.theta + length * direction
        if self._weights is not None:
            step *= self._weights
        self._losses = self._losses + problem.fast_product(step)
        self._logits, self._next_logits = self._next_logits, self._logits
        self._change, self._next_change = self._next_change, self._change
        self.gradient = problem.penalise(self._losses, self.theta)
        return length, direction

    def _curvature(self) -> float:
        """The second derivative of the losses along the direction whose logits are in `_along`."""
        here = np.add(self._probabilities, self._change, out=self._scratch)
        here *= self._along
        mean = here.sum(0)
        here *= self._along
        both = here.sum(0)
        both -= mean * mean
        return float(both.sum(dtype=np.float64) if self._weights is None else np.vdot(both, self._weights))

    def _write_change(self, logits: np.ndarray, out: np.ndarray) -> None:
        """Writes by how much probabilities change where logits change by so much, float32 [classes, n]."""
        if max(float(logits.max()), -float(logits.min())) > _FAR:
            np.subtract(self.problem.probabilities(self.start.logits + logits), self.start.probabilities, out=out)
            return
        np.expm1(logits, out=out)
        out *= self._probabilities
        total = out.sum(0)
        out -= np.multiply(self._probabilities, total, out=self._scratch)
        total += 1
        out /= total


def _two_loops(problem: Problem, preconditioner, gradient, pairs) -> tuple[np.ndarray, float]:
    """The direction of L-BFGS (Nocedal and Wright, algorithm 7.4), and its Newton decrement."""
    result, shares = gradient.copy(), []
    for moved, change, scale in reversed(pairs):
        shares.append(scale * float(np.vdot(moved, result)))
        result -= shares[-1] * change
    result = apply(problem, preconditioner, result)
    for (moved, change, scale), share in zip(pairs, reversed(shares)):
        result += (share - scale * float(np.vdot(change, result))) * moved
    return -result, _norm(gradient, result)


def inverse_product(
    problem: Problem, probabilities: np.ndarray, right: np.ndarray, preconditioner: Preconditioner, tolerance: float
) -> tuple[np.ndarray, int]:
    """Hessian^-1 . right, float64 [classes, d + 1], by preconditioned conjugate gradients, and the steps it took.

    probabilities: where the Hessian is taken, float64 [classes, n]. right: [classes, d + 1], its last column with the
    sum 0. tolerance: what may be left of `right`, in the preconditioner's norm; below 1e-5 products are in float64.
    """
    product = problem.fast_product if tolerance >= 1e-5 else problem.product
    residual = np.where(problem.present[:, None], right, 0).astype(np.float64)
    result = np.zeros_like(residual)
    towards = apply(problem, preconditioner, residual)
    direction, size = towards, float(np.vdot(residual, towards))
    target, steps = tolerance**2 * size, 0
    while size > target and steps < MAX_STEPS:
        if tolerance >= 1e-5:
            moved = (direction.astype(np.float32) @ problem.x).astype(np.float64)
        else:
            moved = problem.logits(direction)
        moved -= (probabilities * moved).sum(0)
        curved = problem.penalise(product(moved * probabilities * problem.weights), direction)
        length = size / float(np.vdot(direction, curved))
        result += length * direction
        residual -= length * curved
        towards = apply(problem, preconditioner, residual)
        size, before = float(np.vdot(residual, towards)), size
        direction = towards + size / before * direction
        steps += 1
    return _centre(problem, result), steps


def apply(problem: Problem, preconditioner: Preconditioner, gradient: np.ndarray) -> np.ndarray:
    """The preconditioner's product with a gradient, float64 [classes, d + 1]; 0 for absent classes."""
    result = np.asarray(preconditioner.apply(gradient), np.float64)
    result[~problem.present] = 0
    return result


def _norm(gradient, direction) -> float:
    return float(np.sqrt(max(np.vdot(gradient, direction), 0)))


def _centre(problem: Problem, theta) -> np.ndarray:
    """The same with a last column that sums to 0 over the classes that are present, which changes no probability, and
    zeros for the others."""
    theta = theta.copy()
    theta[problem.present, -1] -= theta[problem.present, -1].mean()
    theta[~problem.present] = 0
    return theta


class Factor:
    """The inverse Hessian of a problem at a point, by Cholesky in float64: exact there.

    The Hessian is 0 along the one direction that changes no probability, all intercepts by the same, and in the
    intercept of a class without images. Both get n / classes^2 there, which moves no solution: no gradient has a part
    in that direction.
    """

    def __init__(self, problem: Problem, point: Point):
        self.shape = point.theta.shape
        self._factor = cho_factor(_hessian(problem, point), lower=True, overwrite_a=True, check_finite=False)

    @cached_property
    def _inverse(self) -> np.ndarray:
        identity = np.eye(len(self._factor[0]), order="F")
        inverse = cho_solve(self._factor, identity, overwrite_b=True, check_finite=False)
        return np.asfortranarray(inverse, np.float32)

    def apply(self, gradient: np.ndarray) -> np.ndarray:
        """See `Preconditioner.apply`: by the inverse in float32, of which half is read."""
        return ssymv(1, self._inverse, gradient.astype(np.float32).ravel()).reshape(self.shape)

    def reach(self, problem: Problem, point: Point) -> float:
        """The most that a margin moves for each unit of the Newton decrement (Cauchy-Schwarz: the square root of g .
        Hessian^-1 . g, g the margin's derivative), over some of the training images, evenly spaced."""
        images = np.unique(np.linspace(0, problem.x.shape[1] - 1, _SAMPLE).astype(np.int64))
        rows = np.arange(len(images))
        others = np.argsort(-point.probabilities[:, images], axis=0)[:2]
        towards = np.zeros((len(images), *self.shape))
        towards[rows, others[0]] = problem.x[:, images].T
        towards[rows, others[1]] = -problem.x[:, images].T
        return float(np.sqrt(np.einsum("tcd,tcd->t", towards, self.solve(towards)).max()))

    def solve(self, right: np.ndarray) -> np.ndarray:
        """Hessian^-1 . right in float64, for several right sides at once: [targets, classes, d + 1]."""
        flat = right.reshape(len(right), -1).T
        return cho_solve(self._factor, flat, check_finite=False).T.reshape(right.shape)


def _hessian(problem: Problem, point: Point) -> np.ndarray:
    """The lower triangle of the Hessian, float64 [classes * (d + 1)] twice."""
    classes, width = point.theta.shape
    lower = np.zeros((classes * width, classes * width), order="F")
    own = np.zeros((classes, width, width))
    for rows, x in blocks(problem.x):
        shares, weights = point.probabilities[:, rows], problem.weights[rows]
        scaled = (shares * np.sqrt(weights))[:, None, :] * x  # [classes, d + 1, images]
        lower = dsyrk(-1, scaled.reshape(classes * width, -1).T, beta=1, c=lower, trans=1, lower=1, overwrite_c=1)
        for one in range(classes):
            own[one] += (x * (shares[one] * weights)) @ x.T
    for one in range(classes):
        at = slice(one * width, (one + 1) * width)
        lower[at, at] += own[one]
    diagonal = np.arange(classes * width)
    lower[diagonal, diagonal] += np.where(diagonal % width == width - 1, 0, problem.penalty)
    intercepts = np.arange(classes) * width + width - 1
    extra = problem.x.shape[1] / classes**2
    lower[np.ix_(intercepts, intercepts)] += extra * (1 + np.diag(~problem.present))
    return lower


class Kronecker:
    """The inverse of a Hessian with all probabilities the same, I / classes by X^T X (Boehning, Annals of the Institute
    of Statistical Mathematics 44, 1992): only a matrix of d + 1 is factored.

    The first fit begins with it, and all go by it where the Hessian itself is too large. gram: X^T X, float64 [d + 1,
    d + 1], as of `gram`.
    """

    def __init__(self, gram: np.ndarray, n_classes: int, penalty: float):
        hessian = gram / n_classes
        features = np.arange(len(gram) - 1)
        hessian[features, features] += penalty
        self._inverse = np.linalg.inv(hessian).astype(np.float32)

    def apply(self, gradient: np.ndarray) -> np.ndarray:
        """See `Preconditioner.apply`."""
        return gradient.astype(np.float32) @ self._inverse


def gram(x: np.ndarray) -> np.ndarray:
    """Products of the features summed over images, float64 [d + 1, d + 1], of x, float32 [d + 1, n]."""
    total = np.zeros((len(x), len(x)))
    for _, block in blocks(x):
        total += block @ block.T
    return total


def blocks(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """The images a few thousand at a time, and their features, float64 [d + 1, images], of x, float32 [d + 1, n]."""
    for at in range(0, x.shape[1], _ROWS):
        rows = slice(at, at + _ROWS)
        yield rows, x[:, rows].astype(np.float64)
