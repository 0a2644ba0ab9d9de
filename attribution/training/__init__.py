"""Training: one classifier on an edited training set. The only place where a network is trained by a recipe."""
