"""Back through the end of a training, for many targets at once.

Under SGD with momentum, bar, the derivative of a margin by the weights before a step, follows from that by the weights
after it and from the curvature of the step's loss; on the way falls out the derivative by the step's gradient. Summed
over a window of steps it says what a gradient more of any image would have done there, the image shown in it or not: a
step shows each with probability b / n, so that this is the expectation over the order in which images are shown.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from attribution.rankings.unrolled.gradients import hold_norms, logit_gradients
from attribution.rankings.unrolled.trajectory import Trajectory, load, trained_weights
from attribution.training import augmentation
from attribution.training.trainer import Step, Trainer

#: share of a batch's curvature (the trace of the Gauss-Newton matrix by the logits) that is kept; see `curvature_rows`
KEPT_CURVATURE = 0.999
#: derivatives by all weights that are held at once
MAX_ROWS_BYTES = 256 << 20
#: images whose losses' derivatives along a direction are computed at once
FORWARD_IMAGES = 250


@dataclass
class _Window:
    """A window under way: the sum of the derivatives by its steps' gradients [K, P], and of its steps' weights [P]."""

    total: Tensor
    weights: Tensor
    steps: int = 0

    def add(self, by_gradient: Tensor, weights: Tensor) -> None:
        """Adds a step, the one before those that it has."""
        self.total += by_gradient
        self.weights += weights
        self.steps += 1


def expected_influence(
    trainer: Trainer,
    trajectory: Trajectory,
    gradients: Tensor,
    windows: tuple[int, ...] = (3,),
    kept: float = KEPT_CURVATURE,
    fast: bool | None = None,
    exact: bool = False,
    products: torch.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """By how much each target's margin would rise with the weight of each training image in the loss, to first order,
    expected over the order of images: [len(windows), epochs kept, K, n_train], what each epoch contributes, the last
    one first. A weight of 1 more is the image twice.

    gradients: [K, P], as of `final.margin_gradients`. windows: into how many windows an epoch is cut; the reverse pass
    is the same for all. The curvature is Gauss-Newton's, with batch norm's statistics held constant; kept: as
    `curvature_rows` takes it. exact: the whole curvature instead, through the statistics; its time grows with the
    targets, so that it is for a few. products: what the large matrix products are computed in, torch.bfloat16 where
    that is faster; None: as all else. progress(steps done, steps in all).
    """
    network, n = trainer.untrained(0), len(trainer.train_labels)
    per_epoch = trainer.steps_per_epoch(n)
    n_epochs = len(trajectory.steps) // per_epoch
    result = np.zeros((len(windows), n_epochs, len(gradients), n), np.float32)
    reverse = Reverse(trainer, trajectory, gradients, products)
    under_way: dict[int, _Window] = {}
    for done, step in enumerate(reversed(trajectory.steps), 1):
        at = step.number % per_epoch
        weights = trajectory.at(len(trajectory.steps) - done).to(trainer.device)
        by_gradient = reverse.momentum_step(step)
        load(network, weights)
        if exact:
            for target, curved, _ in exact_curvature(trainer, network, step, by_gradient):
                reverse.bar[target] += curved
        else:
            images = augmentation.augmented_batch(trainer.train_images, step.shown, trainer.recipe)
            hold_norms(network, images)
            reverse.add_curvature(curvature_rows(network, images, kept, fast))
        for row, count in enumerate(windows):
            window = under_way.setdefault(row, _Window(torch.zeros_like(gradients), torch.zeros_like(weights)))
            window.add(by_gradient, weights)
            if at == 0 or at * count // per_epoch != (at - 1) * count // per_epoch:
                del under_way[row]
                epoch = trajectory.steps[-1].epoch - step.epoch
                load(network, window.weights / window.steps)
                if exact:  # of a few targets: a pass forward for each is quicker than all images' derivatives
                    _add_along(trainer, network, step.views, window.total, result[row, epoch])
                else:
                    total = window.total.to(products or window.total.dtype)
                    _add_images(trainer, network, step.views, total, result[row, epoch], fast)
        if progress:
            progress(done, len(trajectory.steps))
    return result


def exact_curvature(
    trainer: Trainer, network: nn.Module, step: Step, directions: Tensor
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each of the `directions` [K, P]: its number, the Hessian of a step's loss times it, [P], and its product with
    what each image of the batch adds to the gradient, [b]. Batch norm goes by the batch, as in training."""
    weights = trained_weights(network.train())
    images = augmentation.augmented_batch(trainer.train_images, step.shown, trainer.recipe)
    shares = torch.ones(len(images), device=images.device, dtype=images.dtype, requires_grad=True)
    losses = trainer.loss(trainer.outputs(network, images), step.shown, _labels(trainer), "none")
    slopes = torch.autograd.grad((shares * losses).mean(), weights, create_graph=True)
    slope = torch.cat([part.reshape(-1) for part in slopes])
    for number, direction in enumerate(directions):
        last = number + 1 == len(directions)
        *curved, by_share = torch.autograd.grad(slope @ direction, [*weights, shares], retain_graph=not last)
        yield number, torch.cat([part.reshape(-1) for part in curved]), by_share


