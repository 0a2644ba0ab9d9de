"""A torchvision network, fine-tuned from weights on this disk: the body is read from WEIGHTS, the last layer is new.

Write the weights once: torch.save(torchvision.models.resnet18(weights="DEFAULT").state_dict(), "resnet18.pt")
"""

import os
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch.nn import functional

WEIGHTS = Path(os.environ.get("RESNET18", "~/resnet18.pt")).expanduser()  # large, so not among the sources
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


class FineTuned:
    name, version, threads = "finetuned-resnet18", 1, 1
    epochs, batch, side = 3, 32, 64

    def setup(self, data, device):
        self.device, self.data, self.classes = device, data, len(data.classes)
        self.weights = torch.load(WEIGHTS, weights_only=True, map_location="cpu")

    def batch_of(self, split, ids):
        images = torch.as_tensor(np.asarray(self.data.images(split)[ids])).float() / 255
        images = images[..., None].expand(*images.shape, 3) if images.ndim == 3 else images
        images = ((images - MEAN) / STD).permute(0, 3, 1, 2)
        return functional.interpolate(images, size=(self.side, self.side), mode="bilinear").to(self.device)

    def fit(self, keep, labels, seed, report):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        model = torchvision.models.resnet18()
        model.load_state_dict(self.weights)
        model.fc = torch.nn.Linear(model.fc.in_features, self.classes)
        model = model.to(self.device).train()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        order, labels = np.random.default_rng(seed), torch.as_tensor(labels)
        for epoch in range(self.epochs):
            shuffled = order.permutation(keep)
            for start in range(0, len(keep) - len(keep) % self.batch or len(keep), self.batch):
                rows = np.sort(shuffled[start : start + self.batch])
                loss = functional.cross_entropy(model(self.batch_of("train", rows)), labels[rows].to(self.device))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            report(epoch + 1, self.epochs)
        return model.eval()

    @torch.no_grad()
    def logits(self, model, split, ids):
        blocks = np.array_split(ids, max(1, -(-len(ids) // 200)))
        return torch.cat([model(self.batch_of(split, block)) for block in blocks]).cpu().numpy()

    def module(self, model):
        return model

    def inputs(self, split, ids):  # what the network of `module` takes, which is not the images as they are
        return self.batch_of(split, ids)

    @torch.no_grad()
    def features(self, model, split, ids):  # supervised features: what the last layer is given
        body = torch.nn.Sequential(*list(model.children())[:-1])
        blocks = np.array_split(ids, max(1, -(-len(ids) // 200)))
        return torch.cat([body(self.batch_of(split, block)).flatten(1) for block in blocks]).cpu().numpy()
