"""The first layer of fast94: whitened patches of the training images, the same under every edit and seed."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.training import recipes  # noqa: E402
from attribution.training.edits import no_edit, remove  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402
from tests.unit.training.recipes.test_recipes import data  # noqa: E402


@pytest.fixture(scope="module")
def trainer():
    return Trainer(
        data(n=60), replace(recipes.get_recipe("fast94"), epochs=1, batch_size=20, learning_rate=0.01), "cpu"
    )


def test_what_leaves_the_first_layer_is_white(trainer):
    with torch.no_grad():
        seen = trainer.untrained(0)[0](trainer.train_images.float()).transpose(0, 1).flatten(1).numpy()
    assert np.allclose(np.cov(seen[:12]), np.eye(12), atol=0.05)
    assert np.allclose(seen[12:], -seen[:12])


def test_it_is_frozen_and_hangs_on_neither_edit_nor_seed(trainer):
    first = trainer.untrained(0)[0].weight
    for edit, seed in ((no_edit(), 0), (remove(range(30)), 5)):
        assert torch.equal(trainer.train(edit, seed)[0].weight, first)
