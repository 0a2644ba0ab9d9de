"""Several networks of one architecture trained as one: side by side in the channels, by grouped convolutions.

torch.func.vmap would be shorter, but under autocast it fails at batch norm and skips casts (torch 2.14, pytorch issues
192617 and 184890).
"""

import copy

import torch
from torch import Tensor, nn


class BatchedNetworks:
    """Networks as one callable: their batches of images, one after the other, to logits in the same order.

    weights: what is trained, of all of them. Batch norm's statistics belong to channels: each network has its own.
    What else is in the networks must treat channels apart, as activations, pooling and flattening do.
    """

    def __init__(self, networks: list[nn.Module]):
        self.networks = networks
        self.wide = copy.deepcopy(networks[0])
        for path, module in networks[0].named_modules():
            if isinstance(module, nn.Linear):
                self.wide.set_submodule(path, _BatchedLinear(module, len(networks)))
        for path, module in self.wide.named_modules():
            self._stack_weights(module, [network.get_submodule(path) for network in networks])
        self.wide.to(memory_format=torch.channels_last)
        self.weights = [weight for weight in self.wide.parameters() if weight.requires_grad]

    def _stack_weights(self, module, parts):
        """Gives a module the weights of all its `parts`, one after the other."""
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, nn.Conv2d):
            module.groups *= len(parts)
        elif own and not isinstance(module, nn.BatchNorm2d | _BatchedLinear):
            raise TypeError(f"networks with {type(module).__name__} cannot be trained together")
        for name, weight in own.items():
            every = torch.cat([getattr(part, name).detach() for part in parts])
            setattr(module, name, nn.Parameter(every, weight.requires_grad))
        for name, value in module.named_buffers(recurse=False):
            if value.ndim:  # but the count of batches, one for all
                setattr(module, name, torch.cat([getattr(part, name) for part in parts]))

    def __call__(self, images: Tensor) -> Tensor:
        count = len(self.networks)
        beside = images.unflatten(0, (count, -1)).transpose(0, 1).flatten(1, 2)
        logits = self.wide(beside.contiguous(memory_format=torch.channels_last))
        return logits.unflatten(1, (count, -1)).transpose(0, 1).flatten(0, 1)

    @torch.no_grad()
    def split(self) -> list[nn.Module]:
        """The networks, with the weights and statistics that they have by now."""
        state = self.wide.state_dict()
        for number, network in enumerate(self.networks):
            for name, value in network.state_dict().items():
                value.copy_(state[name].chunk(len(self.networks))[number] if value.ndim else state[name])
        return self.networks


class _BatchedLinear(nn.Module):
    """Linear layers side by side: features [batch, networks x inputs] to [batch, networks x outputs]."""

    def __init__(self, first: nn.Linear, count: int):
        super().__init__()
        self.count, self.weight, self.bias = count, first.weight, first.bias

    def forward(self, features: Tensor) -> Tensor:
        inputs = features.unflatten(1, (self.count, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (self.count, -1)).transpose(1, 2)
        if self.bias is None:
            outputs = torch.bmm(inputs, weight)
        else:  # in one operation, which autocast treats as it treats a linear layer
            outputs = torch.baddbmm(self.bias.unflatten(0, (self.count, 1, -1)), inputs, weight)
        return outputs.transpose(0, 1).flatten(1)
