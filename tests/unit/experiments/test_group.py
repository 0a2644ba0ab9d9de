"""A group's edit beside random edits, on a simulated trainer: what is trained, and what is made of it."""

import json

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.group import default_draws, group_spec
from attribution.experiments.prefixes import random_controls
from attribution.metrics.group_change import change_of_group, change_of_rest
from attribution.training.edits import no_edit, relabel, remove
from tests.unit.experiments.test_jobs import drive

EDIT = remove([0, 3, 7])


def spec(ws, **changes):
    return group_spec(
        ws, **{"group": "ids:0-5", "read": [0, 1, 2], "judged": [3, 4, 5], "edit": EDIT, "draws": 2} | changes
    )


def test_seed_by_seed_the_edit_stands_beside_none_and_random_ones(ws):
    asked = list(spec(ws).trainings(ws))
    assert asked[:4] == [(edit, 0) for edit in (no_edit(), EDIT, *random_controls(ws, EDIT, 2))]
    assert [seed for _, seed in asked] == sorted([0, 1, 2, 3, 4] * 4) and spec(ws).total == 1 + len(asked)
    assert spec(ws).describe() == "group ids:0-5: without 3 training images, 2 random edits beside"
    assert "with other labels on 1" in spec(ws, edit=relabel([3], [1])).describe()


def test_a_head_has_one_seed_and_more_draws(ws):
    seen = ws.with_model("head-moco")
    assert group_spec(seen, "ids:0", [0], [0], EDIT).seeds == [0]
    assert (default_draws(seen.recipe), default_draws(ws.recipe)) == (20, 4)
    with pytest.raises(UserError, match="give at least 1"):
        spec(ws, draws=0)


def test_another_model_is_trained_for_the_one_looked_at(ws):
    asked = group_spec(ws, "lost-to:head-moco", [0], [0], EDIT, recipe="head-moco")
    assert (asked.recipe, asked.model, asked.seeds, asked.draws) == ("head-moco", None, [0], 20)


def test_what_is_said_is_of_the_mean_margins(ws, store):
    """The edit costs its images' targets one class; the simulation says which class is predicted."""
    asked = spec(ws)
    assert asked.answer(ws, store) is None
    drive(ws, store, asked, lambda edit, seed: int(edit == EDIT and seed > 0))
    results = [store.get(store.key(asked.recipe_hash, *training)) for training in asked.trainings(ws)]
    margins = np.stack([result.margins.astype(float) for result in results]).reshape(5, 4, 12).mean(0)
    before, after, controls = margins[0], margins[1], margins[2:]
    answer = asked.answer(ws, store)
    read, judged, rest = np.arange(3), np.arange(3, 6), np.arange(6, 12)
    assert answer["judged"] == change_of_group(before[judged], after[judged], controls[:, judged])
    assert answer["read"] == change_of_group(before[read], after[read], controls[:, read])
    assert answer["rest"] == change_of_rest(before[rest], after[rest], controls[:, rest])
    assert (answer["kind"], answer["k"], answer["label"], answer["images"]) == ("remove", 3, None, [0, 3, 7])
    assert sum(answer["classes"].values()) == 3 and answer["seeds"] == [0, 1, 2, 3, 4]
    assert json.loads(json.dumps(answer)) == answer
    assert spec(ws, group="class:Bar").answer(ws, store) == answer, "whatever the group was called"
    assert spec(ws, ranking="trak-10", against="l2-moco", end="helpful").answer(ws, store) == answer, "and why"
    assert spec(ws, judged=[3, 4]).answer(ws, store) is None
