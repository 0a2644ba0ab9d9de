"""Arms compared on made-up predictions, where every answer is known."""

import json

import numpy as np
import pytest
from scipy import stats

from attribution.experiments import paired_arms
from attribution.experiments.paired_arms import PairedArmsSpec
from attribution.experiments.spec import common_fields
from attribution.training import recipes
from attribution.training.edits import correct, no_edit, relabel
from attribution.workspace import validation_split
from tests.unit.experiments.test_jobs import drive

LABELS = np.array([0, 0, 0, 0, 1, 1])


def spec(ws, **changes):
    fields = {
        **common_fields(ws),
        "seeds": [0, 1, 2],
        "uses_val": False,
        "errors": "planted",
        "decided": 9,
        "relabelled": 1,
        "removed": 1,
        "kept": 7,
        "unsure": 0,
        "conflicts": 0,
        "correction": correct({3: 0}, [5]).hash,
        "arms": {
            "none": [no_edit().to_json()],
            "corrected": [correct({3: 0}, [5]).to_json()],
            "random": [edit.to_json() for edit in (no_edit(), relabel([3], [0]), no_edit())],
        },
    }
    return PairedArmsSpec(**fields | changes)


def compared(none, corrected, random, labels=LABELS, classes=3):
    """Of predictions [seeds, targets] an arm, for validation images 10, 11, ..."""
    predicted = np.array([none, corrected, random])
    found = paired_arms.compare_arms(predicted, labels, np.arange(len(labels)) + 10, classes)
    return json.loads(json.dumps(found), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_every_arm_is_trained_under_the_same_seeds(ws):
    wanted = list(spec(ws).trainings(ws))
    assert [seed for _, seed in wanted] == [0, 0, 0, 1, 1, 1, 2, 2, 2], "seed by seed, so that pairs are whole"
    assert [edit for edit, _ in wanted[::3]] == [no_edit()] * 3
    assert [edit for edit, _ in wanted[1::3]] == [correct({3: 0}, [5])] * 3
    assert [edit for edit, _ in wanted[2::3]] == [no_edit(), relabel([3], [0]), no_edit()]
    assert spec(ws).total == 10 and spec(ws).describe() == (
        "audit: 1 relabelled and 1 removed, beside none and 9 random images, 3 seeds each"
    )


def test_the_question_is_short_and_another_for_other_edits(ws):
    one = spec(ws).question()
    assert len(json.dumps(one)) < 400 and "arms" not in one and "workspace" not in one
    other = spec(ws, arms=spec(ws).arms | {"random": [no_edit().to_json()] * 3})
    assert other.question() != one == spec(ws).question()
    assert spec(ws, uses_val=True).question() != one != spec(ws, seeds=[0, 1, 3]).question()


def test_accuracies_and_paired_differences():
    none = [[0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 0], [0, 1, 1, 1, 1, 1]]
    corrected = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0], [0, 0, 1, 1, 1, 1]]
    found = compared(none, corrected, none)
    assert found["n"] == 6 and np.allclose(found["accuracy"]["none"]["values"], [3 / 6, 4 / 6, 3 / 6])
    assert np.allclose(found["accuracy"]["corrected"]["values"], [5 / 6, 5 / 6, 4 / 6])
    gain = found["differences"]["corrected-none"]
    assert np.allclose(gain["values"], [2 / 6, 1 / 6, 1 / 6]) and found["differences"]["corrected-random"] == gain
    tested = stats.ttest_1samp([2 / 6, 1 / 6, 1 / 6], 0)
    assert np.allclose([gain["p"], *gain["ci"]], [tested.pvalue, *tested.confidence_interval(0.95)])
    assert found["differences"]["random-none"] == {"values": [0, 0, 0], "mean": 0, "ci": [0, 0], "p": None}


def test_classes_one_by_one():
    none = [[0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 0]]
    corrected = [[0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 0]]
    first, second, third = compared(none, corrected, none)["classes"]
    assert (first["class"], first["n"], second["n"], third["n"]) == (0, 4, 2, 0)
    assert np.isclose(first["none"]["mean"], 5 / 8) and np.isclose(first["corrected"]["mean"], 7 / 8)
    assert np.isclose(first["corrected-none"]["mean"], 1 / 4) and first["corrected-none"]["p"] is None
    assert np.isclose(second["corrected-none"]["mean"], 1 / 4) and second["corrected-none"]["p"] < 1
    assert third["none"] is third["corrected"] is third["random"] is third["corrected-none"] is None


def test_targets_that_most_seeds_change_their_mind_about():
    """10: right in 1 of 4, then in 3; 11: 2 of 4 before, no majority; 12: 4, then 1; 13: 0, then 4; 14 and 15 stay."""
    none = [[0, 0, 0, 1, 1, 0], [1, 0, 0, 1, 1, 0], [1, 1, 0, 1, 1, 0], [1, 1, 0, 1, 1, 0]]
    corrected = [[0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 1, 0], [0, 0, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0]]
    found = compared(none, corrected, none)["targets"]
    assert found["corrected"] == {
        "repaired": [{"target": 13, "before": 0, "after": 4}, {"target": 10, "before": 1, "after": 3}],
        "broken": [{"target": 12, "before": 4, "after": 1}],
    }
    assert found["random"] == {"repaired": [], "broken": []}


def test_what_is_judged_by(ws):
    assert paired_arms.judging_targets(ws, False).tolist() == list(range(12))
    assert (
        paired_arms.judging_targets(ws, True).tolist() == validation_split.validation_halves(ws)[1].tolist()
        and len(paired_arms.judging_targets(ws, True)) == 6
    )


def test_of_predictions_that_are_not_in_order_of_arms_nothing_is_mixed_up(ws, tmp_path):
    """Every training tells by what it predicts which it was."""
    from attribution.store.results import ResultStore

    store = ResultStore(tmp_path / "store", ws.fingerprint)
    asked, of = spec(ws), correct({3: 0}, [5])
    right = {0: 12, 1: 8, 2: 4}
    said = []

    def says(edit, seed):
        said.append((edit, seed))
        share = right[seed] if edit == of else 0 if edit.k == 0 else 1
        return np.where(np.arange(12) < share, ws.val_labels, 9)

    drive(ws, store, asked, says)
    found = store.answer(recipes.get_recipe("demo-cnn").hash, asked.question())
    store.close()
    assert np.allclose(found["accuracy"]["corrected"]["values"], [1, 8 / 12, 4 / 12])
    assert np.allclose(found["accuracy"]["none"]["values"], 0)
    assert np.allclose(found["accuracy"]["random"]["values"], [0, 1 / 12, 0])
    assert found["edited"] == {"none": [0, 0, 0], "corrected": [2, 2, 2], "random": [0, 1, 0]}
    assert found["made_on"] == ["cpu, torch, threads 1"]
