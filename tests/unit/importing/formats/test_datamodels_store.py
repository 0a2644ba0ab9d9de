"""A store of masks and margins: fitted when read, only on the models that were trained."""

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.datamodels_store import load, load_subsets, sniff

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)
MODELS = 80


@pytest.fixture
def models(tmp_path):
    """Image t alone, of weight 2, and image 7 of weight -1 make target t's margin; the last 10 models are missing."""
    rng = np.random.default_rng(0)
    masks = rng.random((MODELS, 8)) < 0.5
    margins = 2 * masks[:, :5] - 1.0 * masks[:, 7:] + rng.normal(size=(MODELS, 5)) * 0.01
    margins[-10:] = np.nan
    write(tmp_path, masks=masks, margins=margins.astype(np.float16), _completed=np.arange(MODELS) < MODELS - 10)
    return tmp_path


def write(folder, **arrays):
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def test_fitted_by_blocks(models):
    incoming = load(models, Declaration(), SIZES)
    weights = np.concatenate([incoming.read_scores(0, 2), incoming.read_scores(2, 5)])
    assert weights.argmax(1).tolist() == [0, 1, 2, 3, 4] and (weights.argmin(1) == 7).all()
    assert (incoming.zero_is_none, incoming.signed) == (True, True) and (weights == 0).mean() > 0.3
    assert incoming.provenance["models"] == 70 and incoming.provenance["penalty"] in (0.1, 0.2, 0.3)
    assert np.array_equal(load(models, Declaration(sign="harmful"), SIZES).read_scores(0, 5), -weights)


def test_subsets(models):
    masks, margins = load_subsets(models, SIZES)
    assert (masks.dtype, masks.shape, margins.dtype, margins.shape) == (bool, (70, 8), np.float16, (70, 5))
    write(models, masks=np.load(models / "masks.npy").astype(np.uint8))
    assert np.array_equal(load_subsets(models, SIZES)[0], masks) and load_subsets(models, SIZES)[0].dtype == bool


def test_some_targets(models):
    write(models, margins=np.load(models / "margins.npy")[:, [4, 0]], ids=np.array([4, 0]))
    incoming = load(models, Declaration(targets=models / "ids.npy"), SIZES)
    assert incoming.targets.tolist() == [4, 0] and incoming.read_scores(0, 2).argmax(1).tolist() == [4, 0]


@pytest.mark.parametrize(
    "arrays, why",
    [
        ({"margins": np.zeros((MODELS, 4))}, "margins.npy in .* is 80 x 4, 80 x 5 is expected"),
        ({"masks": np.zeros((8, MODELS), bool)}, "masks.npy in .* is 8 x 80, 8 x 8 is expected"),
        ({"margins": np.zeros((5, MODELS))}, "looks transposed"),
        ({"_completed": np.ones(3, bool)}, "_completed.npy in .* is 3, 80 is expected"),
        ({"_completed": np.ones(MODELS, bool)}, "NaN or infinite"),
        ({"_completed": np.arange(MODELS) < 9}, "has 9 trained models, which are too few"),
        ({"masks": np.full((MODELS, 8), 2)}, "save it as bool"),
        ({"masks": np.zeros((MODELS, 8))}, "save it as bool"),
        ({"masks": np.float32(1)}, "is a single number"),
    ],
)
def test_what_does_not_fit(models, arrays, why):
    write(models, **arrays)
    with pytest.raises(UserError, match=why):
        load(models, Declaration(), SIZES)


def test_missing_and_misdeclared(models):
    with pytest.raises(UserError, match="leave --train, --orientation"):
        load(models, Declaration(orientation="train-first"), SIZES)
    (models / "margins.npy").unlink()
    assert not sniff(models)
    with pytest.raises(UserError, match="margins.npy cannot be opened"):
        load(models, Declaration(), SIZES)
