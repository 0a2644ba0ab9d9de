"""The check of a user's recipe finds each mistake, and none in a good one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attribution import UserError
from attribution.builds.base_models import train_in_workers
from attribution.runner.recipe_check import check_recipe
from attribution.training import own
from tests.conftest import ROOT

RECIPES = ROOT / "tests/unit/training/own/recipes_for_tests.py"

OPTIONAL = ("module", "save", "features", "trajectory")
NETWORKS = ROOT / "tests/unit/training/own/networks_for_tests.py"


def check(ws, object_, file=RECIPES):
    return check_recipe(ws, own.add(f"{file}:{object_}"), lambda *progress: None)


def problems(report):
    return {row["check"] for row in report["findings"] if row["state"] == "problem"}


def test_a_good_recipe_has_no_problem(ws):
    report = check(ws, "Softmax")
    assert report["ok"] and problems(report) == set() and report["accuracy"] > 0.5
    assert report["seconds"] > 0 and report["memory"] > 10 and set(report["trainings"]) == {"40", "500"}
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize(
    ("object_", "wrong"),
    [
        ("IgnoresKeep", {"keep", "left out"}),
        ("IgnoresLabels", {"labels"}),
        ("SeesValidation", {"fresh process"}),
        ("Remembers", {"repeated"}),
        ("OwnOrder", {"columns"}),
        ("NoSeed", set()),
    ],
)
def test_each_mistake_is_found(ws, object_, wrong):
    found = problems(check(ws, object_))
    assert wrong <= found if wrong else found == set()


@pytest.mark.parametrize(
    ("object_", "states", "texts"),
    [
        (
            "Complete",
            {"module": "ok", "save": "ok", "features": "ok"},
            ["gives the same logits", "loaded is the same", "16 dimensions"],
        ),
        ("OtherInputs", {"module": "problem"}, ["differ from those of logits by up to"]),
        ("NoGradients", {"module": "problem"}, ["cannot be computed image by image"]),
        (
            "ForgetsWeights",
            {"module": "ok", "save": "problem", "features": "ok"},
            ["save all that logits needs"],
        ),
        ("FeaturesFlat", {"features": "problem"}, ["have the shape"]),
        (
            "Descends",
            {"module": "ok", "trajectory": "ok"},
            ["20 steps in 5 epochs", "an epoch takes 0.0 MiB on disk", "ends at the model of fit"],
        ),
        ("DescendsElsewhere", {"trajectory": "note"}, ["logits differ from those of fit by up to"]),
        ("DescendsByAdam", {"trajectory": "problem"}, ["step 1, taken anew", "momentum alone"]),
        ("SaysAdam", {"trajectory": "note"}, ["says-adam trains by Adam"]),
        ("Net", {"trajectory": "note"}, ["net has no method trajectory"]),
    ],
)
def test_the_optional_methods_are_tried(ws, object_, states, texts):
    report = check(ws, object_, NETWORKS)
    found = {row["check"]: row for row in report["findings"] if row["check"] in OPTIONAL}
    assert {name: row["state"] for name, row in found.items()}.items() >= states.items()
    said = " ".join(row["text"] for row in found.values())
    assert all(text in said for text in texts) and report["ok"] == ("problem" not in states.values())


def test_one_that_cannot_train_is_refused(ws):
    with pytest.raises(UserError, match="raised ValueError.*\n.*the last words of fit"):
        check(ws, "Raises")


def test_the_template_passes_as_it_stands(ws, run, tmp_path):
    file = tmp_path / "train.py"
    assert run("recipe", "new", str(file)).code == 0
    done = run("recipe", "check", f"{file}:Mine", "--workspace", str(ws.path), "--json")
    assert done.code == 0 and json.loads(done.out)["ok"], done.out + done.err
    assert run("recipe", "new", str(file)).code == 2, "it is there already"
    done = run("recipe", "check", f"{RECIPES}:IgnoresKeep", "--workspace", str(ws.path))
    assert done.code == 2 and "PROBLEM" in done.out


def test_an_example_passes(ws):
    assert check(ws, "Forest", ROOT / "docs" / "recipes" / "scikit_learn.py")["ok"]


def trained(ws, recipe, folder):
    """The probabilities of one training, in a worker."""
    arrays, _ = train_in_workers(ws, recipe, [0], folder, lambda *progress: None)
    return arrays["probabilities"][0]


def test_the_other_examples_train(ws, tmp_path, monkeypatch):
    weights = tmp_path / "resnet18.pt"
    make = "import sys, torch, torchvision; torch.save(torchvision.models.resnet18().state_dict(), sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, str(weights)], check=True)
    monkeypatch.setenv("RESNET18", str(weights))
    (tmp_path / "command.py").write_text((ROOT / "docs" / "recipes" / "command.py").read_text())
    examples = [
        own.add(f"{ROOT / 'docs' / 'recipes' / place}")
        for place in ("pytorch_adamw.py:AdamW", "pytorch_sgd.py:Momentum", "finetune.py:FineTuned")
    ]
    command = f"{sys.executable} command.py --job {{job}}"
    examples.append(own.add_command("linear", command, Path(tmp_path), ["command.py"]))
    for recipe in examples:
        probabilities = trained(ws, recipe, tmp_path / recipe.name)
        assert probabilities.shape == (ws.n_val, 3) and abs(probabilities.sum(1) - 1).max() < 1e-2
