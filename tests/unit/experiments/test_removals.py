"""Many sets removed, beside random ones."""

import numpy as np
import pytest

from attribution import UserError
from attribution.experiments.removals import removals_spec


def test_the_random_sets_have_the_classes_of_each(ws):
    spec = removals_spec(ws, [[0, 3, 6], [4]], [0, 1], 3)
    edits = spec.edits(ws)
    assert [edit.indices for edit, _ in edits] == [(0, 3, 6), (4,)]
    for edit, controls in edits:
        wanted = np.bincount(ws.train_labels[list(edit.indices)], minlength=3)
        assert len(controls) == 3
        assert all((np.bincount(ws.train_labels[list(c.indices)], minlength=3) == wanted).all() for c in controls)
    trainings = list(spec.trainings(ws))
    assert len(trainings) == spec.total == 2 * 4 * 2
    assert trainings[:2] == [(edits[0][0], 0), (edits[0][0], 1)], "set by set"


def test_a_head_needs_one_seed(ws):
    assert removals_spec(ws.with_model("head-moco"), [[0]], [0, 1, 2], 0).seeds == [0]


def test_an_empty_set_is_refused(ws):
    for sets in ([], [[1], []]):
        with pytest.raises(UserError, match="name at least one image in each"):
            removals_spec(ws, sets, [0], 1)
