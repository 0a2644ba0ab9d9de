"""Derivatives image by image: by layers as by torch.func, and as autograd has them of one image."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from attribution import UserError  # noqa: E402
from attribution.rankings.unrolled import gradients  # noqa: E402
from attribution.rankings.unrolled.trajectory import trained_weights  # noqa: E402
from attribution.training import recipes  # noqa: E402
from tests.unit.rankings.unrolled import small  # noqa: E402


class Scaled(nn.Module):
    """A weight that belongs to no layer that is known here."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.scale = inner, nn.Parameter(torch.tensor(1.5))

    def forward(self, images):
        return self.scale * self.inner(images)


class Twice(nn.Module):
    """A layer that is called twice."""

    def __init__(self, shape, classes):
        super().__init__()
        self.one, self.last = nn.Linear(shape[1] * shape[2], shape[1] * shape[2]), nn.Linear(64, classes)

    def forward(self, images):
        return self.last(self.one(self.one(images.flatten(1)).tanh()))


@pytest.mark.parametrize("network", [small.with_norms, small.without_norms, small.linear])
def test_both_ways_are_autograd_of_one_image(network):
    trainer = small.WeightedTrainer(small.recipe(network))
    net, images = trainer.untrained(3), trainer.train_images[:6]
    gradients.hold_norms(net, images)
    directions = torch.randn(6, 2, 3, dtype=torch.float64)
    fast, slow = (gradients.logit_gradients(net, images, directions, fast) for fast in (True, False))
    chosen, _ = gradients.logit_gradients(net, images, directions)
    assert torch.equal(chosen, fast[0])
    for one, other in zip(fast, slow):
        assert one.shape == other.shape and torch.allclose(one, other, rtol=1e-12, atol=1e-13)
    product = (net(images[4:5])[0] * directions[4, 1]).sum()
    alone = torch.cat([part.reshape(-1) for part in torch.autograd.grad(product, trained_weights(net))])
    assert torch.allclose(fast[0][4, 1], alone, rtol=1e-12, atol=1e-13)


def test_held_norms_give_the_logits_of_training():
    trainer = small.WeightedTrainer(small.recipe(small.with_norms))
    net, images = trainer.untrained(3), trainer.train_images[:6]
    gradients.hold_norms(net, images)
    held = net(images)
    assert not net.training and torch.allclose(held, net.train()(images), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("make", [lambda shape, classes: Scaled(small.linear(shape, classes)), Twice])
def test_other_networks_are_left_to_torch_func(make):
    trainer = small.WeightedTrainer(small.recipe(make))
    net, images = trainer.untrained(3).eval(), trainer.train_images[:5]
    directions = torch.randn(5, 1, 3, dtype=torch.float64)
    found, _ = gradients.logit_gradients(net, images, directions)
    product = (net(images[2:3])[0] * directions[2, 0]).sum()
    alone = torch.cat([part.reshape(-1) for part in torch.autograd.grad(product, trained_weights(net))])
    assert torch.allclose(found[2, 0], alone, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_built_in_network_goes_by_layers(name):
    """Of networks with frozen layers, residuals and changes in place alike."""
    recipe = recipes.get_recipe(name)
    try:
        net = recipe.network((1, 32, 32), 3).double().eval()
    except UserError:
        net = recipe.network((1, 64, 64), 3).double().eval()
    side = 64 if name == "resnet18" else 32
    images = torch.randn(2, 1, side, side, dtype=torch.float64)
    directions = torch.randn(2, 1, 3, dtype=torch.float64)
    found, by_norms = gradients.logit_gradients(net, images, directions, fast=True)
    product = (net(images[1:2])[0] * directions[1, 0]).sum()
    alone = torch.cat([part.reshape(-1) for part in torch.autograd.grad(product, trained_weights(net))])
    assert gradients._record(net, images) is not None
    assert small.relative_error(found[1, 0].numpy(), alone.numpy()) < 1e-10
    assert np.isfinite(by_norms.numpy()).all()
