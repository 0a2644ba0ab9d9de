"""The alignment check: what passes, and each way in which a matrix is silently wrong."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.importing import alignment, importing
from attribution.importing.alignment import compute_alignment, within_class
from attribution.importing.formats import ForeignRanking

CLASSES = 10


@pytest.fixture
def square():
    """Scores [300, 300] of 300 targets, target-first, that prefer their own class; labels in no order."""
    rng = np.random.default_rng(0)
    train, val = rng.integers(0, CLASSES, 300), rng.integers(0, CLASSES, 300)
    return rng.normal(size=(300, 300)) + 3 * (train == val[:, None]), train, val


def checked(scores, train, val):
    return compute_alignment(scores.argmax(1), np.arange(len(val)), train, val, scores.argmin(1))


def test_a_ranking_of_these_images_passes(square):
    found = checked(*square)
    assert found.warning is None and found.top1_same_class > 0.9 and found.n == 300
    assert found.chance == pytest.approx(np.mean([(square[1] == label).mean() for label in square[2]]))


def test_a_transposed_square_matrix_is_caught(square):
    scores, train, val = square
    assert "transposed" in checked(scores.T, train, val).warning


def test_a_negated_matrix_is_caught_and_named(square):
    scores, train, val = square
    found = checked(-scores, train, val)
    assert "the sign looks turned round" in found.warning and found.bottom1_same_class > 0.9


def test_a_shuffled_index_is_caught(square):
    scores, train, val = square
    shuffled = scores[:, np.random.default_rng(1).permutation(300)]
    assert "another order" in checked(shuffled, train, val).warning


def test_two_classes_have_a_bar_that_can_be_passed():
    train, val = np.arange(40) % 2, np.arange(20) % 2
    right = compute_alignment(val, np.arange(20), train, val)
    assert right.threshold == pytest.approx(0.75) and right.warning is None
    assert compute_alignment(1 - val, np.arange(20), train, val).warning


def test_targets_without_a_first_image_do_not_count():
    first = np.array([0, -1, -1, 1])
    found = compute_alignment(first, np.array([0, 1, 2, 3]), np.array([0, 1]), np.array([0, 0, 1, 0]))
    assert (found.n, found.top1_same_class) == (2, 0.5)
    assert compute_alignment(first[1:2], np.array([1]), np.array([0, 1]), np.array([0, 0])).n == 0


def test_what_the_manifest_keeps(square):
    kept = checked(*square).to_json()
    assert set(kept) == {"top1_same_class", "chance", "n", "bottom1_same_class", "warning"}


@pytest.fixture(scope="module")
def demo():
    """Of the bundled demo: 100 training images of each of four classes, one class after the other, and 100 targets."""
    ws = Workspace.open()
    train = np.concatenate([np.flatnonzero(ws.train_labels == label)[:100] for label in range(4)])
    val = np.flatnonzero(ws.val_labels < 4)[:100]
    scores = {
        name: np.stack([ws.ranking(name).values(int(target), train) for target in val])
        for name in ("trak-10", "esvm-moco", "datamodels-2k")
    }
    return ws, train, val, scores


@pytest.fixture
def part(demo, tmp_path):
    """A workspace of those images, without features."""
    ws, train, val, _ = demo
    (tmp_path / "images").mkdir()
    for split, ids, images, labels in (
        ("train", train, ws.train_images, ws.train_labels),
        ("val", val, ws.val_images, ws.val_labels),
    ):
        np.save(tmp_path / "images" / f"{split}.npy", images[ids])
        pd.DataFrame({"label": labels[ids], "source_index": ids}).to_parquet(tmp_path / f"{split}.parquet")
    about = {"name": "part", "fingerprint": "7" * 64, "classes": ws.classes, "n_train": len(train), "n_val": len(val)}
    manifest = {"schema": 1, "name": "part", "recipe": "demo-cnn", "parts": {}, "dataset": about}
    (tmp_path / "workspace.json").write_text(json.dumps(manifest))
    return Workspace.open(tmp_path)


def bring(ws, scores, kind):
    """The manifest's alignment of an import of these scores [n_val, n_train]."""
    signed = kind.startswith("signed")
    order = np.argsort(-scores, axis=1, kind="stable")[:, :60]
    sparse = bool((scores == 0).mean() > 0.5)  # as of Datamodels: zeros have no place in the order
    if sparse:
        order[np.take_along_axis(scores, order, 1) <= 0] = -1
    lists = {"read_scores": None, "read_lists": lambda start, stop: (order[start:stop], None)}
    rows = {"read_scores": lambda start, stop: scores[start:stop].copy()}
    incoming = ForeignRanking(
        "Mine", signed, np.arange(len(scores)), zero_is_none=sparse, **(lists if "ranks" in kind else rows)
    )
    importing.import_ranking(ws, incoming, "mine", dense="dense" in kind, k=60)
    return Workspace.open(ws.path).manifest["parts"]["rankings/mine"]["alignment"]


