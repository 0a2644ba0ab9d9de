"""CIFAR-100 (Krizhevsky, 2009): 50,000 + 10,000 colour images of 32 x 32 in 100 (fine) classes, by torchvision."""

from pathlib import Path

from attribution.data import DataSet, cifar10


def load(root: Path | None = None) -> DataSet:
    """See `cifar10.load`."""
    return cifar10.load(root, "CIFAR100")
