"""What removing a ranking's first images does to a target's margin, beside what random images do."""

import numpy as np

from attribution.metrics.statistics import mean_with_interval


def compare_falls(falls: np.ndarray, controls: np.ndarray) -> dict:
    """By how much margins fall without a ranking's images, without random ones, and the paired difference.

    falls     float [T], the margin with all images less that without the ranking's, in logits; NaN: not measured
    controls  float [T, draws], the same of sets of random images
    Returns {"fall", "control", "difference"}, each as `statistics.mean_with_interval` over the targets that have both.
    A control is the mean over its draws.

    Source: removing what is ranked first and retraining, against random, is Hooker et al.'s ROAR (arXiv 1806.10758,
    section 3) for features, and for training images the counterfactual evaluation of Singla et al. (arXiv 2311.03386,
    section 4) and Bae et al. (arXiv 2405.12186).

    >>> compare_falls(np.array([3.0, 1.0]), np.array([[1.0, 0.0], [0.5, 0.5]]))["difference"]["mean"]
    1.5
    """
    control = controls.mean(1)
    measured = ~np.isnan(falls) & ~np.isnan(control)
    falls, control = falls[measured], control[measured]
    return {
        "fall": mean_with_interval(falls),
        "control": mean_with_interval(control),
        "difference": mean_with_interval(falls - control),
    }
