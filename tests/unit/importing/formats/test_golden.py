"""Files that the real libraries wrote: the order that is imported is the library's own (tests/golden/make.py)."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import Declaration, detect_format
from tests import golden


@pytest.mark.parametrize("one", golden.ALL, ids=str)
def test_the_imported_order_is_the_librarys_own(one):
    incoming = golden.load(one)
    found, scores = golden.read(incoming)
    wanted = golden.order(one.order)
    wanted = wanted if len(wanted) == len(incoming.targets) else wanted[incoming.targets]
    assert found.shape[0] == len(incoming.targets) and found.shape[1] in (wanted.shape[1], 8, 4)
    assert np.array_equal(found, wanted[:, : found.shape[1]])
    assert scores is None or scores.dtype == incoming.precision
    assert incoming.signed == (one.format != "topk")


@pytest.mark.parametrize("one", golden.ALL, ids=str)
def test_the_imported_order_favours_the_targets_class(one):
    """Six classes: by chance one in six."""
    incoming, sizes = golden.load(one), golden.sizes()
    labels = sizes.train_labels if incoming.train is None else sizes.train_labels[incoming.train]
    first = golden.read(incoming)[0][:, 0]
    assert (labels[first] == sizes.val_labels[incoming.targets]).mean() >= 0.5


@pytest.mark.parametrize("one", [*golden.ALL, golden.STORE], ids=str)
def test_sniffed(one):
    assert detect_format(golden.FOLDER / one.path) == one.format


@pytest.mark.parametrize("one", golden.ALL, ids=str)
def test_harmful_turns_the_order(one):
    declared = Declaration(sign="harmful", part=one.declared.part)
    if one.format in ("topk", "parquet"):
        with pytest.raises(UserError, match="sign"):
            golden.read(golden.load(one, declared=declared))
        return
    found, scores = golden.read(golden.load(one, declared=declared))
    assert np.array_equal(np.sort(scores, axis=None), np.sort(-golden.read(golden.load(one))[1], axis=None))
    assert not np.array_equal(found, golden.read(golden.load(one))[0])


def test_a_subset_knows_its_images():
    incoming = golden.load(next(one for one in golden.ALL if one.path.endswith("scores_some")))
    assert incoming.targets.tolist() == [5, 0, 3]
    assert incoming.train.tolist() == [20, 3, 11, 4, 16, 7, 0, 23]


def test_a_store_is_fitted():
    """200 models, 10 of them not trained; the margins are the weights' sums, and noise."""
    incoming = golden.load(golden.STORE)
    found, weights = golden.read(incoming)
    assert (
        incoming.zero_is_none and incoming.provenance["models"] == 190 and incoming.provenance["penalty"] in (0.1, 0.2)
    )
    true = golden.order("datamodels")
    assert np.mean([len(set(found[t, :5]) & set(true[t, :5])) / 5 for t in range(6)]) > 0.9


def test_all_libraries_wrote_their_own():
    said = json.loads((golden.FOLDER / "versions.json").read_text())
    assert {"traker", "traker_old", "dattri", "captum", "quanda", "kronfluence"} == set(said["written by"])
    assert not [file for file in golden.FOLDER.rglob("*.json") if "/tmp" in file.read_text()]
