"""The training of a user's own recipe, kept so that one can go back through it: its `trajectory` yields each step
before it is taken. For processes that may run a user's code.

Nobody can see what the recipe does between two steps, so steps are taken anew from what it yields, and compared with
where it went.
"""

import copy
import shutil
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from attribution.errors import UserError
from attribution.rankings.unrolled import kept_too_large
from attribution.rankings.unrolled.gradients import goes_by_layers, hold_norms, norms, restart_norms
from attribution.rankings.unrolled.training import second_derivatives
from attribution.rankings.unrolled.trajectory import Trajectory, flatten, load, trained_weights
from attribution.training.own.network import OwnNetwork, own_module
from attribution.training.own.trainer import OwnTrainer
from attribution.training.recipes import is_in_class_order
from attribution.training.trainer import PREDICT_BATCH, norm_ids

IMAGE, EPOCH, PLACE = range(3)  # columns of rows; place: among the inputs kept of the epoch, -1 for what `inputs` says
REQUIRED = ("epoch", "model", "learning_rate", "images")
FIELDS = (*REQUIRED, "momentum", "nesterov", "weight_decay", "inputs", "loss", "label_smoothing", "averaged")
#: by which share of a step its replay may differ beyond what rounding explains: a GPU's products are less precise
APART = {"cpu": 1e-3, "cuda": 2e-2}
ROUNDING = 8  # of a weight's last digits
HELD = 1e-3  # share of the largest logit that logits may differ by where statistics are held
RANDOM = (nn.modules.dropout._DropoutNd,)
NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
WHY = "Unrolled goes back through stochastic gradient descent with momentum alone"


@dataclass
class Epoch:
    """The steps of an epoch: what they were shown is kept in files of a folder."""

    number: int
    folder: Path
    n_train: int
    rows: list[Tensor] = field(default_factory=list)  # of each step
    input_shape: tuple[int, ...] = ()  # of an image
    dtype: np.dtype = np.dtype("float32")
    n_inputs: int = 0
    bytes: int = 0

    def add(self, weights: Tensor, ids: np.ndarray, inputs: Tensor | None) -> Tensor:
        """Keeps a step's weights [P], and inputs where they are given; returns its rows, int64 [b, 3]."""
        self.dtype = weights.numpy().dtype
        self._append("weights", weights)
        places = np.full(len(ids), -1)
        if inputs is not None:
            self.input_shape, places = tuple(inputs.shape[1:]), self.n_inputs + np.arange(len(ids))
            self.n_inputs += len(ids)
            self._append("inputs", inputs)
        self.rows.append(torch.from_numpy(np.stack([ids, np.full(len(ids), self.number), places], 1)))
        return self.rows[-1]

    def _append(self, name, values):
        content = values.contiguous().numpy()
        with open(self._file(name), "ab") as stream:
            stream.write(content.data)
        self.bytes += content.nbytes

    def _file(self, name) -> Path:
        return self.folder / f"{name}-{self.number}.bin"

    @property
    def weights(self) -> np.ndarray:
        """Those before each step, [steps, P], on disk."""
        return np.memmap(self._file("weights"), self.dtype, "r").reshape(len(self.rows), -1)

    @property
    def inputs(self) -> np.ndarray:
        """Those kept, [n, ...], on disk."""
        return np.memmap(self._file("inputs"), self.dtype, "r").reshape(self.n_inputs, *self.input_shape)

    @cached_property
    def views(self) -> Tensor:
        """A row of each training image: as the epoch showed it first, or, where it did not, as `inputs` has it."""
        shown = torch.cat(self.rows).numpy()
        _, first = np.unique(shown[:, IMAGE], return_index=True)
        others = np.setdiff1d(np.arange(self.n_train), shown[:, IMAGE])
        rows = np.stack([others, np.full(len(others), self.number), np.full(len(others), -1)], 1)
        return torch.from_numpy(np.concatenate([shown[np.sort(first)], rows]))

    def remove(self) -> None:
        """Removes its files."""
        for name in ("weights", "inputs"):
            self._file(name).unlink(missing_ok=True)


