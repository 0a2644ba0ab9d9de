"""A kept training is the trainer's own."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.rankings.unrolled import trajectory  # noqa: E402
from attribution.training import recipes  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402
from tests.unit.training.test_trainer import data  # noqa: E402


@pytest.mark.parametrize("average", [0, 0.5])
def test_it_ends_at_the_weights_that_the_trainer_reaches(tmp_path, average):
    recipe = replace(recipes.get_recipe("demo-cnn"), average=average, epochs=3)
    outcome = Trainer(data(), recipe, "cpu", torch.float32).run(seed=4)
    kept = trajectory.record(Trainer(data(), recipe, "cpu", torch.float32), 4, 2, tmp_path / "kept.npy")
    for one, other in zip(outcome.network.state_dict().values(), kept.network.state_dict().values()):
        assert one.dtype in (torch.float32, torch.int64) and torch.equal(one, other)
    assert [step.number for step in kept.steps] == list(range(3, 9)) and kept.parameters.shape[0] == 6
    assert kept.n_averaged == (5 if average else 0)
    assert np.array_equal(np.load(tmp_path / "kept.npy"), kept.parameters)


def test_the_kept_steps_lead_from_one_to_the_next(tmp_path):
    """Each step taken anew from the weights before it, with torch's optimiser, from the start."""
    recipe = replace(recipes.get_recipe("demo-cnn"), average=0, epochs=2)
    trainer = Trainer(data(), recipe, "cpu", torch.float64)
    kept = trajectory.record(trainer, 4, 9, tmp_path / "kept.npy")
    assert len(kept.steps) == 6  # no more epochs than there are
    network = trainer.untrained(4)
    weights = trajectory.trained_weights(network)
    assert torch.equal(trajectory.flatten(weights), kept.at(0))
    trajectory.load(network, kept.at(5))
    assert torch.equal(trajectory.flatten(weights), kept.at(5))
    assert not torch.equal(kept.at(4), kept.at(5))
