"""Plain PyTorch: stochastic gradient descent with Nesterov momentum, batch norm, and images mirrored at random.

Its steps are yielded, so that Unrolled can go back through them; `fit` takes the same ones.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Momentum:
    name, version, threads = "pytorch-sgd", 1, 1
    optimizer = "sgd"  # what trajectory goes down by
    epochs, batch, momentum, weight_decay, smoothing = 6, 50, 0.9, 5e-4, 0.1

    def setup(self, data, device):
        self.device, self.classes = device, len(data.classes)
        self.images = {split: self.prepare(data.images(split)) for split in ("train", "val")}

    def prepare(self, images):
        images = torch.as_tensor(np.asarray(images), device=self.device).float() / 255
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()

    def network(self):
        channels = self.images["train"].shape[1]
        return nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.GELU(),
            nn.AvgPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.GELU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 16, self.classes),
        ).to(self.device)

    # Yields each step before it is taken, and returns the model; in float32.
    def trajectory(self, keep, labels, seed):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = self.network()
        keep, labels = torch.as_tensor(keep), torch.as_tensor(labels, device=self.device)
        options = {"momentum": self.momentum, "nesterov": True, "weight_decay": self.weight_decay}
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, **options)
        per_epoch = max(1, len(keep) // self.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, 0.1, self.epochs * per_epoch, pct_start=0.3, cycle_momentum=False
        )
        for epoch in range(self.epochs):
            order = keep[torch.randperm(len(keep))]
            for rows in order[: per_epoch * self.batch].split(self.batch):
                shown = self.images["train"][rows]
                mirrored = torch.rand(len(rows), device=self.device) < 0.5
                shown = torch.where(mirrored[:, None, None, None], shown.flip(3), shown)
                yield {
                    "epoch": epoch,
                    "model": model,
                    "learning_rate": schedule.get_last_lr()[0],
                    "images": rows,
                    "inputs": shown,
                    "label_smoothing": self.smoothing,
                    **options,
                }
                loss = functional.cross_entropy(model(shown), labels[rows], label_smoothing=self.smoothing)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        return model

    def fit(self, keep, labels, seed, report):
        def train():
            self.trained = yield from self.trajectory(keep, labels, seed)

        for step in train():
            report(step["epoch"], self.epochs)
        return self.trained.eval()

    @torch.no_grad()
    def logits(self, model, split, ids):
        parts = [model(self.images[split][rows]) for rows in torch.as_tensor(ids).split(500)]
        return torch.cat(parts).cpu().numpy()

    def module(self, model):
        return model

    def save(self, model, path):
        torch.save(model.state_dict(), path)

    def load(self, path):
        model = self.network()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
