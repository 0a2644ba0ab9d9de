"""Derivatives of margins by the trained weights, against finite differences, in float64."""

import pytest

torch = pytest.importorskip("torch")

from attribution.rankings.unrolled import final, trajectory  # noqa: E402
from attribution.training.edits import no_edit  # noqa: E402
from attribution.training.trainer import margins  # noqa: E402
from tests.unit.rankings.unrolled import small  # noqa: E402

TARGETS = torch.tensor([1, 9, 2])


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("test", ["none", "flip", "flip-translate"])
@pytest.mark.parametrize("network", [small.with_norms, small.without_norms])
def test_they_are_what_moved_weights_show(network, test, fast):
    """The statistics follow the weights, as the trainer refreshes them."""
    trainer = small.WeightedTrainer(small.recipe(network, test=test, average=0.5))
    trained = trainer.train(no_edit(), 2)
    weights = trajectory.flatten(trajectory.trained_weights(trained))
    direction = torch.randn(len(weights), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = 0
    for step, factor in ((1e-4, 8), (2e-4, -1)):
        for sign in (1, -1):
            moved = trainer.untrained(0)
            trajectory.load(moved, weights + sign * step * direction)
            trainer.refresh_norms(moved.train(), trainer.train_images)
            found = margins(trainer.logits(moved.eval(), trainer.val_images[TARGETS]), trainer.val_labels[TARGETS])
            expected = expected + sign * factor * found / (12 * 1e-4)
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    found = final.margin_gradients(trainer, trained, TARGETS, fast) @ direction
    assert small.relative_error(found.numpy(), expected.numpy()) < 1e-8
    after = trained.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if "num_batches" not in name)
    assert not trained.training
