"""Leaving images out one at a time under a head: against another solver, and what the rankings are worth."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize

from attribution import UserError
from attribution.evaluation import leave_one_out


@pytest.fixture
def seen(ws):
    return ws.with_model("head-moco")


def margins_by_scipy(seen, image: int | None) -> np.ndarray:
    """The margins of all validation images without a training image, by BFGS on the objective itself."""
    head, features = seen.head("moco").head, seen.feature("moco")
    x, val = (head.standardise(np.asarray(part)).astype(float) for part in (features.train, features.val))
    keep = np.arange(len(x)) != (-1 if image is None else image)
    x, labels = x[keep], seen.train_labels[keep]

    def objective(flat):
        weights = flat.reshape(4, 3)
        logits = x @ weights
        logs = logits - np.log(np.exp(logits).sum(1))[:, None]
        residuals = np.exp(logs) - np.eye(3)[labels]
        squares = head.penalty * head.n_train / 2 * (weights[:-1] ** 2).sum()
        slope = x.T @ residuals + head.penalty * head.n_train * np.vstack([weights[:-1], np.zeros((1, 3))])
        return squares - logs[np.arange(len(labels)), labels].sum(), slope.ravel()

    weights = minimize(objective, np.zeros(12), jac=True, options={"gtol": 1e-10, "maxiter": 5000}).x.reshape(4, 3)
    return head.margins(weights, np.asarray(features.val), seen.val_labels)


def test_the_change_is_that_of_a_refit(seen):
    images = np.array([3, 17])
    falls = leave_one_out.leave_out(seen, images)
    whole = margins_by_scipy(seen, None)
    for at, image in enumerate(images):
        assert falls[:, at] == pytest.approx(whole - margins_by_scipy(seen, image), abs=1e-5)


def test_influence_knows_it_and_random_order_does_not(seen):
    answer = leave_one_out.compute(seen, ["influence-moco", "random"], 60)
    influence, random = (answer["rankings"][name] for name in ("influence-moco", "random"))
    assert answer["images"] == 60 and answer["targets"] == influence["correlation"]["n"] == 12
    assert influence["correlation"]["mean"] > 0.9 and influence["same_class"]["mean"] > 0.9
    low, high = random["same_class"]["ci"]
    assert low < 0.3 and high > -0.3 and random["correlation"]["mean"] > random["same_class"]["mean"]
    assert json.loads(json.dumps(answer)) == answer


def test_a_sample_is_drawn_by_its_seed(seen):
    first, again, other = (leave_one_out.compute(seen, ["l2-moco"], 10, seed) for seed in (0, 0, 1))
    assert first == again and first["rankings"] != other["rankings"] and first["images"] == 10
    assert leave_one_out.compute(seen, ["l2-moco"], 999)["images"] == 60


def test_a_network_and_a_list_are_refused(ws, seen):
    with pytest.raises(UserError, match="noise between two seeds drowns .* --model head-moco"):
        leave_one_out.compute(ws)
    folder = ws.path / "rankings" / "first"
    folder.mkdir()
    np.save(folder / "ids.npy", np.zeros((12, 1, 4), int))
    seen.record_part("rankings/first", {"method": "x"})
    with pytest.raises(UserError, match="first keeps its first images alone"):
        leave_one_out.compute(seen, ["first"])
    assert leave_one_out.complete_names(seen) == ["influence-moco", "esvm-moco", "l2-moco", "trak-10", "random"]
