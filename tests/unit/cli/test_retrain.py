"""Further questions from the command line: real trainings where they are few, else answers that are put there."""

import dataclasses
import sys
import types

import numpy as np
import pytest

from attribution import Workspace
from attribution.experiments.disjoint import disjoint_spec
from attribution.experiments.support import support_spec
from attribution.store.results import ResultStore
from attribution.training import recipes
from attribution.workspace import copies
from tests.unit.experiments.test_jobs import RUN, drive

pytestmark = pytest.mark.usefixtures("home")

TRAK = ("--ranking", "trak-10")


@pytest.fixture
def home_store(home):
    home_store = ResultStore.for_workspace(home)
    yield home_store
    home_store.close()


def test_a_repair(answer, run, home, home_store):
    """Target 1, a Box, is read right without its five most harmful images."""
    spec = support_spec(home, 1, "trak-10", "repair", k_max=12)
    drive(home, home_store, spec, lambda edit, seed: 1 if edit.k >= 5 else 2)
    line = ("support", "--target", 1, *TRAK, "--kind", "repair", "--k-max", 12)
    found = answer(*line)
    assert (found["status"], found["support"], found["kind"], found["cached"]) == ("repaired", 5, "repair", True)
    assert "support 5 (repaired, still wrong at 4)" in run(*line)[1]
    assert answer("support", "--target", 0, *TRAK, "--kind", "repair")["status"] == "already_right"
    assert "already right, nothing to repair" in run("support", "--target", 0, *TRAK, "--kind", "repair")[1]


def test_the_most_harmful_images_are_removed(answer):
    """Real."""
    found = answer("retrain", "--target", 1, *TRAK, "--remove-harmful", 3, "--seeds", 1, "--draws", 1)
    assert (found["kind"], found["k"], found["end"], found["n"]) == ("remove", 3, "harmful", 1)
    assert found["controls"]["random"]["n"] == 1


def test_near_duplicates_come_along(answer, run):
    """Real: in moco's three numbers the images of a class are all alike."""
    line = (
        "retrain",
        "--target",
        0,
        *TRAK,
        "--remove-top",
        1,
        "--seeds",
        1,
        "--draws",
        0,
        "--with-duplicates",
        "--duplicate-cosine",
        0.9,
    )
    found = answer(*line)
    assert found["k"] == 1 and found["groups"]["along"] > 5 and found["groups"]["features"] == "moco"
    assert f"{found['groups']['along']} near-duplicates were removed, too" in run(*line)[1]
    groups = answer("duplicates", "--duplicate-cosine", 0.9)
    assert groups["groups"] >= 1 and groups["largest"] >= found["groups"]["along"] + 1
    assert groups["same_label"] < 1, "image 3 has a planted label"


def test_copies_between_the_splits(answer, run, home):
    """Stored for the pages; what the command printed without the option stays as it was."""
    assert set(answer("duplicates")) == {"features", "cosine", "groups", "images", "largest", "same_label"}
    line = ("duplicates", "--between", "train-val", "--duplicate-cosine", 0.99)
    found = answer(*line)
    assert found["exact"] == {"images": 0, "pairs": 0} and found["near"]["features"] == "moco" and found["stored"]
    assert found["near"]["cosine"] == 0.99 and found["near"]["images"] == 12 and not found["near"]["whole"]
    assert len(found["pairs"]) == found["near"]["pairs"]
    first = found["pairs"][0]
    assert set(first) == {"val", "label", "train", "given", "same_label", "exact", "cosine"}
    assert first["same_label"] == (first["label"] == first["given"]) and not first["exact"]
    assert found["other_label"] == sum(not pair["same_label"] for pair in found["pairs"])
    assert copies.load(Workspace.open(home.path))["near"]["pairs"] == found["near"]["pairs"]
    assert "12 of 12 validation images (100.0%) have a near-copy" in run(*line).out
    Workspace.open(home.path).remove_part("copies")


def test_disjoint_supports(answer, run, home, home_store):
    spec = disjoint_spec(home, target=3, ranking="trak-10", kind="remove", k_max=6)
    first = set(home.ranking("trak-10").top(3, 2).ids.tolist())
    drive(home, home_store, spec, lambda edit, seed: 2 if first <= set(edit.indices) else 0)
    line = ("support", "--target", 3, *TRAK, "--k-max", 6, "--disjoint", 3)
    found = answer(*line)
    assert [one["status"] for one in found["supports"]] == ["flipped", "censored"] and found["cached"]
    assert found["supports"][1]["without"] == sorted(first) and "disjoint supports" in run(*line)[1]
    assert answer("support", "--target", 3, *TRAK, "--k-max", 6)["support"] == 2


