"""Margins without a ranking's first images: exact under a head, from stored trainings under a network."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.evaluation import margin_removal
from attribution.experiments.prefixes import random_controls
from attribution.experiments.spec import SEEDS
from attribution.training import recipes
from attribution.training.edits import no_edit, remove


def test_a_head_is_refitted_without_them(ws, store):
    seen = ws.with_model("head-moco")
    answer = margin_removal.compute(seen, store, ["trak-10", "random"], 0.05, n_targets=99, draws=2)
    assert (answer["k"], answer["targets"], answer["seeds"]) == (3, 12, None)
    head, val, labels = seen.head("moco").head, np.asarray(seen.feature("moco").val), seen.val_labels
    whole, falls, differences = head.margins(head.refit(), val, labels), [], []
    for target in range(12):

        def fall(edit, target=target):
            keep, _ = edit.apply(seen.train_labels)
            return whole[target] - head.margins(head.refit(keep), val, labels)[target]

        edit = remove(seen.ranking("trak-10").top(target, 3).ids)
        falls.append(fall(edit))
        differences.append(falls[-1] - np.mean([fall(control) for control in random_controls(seen, edit, 2)]))
    row = answer["rankings"]["trak-10"]
    assert row["removed"] == 3 and row["same_classes"]["fall"]["mean"] == pytest.approx(np.mean(falls), abs=1e-4)
    assert row["same_classes"]["difference"]["mean"] == pytest.approx(np.mean(differences), abs=1e-4)
    assert row["any_class"]["fall"] == row["same_classes"]["fall"] and row["any_class"]["control"]["n"] == 12
    assert json.loads(json.dumps(answer)) == answer


def test_influence_beats_random_images(ws, store):
    answer = margin_removal.compute(ws.with_model("head-moco"), store, ["influence-moco", "random"], 0.1)
    assert answer["rankings"]["influence-moco"]["same_classes"]["difference"]["ci"][0] > 0
    low, high = answer["rankings"]["random"]["same_classes"]["difference"]["ci"]
    assert low < high < answer["rankings"]["influence-moco"]["same_classes"]["difference"]["mean"]


def train(ws, store, edit, margins) -> None:
    """Stands for the runner."""
    for seed in SEEDS:
        store.put(
            recipes.get_recipe(ws.recipe).hash,
            edit,
            seed,
            predicted=ws.val_labels,
            margins=np.asarray(margins) + seed,  # whose mean is 2 more, with all images there and without some
            seconds=1,
            device="cpu",
            library="x",
            threads=1,
        )


def test_of_a_network_what_is_stored_is_read(ws, store):
    with pytest.raises(UserError, match=r"trak-10 has them for 0 of 12 targets; .* up to 125 trainings.*--model head-"):
        margin_removal.compute(ws, store, ["trak-10"], 0.05, draws=1)  # 12 x (one and a control) and the unedited, x 5
    train(ws, store, no_edit(), np.full(12, 4.0))
    for target, (without, random) in {0: (1.0, 3.5), 5: (2.0, 4.5)}.items():
        edit = remove(ws.ranking("trak-10").top(target, 3).ids)
        train(ws, store, edit, np.full(12, without))
        train(ws, store, random_controls(ws, edit, 1)[0], np.full(12, random))
    row = margin_removal.compute(ws, store, ["trak-10"], 0.05, draws=1)["rankings"]["trak-10"]
    # of the tiny workspace the four targets of a class share their order: eight are known. Margins fall by 3 and 2, by
    # 0.5 and -0.5 without random ones: 2.5 more, in both
    assert row["same_classes"]["fall"]["mean"] == 2.5 and row["same_classes"]["control"]["mean"] == 0
    assert row["same_classes"]["difference"] == {"mean": 2.5, "ci": [2.5, 2.5], "n": 8} and row["any_class"] is None


def test_what_cannot_be_removed(ws, store):
    with pytest.raises(UserError, match="leave none to train on"):
        margin_removal.compute(ws.with_model("head-moco"), store, ["trak-10"], 1.0)
