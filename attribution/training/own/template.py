"""A recipe for Lineup: how your classifier is trained. `recipe check` says what it must keep to."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Mine:
    """A small convolutional network, AdamW and a cosine schedule."""

    name, version, threads = "mine", 1, 1  # threads: processor cores of one training
    sources = []  # further files of this folder that belong to the recipe, such as ["model.py", "config.yaml"]
    epochs, batch = 6, 64

    def setup(self, data, device):
        """Called once a worker. data.images(split): uint8 [n, H, W] or [n, H, W, 3]; also data.paths(split),
        data.labels(split), data.classes. split is "train" or "val"."""
        self.device, self.classes = device, len(data.classes)
        self.images = {split: self.prepare(data.images(split)) for split in ("train", "val")}

    def prepare(self, images):
        """float32 [n, channels, H, W], 0 to 1, on the device."""
        images = torch.as_tensor(np.asarray(images), device=self.device).float() / 255
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)

    def network(self):
        """The untrained network."""
        channels = self.images["train"].shape[1]
        return nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(32 * 16, self.classes),
        ).to(self.device)

    def fit(self, keep, labels, seed, report):
        """Trains on the images `keep`, int64 [m], with `labels`, int64 [n_train]; returns the model."""
        torch.manual_seed(seed)  # all that is random comes from the seed
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = self.network()
        keep, labels = torch.as_tensor(keep), torch.as_tensor(labels, device=self.device)
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.epochs)
        for epoch in range(self.epochs):
            for rows in keep[torch.randperm(len(keep))].split(self.batch):
                loss = functional.cross_entropy(model(self.images["train"][rows]), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            schedule.step()
            report(epoch + 1, self.epochs)  # progress, and a sign of life
        return model.eval()

    @torch.no_grad()
    def logits(self, model, split, ids):
        """float32 [len(ids), classes] of the images `ids`; the columns are in the order of data.classes."""
        parts = [model(self.images[split][rows]) for rows in torch.as_tensor(ids).split(500)]
        return torch.cat(parts).cpu().numpy()

    # What follows may be left out; docs/own_model.md has more: features, and trajectory for Unrolled.

    def module(self, model):
        """The torch network, for TRAK, self-influence and supervised features. It is given float32 [n, channels, H, W]
        from 0 to 1; where yours takes anything else, write inputs(split, ids), which returns that."""
        return model

    def save(self, model, path):
        """Saves a model into one file, so that it need not be trained again."""
        torch.save(model.state_dict(), path)

    def load(self, path):
        """The model that was saved."""
        model = self.network()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
