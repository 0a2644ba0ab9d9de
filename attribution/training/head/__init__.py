"""Heads: a linear classifier on a frozen feature set, retrained exactly in milliseconds. Numpy and scipy alone."""

from attribution.training.head.head import Head

__all__ = ["Head"]
