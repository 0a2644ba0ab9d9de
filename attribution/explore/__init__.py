"""Explore: the lineup of one target, which targets to look at, and whom one training image helps and harms."""
