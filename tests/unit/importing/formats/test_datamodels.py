"""Released Datamodels: zeros are no order, and files that are something else."""

import numpy as np
import pytest
import torch

from attribution import UserError
from attribution.importing.formats import DataSetSizes, Declaration
from attribution.importing.formats.datamodels import load, sniff

SIZES = DataSetSizes(np.arange(8) % 2, np.arange(5) % 2)


@pytest.fixture
def save(tmp_path):
    def save(weight=None, name="test_50pct.pt", **others):
        weight = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)) if weight is None else weight
        torch.save({"weight": weight, "bias": torch.zeros(5), "lam": torch.ones(5), **others}, tmp_path / name)
        return tmp_path / name

    return save


def test_zeros_are_no_order(save):
    weight = torch.zeros(8, 5)
    weight[2, 1] = 1
    incoming = load(save(weight), Declaration(), SIZES)
    assert incoming.zero_is_none and incoming.signed and incoming.method == "Datamodels"
    assert np.array_equal(incoming.read_scores(0, 5), weight.T.numpy())


@pytest.mark.parametrize(
    "weight, others, why",
    [
        (torch.zeros(8, 8), {}, "is 5, and its weight is 8 x 8"),
        (torch.zeros(5, 8), {}, "is 5, and its weight is 5 x 8"),
        (torch.zeros(5, 8), {"bias": torch.zeros(8), "lam": torch.zeros(8)}, "looks transposed"),
        (torch.zeros(9, 5), {}, "9 x 5, and 8 x 5 is expected"),
        (None, {"bias": torch.zeros(4)}, "bias .* is 4"),
        ("text", {}, "has no weight"),
    ],
)
def test_what_does_not_fit(save, weight, others, why):
    with pytest.raises(UserError, match=why):
        load(save(weight, **others), Declaration(), SIZES)


def test_not_finite(save):
    weight = torch.ones(8, 5)
    weight[0, 4] = torch.nan
    with pytest.raises(UserError, match="target 4"):
        load(save(weight), Declaration(), SIZES).read_scores(0, 5)


def test_a_folder_of_them(save, tmp_path):
    save()
    with pytest.raises(UserError, match="is a folder; give one of the .pt files"):
        load(tmp_path, Declaration(), SIZES)


def test_sniff(save, tmp_path):
    assert sniff(save())
    torch.save({"weight": torch.zeros(2, 2)}, tmp_path / "net.pt")
    (tmp_path / "junk.pt").write_bytes(b"PK")
    assert not any(sniff(tmp_path / name) for name in ("net.pt", "junk.pt", "none.pt"))


def test_sniffing_loads_no_torch(save, run_python):
    done = run_python(
        "-c",
        "import sys; from pathlib import Path; from attribution.importing.formats import detect_format; "
        f"print(detect_format({str(save())!r}), 'torch' in sys.modules)",
    )
    assert done.out.split() == ["datamodels", "False"], done.err
