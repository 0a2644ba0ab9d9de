"""Unrolled for a user's recipe: in a worker of its own, taken up where it was stopped, refused in a sentence where its
training is no stochastic gradient descent."""

import time
from dataclasses import replace

import numpy as np
import psutil
import pytest

torch = pytest.importorskip("torch")

from attribution import UserError, Workspace  # noqa: E402
from attribution.builds import own_models, unrolled, unrolled_own  # noqa: E402
from attribution.rankings.unrolled import final, own, reverse  # noqa: E402
from attribution.training import own as own_recipes  # noqa: E402
from attribution.training.own.trainer import OwnTrainer  # noqa: E402
from attribution.workspace import parts  # noqa: E402
from tests import tiny  # noqa: E402
from tests.conftest import ROOT  # noqa: E402

RECIPES = ROOT / "tests/unit/training/own/networks_for_tests.py"


def quiet(*at):
    pass


@pytest.fixture(scope="module")
def bare_ws(tmp_path_factory):
    """A workspace without base models, and a data folder."""
    folder = tmp_path_factory.mktemp("unrolled-own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LINEUP_DATA", str(folder / "data"))
        tiny.write(folder / "tiny", base=False)
        yield Workspace.open(folder / "tiny")


def seen_by(ws, object_):
    recipe = own_recipes.add(f"{RECIPES}:{object_}")
    return Workspace.open(ws.path).with_model(recipe.name, new=True)


def test_it_is_what_its_steps_come_to(bare_ws, tmp_path):
    """Two trainings, targets in blocks: the same as in this process; and nothing is left behind."""
    ws = seen_by(bare_ws, "Descends")
    plan = replace(unrolled.plan(ws, 2, 2, 2), block=5, rough=False)
    size = 64 * 16 + 16 + 16 * 3 + 3
    assert plan.disk == 4 * size * 4 * 2 + 4 * 2 * 12 * 60 and plan.windows == 2 and plan.targets == tuple(range(12))
    said = []
    made = unrolled.build_unrolled(ws, "mine", plan, lambda *at: said.append(at))
    ranking = Workspace.open(ws.path).ranking("mine")
    assert ranking.method == "Unrolled" and ranking.signed and ranking.complete
    assert made["about"] == "2 models · last 2 of 5 epochs" and made["made_for"]["hash"] == ws.get_recipe().hash
    assert made["precision"] == "that of the recipe's trajectory" and made["command"].endswith("--recipe descends")
    assert ("unrolled, model 2 of 2: steps back", 24, 24) in said
    assert "unrolled, model 1 of 2: steps" in {text for text, *_ in said}
    assert not list(parts.scratch_folder(ws, "unrolled").glob("kept*"))
    assert [file.name for file in parts.scratch_folder(ws, "unrolled").glob("*.npz")] == [
        f"{ws.get_recipe().hash}-first-step.npz"
    ]
    trainer, expected = OwnTrainer(ws, ws.get_recipe()), 0
    for seed in (300, 301):
        training, kept = own.record(trainer, seed, 2, tmp_path / str(seed), 1 << 30)
        gradients = final.margin_gradients(training, kept.network, torch.arange(12))
        expected = expected + reverse.expected_influence(training, kept, gradients, (2,))[0].sum(0) / 2
    scores = np.array(list(ranking.all_scores()))
    assert np.abs(scores - expected).max() < 1e-4 * np.abs(expected).max()


def test_it_goes_on_where_it_was_stopped(bare_ws, monkeypatch):
    ws = seen_by(bare_ws, "Descends")
    plan = replace(unrolled.plan(ws, 2, 1, 1), block=6, rough=False)

    def stop(text, done, total):
        if "model 2 of 2: steps back" in text and done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unrolled.build_unrolled(ws, "stopped", plan, stop)
    folder = parts.scratch_folder(ws, "unrolled")
    assert "stopped" not in ws.rankings() and not list(folder.glob("kept*"))
    assert 2 <= len(list(folder.glob("*-300.npz"))) and 1 <= len(list(folder.glob("*-301.npz"))) <= 2
    asked, once = [], own_models.run_tasks

    def watched(recipe, tasks, report, workers):
        asked.extend((task.seed, len(task.compute["blocks"])) for task in tasks)
        once(recipe, tasks, report, workers)

    monkeypatch.setattr(own_models, "run_tasks", watched)
    left = 2 - len(list(folder.glob("*-301.npz")))
    unrolled.build_unrolled(ws, "stopped", plan, quiet)
    assert asked == ([(301, left)] if left else []) and "stopped" in Workspace.open(ws.path).rankings()


