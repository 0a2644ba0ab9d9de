"""Datamodels (Ilyas et al., arXiv 2202.00622): per target, a sparse linear regression from the mask of the training
subset to the target's margin, over models trained on random halves. Positive weights are helpful."""

from collections.abc import Callable

import numpy as np

TAIL = 300
PENALTIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def fit(
    masks: np.ndarray, margins: np.ndarray, penalty: float, on_target: Callable[[int], None] | None = None
) -> np.ndarray:
    """LASSO weights float32 [n_val, n_train].

    masks: bool [models, n_train], True where the image was in the subset; margins: float [models, n_val]. penalty:
    scikit-learn's alpha, relative to the smallest one that leaves every weight at zero, so that one number serves all
    targets. on_target(done) is called as targets are done.
    """
    from sklearn.linear_model import Lasso

    design = np.asfortranarray(masks, np.float32)
    design -= design.mean(0)
    weights = np.zeros((margins.shape[1], masks.shape[1]), np.float32)
    for target in range(margins.shape[1]):
        aim = margins[:, target].astype(np.float32)
        aim -= aim.mean()
        largest = np.abs(design.T @ aim).max() / len(aim)
        if largest > 0:  # not where all models say the same of this target
            model = Lasso(alpha=penalty * float(largest), fit_intercept=False, copy_X=False, tol=1e-3, max_iter=2000)
            weights[target] = model.fit(design, aim).coef_
        if on_target:
            on_target(target + 1)
    return weights


def tune(
    masks: np.ndarray,
    margins: np.ndarray,
    held: int,
    quality: Callable[..., float],
    on_penalty: Callable[[int, int], None] | None = None,
) -> dict[float, float]:
    """Penalty -> how good the weights are that it gives without the last `held` models; the best one is to be taken.

    masks, margins: as in `fit`. quality(weights, masks, margins) judges weights by the models left out.
    on_penalty(done, total) is called as penalties are done.
    """
    tried = {}
    for number, penalty in enumerate(PENALTIES, 1):
        weights = fit(masks[:-held], margins[:-held], penalty)
        tried[penalty] = round(float(quality(weights, masks[-held:], margins[-held:])), 4)
        if on_penalty:
            on_penalty(number, len(PENALTIES))
    return tried


def marginal_effects(masks: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Mean margin of the models that saw an image minus that of those that did not, float32 [n_val, n_train]."""
    inside = masks.astype(np.float32)
    seen = inside.sum(0)
    sums = inside.T @ margins.astype(np.float32)
    rest = margins.astype(np.float32).sum(0) - sums
    return (sums / seen[:, None] - rest / (len(masks) - seen)[:, None]).T


def tails(weights: np.ndarray, effects: np.ndarray, length: int = TAIL) -> np.ndarray:
    """Where LASSO leaves zeros, the order goes on by marginal effect (protocol.md, section 4): training indices,
    uint16 or int32 [n_val, 2, length], the most helpful (0) and the most harmful (1) images of weight zero; where there
    are fewer than `length` of these, others follow."""
    idle = np.where(weights == 0, effects, np.nan)
    helpful = np.argsort(-np.nan_to_num(idle, nan=-np.inf), axis=1, kind="stable")[:, :length]
    harmful = np.argsort(np.nan_to_num(idle, nan=np.inf), axis=1, kind="stable")[:, :length]
    kind = np.uint16 if weights.shape[1] < 65536 else np.int32
    return np.stack([helpful, harmful], 1).astype(kind)
