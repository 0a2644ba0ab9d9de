"""Building Unrolled on 60 drawn images: stored like any other ranking, taken up where it was stopped, refused in a
sentence where it cannot be."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

from attribution import UserError, Workspace  # noqa: E402
from attribution.builds import firsts, unrolled  # noqa: E402
from attribution.rankings import default_rankings  # noqa: E402
from attribution.rankings.unrolled import final, reverse, trajectory  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402
from attribution.workspace import parts  # noqa: E402
from attribution.workspace.create import create  # noqa: E402


def quiet(*at):
    pass


def test_it_is_the_mean_over_trainings_and_stored_like_any_other(ws, tmp_path):
    plan = replace(unrolled.plan(ws, 2, 2, 3), block=5, rough=False)
    assert plan.windows == 1 and plan.epochs == 2 and plan.seconds > 0 and plan.memory > 0 and plan.disk > 0
    said = []
    made = unrolled.build_unrolled(ws, "unrolled-2", plan, lambda *at: said.append(at))
    again = Workspace.open(ws.path)
    ranking = again.ranking("unrolled-2")
    assert ranking.signed and ranking.complete and ranking.method == "Unrolled" and made["models"] == 2
    assert made["made_for"]["seeds"] == [300, 301] and made["seconds"] > 0 and "unrolled-2" in default_rankings(again)
    assert not list(parts.scratch_folder(ws, "unrolled").iterdir())
    texts = [text for text, *_ in said]
    assert "unrolled, model 2 of 2: epochs" in texts
    assert "unrolled, model 1 of 2, targets 5 to 9: steps back" in texts

    trainer = Trainer(ws, ws.get_recipe(), precision=torch.float32)
    expected = 0
    for seed in (300, 301):
        kept = trajectory.record(trainer, seed, 2, tmp_path / "kept.npy")
        gradients = final.margin_gradients(trainer, kept.network, torch.arange(12))
        expected = expected + reverse.expected_influence(trainer, kept, gradients, (1,))[0].sum(0) / 2
    scores = np.array(list(ranking.all_scores()))
    assert np.abs(scores - expected).max() < 1e-4 * np.abs(expected).max()


def test_each_training_leaves_its_first_images(ws):
    plan = replace(unrolled.plan(ws, 2, 1, 1), block=5, rough=False)
    unrolled.build_unrolled(ws, "both", plan, quiet)
    again = Workspace.open(ws.path)
    kept = firsts.load(again, "both")
    assert kept.models == 2 and kept.half == 1 and kept.targets.tolist() == list(range(12))
    unrolled.build_unrolled(ws, "first", replace(plan, models=1), quiet)  # by the first of both seeds
    one = Workspace.open(ws.path).ranking("first")
    for target in (0, 6, 11):
        expected = one.top(target, firsts.FIRST).scores
        assert np.allclose(one.scores(target)[kept.of_target(target)[0][0]], expected, rtol=1e-4, atol=1e-7)
    assert len(again.ranking("both").top(0, 3).ids) == 3 and "firsts/both" in again.manifest["parts"]


def test_compact_scores_are_bytes(ws):
    plan = unrolled.plan(ws, 1, 1, 1)
    for name, compact in (("whole", False), ("bytes", True)):
        made = unrolled.build_unrolled(ws, name, plan, quiet, compact)
    assert made["command"].endswith("--compact")
    whole, rounded = (Workspace.open(ws.path).ranking(name) for name in ("whole", "bytes"))
    assert np.load(rounded.folder / "scores.npy").dtype == np.int8 and rounded.complete
    for target in range(12):
        scores, found = whole.scores(target), rounded.scores(target)
        assert found.dtype == np.float32 and np.abs(found - scores).max() < 0.51 / 127 * np.abs(scores).max()
        assert np.abs(rounded.image_scores(5)[target] - found[5]) < 1e-6
        assert whole.top(target, 1).ids == rounded.top(target, 1).ids or np.ptp(found) < np.ptp(scores)


def test_it_goes_on_where_it_was_stopped(ws, monkeypatch):
    plan, once, calls = replace(unrolled.plan(ws, 2, 1, 1), block=7), reverse.expected_influence, []

    def stopped_at_the_fourth(*args, **options):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return once(*args, **options)

    monkeypatch.setattr(reverse, "expected_influence", stopped_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        unrolled.build_unrolled(ws, "mine", plan, quiet)
    assert "mine" not in ws.rankings()
    unrolled.build_unrolled(ws, "other", unrolled.plan(ws, 1, 1, 1), quiet)  # which leaves alone what was kept
    calls.pop()
    unrolled.build_unrolled(ws, "mine", plan, quiet)
    assert len(calls) == 5, "the first three blocks are kept"
    assert Workspace.open(ws.path).ranking("mine").method == "Unrolled"


def test_by_the_command_line(ws, run):
    code, out, err = run("rankings", "build", "unrolled", "--models", "1")
    assert code == 0 and "unrolled-1: about" in err and "on disk" in err
    assert out == "unrolled-1: 1 model · last 3 of 6 epochs\n"
    for wrong, word in ((["--models", "0"], "--models"), (["--targets", "3,12"], "0 to 11")):
        code, _, err = run("rankings", "build", "unrolled", *wrong)
        assert code == 2 and word in err


def test_the_exact_row_of_a_few_targets(ws, run, tmp_path):
    """Stored for these alone, with the whole curvature."""
    code, out, _ = run("rankings", "build", "unrolled", "--models", "1", "--targets", "7,3", "--exact")
    assert (code, out) == (0, "unrolled-exact-1: 1 model · last 3 of 6 epochs · exact\n")
    ranking = Workspace.open(ws.path).ranking("unrolled-exact-1")
    trainer = Trainer(ws, ws.get_recipe(), precision=torch.float32)
    kept = trajectory.record(trainer, 300, 3, tmp_path / "kept.npy")
    gradients = final.margin_gradients(trainer, kept.network, torch.tensor([3, 7]))
    expected = reverse.expected_influence(trainer, kept, gradients, (1,), exact=True)[0].sum(0)
    assert ranking.targets.tolist() == [3, 7]
    assert np.abs(ranking.scores(7) - expected[1]).max() < 1e-4 * np.abs(expected).max()
    made = ranking.workspace.manifest["parts"]["rankings/unrolled-exact-1"]
    assert made["command"].endswith("--models 1 --epochs 3 --windows 1 --targets 3,7 --exact")


def test_what_cannot_be_gone_back_through_is_refused(ws, monkeypatch):
    for kind, name in (("own", "mine"), ("head", "head-moco")):
        own = SimpleNamespace(kind=kind, name=name)
        with monkeypatch.context() as patch:
            patch.setattr(type(ws), "get_recipe", lambda self, own=own: own)
            with pytest.raises(UserError, match=f"gradient descent with momentum.*{name} is"):
                unrolled.plan(ws, 1, 2, 3)
    monkeypatch.setattr(unrolled, "MAX_KEPT_BYTES", 100)
    with pytest.raises(UserError, match="give fewer --epochs"):
        unrolled.plan(ws, 1, 2, 3)
    monkeypatch.undo()
    monkeypatch.setattr(unrolled, "MEMORY_SHARE", 1e-9)
    with pytest.raises(UserError, match="a quarter of this machine's memory"):
        unrolled.plan(ws, 1, 2, 3)


def test_of_images_that_are_read_in_place(tmp_path, monkeypatch):
    """Such images are no array: they have a shape, and little else."""
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    draw = np.random.default_rng(0)
    for split, n in (("train", 40), ("val", 4)):
        for label, lightest in (("dark", 90), ("light", 250)):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for number in range(n):
                Image.fromarray(draw.integers(0, lightest, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    ws = create(tmp_path / "made", "image-folder", tmp_path / "photos")
    plan = unrolled.plan(ws, 1, 1, 1)
    assert plan.memory > 8 * 80 * 8 * 8 * 3
    unrolled.build_unrolled(ws, "mine", replace(plan, rough=False), quiet)
    assert Workspace.open(ws.path).ranking("mine").scores(0).shape == (80,)
