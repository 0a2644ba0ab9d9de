"""The torch network of a user's model, by the recipe's `module` and `inputs`: what TRAK, self-influence and supervised
features are computed with. For processes that may run a user's code."""

import copy
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from attribution.errors import UserError
from attribution.training.own.trainer import MAX_FEATURES, check_features, check_logits

if TYPE_CHECKING:
    from attribution.training.own.trainer import OwnTrainer

BATCH = 200  # images that go through the network at a time


class Inputs:
    """What the network is given for the images of a split, [n, ...] in its precision, read when it is indexed by
    numbers."""

    def __init__(self, trainer: "OwnTrainer", split: str, dtype: torch.dtype = torch.float32):
        self.trainer, self.split, self.dtype = trainer, split, dtype

    def __getitem__(self, ids) -> torch.Tensor:
        """Inputs of the images `ids`, float [len(ids), ...]. Raises UserError where the recipe's `inputs` returns no
        such tensor."""
        ids = np.asarray(ids, np.int64)
        if not self.trainer.has("inputs"):
            return scaled_pixels(np.asarray(self.trainer.data.images(self.split)[ids])).to(self.dtype)
        given = self.trainer.call("inputs", self.split, ids)
        if not torch.is_tensor(given) or not given.is_floating_point() or not given.ndim or len(given) != len(ids):
            said = f"{given.dtype} {list(given.shape)}" if torch.is_tensor(given) else type(given).__name__
            raise UserError(
                f"{self.trainer.recipe.name}.inputs returned {said}; return a float tensor with {len(ids)} rows, one "
                "an image"
            )
        return given.detach().to(self.dtype)


class OwnNetwork:
    """A model of the user's, as `attribution.rankings.trak` takes both the trainer and the network that it trained.

    network: what the recipe's `module` returns, or the one given, in evaluation mode and in the precision `dtype`.
    Raises UserError where that is no `torch.nn.Module`, and where it does not give logits for the inputs.
    """

    def __init__(
        self,
        trainer: "OwnTrainer",
        model: Any,
        dtype: torch.dtype = torch.float32,
        network: nn.Module | None = None,
    ):
        self.trainer, self.name = trainer, f"{trainer.recipe.name}.module"
        network = network or own_module(trainer, model)
        if any(weight.dtype != dtype for weight in network.parameters()):
            network = copy.deepcopy(network).to(dtype)  # the user's model stays as it is
        self.device = torch.device(trainer.device)
        self.network = network.eval().to(self.device)
        self.train_labels = trainer.train_labels
        self.train_images, self.val_images = Inputs(trainer, "train", dtype), Inputs(trainer, "val", dtype)
        self.logits("val", np.arange(1))

    def untrained(self, seed: int) -> nn.Module:
        """A module of this architecture, whose weights are to be set."""
        return self.network

    def logits(self, split: str, ids: np.ndarray) -> np.ndarray:
        """What the network says of images, float [len(ids), classes]. Raises UserError where it cannot take the
        inputs, for another shape and for what is not finite."""
        return check_logits(self._run(split, ids), len(ids), len(self.trainer.data.classes), f"logits of {self.name}")

    def features(self, split: str, ids: np.ndarray) -> np.ndarray:
        """The inputs of the network's last linear layer, float32 [len(ids), d]. Raises UserError where that is not
        what gives the logits."""
        layer = self._last_layer()
        caught: list[torch.Tensor] = []
        hook = layer.register_forward_pre_hook(lambda module, given: caught.append(given[0].flatten(1)))
        try:
            self._run(split, ids)
        finally:
            hook.remove()
        return check_features(torch.cat(caught) if caught else np.zeros(0), len(ids), f"features of {self.name}")

    def check_gradients(self) -> None:
        """Raises UserError where the network's gradients cannot be computed image by image, as TRAK takes them."""
        images = self.val_images[np.arange(min(2, len(self.trainer.val_labels)))].to(self.device)
        weights = {name: weight.detach() for name, weight in self.network.named_parameters()}

        def total(weights, image):
            return torch.func.functional_call(self.network, weights, (image[None],)).sum()

        with self.explained():
            torch.func.vmap(torch.func.grad(total), in_dims=(None, 0))(weights, images)

    def _last_layer(self) -> nn.Linear:
        linear = [module for module in self.network.modules() if isinstance(module, nn.Linear)]
        if not linear or linear[-1].out_features != len(self.trainer.data.classes):
            raise UserError(
                f"{self.name} returns a network whose last layer is not a linear one with an output a class; write a "
                "method features(model, split, ids), which returns float32 [len(ids), d]"
            )
        if linear[-1].in_features > MAX_FEATURES:
            raise UserError(
                f"the last layer of {self.name} takes {linear[-1].in_features:,} values, and features may have "
                f"{MAX_FEATURES:,}; write a method features(model, split, ids)"
            )
        return linear[-1]

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turns what goes wrong inside into a UserError: the gradient of each image is taken by `torch.func`, which not
        every network allows."""
        try:
            yield
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:
            traceback.print_exc()
            raise UserError(
                f"the gradients of {self.name} cannot be computed image by image ({_first_line(error)}); torch.func "
                "has to be able to differentiate it"
            ) from None

    @torch.no_grad()
    def _run(self, split: str, ids: np.ndarray) -> torch.Tensor:
        images = self.train_images if split == "train" else self.val_images
        blocks = np.array_split(np.asarray(ids, np.int64), max(1, -(-len(ids) // BATCH)))
        try:
            return torch.cat([self.network(images[block].to(self.device)) for block in blocks])
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"{self.name} cannot take its inputs ({_first_line(error)}); write a method inputs(split, ids), which "
                "returns what it takes, or have module return a network for pixels from 0 to 1, float32 [n, channels, "
                "H, W]"
            ) from None


def own_module(trainer: "OwnTrainer", model: Any) -> nn.Module:
    """What the recipe's `module` returns. Raises UserError where that is no `torch.nn.Module`."""
    network = trainer.call("module", model)
    if not isinstance(network, nn.Module):
        raise UserError(f"{trainer.recipe.name}.module returned {type(network).__name__}; return a torch.nn.Module")
    return network


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def scaled_pixels(images: np.ndarray) -> torch.Tensor:
    """Images uint8 [n, H, W] or [n, H, W, 3] as float32 [n, channels, H, W] from 0 to 1."""
    pixels = torch.as_tensor(images).float() / 255
    return pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2).contiguous()