@dataclass(frozen=True)
class OwnStep:
    """A step, as `attribution.training.trainer.Step`; `at`: its number in the epoch `of`. loss: a callable, None for
    cross-entropy with labels smoothed by `smoothing`."""

    number: int
    of: Epoch
    at: int
    rate: float
    momentum: float
    nesterov: bool
    weight_decay: float
    loss: Callable | None
    smoothing: float
    shown: Tensor
    averaged: bool

    @property
    def epoch(self) -> int:
        """The number of its epoch."""
        return self.of.number

    @property
    def views(self) -> Tensor:
        """As of `Epoch`."""
        return self.of.views


class OwnTraining:
    """The training of a user's recipe, as `attribution.rankings.unrolled.training.Training` describes it.

    own: its network; n_steps, n_epochs: how many steps and epochs the whole training has; apart: the largest share of a
    step by which its replay differed; fast: whether derivatives can be taken by layers, as `gradients.logit_gradients`
    takes it; bytes: of what is kept.
    """

    def __init__(self, trainer: OwnTrainer, own: OwnNetwork):
        self.trainer, self.own, self.name = trainer, own, f"{trainer.recipe.name}.trajectory"
        self.device, self.classes = own.device, len(trainer.data.classes)
        self.n_train, self.val_labels = len(trainer.train_labels), torch.as_tensor(trainer.val_labels)
        self.labels = torch.as_tensor(trainer.train_labels, dtype=torch.int64, device=own.device)
        self.dtype = trained_weights(own.network)[0].dtype
        self.size = sum(weight.numel() for weight in trained_weights(own.network))
        self.epochs: dict[int, Epoch] = {}
        self.n_steps, self.n_epochs, self.apart, self.fast = 0, 0, 0.0, False

    @property
    def bytes(self) -> int:
        """Of the files that are kept."""
        return sum(epoch.bytes for epoch in self.epochs.values())

    def network(self) -> nn.Module:
        """See `Training`."""
        return copy.deepcopy(self.own.network).eval()

    def outputs(self, network: nn.Module, images: Tensor) -> Tensor:
        """See `Training`."""
        return network(images)

    def descent(self, step: OwnStep) -> tuple[float, bool, float]:
        """See `Training`."""
        return step.momentum, step.nesterov, step.weight_decay

    def place(self, step: OwnStep) -> tuple[int, int]:
        """See `Training`."""
        return step.at, len(step.of.rows)

    def images(self, rows: Tensor) -> Tensor:
        """See `Training`."""
        ids, places = rows[:, IMAGE].numpy(), rows[:, PLACE].numpy()
        plain = places < 0
        if plain.all():
            return self.own.train_images[ids].to(self.device)
        result = torch.from_numpy(np.array(self.epochs[int(rows[0, EPOCH])].inputs[places]))
        if plain.any():
            result[torch.from_numpy(plain)] = self.own.train_images[ids[plain]].cpu()
        return result.to(self.device)

    def ids(self, rows: Tensor) -> np.ndarray:
        """See `Training`."""
        return rows[:, IMAGE].numpy()

    def losses(self, logits: Tensor, rows: Tensor, step: OwnStep) -> Tensor:
        """See `Training`. Raises UserError where the recipe's loss fails, or gives other than a number an image."""
        labels = self.labels[rows[:, IMAGE].to(self.device)]
        if step.loss is None:
            return functional.cross_entropy(logits, labels, label_smoothing=step.smoothing, reduction="none")
        with self.trainer.explained(f"trajectory's loss of step {step.number}"):
            losses = step.loss(logits, labels)
        if not torch.is_tensor(losses) or losses.shape != labels.shape:
            said = list(losses.shape) if torch.is_tensor(losses) else type(losses).__name__
            raise UserError(
                f"{self.name}: the loss of step {step.number} returned {said} for {len(labels)} images; return a "
                "tensor with a number an image, not their mean"
            )
        return losses

    def curvature(self, logits: Tensor, rows: Tensor, step: OwnStep) -> Tensor | None:
        """See `Training`."""
        return None if step.loss is None else second_derivatives(lambda out: self.losses(out, rows, step), logits)

    def val_views(self, targets: Tensor) -> list[Tensor]:
        """See `Training`."""
        return [self.own.val_images[targets.cpu().numpy()].to(self.device)]

    def norm_batches(self) -> tuple[Tensor, ...]:
        """See `Training`. The images are as `inputs` has them, not augmented."""
        some = norm_ids(torch.arange(self.n_train), self.n_train, is_in_class_order(self.own.train_labels)).numpy()
        return tuple(
            self.own.train_images[some[start : start + PREDICT_BATCH]].to(self.device)
            for start in range(0, len(some), PREDICT_BATCH)
        )

    @torch.no_grad()
    def refresh_norms(self, network: nn.Module) -> None:
        """See `Training`."""
        if norms(network):
            restart_norms(network.train())
            for batch in self.norm_batches():
                network(batch)
        network.eval()


