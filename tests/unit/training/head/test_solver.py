"""The arithmetic of heads: its derivatives against differences, its inverse Hessian against the Hessian itself."""

import numpy as np
import pytest

from attribution.training.head import solver
from attribution.training.head.solver import Factor, Kronecker, Point, Problem, gram, inverse_product, solve


def make_problem(n=200, dim=6, classes=4, penalty=2.0, seed=0):
    rng = np.random.default_rng(seed)
    x = np.vstack([rng.standard_normal((dim, n)), np.ones((1, n))]).astype(np.float32)
    labels = (x[:classes].argmax(0) + rng.integers(0, 2, n)) % classes
    return Problem(x, labels, rng.uniform(0.5, 1.5, n), np.ones(classes, bool), penalty)


def objective(problem, theta):
    probabilities = problem.probabilities(problem.logits(theta))
    losses = -np.log(probabilities[problem.labels, np.arange(len(problem.labels))])
    return losses @ problem.weights + problem.penalty / 2 * (theta[:, :-1] ** 2).sum()


def gradient_at(problem, theta):
    return problem.penalise(Point.at(problem, theta).losses, theta)


def start(problem):
    return Point.at(problem, np.zeros((len(problem.present), len(problem.x))))


def kronecker(problem):
    return Kronecker(gram(problem.x), len(problem.present), problem.penalty)


def test_the_gradient_is_the_objectives():
    problem, rng = make_problem(), np.random.default_rng(1)
    theta, direction = rng.standard_normal((2, 4, 7))
    ends = [objective(problem, theta + step * direction) for step in (1e-5, -1e-5)]
    assert np.vdot(gradient_at(problem, theta), direction) == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6)


def test_the_factor_is_the_inverse_of_the_gradients_derivative():
    problem, rng = make_problem(), np.random.default_rng(2)
    theta = rng.standard_normal((4, 7))
    direction = rng.standard_normal((4, 7))
    direction[:, -1] -= direction[:, -1].mean()
    ends = [gradient_at(problem, theta + step * direction) for step in (1e-5, -1e-5)]
    moved = (ends[0] - ends[1]) / 2e-5
    point = Point.at(problem, theta)
    factor = Factor(problem, point)
    assert np.allclose(factor.solve(moved[None])[0], direction, atol=1e-6)
    assert np.allclose(factor.apply(moved), direction, atol=1e-3)
    for tolerance, close in ((1e-10, 1e-6), (1e-4, 1e-2)):
        found, steps = inverse_product(problem, point.probabilities, moved, kronecker(problem), tolerance)
        assert np.allclose(found, direction, atol=close) and 1 < steps < 60


@pytest.mark.parametrize("precondition", [kronecker, lambda problem: Factor(problem, start(problem))])
def test_the_solution_has_no_gradient(precondition):
    problem = make_problem()
    theta, steps = solve(problem, start(problem), precondition(problem), 1e-9)
    assert np.abs(gradient_at(problem, theta)).max() < 1e-8
    assert abs(theta[:, -1].sum()) < 1e-12 and steps < 60


def test_a_point_under_another_problem_is_as_computed_there():
    problem = make_problem()
    point = Point.at(problem, np.random.default_rng(3).standard_normal((4, 7)))
    for removed in (3, 150):
        weights = problem.weights.copy()
        weights[:removed] = 0
        other = Problem(problem.x, problem.labels, weights, problem.present, problem.penalty)
        moved, anew = point.under(other), Point.at(other, point.theta)
        for name in ("logits", "probabilities", "residuals", "losses"):
            assert np.allclose(getattr(moved, name), getattr(anew, name), atol=1e-10)


def test_absent_classes_have_no_part():
    problem = make_problem()
    present = np.array([True, False, True, True])
    weights = np.where(problem.labels == 1, 0, problem.weights)
    other = Problem(problem.x, problem.labels, weights, present, problem.penalty)
    theta, _ = solve(other, start(other), kronecker(other), 1e-9)
    rows = problem.labels != 1
    three = Problem(problem.x[:, rows], np.searchsorted([0, 2, 3], problem.labels[rows]), weights[rows],
                    np.ones(3, bool), problem.penalty)  # fmt: skip
    expected, _ = solve(three, start(three), kronecker(three), 1e-9)
    assert not theta[1].any() and np.allclose(theta[present], expected, atol=1e-7)


def test_far_from_the_start_it_still_arrives():
    problem = make_problem(penalty=1e-3)
    away = Point.at(problem, np.random.default_rng(4).standard_normal((4, 7)) * 50)
    theta, _ = solve(problem, away, kronecker(problem), 1e-9)
    expected, _ = solve(problem, start(problem), kronecker(problem), 1e-9)
    assert np.allclose(theta, expected, atol=1e-5)


def test_it_says_when_it_does_not_arrive(monkeypatch):
    monkeypatch.setattr(solver, "MAX_STEPS", 3)
    problem = make_problem()
    with pytest.raises(ArithmeticError, match="within 3 steps"):
        solve(problem, start(problem), kronecker(problem), 1e-9)


def test_many_images_go_in_blocks(monkeypatch):
    problem = make_problem()
    whole = Factor(problem, start(problem))
    monkeypatch.setattr(solver, "_ROWS", 33)
    in_blocks = Factor(problem, start(problem))
    right = np.random.default_rng(5).standard_normal((2, 4, 7))
    assert np.allclose(whole.solve(right), in_blocks.solve(right))
