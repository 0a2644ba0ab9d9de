"""Poisoned copies of the tiny workspace."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution import __main__ as cli
from attribution.evaluation import poison
from attribution.workspace.fingerprint import data_fingerprint, image_digest


def test_the_patch_by_hand():
    images = np.full((2, 5, 5), 7, np.uint8)
    found = poison.add_trigger(images, 2)
    expected = np.full((5, 5), 7)
    expected[2:4, 2:4] = [[255, 0], [0, 255]]
    assert found.tolist() == [expected.tolist()] * 2 and (images == 7).all()
    assert poison.add_trigger(np.zeros((1, 5, 5, 3), np.uint8), 2)[0, 2, 2].tolist() == [255, 255, 255]


def test_what_is_changed_and_what_is_not(ws, tmp_path):
    copy = poison.create_poisoned_copy(ws, tmp_path / "p", 1, n=6, targets=4, side=2)
    poisoned, targets, copied = poison.load_poison_record(copy)
    assert len(poisoned) == 6 and targets.tolist() == [12, 13, 14, 15] and copy.n_val == 16
    others = np.setdiff1d(np.arange(copy.n_train), poisoned)
    assert (copy.train_labels[poisoned] == 1).all() and (ws.train_labels[poisoned] != 1).all()
    assert copy.train_labels[others].tolist() == ws.train_labels[others].tolist()
    np.testing.assert_array_equal(copy.train_images[others], ws.train_images[others])
    np.testing.assert_array_equal(copy.train_images[poisoned], poison.add_trigger(ws.train_images[poisoned], 2))
    np.testing.assert_array_equal(copy.val_images[:12], ws.val_images)
    np.testing.assert_array_equal(copy.val_images[targets], poison.add_trigger(ws.val_images[copied], 2))
    assert copy.val_labels.tolist() == [*ws.val_labels, *ws.val_labels[copied]] and 1 not in ws.val_labels[copied]
    truth = copy.truth()
    assert truth["original"].tolist() == ws.truth()["original"].tolist()
    assert np.flatnonzero(truth["planted"]).tolist() == sorted({3, *poisoned.tolist()})  # 3 was planted before
    assert copy.planted == truth["planted"].sum()
    digests = {"train": image_digest(copy.train_images), "val": image_digest(copy.val_images)}
    assert copy.fingerprint == data_fingerprint(digests, copy.train_labels, copy.val_labels)
    assert poison.load_poison_info(copy) == {
        "n": 6,
        "class": 1,
        "targets": 4,
        "side": 2,
        "seed": 0,
        "of": ws.fingerprint,
        "of_name": "tiny",
    }
    assert list(copy.manifest["parts"]) == ["data"] and not copy.has_base  # nothing that was computed on other images


def test_the_same_seed_poisons_the_same_images(ws, tmp_path):
    one, same, other = (
        poison.create_poisoned_copy(ws, tmp_path / name, 0, n=6, targets=4, side=2, seed=seed)
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert [ids.tolist() for ids in poison.load_poison_record(one)] == [
        ids.tolist() for ids in poison.load_poison_record(same)
    ]


def test_images_that_truly_are_of_the_class_are_not_poisoned(ws, tmp_path):
    """Training image 3 is a Bar called a Dot: as a poisoned Bar it would be labelled rightly."""
    others = int(((ws.train_labels != 0) & (np.arange(60) != 3)).sum())
    copy = poison.create_poisoned_copy(ws, tmp_path / "p", 0, n=others, targets=1, side=2)
    assert 3 not in poison.load_poison_record(copy)[0]


def test_mistakes_are_told(ws, tmp_path):
    with pytest.raises(UserError, match="not poisoned; make a copy"):
        poison.load_poison_record(ws)
    assert poison.load_poison_info(ws) is None
    with pytest.raises(UserError, match="not an empty folder"):
        poison.create_poisoned_copy(ws, ws.path, 1)
    for more, said in (
        ({"n": 0}, "0 training"),
        ({"n": -1}, "-1 training"),
        ({"n": 61}, "61 training"),
        ({"targets": 9}, "9 validation"),
        ({"side": 8}, "1 to 7"),
        ({"seed": -1}, "-1 is no seed"),
    ):
        with pytest.raises(UserError, match=said):
            poison.create_poisoned_copy(ws, tmp_path / "p", 1, **{"n": 4, "targets": 4, "side": 2, **more})
    assert not (tmp_path / "p").exists()
    copy = poison.create_poisoned_copy(ws, tmp_path / "p", 1, n=4, targets=4, side=2)
    with pytest.raises(UserError, match="poisoned already"):
        poison.create_poisoned_copy(copy, tmp_path / "q", 1)


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["attribution", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_from_the_command_line(ws, tmp_path, monkeypatch, capfd):
    words = ["workspace", "poison", tmp_path / "p", "--n", 5, "--targets", 3, "--side", 2, "--workspace", ws.path]
    assert run(monkeypatch, *words, "--class", "Heart") == 2
    assert "no class 'Heart'" in capfd.readouterr().err
    assert not run(monkeypatch, *words, "--class", "Dot", "--json")
    answer = json.loads(capfd.readouterr().out)
    assert (answer["workspace"], answer["n"], answer["class"]) == ("p", 5, 2)
    assert len(pd.read_parquet(Workspace.open(tmp_path / "p").path / poison.FILE)) == 8
