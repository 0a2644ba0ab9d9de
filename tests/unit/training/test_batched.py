"""Networks side by side: each has the logits, gradients and statistics that it has alone."""

import copy

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from attribution.training import recipes  # noqa: E402
from attribution.training.batched import BatchedNetworks  # noqa: E402


@pytest.mark.parametrize("name", recipes.NAMES)
def test_logits_gradients_and_statistics_are_those_of_each_network(name):
    """In float64, so that nothing but rounding at 1e-9 is left to differ."""
    side, count, batch = 64 if name == "resnet18" else 16, 2, 4
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        networks.append(recipes.get_recipe(name).network((3, side, side), 5).double().train())
    alone = copy.deepcopy(networks)
    together = BatchedNetworks(networks)
    images, labels = torch.randn(count * batch, 3, side, side).double(), torch.arange(count * batch) % 5
    logits = together(images)
    (count * functional.cross_entropy(logits, labels)).backward()
    torch.optim.SGD(together.weights, lr=0.1).step()
    networks = together.split()
    for at, network in enumerate(alone):
        mine = slice(at * batch, (at + 1) * batch)
        expected = network(images[mine])
        functional.cross_entropy(expected, labels[mine]).backward()
        torch.optim.SGD([weight for weight in network.parameters() if weight.requires_grad], lr=0.1).step()
        assert torch.allclose(logits[mine], expected, atol=1e-9)
        found = networks[at].state_dict()
        for key, value in network.state_dict().items():
            assert torch.allclose(found[key].double(), value.double(), atol=1e-7), key


def test_networks_stay_frozen_where_they_are():
    networks = [recipes.get_recipe("fast94").network((3, 16, 16), 5) for _ in range(2)]
    before = networks[1][0].weight.clone()
    together = BatchedNetworks(networks)
    assert not together.wide[0].weight.requires_grad
    assert len(together.weights) == len([*networks[0].parameters()]) - 1
    assert torch.equal(together.split()[1][0].weight, before)


def test_layers_that_mix_channels_are_refused():
    with pytest.raises(TypeError, match="LayerNorm cannot be trained together"):
        BatchedNetworks([nn.Sequential(nn.Flatten(), nn.LayerNorm(8)) for _ in range(2)])
