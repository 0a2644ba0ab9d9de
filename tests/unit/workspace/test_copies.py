"""Copies across the splits: found at creation, kept as a part, and doubted where they cannot be."""

import copy

import numpy as np
import pytest
from PIL import Image

from attribution import UserError, Workspace
from attribution.workspace import copies
from attribution.workspace.create import create
from attribution.workspace.fingerprint import each_digest

NEAR = {
    **{"features": "moco", "cosine": 0.9, "version": None, "images": 1, "pairs": 2, "whole": True},
    **{"sample": 60, "sample_images": 3, "kept": [[4, 7, 0.91], [4, 9, 0.95]]},
}
NONE = {"images": 0, "pairs": 0, "kept": []}


def digests(*colours):
    return each_digest(np.stack([np.full((2, 2), colour, np.uint8) for colour in colours]))


def test_the_same_images_are_found_each_with_each():
    found = copies.find_exact(digests(1, 2, 1, 3), digests(5, 1, 3, 1))
    assert found == {"images": 3, "pairs": 5, "kept": [[1, 0], [1, 2], [2, 3], [3, 0], [3, 2]]}
    assert copies.find_exact(digests(1), digests(2)) == NONE


def test_all_are_counted_and_some_are_listed():
    found = copies.find_exact(digests(*[0] * 50), digests(0, 1, 0))
    assert (found["images"], found["pairs"], len(found["kept"])) == (2, 100, 2 * copies.KEPT)


def test_pixels_of_a_workspace_that_holds_its_images(ws):
    assert copies.exact_copies(ws) == NONE
    val = np.load(ws.path / "images" / "val.npy")
    val[5] = np.load(ws.path / "images" / "train.npy")[17]
    np.save(ws.path / "images" / "val.npy", val)
    found = copies.exact_copies(Workspace.open(ws.path))
    assert found["kept"] == [[5, 17]]
    assert copies.exact_text(ws, found) == (
        "1 of 12 validation images (8.3%) has an exact copy among the training images (1 pair), by their pixels over "
        "720 pairs"
    )
    assert copies.exact_text(ws, NONE) == "no exact copies found by their pixels over 720 pairs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three images a class and split; a validation image of b has the bytes of a training image of a."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name in "ab":
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for i in range(3):
                picture = Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8))
                picture.save(tmp_path / "photos" / split / name / f"{i}.png")
    copied = (tmp_path / "photos" / "train" / "a" / "1.png").read_bytes()
    (tmp_path / "photos" / "val" / "b" / "2.png").write_bytes(copied)
    return tmp_path / "photos"


def test_they_are_known_when_a_workspace_is_created(folder, tmp_path):
    ws = create(tmp_path / "made", "image-folder", folder)
    assert copies.load(ws) == {"exact": {"images": 1, "pairs": 1, "kept": [(5, 1)]}, "near": None}
    assert copies.pairs(copies.load(ws)) == [{"val": 5, "train": 1, "cosine": None, "exact": True}]
    assert "by the bytes of their files over 36 pairs" in copies.exact_text(ws, copies.load(ws)["exact"])
    assert copies.COPIES.provenance(ws)["command"].startswith("python -m attribution workspace create")
    ws.remove_part(copies.COPIES.name)
    assert copies.load(ws) is None and copies.exact_copies(ws)["kept"] == [[5, 1]], "as of a workspace of before"


def test_the_command_that_creates_it_says_so(folder, tmp_path, run, answer):
    line = ("--dataset", "image-folder", "--root", folder)
    said = run("workspace", "create", tmp_path / "made", *line).out
    assert "1 of 6 validation images (16.7%) has an exact copy among the training images (1 pair)" in said
    (folder / "val" / "b" / "2.png").unlink()
    assert answer("workspace", "create", tmp_path / "other", *line)["exact_copies"] == {"images": 0, "pairs": 0}


def test_exact_ones_come_first_then_the_most_alike(ws):
    exact = {"images": 1, "pairs": 1, "kept": [[4, 7]]}
    near = NEAR | {"pairs": 3, "kept": [*NEAR["kept"], [2, 3, 0.97]]}
    copies.save(ws, exact, near, {})
    found = copies.pairs(copies.load(Workspace.open(ws.path)))
    rows = [(pair["val"], pair["train"], pair["cosine"], pair["exact"]) for pair in found]
    assert rows == [(4, 7, 0.91, True), (2, 3, 0.97, False), (4, 9, 0.95, False)]


def test_they_are_of_the_data_set_whichever_model_looks(ws):
    copies.save(ws.with_model("head-moco"), NONE, NEAR, {})
    assert (ws.path / "copies" / "copies.json").exists() and copies.load(Workspace.open(ws.path))["near"]["pairs"] == 2


def test_near_copies_in_features_that_have_changed_are_forgotten(ws):
    copies.save(ws, NONE, NEAR, {})
    assert copies.load(ws)["near"]["kept"] == [(4, 7, 0.91), (4, 9, 0.95)]
    ws.record_part("features/moco", {}, ["features/moco/train.npy"])
    assert copies.load(ws) == {"exact": NONE, "near": None}


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("exact"),
        lambda content: content["near"].pop("cosine"),
        lambda content: content["near"]["kept"].append([12, 0, 0.9]),
        lambda content: content["near"]["kept"].append([0, 60, 0.9]),
        lambda content: content["near"]["kept"].append([-1, 0, 0.9]),
        lambda content: content["near"]["kept"].append([0.5, 0, 0.9]),
        lambda content: content["near"]["kept"].append([1, 2]),
        lambda content: content["near"]["kept"].append(["1", "a", None]),
        lambda content: content["near"].update(pairs="many"),
        lambda content: content["near"].update(sample=0),
        lambda content: content.update(exact=[1, 2]),
        lambda content: content["exact"].update(images=10**400),
    ],
)
def test_what_cannot_be_is_refused_with_the_command_that_makes_it(ws, change):
    content = copy.deepcopy({"exact": NONE, "near": NEAR})
    change(content)
    copies.COPIES.save(ws, content, {})
    with pytest.raises(UserError, match=r"cannot be read .* attribution duplicates --between train-val --workspace"):
        copies.load(Workspace.open(ws.path))


def test_near_copies_are_told_with_measure_and_pairs(ws):
    assert copies.near_text(ws, NEAR) == (
        "1 of 12 validation images (8.3%) has a near-copy among the training images (2 pairs), by a cosine of at least "
        "0.9 in moco features over 720 pairs; of 60 training images 3 (5.0%) have one among the other training images"
    )
    assert "(at least 2 pairs)" in copies.near_text(ws, NEAR | {"whole": False})
    assert copies.near_text(ws, NEAR | {"pairs": 0}).startswith(
        "no near-copies found by a cosine of at least 0.9 in moco"
    )


def test_two_splits_are_named():
    copies.check_between("train-val")
    with pytest.raises(UserError, match="--between test are no two splits; give train-val"):
        copies.check_between("test")
