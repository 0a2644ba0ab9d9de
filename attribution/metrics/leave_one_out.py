"""Leave-one-out correlation: does a ranking order images as leaving each of them out alone does?"""

import numpy as np

from attribution.metrics.statistics import spearman_correlation


def leave_one_out_correlation(falls: np.ndarray, scores: np.ndarray, among: np.ndarray | None = None) -> np.ndarray:
    """Spearman's correlation of scores with what leaving out each image does, for each target: float64 [T], in [-1, 1];
    NaN where either is the same for all images, or fewer than two are counted.

    falls   float [T, n], by how much a target's margin is lower without the image, in logits
    scores  float [T, n], of the same images; larger is more helpful
    among   bool [T, n], the images that count; None for all

    Source: Koh and Liang, arXiv 1703.04730, section 4.1, compare influence with leave-one-out retraining; as a metric
    of any scores it is `loo_corr` of dattri (Deng et al., arXiv 2410.04555), by Pearson's correlation. Ranks are taken
    here as for LDS, since most methods' scores are no logits.

    >>> leave_one_out_correlation(np.array([[0.3, 0.1, 0.2]]), np.array([[9.0, 1.0, 4.0]])).tolist()
    [1.0]
    """
    if among is None:
        return spearman_correlation(falls, scores)
    correlations = np.full(len(falls), np.nan)
    for at in np.flatnonzero(among.sum(1) > 1):
        correlations[at] = spearman_correlation(falls[at, among[at]], scores[at, among[at]])
    return correlations
