"""True labels of a person's own: kept among the user's parts, found by `Workspace.truth`, and nowhere else."""

import json
import os

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.importing import truth


def refused(match, work):
    with pytest.raises(UserError, match=match) as error:
        work()
    assert len(str(error.value).splitlines()) == 1


@pytest.fixture
def original(ws):
    return ws.truth()["original"].to_numpy()


@pytest.fixture
def plain(ws, original):
    """The workspace without a truth of its own."""
    (ws.path / "truth.parquet").unlink()
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["planted"] = 0
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(ws.path)


def test_kept_found_replaced_and_removed(plain, original):
    made = truth.import_truth(plain, original, "true.csv", {"command": "import truth true.csv"})
    assert (made["errors"], made["source"], made["imported"]) == (1, "true.csv", True)
    for ws in (plain, Workspace.open(plain.path), Workspace.open(plain.path).with_model("head-moco")):
        found = ws.truth()
        assert found["original"].tolist() == original.tolist() and np.flatnonzero(found["planted"]).tolist() == [3]
    other = original.copy()
    other[7] = (other[7] + 1) % 3
    assert truth.import_truth(Workspace.open(plain.path), other, "b.csv")["errors"] == 2
    again = Workspace.open(plain.path)
    assert np.flatnonzero(again.truth()["planted"]).tolist() == [3, 7] and again.planted == 0
    again.remove_part(truth.PART)
    assert Workspace.open(plain.path).truth() is None and not (plain.path / truth.PART).exists()


def test_a_truth_that_came_along_stays(ws, original):
    before = (ws.path / "truth.parquet").read_bytes()
    refused(
        "brings the true labels of its images, which cannot be replaced", lambda: truth.import_truth(ws, original, "")
    )
    refused("cannot be replaced", lambda: truth.import_truth(Workspace.open(), np.zeros(5000, int), "a"))
    assert (ws.path / "truth.parquet").read_bytes() == before


def test_beside_a_workspace_that_may_not_be_written_to(plain, original, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    truth.import_truth(plain, original, "true.csv")
    assert not (plain.path / truth.PART).exists() and (plain.user_folder / truth.PART / truth.FILE).exists()
    assert Workspace.open(plain.path).truth()["planted"].sum() == 1


def test_what_cannot_be_the_truth(plain, original):
    given = plain.train_labels
    refused("gives each image the label that it has", lambda: truth.import_truth(plain, given.copy(), "a.npy"))
    turned = (original + 1) % 3
    refused(
        "a.npy agrees with the given labels on .* with other numbers for",
        lambda: truth.import_truth(plain, turned, "a.npy"),
    )
    shuffled = np.random.default_rng(0).permutation(original)
    refused("bring the rows in the order of the training images", lambda: truth.import_truth(plain, shuffled, "a.npy"))
    assert plain.truth() is None and Workspace.open(plain.path).truth() is None
    assert truth.import_truth(plain, turned, "a.npy", force=True)["errors"] > 50
