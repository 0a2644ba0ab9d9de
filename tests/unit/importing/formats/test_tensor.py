"""Tensors of any library, and quanda's folders of batches."""

import numpy as np
import pytest
import torch

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.tensor import load, sniff

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(12) % 2)
SCORES = torch.randn(12, 8, generator=torch.Generator().manual_seed(0))


def bring(path, **declared):
    return load(path, Declaration(**{"sign": "helpful", **declared}), SIZES)


def test_the_one_matrix_of_a_dict(tmp_path):
    torch.save({"scores": SCORES, "time": torch.tensor(3.0), "loss": torch.zeros(12)}, tmp_path / "x.pt")
    assert np.array_equal(bring(tmp_path / "x.pt").read_scores(0, 12), SCORES)
    torch.save({"a": SCORES, "b": -SCORES}, tmp_path / "x.pt")
    with pytest.raises(UserError, match="several arrays; say --part with one of a, b"):
        bring(tmp_path / "x.pt")
    assert np.array_equal(bring(tmp_path / "x.pt", part="b").read_scores(0, 12), -SCORES)


def test_batches_in_the_order_of_their_numbers(tmp_path):
    """Twelve: 10.pt comes after 9.pt."""
    for number, row in enumerate(SCORES):
        torch.save(row[None], tmp_path / f"{number}.pt")
    incoming = bring(tmp_path)
    assert sniff(tmp_path) and incoming.provenance["batches"] == 12
    assert np.array_equal(incoming.read_scores(0, 12), SCORES) and np.array_equal(
        incoming.read_scores(8, 11), SCORES[8:11]
    )
    (tmp_path / "5.pt").unlink()
    with pytest.raises(UserError, match="0.pt, 1.pt, ... without gaps"):
        bring(tmp_path)
    torch.save(SCORES[:, :3], tmp_path / "5.pt")
    with pytest.raises(UserError, match="the batches in .* have different shapes"):
        bring(tmp_path)


def test_a_sign_is_needed(tmp_path):
    np.save(tmp_path / "x.npy", SCORES)
    with pytest.raises(UserError, match="does not say what a positive score means; say --sign"):
        bring(tmp_path / "x.npy", sign=None)


def test_an_empty_folder(tmp_path):
    assert not sniff(tmp_path)
    with pytest.raises(UserError, match="is no folder of 0.pt"):
        bring(tmp_path)