def record(
    trainer: OwnTrainer,
    seed: int,
    epochs: int,
    folder: Path,
    limit: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[OwnTraining, Trajectory]:
    """Trains by the recipe's `trajectory` with a seed on all images, and keeps the last `epochs` epochs, or as many as
    it yields, in files of a folder, which is emptied first. limit: bytes that these may take. progress(steps done, 0).

    Raises UserError, naming step and field, for what is not as docs/own_model.md has it; where a step, taken anew,
    leads elsewhere than the next one begins; and where the files grow beyond the limit.
    """
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    folder.mkdir(parents=True)
    recording = _Recording(trainer, epochs, folder, limit)
    yielded = _steps(trainer, seed)
    while True:
        try:
            given = next(yielded)
        except StopIteration as end:
            return recording.finish(end.value)
        recording.add(given)
        if progress:
            progress(recording.count, 0)


def first_step(trainer: OwnTrainer, seed: int) -> dict[str, int]:
    """What a training takes, by its first step: {"weights": how many training changes, "batch": images a step,
    "shown_bytes": of an image's inputs, where steps yield them}. Raises UserError as `record`."""
    yielded = _steps(trainer, seed)
    given = next(yielded, None)
    if given is None:
        raise UserError(_too_few(trainer, 0))
    fields = _Fields(trainer, 0, given)
    with _left_as_it_was(fields.model):
        weights = trained_weights(own_module(trainer, fields.model))
    inputs = fields.inputs
    yielded.close()
    return {
        "weights": sum(weight.numel() for weight in weights),
        "batch": len(fields.images),
        "shown_bytes": 0 if inputs is None else inputs[0].numel() * weights[0].element_size(),
    }


def _steps(trainer: OwnTrainer, seed: int) -> Generator:
    labels = np.asarray(trainer.train_labels, np.int64)
    return trainer.iterate("trajectory", np.arange(len(labels)), labels.copy(), int(seed))


def _too_few(trainer, count) -> str:
    return (
        f"{trainer.recipe.name}.trajectory yielded {count} step{'s' * (count != 1)}; yield each step of the last "
        "epochs, two at least, before it is taken"
    )


class _Fields:
    """What a recipe yields of a step, checked but for `model`."""

    def __init__(self, trainer: OwnTrainer, number: int, given: Any):
        self.where, self.given = f"{trainer.recipe.name}.trajectory: step {number}", given
        if not isinstance(given, dict):
            raise UserError(f"{self.where} is {_a(given)}; yield a dict with the fields {', '.join(REQUIRED)}")
        if missing := [name for name in REQUIRED if given.get(name) is None]:
            raise UserError(f"{self.where} has no field {missing[0]}; yield {', '.join(REQUIRED)}")
        if unknown := [name for name in given if name not in FIELDS]:
            raise UserError(f"{self.where} has a field {unknown[0]!r}, which is none of {', '.join(FIELDS)}")
        self.model = given["model"]
        epoch = given["epoch"]
        if isinstance(epoch, bool) or not isinstance(epoch, (int, np.integer)) or epoch < 0:
            raise self.wrong("epoch", epoch, "give the epoch's number, from 0")
        self.epoch = int(epoch)
        self.rate = self.number("learning_rate", 0, np.inf)
        self.momentum = self.number("momentum", 0, 1)
        self.weight_decay = self.number("weight_decay", 0, np.inf)
        self.nesterov, self.averaged = self.flag("nesterov"), self.flag("averaged")
        if self.nesterov and not self.momentum:
            raise self.wrong("nesterov", True, "without momentum there is no Nesterov's")
        self.smoothing = self.number("label_smoothing", 0, 1)
        self.loss = self.read_loss()
        self.images = self.read_images(len(trainer.train_labels))
        self.inputs = self.read_inputs()

    def wrong(self, name: str, value: Any, remedy: str) -> UserError:
        """The error about a field."""
        said = repr(value) if isinstance(value, (str, int, float, bool)) else _a(value)
        return UserError(f"{self.where} has {name} {said[:80]}; {remedy}")

    def number(self, name: str, least: float, most: float) -> float:
        """A field's number from `least` to below `most`, 0 where it is not there; a tensor with one will do."""
        value = self.given.get(name, 0)
        try:
            number = float(value)
        except (TypeError, ValueError, RuntimeError):
            number = np.nan
        if isinstance(value, (str, bool)) or not least <= number < most:
            raise self.wrong(name, value, f"give one number, {least} or more{f', below {most}' if most < 2 else ''}")
        return number

    def flag(self, name: str) -> bool:
        """A field that is true or false, and false where it is not there."""
        value = self.given.get(name, False)
        if not isinstance(value, (bool, np.bool_)):
            raise self.wrong(name, value, "say True or False")
        return bool(value)

    def read_loss(self) -> Callable | None:
        """The field `loss`, None for cross-entropy."""
        loss = self.given.get("loss", "cross_entropy")
        if loss == "cross_entropy":
            return None
        if not callable(loss):
            raise self.wrong("loss", loss, 'say "cross_entropy", or give a function of logits and labels')
        if self.smoothing:
            raise self.wrong("label_smoothing", self.smoothing, "it goes with cross_entropy alone; smooth in your loss")
        return loss

    def read_images(self, n: int) -> np.ndarray:
        """The field `images`, int64 [b]."""
        value = self.given["images"]
        ids = np.asarray(value.detach().cpu() if torch.is_tensor(value) else value)
        if ids.ndim != 1 or not len(ids) or ids.dtype.kind not in "iu":
            raise self.wrong("images", value, "give the numbers of the batch's images, whole ones in one row")
        if ids.min() < 0 or ids.max() >= n:
            raise self.wrong("images", value, f"the training images are numbered 0 to {n - 1:,}")
        return ids.astype(np.int64)

    def read_inputs(self) -> Tensor | None:
        """The field `inputs`, float [b, ...] on the processor, None where there is none."""
        value = self.given.get("inputs")
        if value is None:
            return None
        b = len(self.images)
        if not torch.is_tensor(value) or not value.is_floating_point() or not value.ndim or len(value) != b:
            said = f"{value.dtype} {list(value.shape)}" if torch.is_tensor(value) else type(value).__name__
            raise UserError(f"{self.where} has inputs {said}; give a float tensor with {b} rows, one an image")
        if not torch.isfinite(value).all():
            raise UserError(f"{self.where} has inputs with NaN or infinity")
        return value.detach().cpu()


class _Recording:
    """A training that is being kept."""

    def __init__(self, trainer: OwnTrainer, epochs: int, folder: Path, limit: int):
        self.trainer, self.epochs, self.folder, self.limit = trainer, epochs, folder, limit
        self.name = f"{trainer.recipe.name}.trajectory"
        self.training: OwnTraining | None = None
        self.steps: list[OwnStep] = []
        self.last: list[tuple[OwnStep, Tensor, Tensor | None]] = []  # two steps, their weights, and inputs
        self.count, self.replayed, self.n_averaged = 0, -1, 0
        self.sum: Tensor | None = None  # of averaged weights

    def add(self, given: Any) -> None:
        """Takes a step that was yielded."""
        fields = _Fields(self.trainer, self.count, given)
        with _left_as_it_was(fields.model):
            network = own_module(self.trainer, fields.model)
            weights = self._weights(network, fields.where)
            training = self.training = self.training or self._begin(network, fields)
        inputs = None if fields.inputs is None else fields.inputs.to(training.dtype)
        epoch = self._epoch(fields, inputs)
        rows = epoch.add(weights, fields.images, inputs)
        step = OwnStep(
            self.count, epoch, len(epoch.rows) - 1, fields.rate, fields.momentum, fields.nesterov, fields.weight_decay,
            fields.loss, fields.smoothing, rows, fields.averaged,
        )  # fmt: skip
        if training.bytes > self.limit:
            message = kept_too_large(
                self.trainer.recipe.name, training.size, len(self.steps) + 1, training.bytes, self.limit
            )
            raise UserError(message)
        self._average(weights)
        if len(self.last) == 2 and self.replayed != epoch.number:
            self.replayed = epoch.number
            self._compare(self._replay(), weights, f"where step {step.number} begins")
        self.steps.append(step)
        self.last = [*self.last[-1:], (step, weights, inputs)]
        self.n_averaged += step.averaged
        self.count += 1

    def finish(self, model: Any) -> tuple[OwnTraining, Trajectory]:
        """What is kept, once the recipe has returned its model."""
        training = self.training
        if training is None or self.count < 2:
            raise UserError(_too_few(self.trainer, self.count))
        if model is None:
            raise UserError(f"{self.name} returned no model; end it with: return model")
        network = copy.deepcopy(own_module(self.trainer, model)).to(training.device, training.dtype).eval()
        weights = self._weights(network, f"{self.name}: the model returned")
        replayed = self._replay()
        if self.n_averaged and replayed is not None:
            self._average(replayed)
            replayed = self.sum / self.n_averaged if self.sum is not None else replayed
        mean = " (the mean of the weights after averaged steps)" if self.n_averaged else ""
        self._compare(replayed, weights, f"the model that it returns{mean}")
        training.n_steps, training.n_epochs = self.count, self.steps[-1].epoch + 1
        training.fast = goes_by_layers(network, training.val_views(torch.zeros(1, dtype=torch.int64))[0])
        parameters = [row for epoch in training.epochs.values() for row in epoch.weights]
        return training, Trajectory(self.steps, parameters, network, self.n_averaged)

    @property
    def _known(self) -> OwnTraining:
        assert self.training is not None, "there is a first step"
        return self.training

    def _begin(self, network: nn.Module, fields: _Fields) -> OwnTraining:
        """Looks at the network of the first step."""
        for layer in network.modules():
            kind = type(layer).__name__
            if isinstance(layer, RANDOM) and layer.p > 0:
                raise UserError(f"{self.name}: the network has {kind}, which draws at random; {WHY}, without it")
            plain = isinstance(layer, nn.BatchNorm2d) and layer.affine and layer.track_running_stats
            if isinstance(layer, NORMS) and not plain:
                raise UserError(
                    f"{self.name}: the network has {kind}; of layers that go by a batch Unrolled knows BatchNorm2d "
                    "alone, with weights and running statistics"
                )
        dtype = trained_weights(network)[0].dtype
        with self._copied():
            copied = copy.deepcopy(network)
        return OwnTraining(self.trainer, OwnNetwork(self.trainer, fields.model, dtype, copied))

    @contextmanager
    def _copied(self):
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            raise UserError(
                f"{self.name}: the network cannot be copied ({type(error).__name__}); have module return one that "
                "copy.deepcopy takes"
            ) from None

    def _weights(self, network: nn.Module, where: str) -> Tensor:
        """The weights that training changes, flat, on the processor; checked."""
        weights = trained_weights(network)
        kinds = {weight.dtype for weight in weights}
        if not weights:
            raise UserError(f"{where} has a network without weights that training changes (requires_grad)")
        if len(kinds) > 1 or not kinds <= {torch.float32, torch.float64}:
            said = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
            raise UserError(f"{where} has a network with weights of {said}; have trajectory train in float32")
        flat = flatten(weights).cpu()
        if self.training and len(flat) != self.training.size:
            raise UserError(f"{where} has a network with {len(flat):,} weights, and step 0 had {self.training.size:,}")
        if not torch.isfinite(flat).all():
            raise UserError(f"{where} has a model with weights that are NaN or infinite; the training has diverged")
        return flat

    def _epoch(self, fields: _Fields, inputs: Tensor | None) -> Epoch:
        """The epoch that a step is in; of one before those that are kept, the files are removed."""
        epochs = self._known.epochs
        last = max(epochs, default=-1)
        if fields.epoch < last:
            raise fields.wrong("epoch", fields.epoch, f"the step before was in epoch {last}")
        if fields.epoch not in epochs:
            epochs[fields.epoch] = Epoch(fields.epoch, self.folder, len(self.trainer.train_labels))
            while len(epochs) > self.epochs:
                number = min(epochs)
                epochs.pop(number).remove()
                self.steps = [step for step in self.steps if step.epoch != number]
        epoch = epochs[fields.epoch]
        if inputs is not None and epoch.n_inputs and tuple(inputs.shape[1:]) != epoch.input_shape:
            raise UserError(
                f"{fields.where} has inputs {list(inputs.shape)}, and those before are [{len(inputs)}, "
                f"{', '.join(map(str, epoch.input_shape))}]; give all images of an epoch one shape"
            )
        return epoch

    def _average(self, after: Tensor) -> None:
        """Adds the weights after the step before to the sum, where they are averaged."""
        if self.last and self.last[-1][0].averaged:
            self.sum = after.double() if self.sum is None else self.sum + after.double()

    def _gradient(self, step: OwnStep, weights: Tensor, inputs: Tensor | None) -> Tensor:
        """Of a step's loss and weight decay, float64 [P]; in training mode, as the recipe takes it."""
        training = self._known
        if inputs is None:
            inputs = training.own.train_images[training.ids(step.shown)]
        images, network = inputs.to(training.device), training.own.network
        load(network, weights.to(training.device))
        try:
            with training.own.explained(), torch.random.fork_rng(), torch.enable_grad():
                logits = training.outputs(network.train(), images)
                slopes = torch.autograd.grad(
                    training.losses(logits, step.shown, step).mean(), trained_weights(network), allow_unused=True
                )
                self._check_held(network, images, logits.detach())
        finally:
            network.eval()
        known = [torch.zeros_like(w) if slope is None else slope for w, slope in zip(trained_weights(network), slopes)]
        return flatten(known).cpu().double() + step.weight_decay * weights.double()

    def _check_held(self, network, images, logits):
        hold_norms(network, images)
        with torch.no_grad():
            apart = (network(images) - logits).abs().max() / logits.abs().max().clamp_min(1e-12)
        if not apart <= HELD:
            raise UserError(
                f"{self.name}: the network gives other logits in training mode, by {float(apart):.2g} of the largest, "
                f"beyond batch norm's going by the batch, as dropout does; {WHY}, without that"
            )

    def _replay(self) -> Tensor | None:
        """The weights, float64 [P], that the last step leads to from those before it, by the momentum that its
        predecessor's move had; None where that did not move."""
        (first, before, inputs), (second, weights, later) = self.last
        move = 0.0
        if second.momentum:
            if not first.rate:
                return None
            move = (before.double() - weights.double()) / first.rate  # the momentum, or what Nesterov makes of it
            if first.nesterov:
                move = (move - self._gradient(first, before, inputs)) / first.momentum
        gradient = self._gradient(second, weights, later)
        move = second.momentum * move + gradient
        if second.nesterov:
            move = gradient + second.momentum * move
        return weights.double() - second.rate * move

    def _compare(self, replayed: Tensor | None, found: Tensor, where: str) -> None:
        """Raises UserError where a step, taken anew, ends elsewhere than it should."""
        if replayed is None:
            return
        (first, *_), (second, weights, _) = self.last
        step = float((found.double() - weights.double()).norm())
        apart = float((replayed - found.double()).norm())
        worst = max(1.0, second.rate / first.rate) if first.rate else 1.0
        rounding = ROUNDING * torch.finfo(found.dtype).eps * float(weights.double().norm()) * (1 + worst)
        share = apart / step if step else (np.inf if apart > rounding else 0.0)
        allowed = APART.get(self._known.device.type, APART["cpu"])
        if not apart <= allowed * step + rounding:
            raise UserError(
                f"{self.name}: step {second.number}, taken anew from what it yields, ends {share:.2g} of its length "
                f"away from {where}; {WHY}, with the gradient of the mean loss as it is (no clipping, no other "
                "precision), one learning rate and one weight decay for all weights, and each step yielded before it "
                "is taken"
            )
        self._known.apart = max(self._known.apart, share if apart > rounding else 0.0)


@contextmanager
def _left_as_it_was(model: Any) -> Iterator[None]:
    """A context manager: the recipe goes on with its model in the mode in which it was, whatever `module` does."""
    modes = {layer: layer.training for layer in model.modules()} if isinstance(model, nn.Module) else {}
    try:
        yield
    finally:
        for layer, mode in modes.items():
            layer.training = mode


def _a(value: Any) -> str:
    if torch.is_tensor(value) or isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value.dtype} {list(value.shape)}"
    return f"of type {type(value).__name__}"
