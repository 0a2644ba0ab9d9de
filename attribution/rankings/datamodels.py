"""Datamodels (Ilyas et al., arXiv 2202.00622): per target, a sparse linear regression from the mask of the training
subset to the target's margin, over models trained on random halves. Positive weights are helpful."""

from collections.abc import Callable

import numpy as np

TAIL_LENGTH = 300
PENALTIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def fit_lasso(
    masks: np.ndarray, margins: np.ndarray, penalty: float, on_target: Callable[[int], None] | None = None
) -> np.ndarray:
    """LASSO weights float32 [n_val, n_train].

    masks: bool [models, n_train], True where the image was in the subset; margins: float [models, n_val]. penalty:
    scikit-learn's alpha as a fraction of the smallest alpha that makes all weights zero, so that a number fits all
    targets. on_target(targets done) is called after each target.
    """
    from sklearn.linear_model import Lasso

    design = np.asfortranarray(masks, np.float32)
    design -= design.mean(0)
    weights = np.zeros((margins.shape[1], masks.shape[1]), np.float32)
    for target in range(margins.shape[1]):
        aim, scale = _centred(margins[:, target])
        largest = np.abs(design.T @ aim).max() / len(aim)
        if largest > 0:  # it is 0 where all models have the same margin
            model = Lasso(alpha=penalty * float(largest), fit_intercept=False, copy_X=False, tol=1e-3, max_iter=2000)
            weights[target] = model.fit(design, aim).coef_ * scale
        if on_target:
            on_target(target + 1)
    return weights


def tune_penalty(
    masks: np.ndarray,
    margins: np.ndarray,
    n_held_out: int,
    quality: Callable[..., float],
    on_penalty: Callable[[int, int], None] | None = None,
) -> dict[float, float]:
    """The quality of each penalty in PENALTIES, {penalty: quality}: of weights fitted without the last `n_held_out`
    models, measured on these. Larger is better.

    masks, margins: as in `fit_lasso`. quality(weights, masks, margins) measures weights on the models left out.
    on_penalty(penalties done, in all) is called after each penalty.
    """
    qualities = {}
    for number, penalty in enumerate(PENALTIES, 1):
        weights = fit_lasso(masks[:-n_held_out], margins[:-n_held_out], penalty)
        qualities[penalty] = round(float(quality(weights, masks[-n_held_out:], margins[-n_held_out:])), 4)
        if on_penalty:
            on_penalty(number, len(PENALTIES))
    return qualities


def marginal_effects(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Mean margin of the models trained with an image minus that of the models without, float32 [n_val, n_train]."""
    inside = masks.astype(np.float32)
    with_image = inside.sum(0)
    aims, scale = _centred(margins)
    sums = inside.T @ aims
    rest = aims.sum(0) - sums
    return ((sums / with_image[:, None] - rest / (len(masks) - with_image)[:, None]) * scale).T


def _centred(margins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Margins [models, ...] minus their mean over models, divided by a power of two, so that float32 holds what they
    differ by, however large or small they are; and that power, float64 [...]."""
    aims = margins.astype(np.float64)
    aims -= aims.mean(0)
    scale = np.exp2(np.frexp(np.abs(aims).max(0))[1])
    return (aims / scale).astype(np.float32), scale


def zero_weight_tails(weights: np.ndarray, effects: np.ndarray, length: int = TAIL_LENGTH) -> np.ndarray:
    """The order of images to which LASSO gives weight zero, by marginal effect: training indices, uint16 or int32
    [n_val, 2, length], the most helpful (0) and the most harmful (1) of them; padded with other images where there are
    fewer than `length`. weights, effects: float [n_val, n_train]."""
    zero = np.where(weights == 0, effects, np.nan)
    helpful = np.argsort(-np.nan_to_num(zero, nan=-np.inf), axis=1, kind="stable")[:, :length]
    harmful = np.argsort(np.nan_to_num(zero, nan=np.inf), axis=1, kind="stable")[:, :length]
    dtype = np.uint16 if weights.shape[1] < 65536 else np.int32
    return np.stack([helpful, harmful], 1).astype(dtype)
