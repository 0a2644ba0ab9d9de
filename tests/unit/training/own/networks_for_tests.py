"""Recipes with the optional methods: demo-cnn as a user would wrap it, and small networks with mistakes in them."""

import time
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from attribution.training.edits import remove
from attribution.training.recipes import get_recipe
from attribution.training.trainer import Trainer


class Wrapped:
    name, version, threads = "wrapped-demo-cnn", 1, 1

    def setup(self, data, device):
        splits = {f"{split}_{what}": getattr(data, what)(split) for split in ("train", "val") for what in WHAT}
        self.trainer = Trainer(SimpleNamespace(**splits, classes=data.classes), get_recipe("demo-cnn"), device)

    def fit(self, keep, labels, seed, report):
        left_out = np.setdiff1d(np.arange(len(labels)), keep)
        return self.trainer.train(remove(left_out), seed, report)

    def logits(self, model, split, ids):
        with torch.no_grad():
            return model(self.inputs(split, ids))

    def module(self, model):
        return model

    def inputs(self, split, ids):
        images = self.trainer.train_images if split == "train" else self.trainer.val_images
        return images[torch.as_tensor(ids)].float()


class WrappedAndKept(Wrapped):
    name = "wrapped-and-kept"

    def save(self, model, path):
        torch.save(model.state_dict(), path)

    def load(self, path):
        model = self.trainer.untrained(0)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()


WHAT = ("images", "labels")


class Net:
    """A linear layer of 16 and one of the classes; its inputs are the usual ones."""

    name, version, threads = "net", 1, 1

    def setup(self, data, device):
        self.classes, self.images = len(data.classes), {split: data.images(split) for split in ("train", "val")}

    def pixels(self, split, ids):
        return torch.as_tensor(np.asarray(self.images[split][ids])).float()[:, None] / 255

    def fit(self, keep, labels, seed, report):
        torch.manual_seed(seed)
        size = self.pixels("train", keep[:1])[0].numel()
        model = nn.Sequential(nn.Flatten(), nn.Linear(size, 16), nn.Tanh(), nn.Linear(16, self.classes))
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
        for step in range(20):
            loss = functional.cross_entropy(model(self.pixels("train", keep)), torch.as_tensor(labels[keep]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            report(step + 1, 20)
        return model.eval()

    def logits(self, model, split, ids):
        with torch.no_grad():
            return model(self.pixels(split, ids))

    def module(self, model):
        return model


class Complete(Net):
    name = "complete"

    def features(self, model, split, ids):
        with torch.no_grad():
            return model[:-1](self.pixels(split, ids)) * 2

    def save(self, model, path):
        torch.save(model, path)

    def load(self, path):
        return torch.load(path, weights_only=False)


class NoModule(Net):
    name, module = "no-module", None


class SaysAModule(Net):
    name = "says-a-module"

    def module(self, model):
        return "a network"


class OtherInputs(Net):
    """Its network is given pixels ten times as bright as those it was trained on."""

    name = "other-inputs"

    def inputs(self, split, ids):
        return 10 - 10 * self.pixels(split, ids)


class NoGradients(Net):
    name = "no-gradients"

    def module(self, model):
        class Decides(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = model

            def forward(self, x):
                logits = self.inner(x)
                return logits * 2 if logits.sum().item() > 1e9 else logits

        return Decides()


class Descends(Net):
    """Two layers by stochastic gradient descent, which yields its steps: five epochs of four."""

    name, epochs, batch, optimiser = "descends", 5, 15, torch.optim.SGD

    def trajectory(self, keep, labels, seed):
        torch.manual_seed(seed)
        keep, labels = torch.as_tensor(keep), torch.as_tensor(labels)
        model = nn.Sequential(nn.Flatten(), nn.Linear(self.pixels("train", [0]).numel(), 16), nn.Tanh())
        model.append(nn.Linear(16, self.classes))
        optimiser = self.optimiser(model.parameters(), lr=0.05)
        for group in optimiser.param_groups:
            group["momentum"] = 0.9
        for epoch in range(self.epochs):
            for rows in keep[torch.randperm(len(keep))][: len(keep) // self.batch * self.batch].split(self.batch):
                yield {"epoch": epoch, "model": model, "learning_rate": 0.05, "momentum": 0.9, "images": rows}
                loss = functional.cross_entropy(model(self.pixels("train", rows)), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        return model

    def fit(self, keep, labels, seed, report):
        steps = self.trajectory(keep, labels, seed)
        while True:
            try:
                report(next(steps)["epoch"], self.epochs)
            except StopIteration as end:
                return end.value.eval()


class DescendsByAdam(Descends):
    """Which does not say so."""

    name, optimiser = "descends-by-adam", torch.optim.Adam


class SaysAdam(DescendsByAdam):
    name, optimizer = "says-adam", "Adam"


class DescendsElsewhere(Descends):
    """Its trajectory is another training than fit."""

    name = "descends-elsewhere"

    def fit(self, keep, labels, seed, report):
        return super().fit(keep, labels, seed + 1, report)


class Large(Descends):
    """A network of 17 million weights."""

    name = "large"

    def trajectory(self, keep, labels, seed):
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 250_000), nn.Tanh(), nn.Linear(250_000, self.classes))
        yield {"epoch": 0, "model": model, "learning_rate": 0.05, "images": keep[:2]}


class Slow(Descends):
    """A training that takes minutes."""

    name = "slow"

    def trajectory(self, keep, labels, seed):
        for number, step in enumerate(super().trajectory(keep, labels, seed)):
            if number == 3:
                time.sleep(60)
            yield step


class FeaturesNotFinite(Complete):
    name = "features-not-finite"

    def features(self, model, split, ids):
        return super().features(model, split, ids) / 0


class FeaturesFlat(Complete):
    name = "features-flat"

    def features(self, model, split, ids):
        return super().features(model, split, ids)[:, 0]


class ForgetsWeights(Complete):
    """What it loads is another model than what it saved."""

    name = "forgets-weights"

    def load(self, path):
        model = super().load(path)
        nn.init.zeros_(model[-1].weight)
        return model


class SavesNothing(Complete):
    name = "saves-nothing"

    def save(self, model, path):
        pass


class SavesMuch(Complete):
    """A file with a hole in it, which takes no room on the disk."""

    name = "saves-much"

    def save(self, model, path):
        with open(path, "wb") as stream:
            stream.truncate(5 * 2**30)
