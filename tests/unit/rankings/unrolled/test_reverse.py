"""The reverse pass against finite differences of trainings in which one image weighs more or less, in float64."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution.rankings.unrolled import final, reverse, trajectory  # noqa: E402
from attribution.rankings.unrolled.gradients import hold_norms  # noqa: E402
from attribution.training import augmentation  # noqa: E402
from tests.unit.rankings.unrolled import small  # noqa: E402

TARGETS = torch.tensor([0, 4, 7, 20])
SEED = 5

#: what a training may have -> a recipe that has it
TRAININGS = {
    "momentum 0": {"momentum": 0, "nesterov": False, "weight_decay": 0, "average": 0, "label_smoothing": 0},
    "momentum": {"nesterov": False, "weight_decay": 0, "average": 0, "label_smoothing": 0},
    "Nesterov": {"weight_decay": 0, "average": 0, "label_smoothing": 0},
    "weight decay": {"weight_decay": 0.05, "average": 0, "label_smoothing": 0},
    "averaged weights": {"weight_decay": 0, "average": 0.5, "label_smoothing": 0},
    "label smoothing": {"average": 0.5, "label_smoothing": 0.2},
    "augmentation": {"average": 0.4, "flip": "alternate", "translate": 2, "cutout": 3, "test": "flip-translate"},
    "batch norm": {"network": small.with_norms},
    "batch norm, no momentum": {"network": small.with_norms, "momentum": 0, "nesterov": False, "average": 0.3},
}


def run(trainer, folder, epochs=3):
    kept = trajectory.record(trainer, SEED, epochs, folder / "kept.npy")
    return kept, final.margin_gradients(trainer, kept.network, TARGETS)


@pytest.mark.parametrize("what", TRAININGS)
def test_the_exact_influence_is_what_retraining_shows(tmp_path, what):
    trainer = small.WeightedTrainer(small.recipe(**TRAININGS[what]))
    found = small.shown_influence(trainer, *run(trainer, tmp_path))
    for image in (3, 11, 30):
        expected = trainer.slopes(image, SEED)[TARGETS]
        assert np.abs(expected).max() > 1e-4
        assert small.relative_error(found[:, image], expected) < 1e-8


@pytest.mark.parametrize("average", [0, 0.5])
def test_the_expected_influence_of_a_linear_network_in_whole_batches_is_exact(tmp_path, average):
    """Each epoch is one step on all images: the order does not matter; and Gauss-Newton is the whole curvature."""
    trainer = small.WeightedTrainer(small.recipe(small.linear, batch_size=40, epochs=6, average=average))
    kept, gradients = run(trainer, tmp_path, epochs=6)
    found = reverse.expected_influence(trainer, kept, gradients, (1,), kept=1)[0].sum(0)
    assert small.relative_error(found, small.shown_influence(trainer, kept, gradients)) < 1e-6  # stored as float32
    for image in (3, 11):
        assert small.relative_error(found[:, image], trainer.slopes(image, SEED)[TARGETS]) < 1e-6


def test_the_exact_curvature_expects_what_a_whole_batch_shows(tmp_path):
    """A network that is not linear, on all images in each step."""
    trainer = small.WeightedTrainer(small.recipe(batch_size=40, epochs=5, average=0.5))
    kept, gradients = run(trainer, tmp_path, epochs=5)
    found = reverse.expected_influence(trainer, kept, gradients, (1,), exact=True)[0].sum(0)
    assert small.relative_error(found[:, 11], trainer.slopes(11, SEED)[TARGETS]) < 1e-6
    rough = reverse.expected_influence(trainer, kept, gradients, (1,))[0].sum(0)
    assert small.relative_error(rough[:, 11], trainer.slopes(11, SEED)[TARGETS]) > 1e-4  # Gauss-Newton is not exact


@pytest.mark.parametrize("network", [small.with_norms, small.without_norms])
def test_curvature_rows_are_the_gauss_newton_matrix(network, monkeypatch):
    monkeypatch.setattr(reverse, "MAX_ROWS_BYTES", 50_000)  # some of the seven images at a time
    trainer = small.WeightedTrainer(small.recipe(network))
    images, net = trainer.train_images[:7], trainer.untrained(1)
    hold_norms(net, images)
    names = [name for name, weight in net.named_parameters() if weight.requires_grad]
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    size = sum(weights[name].numel() for name in names)
    vector = torch.randn(size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    parts = vector.split([weights[name].numel() for name in names])
    tangent = {name: part.view(weights[name].shape) for name, part in zip(names, parts)}

    def logits(weights):
        return torch.func.functional_call(net, weights, images)

    def loss(logits):
        return torch.nn.functional.cross_entropy(logits, torch.arange(7) % 3, label_smoothing=0.1)

    out, pushed = torch.func.jvp(logits, (weights,), (tangent,))
    curved = torch.func.jvp(torch.func.grad(loss), (out,), (pushed,))[1]
    (back,) = torch.func.vjp(logits, weights)[1](curved)
    expected = torch.cat([back[name].reshape(-1) for name in names])
    for fast in (True, False):
        rows = torch.cat(list(reverse.curvature_rows(net, images, fast=fast)))
        assert small.relative_error(((vector @ rows.T) @ rows).numpy(), expected.numpy()) < 1e-12
    fewer = torch.cat(list(reverse.curvature_rows(net, images, kept=0.9)))
    assert len(fewer) < len(rows)
    assert 0 < (fewer @ vector).norm() <= (rows @ vector).norm()  # what is left out has no negative curvature


def test_rough_products_are_nearly_the_same(tmp_path):
    trainer = small.WeightedTrainer(small.recipe(small.with_norms))
    kept, gradients = run(trainer, tmp_path, epochs=2)
    found, rough = (
        reverse.expected_influence(trainer, kept, gradients, products=products) for products in (None, torch.bfloat16)
    )
    assert 1e-5 < small.relative_error(rough, found) < 0.01


def test_windows_add_up_what_their_steps_would_do_with_any_image(tmp_path):
    """The formula written out step by step: Gauss-Newton, and the gradients of all images in the epoch's views at the
    mean weights of each half of an epoch."""
    trainer = small.WeightedTrainer(small.recipe(small.with_norms))
    kept, gradients = run(trainer, tmp_path, epochs=2)
    found = reverse.expected_influence(trainer, kept, gradients, (1, 2), kept=1)
    assert found.shape == (2, 2, len(TARGETS), 40)
    state = reverse.Reverse(trainer, kept, gradients)
    network, by_step = trainer.untrained(0), []
    for number in reversed(range(10)):
        by_step.insert(0, state.momentum_step(kept.steps[number]).clone())
        trajectory.load(network, kept.at(number))
        images = augmentation.augmented_batch(trainer.train_images, kept.steps[number].shown, trainer.recipe)
        hold_norms(network, images)
        rows = torch.cat(list(reverse.curvature_rows(network, images, fast=False)))
        state.bar += by_step[0] @ rows.T @ rows
    expected = np.zeros((len(TARGETS), 40))
    for start, stop in [(0, 3), (3, 5)]:  # of the last epoch's five steps
        trajectory.load(network, torch.stack([kept.at(5 + step) for step in range(start, stop)]).mean(0))
        trainer.refresh_norms(network.train(), trainer.train_images)
        network.eval()
        total = sum(by_step[5 + step] for step in range(start, stop))
        for view in kept.steps[-1].views:
            image = augmentation.augmented_batch(trainer.train_images, view[None], trainer.recipe)
            loss = trainer.loss(network(image), view[None], torch.as_tensor(trainer.train_labels))
            slope = torch.cat([p.reshape(-1) for p in torch.autograd.grad(loss, list(network.parameters()))])
            expected[:, view[0]] += (total @ slope / 40).numpy()
    assert small.relative_error(found[1, 0], expected) < 1e-6
    assert small.relative_error(found[0], found[1]) > 1e-4  # whole epochs are coarser