def test_pruning(answer, run):
    """Real."""
    line = ("prune", *TRAK, "--shares", "30,60", "--seeds", 2)
    found = answer(*line)
    assert [(row["share"], row["k"]) for row in found["shares"]] == [(30, 18), (60, 36)] and not found["cached"]
    assert all(0 <= one <= 1 for row in found["shares"] for one in row["pruned"]["values"] + row["random"]["values"])
    assert answer(*line) == found | {"cached": True}
    out = run(*line)[1]
    assert "accuracy on 6 validation images" in out and "difference" in out


def test_a_study_of_repairs_takes_wrong_targets(answer, home, home_store):
    drive(home, home_store, support_spec(home, 1, "trak-10", "repair"), lambda edit, seed: 1)
    found = answer("study", "--targets", 1, "--rankings", "trak-10", "--kinds", "repair")
    assert found["state"] == "done" and home_store.job(found["id"]).spec["targets"] == [1]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "support --target 0 --ranking trak-10 --disjoint 4",
            "--disjoint 4 is out of range; give a whole number from 2 to 3",
        ),
        ("support --target 0 --ranking trak-10 --kind repaint", "say remove, mislabel or repair"),
        ("support --target 0 --ranking trak-10 --kind mislabel --groups", "removed together, not relabelled"),
        ("support --target 0 --ranking trak-10 --recipe vgg", "no recipe 'vgg'"),
        ("retrain --target 0 --remove 3 --with-duplicates --duplicate-features vgg", "no feature set 'vgg'"),
        ("prune --ranking trak-10 --shares 20,many", "are no percents"),
        ("prune --ranking trak-10 --shares 120", "a share of 120 %"),
        ("duplicates --between val", "--between val are no two splits; give train-val"),
        ("duplicates --between train-val --duplicate-features vgg", "no feature set 'vgg'"),
        ("duplicates --between train-val --duplicate-cosine 0", "a cosine of 0 is no threshold"),
        ("duplicates --duplicate-cosine 2", "--duplicate-cosine 2 is out of range; give a number from 0 to 1"),
        ("study --kinds remove --recipes demo-cnn", "at least two different recipes"),
        ("study --recipe demo-cnn --recipes demo-cnn,vgg", "say --recipe for a study under one"),
        ("study --targets 1 --kinds ,", "at least one target, one ranking and one kind"),
        ("evaluate transfer", "at least two different recipes"),
    ],
)
def test_a_mistake_is_one_sentence(run, line, said):
    code, out, err = run(*line.split())
    assert (code, out) == (2, "") and len(err.splitlines()) == 1 and said in err


def test_a_study_across_recipes(answer, run, home, tmp_path, monkeypatch):
    """Of a second recipe whose models nobody trains: they flip at 6 images where those of demo-cnn flip at 3."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path))  # the other tests' trainings say other things
    home_store = ResultStore.for_workspace(home)
    module = types.ModuleType("attribution.training.recipes.second")
    module.RECIPE = dataclasses.replace(recipes.get_recipe("demo-cnn"), name="second", epochs=1)
    monkeypatch.setitem(sys.modules, "attribution.training.recipes.second", module)
    monkeypatch.setitem(recipes.NAMES, "second", "second")
    asked = []

    def watch(ws, spec):
        """Does a job in this process."""
        asked.append((spec["verb"], spec["recipe"]))
        number = home_store.add_job(spec, "")
        needs = 6 if spec["recipe"] == "second" else 3
        for search in spec.searches(ws, home_store):
            known = None
            while True:
                try:
                    wanted = search.send(known)
                except StopIteration:
                    break
                hash_ = recipes.get_recipe(spec["recipe"]).hash
                for edit, seed in wanted:
                    says = np.where(edit.k >= needs, 9, ws.val_labels)
                    home_store.put(hash_, edit, seed, predicted=says, margins=np.full(12, 1.0), **RUN)
                known = [home_store.get(home_store.key(hash_, edit, seed)) for edit, seed in wanted]
        home_store.finish_job(number, "done")
        return home_store.job(number)

    monkeypatch.setattr("attribution.cli.retrain.run_job", watch)
    line = ("study", "--targets", 3, "--rankings", "trak-10,random", "--kinds", "remove", "--protocol", "default")
    found = answer(*line, "--recipes", "demo-cnn,second")
    assert asked == [("unedited", "second"), ("study", "demo-cnn"), ("study", "second")]
    rows = {name: one["kinds"]["remove"]["rankings"]["trak-10"] for name, one in found["recipes"].items()}
    assert rows["demo-cnn"]["n"] == rows["second"]["n"] == 3
    assert (rows["demo-cnn"]["median"], rows["second"]["median"]) == (3, 6)
    code, out, _ = run("evaluate", "transfer", "--protocol", "default")
    assert code == 0 and "not comparable" in out and f"second {recipes.get_recipe('second').hash}" in out
    asked.clear()
    answer(*line, "--recipe", "second")
    assert asked == [("unedited", "second"), ("study", "second")], "of one recipe alone, on targets stable in both"
    code, _, err = run(*line[:-2], "--recipes", "demo-cnn,second", "--kinds", "repair")
    assert code == 2 and "leave repair out" in err
