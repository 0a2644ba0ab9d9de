"""Plain PyTorch: a small residual network, AdamW, a cosine schedule, and images mirrored at random."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return functional.relu(x + self.second(functional.relu(self.first(x))))


class AdamW:
    name, version, threads = "pytorch-adamw", 1, 1
    epochs, batch = 6, 64

    def setup(self, data, device):
        self.device, self.classes = device, len(data.classes)
        self.images = {split: self.prepare(data.images(split)) for split in ("train", "val")}

    def prepare(self, images):
        images = torch.as_tensor(np.asarray(images), device=self.device).float() / 255
        return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2).contiguous()

    def network(self):
        channels = self.images["train"].shape[1]
        return nn.Sequential(
            nn.Conv2d(channels, 24, 3, padding=1),
            nn.MaxPool2d(2),
            Block(24),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(24 * 16, self.classes),
        ).to(self.device)

    def fit(self, keep, labels, seed, report):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = self.network()
        keep, labels = torch.as_tensor(keep), torch.as_tensor(labels, device=self.device)
        optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
        steps = self.epochs * -(-len(keep) // self.batch)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for epoch in range(self.epochs):
            for rows in keep[torch.randperm(len(keep))].split(self.batch):
                shown = self.images["train"][rows]
                mirrored = torch.rand(len(rows), device=self.device) < 0.5
                shown = torch.where(mirrored[:, None, None, None], shown.flip(3), shown)
                loss = functional.cross_entropy(model(shown), labels[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            report(epoch + 1, self.epochs)
        return model.eval()

    @torch.no_grad()
    def logits(self, model, split, ids):
        parts = [model(self.images[split][rows]) for rows in torch.as_tensor(ids).split(500)]
        return torch.cat(parts).cpu().numpy()

    # For TRAK, self-influence and supervised features; it is given the images as `prepare` returns them.
    def module(self, model):
        return model

    # So that what needs the model later does not train it again.
    def save(self, model, path):
        torch.save(model.state_dict(), path)

    def load(self, path):
        model = self.network()
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval()
