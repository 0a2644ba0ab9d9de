"""Derivatives of a network's logits image by image, by its weights and by batch norm's statistics, all at once.

Where all weights belong to convolutions, linear layers and batch norm, each called once, the derivative of an image is
the product of what a layer was given with the derivative of what it returned; any other network is left to torch.func.
"""

from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution.rankings.unrolled.trajectory import flatten, trained_weights

LAYERS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)
SAME = 1e-3  # share by which two ways to compute a derivative may differ


def norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """A network's batch norms, in order: those whose statistics the trainer refreshes."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def restart_norms(network: nn.Module) -> None:
    """Has batch norm's running statistics be a plain mean over the batches that come next."""
    for module in norms(network):
        module.reset_running_stats()
        module.momentum = None


@torch.no_grad()
def hold_norms(network: nn.Module, images: Tensor) -> None:
    """Puts a network into evaluation mode, with batch norm's statistics those of a batch, so that it gives the batch
    the logits that it gives it in training mode. images: prepared, [b, channels, H, W]."""
    counts = {}

    def count(module, given, returned):
        counts[module] = given[0].numel() // given[0].shape[1]

    hooks = [module.register_forward_hook(count) for module in norms(network)]
    restart_norms(network)
    if hooks:
        network.train()(images)
    network.eval()
    for hook in hooks:
        hook.remove()
    for module, number in counts.items():  # in training mode a batch is divided by its own variance, without n - 1
        module.running_var.mul_((number - 1) / number)


def logit_gradients(
    network: nn.Module, images: Tensor, directions: Tensor, fast: bool | None = None
) -> tuple[Tensor, Tensor]:
    """Derivatives of directions . logits, image by image, of a network in evaluation mode.

    images: prepared, [m, channels, H, W]; directions: [m, R, classes]. Returns those by the weights that training
    changes, [m, R, P], and those by batch norm's running means and variances, [m, R, Q], of one `norms` after the
    other. fast: by layers or by torch.func; None: by layers where that is possible.
    """
    record = _record(network, images) if fast is None or fast else None
    if record is None:
        return _by_torch_func(network, images, directions)
    return _by_layers(network, *record, directions)


def goes_by_layers(network: nn.Module, image: Tensor) -> bool:
    """Whether derivatives by layers are possible, and those of autograd, for one image [1, ...] and a network in
    evaluation mode: a weight that two layers share, or a layer that makes something else of it, would not show
    otherwise."""
    record = _record(network, image)
    if record is None:
        return False
    directions = torch.linspace(-1, 2, record[0].shape[1], dtype=image.dtype, device=image.device)[None, None]
    found = _by_layers(network, *record, directions)[0][0, 0]
    weights = trained_weights(network)
    with torch.enable_grad():
        slopes = torch.autograd.grad((network(image) * directions[0]).sum(), weights, allow_unused=True)
    expected = flatten([torch.zeros_like(w) if slope is None else slope for w, slope in zip(weights, slopes)])
    return bool((found - expected).norm() <= SAME * expected.norm())


def _record(network: nn.Module, images: Tensor) -> tuple[Tensor, dict] | None:
    """Logits, and {layer: (given, returned)} of every layer with weights; None where a weight belongs to another kind
    of layer, or a layer is not called exactly once."""
    layers = [module for module in network.modules() if any(w.requires_grad for w in module.parameters(recurse=False))]
    plain = all(isinstance(layer, LAYERS) and _is_plain(layer) for layer in layers)
    if not plain or not set(norms(network)) <= set(layers):
        return None
    calls: list[tuple] = []

    def keep(layer, given, returned):
        calls.append((layer, given[0], returned))
        return returned.clone()  # what follows may change it in place

    hooks = [layer.register_forward_hook(keep) for layer in layers]
    try:
        with torch.enable_grad():
            logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    called = {layer: (given.detach(), returned) for layer, given, returned in calls}
    flat = all(given.dim() == 2 for layer, (given, _) in called.items() if isinstance(layer, nn.Linear))
    return (logits, called) if flat and len(calls) == len(called) == len(layers) else None


