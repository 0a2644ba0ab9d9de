"""Features computed elsewhere: mapped into memory, of both splits, and of this data set."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from attribution import UserError
from attribution.importing.formats import DataSetSizes
from attribution.importing.formats.features import load_features

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)
TRAIN, VAL = (np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32) for n in (8, 5))


def save(tmp_path, train=TRAIN, val=VAL):
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "test.npy", val)
    return tmp_path / "train.npy", tmp_path / "test.npy", SIZES


def test_npy_is_mapped(tmp_path):
    train, val = load_features(*save(tmp_path, TRAIN.astype(np.float16)))
    assert isinstance(train, np.memmap) and train.dtype == np.float16 and np.array_equal(val, VAL)


def test_other_files(tmp_path):
    torch.save(torch.from_numpy(TRAIN), tmp_path / "train.pt")
    save_file({"features": torch.from_numpy(VAL).bfloat16()}, tmp_path / "val.safetensors")
    train, val = load_features(tmp_path / "train.pt", tmp_path / "val.safetensors", SIZES)
    assert np.array_equal(train, TRAIN)
    assert val.dtype == np.float32 and np.array_equal(val, torch.from_numpy(VAL).bfloat16().float())


@pytest.mark.parametrize(
    "train, val, why",
    [
        (VAL, TRAIN, "give the training images' features first"),
        (TRAIN[:7], VAL, "7 x 3, and 8 x any is expected; bring"),
        (TRAIN.T, VAL, "3 x 8, and 8 x any is expected; it looks transposed"),
        (TRAIN, VAL[:, :2], "3 numbers an image"),
        (TRAIN[:, 0], VAL, "is 8; features are one row"),
        (TRAIN[:, :0], VAL, "8 x 0"),
        (TRAIN, np.where(VAL > 1, np.nan, VAL), "NaN or infinite"),
        (TRAIN * 1j, VAL, "complex64 and not numbers"),
    ],
)
def test_refused(tmp_path, train, val, why):
    with pytest.raises(UserError, match=why):
        load_features(*save(tmp_path, train, val))