@pytest.mark.parametrize("name", ["trak-10", "esvm-moco", "datamodels-2k"])
@pytest.mark.parametrize("kind", ["signed dense", "unsigned dense", "signed ends", "unsigned ranks"])
def test_an_order_shifted_by_one_or_shuffled_within_classes_is_warned_of(part, demo, name, kind):
    scores = demo[3][name]
    right = bring(part, scores, kind)
    assert right["warning"] is None and right["within_class"]["z"] > 5 and right["within_class"]["on"] == "pixels"
    rng = np.random.default_rng(0)
    shuffled = np.concatenate([start + rng.permutation(100) for start in range(0, 400, 100)])
    for wrong in (np.roll(scores, 1, axis=1), scores[:, shuffled]):
        kept = bring(part, wrong, kind)
        assert abs(kept["within_class"]["z"]) < 3 and kept["within_class"]["conclusive"]
        assert "another order within classes" in kept["warning"]  # and it was not refused


def test_z_is_in_deviations_of_what_other_orders_within_the_class_give(part, demo):
    scores, rng = demo[3]["trak-10"], np.random.default_rng(0)
    targets = np.flatnonzero(part.val_labels == 1)
    values = []
    for _ in range(300):
        order = np.concatenate([np.arange(100), 100 + rng.permutation(100), np.arange(200, 400)])
        values.append(within_class(part, targets, lambda target, order=order: scores[target][order]).z)
    assert abs(np.mean(values)) < 0.2 and np.std(values) == pytest.approx(1, abs=0.12)


def test_few_targets_say_nothing_unless_they_say_it_clearly(part, demo):
    scores = demo[3]["trak-10"]
    few = within_class(part, np.arange(3), lambda target: np.roll(scores, 1, axis=1)[target])
    assert not few.conclusive and few.warning is None
    assert within_class(part, np.arange(3), lambda target: scores[target]).conclusive


def test_one_class_can_be_checked_too(part, demo, monkeypatch):
    monkeypatch.setattr(Workspace, "train_labels", np.zeros(400, int))
    monkeypatch.setattr(Workspace, "val_labels", np.zeros(100, int))
    scores = demo[3]["trak-10"]
    assert within_class(part, np.arange(100), scores.__getitem__).warning is None
    shifted = np.roll(scores, 201, axis=1)
    assert within_class(part, np.arange(100), shifted.__getitem__).warning


def test_a_ranking_that_goes_with_nothing_is_warned_of(part):
    noise = np.random.default_rng(0).normal(size=(100, 400))
    assert "or the method sees other things" in within_class(part, np.arange(100), noise.__getitem__).warning


def test_lists_without_training_images_of_the_class_say_nothing(part):
    empty = within_class(part, np.arange(100), lambda target: np.zeros(400))
    assert (empty.z, empty.conclusive, empty.warning) == (None, False, None)
    assert json.loads(json.dumps(empty.to_json()))["conclusive"] is False


def test_features_stand_in_where_the_images_are_elsewhere(part, demo, monkeypatch):
    def elsewhere(self):
        raise UserError("the images are not on this machine")

    ws, train, val, scores = demo
    monkeypatch.setattr(Workspace, "train_images", property(elsewhere))
    assert within_class(part, np.arange(100), scores["trak-10"].__getitem__).on is None
    importing.import_features(part, ws.feature("moco").train[train], ws.feature("moco").val[val], "own")
    stand_in = within_class(part, np.arange(100), scores["trak-10"].__getitem__)
    assert stand_in.on == "own" and stand_in.z > alignment.Z