def _is_plain(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return not isinstance(layer, nn.BatchNorm2d) or (layer.affine and layer.track_running_stats)


def _by_layers(network, logits, called, directions):
    m, rows = directions.shape[:2]
    layers = list(called)
    outputs = [called[layer][1] for layer in layers]
    each = [
        torch.autograd.grad(logits, outputs, directions[:, row], retain_graph=row + 1 < rows) for row in range(rows)
    ]
    back = {layer: torch.stack(parts, 1) for layer, *parts in zip(layers, *each)}
    offsets, size = {}, 0
    for weight in trained_weights(network):
        offsets[weight], size = size, size + weight.numel()
    by_weights = logits.new_empty((m, rows, size), requires_grad=False)
    by_norms = []
    for layer in layers:
        weight, bias = _layer_gradients(layer, called[layer][0], back[layer])
        for parameter, part in ((layer.weight, weight), (layer.bias, bias)):
            if parameter is not None and parameter.requires_grad:
                start = offsets[parameter]
                by_weights[:, :, start : start + parameter.numel()] = part.reshape(m, rows, -1)
    for layer in norms(network):
        scale = (layer.running_var + layer.eps).rsqrt()
        weight, bias = _layer_gradients(layer, called[layer][0], back[layer])
        by_norms += [-layer.weight.detach() * scale * bias, -0.5 * layer.weight.detach() * scale**2 * weight]
    return by_weights, torch.cat(by_norms, 2) if by_norms else logits.new_zeros((m, rows, 0))


def _layer_gradients(layer, given: Tensor, back: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives by a layer's weight [m, R, ...] and bias [m, R, outputs], image by image. given: what it was given;
    back: [m, R, *returned], the derivatives by what it returned."""
    if isinstance(layer, nn.Linear):
        return back[..., None] * given[:, None, None, :], back
    if isinstance(layer, nn.BatchNorm2d):
        mean, var = (part[:, None, None] for part in (layer.running_mean, layer.running_var))
        normal = (given - mean) * (var + layer.eps).rsqrt()
        return (back * normal[:, None]).sum((3, 4)), back.sum((3, 4))
    m, rows, outputs = back.shape[:3]
    patches = functional.unfold(given.contiguous(), layer.kernel_size, layer.dilation, layer.padding, layer.stride)
    patches = patches.view(m, layer.groups, -1, patches.shape[2])
    grouped = back.reshape(m, rows, layer.groups, outputs // layer.groups, -1)
    return torch.einsum("mrgol,mgkl->mrgok", grouped, patches), grouped.sum(4).reshape(m, rows, outputs)


def _by_torch_func(network, images, directions):
    m, rows, classes = directions.shape
    weights = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    weights = {name: weight.detach() for name, weight in weights.items()}
    names = {module: name for name, module in network.named_modules()}
    statistics = {
        f"{names[norm]}.{part}": getattr(norm, part)
        for norm in norms(network)
        for part in ("running_mean", "running_var")
    }

    def product(weights, statistics, image, direction):
        logits = torch.func.functional_call(network, {**weights, **statistics}, image[None])[0]
        return (logits * direction).sum()

    derivative = torch.func.vmap(torch.func.grad(product, argnums=(0, 1)), in_dims=(None, None, 0, 0))
    repeated = images.repeat_interleave(rows, 0)
    with _written_out(norms(network)):
        parts = derivative(weights, statistics, repeated, directions.reshape(m * rows, classes))
    by_weights, by_norms = ([part.reshape(m, rows, -1) for part in group.values()] for group in parts)
    return torch.cat(by_weights, 2), torch.cat(by_norms, 2) if by_norms else images.new_zeros((m, rows, 0))


@contextmanager
def _written_out(layers: list[nn.BatchNorm2d]):
    """A context manager: batch norm in evaluation mode by its formula; torch's own has no derivative by statistics."""

    def make(layer):
        def forward(images):
            mean, var, weight, bias = (
                part[:, None, None] for part in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
            )
            return (images - mean) * (var + layer.eps).rsqrt() * weight + bias

        return forward

    for layer in layers:
        layer.forward = make(layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward
