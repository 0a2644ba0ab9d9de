"""A store of models trained on random subsets, to fit Datamodels on: `masks.npy` bool [M, n_train], True where the
image was in the subset; `margins.npy` float16 [M, n_targets]; `_completed.npy` bool [M] where not all were trained.
`part` takes some of the models, "0:900": others can then judge what these say (`halves import`).

The regression is fitted when its scores are read. Its penalty is the one of `datamodels.PENALTIES` whose predictions
correlate best with the margins of the last tenth of the models, which are left out of that fit, on at most
TUNING_TARGETS targets.
"""

import re
from functools import cache
from pathlib import Path

import numpy as np

from attribution.errors import UserError
from attribution.files.libraries import install_command
from attribution.importing.formats import DataSetSizes, Declaration, ForeignRanking
from attribution.importing.formats.arrays import open_array, shape_text
from attribution.importing.formats.dense import check_declared, check_scores, declared_ids

DESCRIPTION = "a Datamodels store: a folder with masks.npy and margins.npy"
TUNING_TARGETS = 30
#: memory that the fit may take, in times of the files' size: it has a float for each of the masks' bytes, and twice
MEMORY = 12
#: models, that a tenth of them can say anything
MIN_MODELS = 30


def sniff(path: Path) -> bool:
    """See `Format.sniff`."""
    return (path / "masks.npy").is_file() and (path / "margins.npy").is_file()


def load(path: Path, declared: Declaration, sizes: DataSetSizes) -> ForeignRanking:
    """See `Format.load`."""
    check_declared(declared)
    if declared.train is not None or declared.orientation == "train-first" or declared.sign == "unsigned":
        raise UserError(
            "a Datamodels store has all training images, model by model, and signed weights; leave "
            "--train, --orientation and --sign unsigned out"
        )
    try:
        import sklearn  # noqa: F401  that `fit` will need

        from attribution.rankings import datamodels as method
    except ImportError as error:
        raise UserError(f"fitting Datamodels needs {error.name}; install it with: {install_command('train')}") from None
    targets = declared_ids(declared, "targets", sizes.n_val)
    masks, margins = load_subsets(path, sizes, targets, declared.part)
    provenance = {"file": path.name, "models": len(masks), "penalty": "tuned when it is fitted"}

    @cache
    def penalty() -> float:
        provenance["penalty"] = _tuned_penalty(method, masks, margins)
        return provenance["penalty"]

    def read_scores(start: int, stop: int) -> np.ndarray:
        weights = method.fit_lasso(masks, margins[:, start:stop], penalty())
        check_scores(path, weights, np.arange(start, stop), constant=True)
        return -weights if declared.sign == "harmful" else weights

    return ForeignRanking(
        "Datamodels",
        True,
        np.arange(sizes.n_val) if targets is None else targets,
        read_scores=read_scores,
        zero_is_none=True,
        provenance=provenance,
    )


def load_subsets(
    path: Path,
    sizes: DataSetSizes,
    targets: np.ndarray | None = None,
    part: str | None = None,
    min_models: int = MIN_MODELS,
) -> tuple[np.ndarray, np.ndarray]:
    """Masks bool [M, n_train] and margins float [M, n_targets] of the models that were trained: what
    Datamodels are fitted on, and LDS is computed from. part: "900:1000", only these of them.

    Raises UserError for what is missing, corrupt or unfit, and for fewer than `min_models` models.
    """
    masks, margins = (open_array(path / f"{name}.npy").bits for name in ("masks", "margins"))
    expected = (len(masks) if masks.ndim else 0, sizes.n_val if targets is None else len(targets))
    for name, array, shape in (("masks", masks, (expected[0], sizes.n_train)), ("margins", margins, expected)):
        if array.shape != shape:
            turned = (
                " and looks transposed; save its transpose"
                if array.shape == shape[::-1]
                else ("; bring the store of this data set, or say with --targets which images it is about")
            )
            raise UserError(
                f"{name}.npy in {path} is {shape_text(array.shape)}, {shape_text(shape)} is expected{turned}"
            )
    if (path / "_completed.npy").exists():
        completed = open_array(path / "_completed.npy").bits
        if completed.shape != expected[:1]:
            raise UserError(
                f"_completed.npy in {path} is {shape_text(completed.shape)}, {shape_text(expected[:1])} is expected; "
                "copy the store again"
            )
        if not completed.all():
            masks, margins = masks[completed != 0], margins[completed != 0]
    models = _parse_models(part, len(masks))
    masks, margins = masks[models], margins[models]
    if len(masks) < min_models:
        raise UserError(
            f"{path} has {len(masks)} trained models{f' in {part}' if part else ''}, which are too few; "
            f"give at least {min_models}"
        )
    if masks.dtype != bool:
        if masks.dtype.kind not in "iu" or masks.min() < 0 or masks.max() > 1:
            raise UserError(
                f"masks.npy in {path} is {masks.dtype}; save it as bool, True where the image was in the subset"
            )
        masks = masks.view(bool) if masks.dtype.itemsize == 1 else masks.astype(bool)
    if not np.isfinite(margins).all():
        raise UserError(
            f"margins.npy in {path} holds NaN or infinite values; say in _completed.npy which models were "
            "trained, or compute them again"
        )
    return masks, margins


def _parse_models(part: str | None, count: int) -> slice:
    """The models that "900:1000" names, of `count`."""
    if part is None:
        return slice(None)
    match = re.fullmatch(r"(\d{0,9}):(\d{0,9})", part)
    if not match:
        raise UserError(f"{part} names no models; say which, counted from 0, as in 0:900")
    start, stop = int(match[1] or 0), int(match[2] or count)
    if not start < stop <= count:
        raise UserError(f"{part} is not among the {count} trained models; say which, counted from 0, as in 0:{count}")
    return slice(start, stop)


def _tuned_penalty(method, masks: np.ndarray, margins: np.ndarray) -> float:
    sample = margins[:, np.linspace(0, margins.shape[1] - 1, min(TUNING_TARGETS, margins.shape[1])).astype(int)]
    qualities = method.tune_penalty(masks, sample.astype(np.float64), len(masks) // 10, _mean_correlation)
    return max(qualities, key=qualities.get)


def _mean_correlation(weights: np.ndarray, masks: np.ndarray, margins: np.ndarray) -> float:
    """Correlation of predicted and measured margins, mean over targets."""
    predicted, measured = masks @ weights.T, margins - margins.mean(0)
    predicted = predicted - predicted.mean(0)
    size = np.sqrt((predicted**2).sum(0) * (measured**2).sum(0))
    return float(((predicted * measured).sum(0) / np.where(size > 0, size, np.inf)).mean())
