"""Recipes as users write them, good and bad; numpy alone, so that a worker has one in a moment."""

import os
import subprocess
import sys
import time

import numpy as np


class Softmax:
    name, version, threads = "softmax", 1, 1
    steps = 10

    def setup(self, data, device):
        self.classes, splits = len(data.classes), ("train", "val")
        self.labels = {split: data.labels(split) for split in splits}
        self.pixels = {split: np.asarray(data.images(split)) / 255 for split in splits}
        self.pixels = {split: images.reshape(len(images), -1) for split, images in self.pixels.items()}

    def fit(self, keep, labels, seed, report):
        x, y = self.pixels["train"][keep], labels[keep]
        weights = np.random.default_rng(seed).normal(0, 0.01, (x.shape[1], self.classes))
        for step in range(self.steps):
            powers = np.exp(x @ weights)
            error = powers / powers.sum(1, keepdims=True) - np.eye(self.classes)[y]
            weights -= x.T @ error / len(y)
            report(step + 1, self.steps)
        return weights

    def logits(self, model, split, ids):
        return self.pixels[split][ids] @ model


class IgnoresKeep(Softmax):
    name = "ignores-keep"

    def fit(self, keep, labels, seed, report):
        return super().fit(np.arange(len(labels)), labels, seed, report)


class IgnoresLabels(Softmax):
    name = "ignores-labels"

    def fit(self, keep, labels, seed, report):
        return super().fit(keep, self.labels["train"], seed, report)


class SeesValidation(Softmax):
    name = "sees-validation"

    def fit(self, keep, labels, seed, report):
        return super().fit(keep, labels, seed, report) + self.labels["val"][:3] / 10


class Remembers(Softmax):
    name, last = "remembers", 0.0

    def fit(self, keep, labels, seed, report):
        weights = super().fit(keep, labels, seed, report) + self.last
        self.last = 0.01 * weights
        return weights


class OwnOrder(Softmax):
    name = "own-order"

    def logits(self, model, split, ids):
        return np.roll(super().logits(model, split, ids), 1, axis=1)


class NoSeed(Softmax):
    name, deterministic = "no-seed", True

    def fit(self, keep, labels, seed, report):
        return super().fit(keep, labels, 0, report)


class Raises(Softmax):
    name = "raises"

    def fit(self, keep, labels, seed, report):
        print("the last words of fit")
        raise ValueError("the learning rate is below 0\nand more")


class Exits(Softmax):
    name = "exits"

    def fit(self, keep, labels, seed, report):
        sys.exit(3)


class Crashes(Softmax):
    name = "crashes"

    def fit(self, keep, labels, seed, report):
        print("x" * 3_000_000)
        os.kill(os.getpid(), 11)


class NotFinite(Softmax):
    name = "not-finite"

    def logits(self, model, split, ids):
        return super().logits(model, split, ids) * np.nan


class WrongShape(Softmax):
    name = "wrong-shape"

    def logits(self, model, split, ids):
        return super().logits(model, split, ids)[:, :2]


class Prints(Softmax):
    """What it prints looks like the worker's own words."""

    name = "prints"

    def fit(self, keep, labels, seed, report):
        print('{"event": "done"}')
        os.write(1, b'{"event": "lost"}\n' * 1000)
        return super().fit(keep, labels, seed, report)


class Hangs(Softmax):
    """Starts a process of another session, and one whose parent is gone; and never ends."""

    name, patience = "hangs", 0.05

    def fit(self, keep, labels, seed, report):
        report(1, 10)
        subprocess.Popen(["sleep", "98765"], start_new_session=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "98766"])
            os._exit(0)
        while True:
            time.sleep(1)


class NoFit:
    name = "no-fit"

    def setup(self, data, device):
        pass