class Reverse:
    """The state of a reverse pass: derivatives by the weights, `bar`, and by the momentum, each [K, P]."""

    def __init__(
        self, trainer: Trainer, trajectory: Trajectory, gradients: Tensor, products: torch.dtype | None = None
    ):
        self.recipe, self.n_averaged, self.gradients = trainer.recipe, trajectory.n_averaged, gradients
        self.bar = torch.zeros_like(gradients) if self.n_averaged else gradients.clone()
        self.momentum, self.by_gradient = torch.zeros_like(gradients), torch.empty_like(gradients)
        self.rough = torch.empty_like(gradients, dtype=products) if products else None

    def momentum_step(self, step: Step) -> Tensor:
        """Takes a step back but for its curvature, which the caller adds to `bar`: the derivatives [K, P] by the
        gradient of the step's loss, in memory that the next step uses again."""
        recipe = self.recipe
        if step.averaged and self.n_averaged:
            self.bar.add_(self.gradients, alpha=1 / self.n_averaged)
        # torch's SGD: momentum = mu * momentum + gradient; Nesterov steps by gradient + mu * momentum, others by it
        self.momentum.add_(self.bar, alpha=-step.rate * (recipe.momentum if recipe.nesterov else 1))
        if recipe.nesterov:
            torch.add(self.momentum, self.bar, alpha=-step.rate, out=self.by_gradient)
        else:
            self.by_gradient.copy_(self.momentum)
        self.momentum.mul_(recipe.momentum)
        self.bar.add_(self.by_gradient, alpha=recipe.weight_decay)
        return self.by_gradient

    def add_curvature(self, blocks: Iterator[Tensor]) -> None:
        """Adds to `bar` the curvature of a step, given by `curvature_rows`, times the derivatives by its gradient."""
        if self.rough is None:
            for rows in blocks:
                self.bar.addmm_(self.by_gradient @ rows.T, rows)
            return
        rough = self.rough.copy_(self.by_gradient)
        for rows in (block.to(rough.dtype) for block in blocks):
            self.bar += (rough @ rows.T) @ rows


def curvature_rows(network: nn.Module, images: Tensor, kept: float = 1.0, fast: bool | None = None) -> Iterator[Tensor]:
    """The rows of a matrix R whose R'R is the Gauss-Newton matrix of a batch's mean cross-entropy, by a network in
    evaluation mode: float [rows, P] by turns, of a few images each. Label smoothing does not change it.

    kept: the directions of logits of least curvature are left out, as long as the trace of what stays, by the logits,
    is this share of all; 1 for all.
    """
    with torch.no_grad():
        chances = network(images).softmax(1)
        matrix = torch.diag_embed(chances) - chances[:, :, None] * chances[:, None]
        values, vectors = torch.linalg.eigh(matrix / len(images))
        values, vectors = values.flip(1).clamp_min(0), vectors.flip(2)
        directions = (vectors * values.sqrt()[:, None]).transpose(1, 2)
        ordered = values.flatten().sort(descending=True).values
        short = ordered.cumsum(0) < kept * ordered.sum()
        least = ordered[min(int(short.sum()), len(ordered) - 1)]
        chosen = (values >= least) & (values > 0)
    step = _images_at_once(network, chances.shape[1])
    for some, picked, ways in zip(images.split(step), chosen.split(step), directions.split(step)):
        ranks = int(picked.sum(1).max())
        if ranks:
            by_weights, _ = logit_gradients(network, some, ways[:, :ranks], fast)
            yield by_weights[picked[:, :ranks]]


def _images_at_once(network: nn.Module, rows: int = 1) -> int:
    """How many images' derivatives by all weights are held at once, `rows` of each."""
    size = sum(weight.numel() * weight.element_size() for weight in trained_weights(network))
    return max(1, MAX_ROWS_BYTES // (rows * size))


def _add_images(trainer, network, views, total, result, fast):
    """Adds to `result` [K, n_train] the expected influence of each image in a window: of its loss in these `views`, at
    the weights of the network, with batch norm's statistics refreshed. total: [K, P], see `_Window`."""
    _refresh_norms(trainer, network)
    labels = _labels(trainer)
    for shown in views.split(_images_at_once(network)):
        images = augmentation.augmented_batch(trainer.train_images, shown, trainer.recipe)
        with torch.no_grad():
            logits = trainer.outputs(network, images)
        logits.requires_grad_()
        (slopes,) = torch.autograd.grad(trainer.loss(logits, shown, labels, "none").sum(), logits)
        by_weights, _ = logit_gradients(network, images, slopes[:, None], fast)
        product = (total @ by_weights[:, 0].to(total.dtype).T).to(by_weights.dtype) / len(views)
        result[:, shown[:, augmentation.IMAGE].cpu().numpy()] += product.cpu().numpy()


def _add_along(trainer, network, views, total, result):
    """As `_add_images`, by the losses' derivatives along each row of `total`: forward, without those by the weights."""
    _refresh_norms(trainer, network)
    labels, weights = _labels(trainer), trained_weights(network)
    names = [name for name, weight in network.named_parameters() if weight.requires_grad]
    for shown in views.split(FORWARD_IMAGES):
        images = augmentation.augmented_batch(trainer.train_images, shown, trainer.recipe)
        for row, direction in zip(result, total):
            along = direction.split([weight.numel() for weight in weights])
            with torch.no_grad(), forward_ad.dual_level(), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch's own, of how it derives some layers
                moving = {
                    name: forward_ad.make_dual(weight.detach(), part.view(weight.shape))
                    for name, weight, part in zip(names, weights, along)
                }
                logits = torch.func.functional_call(network, moving, images)
                losses = trainer.loss(logits, shown, labels, "none")
                slopes = forward_ad.unpack_dual(losses).tangent / len(views)
            row[shown[:, augmentation.IMAGE].cpu().numpy()] += slopes.cpu().numpy()


def _refresh_norms(trainer: Trainer, network: nn.Module) -> None:
    """Sets batch norm's statistics to those that the network's weights have on the images, and evaluation mode."""
    keep = torch.arange(len(trainer.train_labels))
    trainer.refresh_norms(network.train(), trainer.norm_images(keep))
    network.eval()


def _labels(trainer: Trainer) -> Tensor:
    return torch.as_tensor(np.array(trainer.train_labels), device=trainer.device)