def test_a_build_that_is_cancelled_ends_its_process(bare_ws):
    ws = seen_by(bare_ws, "Slow")
    plan = unrolled.plan(ws, 1, 1, 1)

    def stop(text, done, total):
        assert text == "unrolled, model 1 of 1: steps" and done >= 1 and total is None
        raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(KeyboardInterrupt):
        unrolled.build_unrolled(ws, "slow", plan, stop)
    for _ in range(50):
        left = {child.pid for child in psutil.Process().children(recursive=True)} - before
        if not left:
            break
        time.sleep(0.1)
    assert not left and not list(parts.scratch_folder(ws, "unrolled").glob("kept*"))


@pytest.mark.parametrize(
    ("object_", "match"),
    [
        ("Net", "net has no method trajectory, which yields its steps"),
        (
            "SaysAdam",
            "says-adam trains by Adam, and Unrolled goes back through stochastic gradient descent",
        ),
        ("Large", r"the network of large has 17,000,003 weights, and those of 90 steps take 5.7 GiB.*fewer --epochs"),
    ],
)
def test_what_cannot_be_gone_back_through_is_refused_before_it_trains(bare_ws, object_, match):
    with pytest.raises(UserError, match=match):
        unrolled.plan(seen_by(bare_ws, object_), 1, 3, 3)


def test_a_network_too_large_for_the_memory_is_refused(bare_ws, monkeypatch):
    monkeypatch.setattr(unrolled, "MEMORY_SHARE", 1e-9)
    with pytest.raises(UserError, match="a quarter of this machine's memory"):
        unrolled.plan(seen_by(bare_ws, "Descends"), 1, 2, 3)


def test_another_optimiser_that_does_not_say_so_is_found_out(bare_ws):
    ws = seen_by(bare_ws, "DescendsByAdam")
    with pytest.raises(UserError, match="descends-by-adam.trajectory: step 1, taken anew from what it yields, ends"):
        unrolled.build_unrolled(ws, "adam", unrolled.plan(ws, 1, 1, 1), quiet)
    assert "adam" not in ws.rankings() and not list(parts.scratch_folder(ws, "unrolled").glob("kept*"))


def test_scores_that_are_no_numbers_are_not_stored(bare_ws, tmp_path):
    ws, file = seen_by(bare_ws, "Descends"), tmp_path / "scores.npz"
    for scores in (np.full((12, 60), np.nan), np.zeros((11, 60))):
        np.savez(file, scores=scores, seconds=1.0, epochs=1)
        with pytest.raises(UserError, match="unrolled scores of recipe descends"):
            unrolled_own._read(file, (12, 60), ws.get_recipe())
        assert not file.exists()


def test_by_the_command_line(bare_ws, run):
    place = ("--recipe", f"{RECIPES}:Descends", "--workspace", str(bare_ws.path))
    code, out, err = run("rankings", "build", "unrolled", "--models", "1", "--targets", "3,7", "--exact", *place)
    assert code == 0 and "on disk" in err
    assert out.endswith(": 1 model · last 3 of 5 epochs · exact\n")
    code, _, err = run("rankings", "build", "unrolled", "--recipe", f"{RECIPES}:Net", *place[2:])
    assert code == 2 and "no method trajectory" in err


def test_the_example_of_the_documentation(bare_ws):
    recipe = own_recipes.add(f"{ROOT / 'docs' / 'recipes' / 'pytorch_sgd.py'}:Momentum")
    assert recipe.optimizer == "sgd" and recipe.not_unrolled == ""
    ws = Workspace.open(bare_ws.path).with_model(recipe.name, new=True)
    made = unrolled.build_unrolled(ws, "example", unrolled.plan(ws, 1, 2, 1), quiet)
    assert made["about"] == "1 model · last 2 of 6 epochs"
    scores = np.array(list(Workspace.open(ws.path).ranking("example").all_scores()))
    same = ws.val_labels[:, None] == ws.train_labels
    assert scores[same].mean() > scores[~same].mean(), "images of a target's own class help it"
