"""The control: training images of the target's class in a random order, another one for each target."""

import numpy as np

from attribution.rankings.base import Ranking


class Random(Ranking):
    """A fixed random order per target, among the images with the target's true label."""

    name = "random"
    method = "Random"
    conditioned = True
    live = True
    description = "control · same class"

    def values(self, target, candidates):
        """See `Ranking.values`."""
        order = np.random.default_rng([8191, target]).permutation(self.workspace.n_train)
        return -order[candidates].astype(np.float32)
