"""Several recipes beside one another, on a simulated trainer and a second recipe that nothing is trained with."""

import dataclasses
import sys
import types
from dataclasses import replace

import numpy as np
import pytest

from attribution import UserError
from attribution.evaluation import recipe_transfer
from attribution.experiments import support_table
from attribution.experiments.replay import replay_search
from attribution.experiments.study import read_study, study_spec
from attribution.experiments.support import support_spec
from attribution.experiments.unedited import unedited_spec
from attribution.explore.targets import draw_stable_targets
from attribution.training import recipes
from attribution.training.edits import no_edit
from tests.unit.experiments.test_jobs import RUN


@pytest.fixture(autouse=True)
def second(monkeypatch):
    """The recipe "second"."""
    module = types.ModuleType("attribution.training.recipes.second")
    module.RECIPE = dataclasses.replace(recipes.get_recipe("demo-cnn"), name="second", epochs=1)
    monkeypatch.setitem(sys.modules, "attribution.training.recipes.second", module)
    monkeypatch.setitem(recipes.NAMES, "second", "second")
    return module.RECIPE


def drive(ws, store, spec, needs):
    """Does a job under its recipe: a target is read as class 9 as soon as `needs[target]` images are gone. All that was
    trained."""
    hash_, asked = recipes.get_recipe(spec["recipe"]).hash, []
    store.finish_job(store.add_job(spec, ""), "done")
    for search in spec.searches(ws, store):
        answer = None
        while True:
            try:
                wanted = search.send(answer)
            except StopIteration:
                break
            for edit, seed in wanted:
                predicted = np.where(edit.k >= np.array(needs), 9, ws.val_labels)
                if store.put(hash_, edit, seed, predicted=predicted, margins=predicted, **RUN):
                    asked.append((edit, seed))
            answer = [store.get(store.key(hash_, edit, seed)) for edit, seed in wanted]
    return asked


NEEDS = [3, 9, 9, 4, 5, 9, 9, 9, 9, 9, 9, 9]
OTHER = [0, 9, 9, 2, 8, 9, 9, 9, 9, 9, 9, 9]  # under "second" target 0 is wrong from the start


def test_a_search_under_another_recipe_asks_its_own_models_first(ws, store, second):
    spec = support_spec(ws, 3, "trak-10", "remove", k_max=20, recipe="second")
    asked = drive(ws, store, spec, OTHER)
    assert asked[:10] == [(no_edit(), seed) for seed in range(10)]
    found = spec.answer(ws, store)
    assert (found["status"], found["support"]) == ("flipped", 2) and found["trainings"] == len(asked) - 10
    assert support_table.load_support_table(ws, store, "second").target.tolist() == [3], (
        "the answers a workspace brings are its recipe's"
    )
    assert 3 not in support_table.load_support_table(ws, store).target.tolist()
    wrong = support_spec(ws, 0, "trak-10", "remove", k_max=20, recipe="second")
    assert drive(ws, store, wrong, OTHER) == [] and wrong.answer(ws, store)["status"] == "already_wrong"


def test_a_search_under_another_recipe_can_be_watched(ws, store):
    spec = support_spec(ws, 3, "trak-10", "remove", k_max=20, recipe="second")
    assert replay_search(ws, store, spec).probes == []
    drive(ws, store, unedited_spec(ws, "second"), OTHER)
    assert [probe["k"] for probe in replay_search(ws, store, spec).probes] == [20]
    drive(ws, store, spec, OTHER)
    assert replay_search(ws, store, spec).answer["support"] == 2


def test_targets_are_stable_in_all(ws, store):
    assert recipe_transfer.target_statuses(ws, store, "second") is None
    with pytest.raises(UserError, match="no models of second are trained"):
        recipe_transfer.draw_common_targets(ws, store, ["demo-cnn", "second"], 2, 7)
    assert len(drive(ws, store, unedited_spec(ws, "second"), OTHER)) == 10
    assert recipe_transfer.target_statuses(ws, store, "second").tolist() == ["already_wrong"] + ["stable"] * 11
    order = [target for target in draw_stable_targets(ws, 10, 7) if target != 0]  # 1 and 2 are not stable as it is
    assert recipe_transfer.draw_common_targets(ws, store, ["demo-cnn", "second"], 9, 7) == order
    assert recipe_transfer.draw_common_targets(ws, store, ["demo-cnn", "second"], 4, 7) == order[:4]
    with pytest.raises(UserError, match="9 are stable under demo-cnn and second; give 1 to 9"):
        recipe_transfer.draw_common_targets(ws, store, ["demo-cnn", "second"], 10, 7)


def test_the_same_targets_under_each(ws, store):
    drive(ws, store, unedited_spec(ws, "second"), OTHER)
    rankings = ["trak-10", "random"]
    asked = {"rankings": rankings, "kinds": ["remove"], "k_max": 20}
    drive(ws, store, study_spec(ws, [0, 3, 4, 5], **asked), NEEDS)
    drive(ws, store, study_spec(ws, [0, 3, 4, 6], **asked, recipe="second"), OTHER)
    assert recipe_transfer.studied_recipes(ws, store) == ["demo-cnn", "second"]
    found = recipe_transfer.common_studies(ws, store, ["demo-cnn", "second"])
    sizes = {
        name: {target: one.support for target, one in study.tables["remove"]["trak-10"].items()}
        for name, study in found.items()
    }
    assert sizes == {"demo-cnn": {3: 4, 4: 5}, "second": {3: 2, 4: 8}}, "0 is wrong under one, 5 and 6 are in one study"
    answer = recipe_transfer.report(ws, store, ["demo-cnn", "second"])
    row = answer["recipes"]["second"]["kinds"]["remove"]["rankings"]["trak-10"]
    assert row["n"] == 2 and row["auc"] == pytest.approx((18 + 12) / 40)
    assert (
        answer["recipes"]["second"]["hash"] == recipes.get_recipe("second").hash != recipes.get_recipe("demo-cnn").hash
    )
    # a study of one recipe is not mixed into another's
    assert 6 not in read_study(ws, store).tables["remove"]["trak-10"]


def test_the_protocol_is_that_of_the_study_under_another_recipe(ws, store):
    assert {one.protocol for one in recipe_transfer.common_studies(ws, store, ["demo-cnn", "second"]).values()} == {
        "default"
    }
    store.add_job(study_spec(ws, [3], ["trak-10"], ["remove"], "paper", recipe="second"), "")
    assert {one.protocol for one in recipe_transfer.common_studies(ws, store, ["demo-cnn", "second"]).values()} == {
        "paper"
    }


def test_without_a_study_there_is_nothing_to_compare(ws, store):
    found = recipe_transfer.common_studies(ws, store, ["demo-cnn", "second"])
    assert list(found) == ["demo-cnn", "second"] and all(not one.tables for one in found.values())


def test_cost_is_of_the_recipe(ws, store):
    spec = study_spec(ws, [3, 4], ["trak-10"], ["remove"], k_max=20, recipe="second")
    assert spec.cost(ws, store).known == 0
    drive(ws, store, spec, OTHER)
    assert spec.cost(ws, store).known == 2
    assert replace(spec, recipe="demo-cnn").cost(ws, store).known == 0


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["second"], "at least two different recipes"),
        (["second", "second"], "at least two different recipes"),
        ([], "at least two"),
        (["demo-cnn", "vgg"], "no recipe 'vgg'"),
    ],
)
def test_what_is_refused(ws, names, match):
    with pytest.raises(UserError, match=match):
        recipe_transfer.check_recipes(ws, names)
