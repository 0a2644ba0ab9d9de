"""A training gone back through epoch by epoch, and trainings of its seed without some images."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from attribution import Workspace  # noqa: E402
from attribution.builds import unrolled  # noqa: E402
from attribution.builds.seed_trainings import SeedTrainings  # noqa: E402
from attribution.training.trainer import Trainer  # noqa: E402


def test_the_epochs_add_up_to_unrolled(ws, tmp_path):
    plan = replace(unrolled.plan(ws, 1, 2, 1, [0, 4, 7]), block=2, rough=False)
    said = []
    found = SeedTrainings(ws, plan).scores(300, tmp_path, lambda *at: said.append(at))
    unrolled.build_unrolled(ws, "one", plan, lambda *at: None)
    scores = Workspace.open(ws.path).ranking("one").scores(4)
    assert found["scores"].shape == (2, 3, 60) and found["margins"].shape == (3,)
    assert np.abs(found["scores"].sum(0)[1] - scores).max() < 1e-4 * np.abs(scores).max()
    assert said[-1][0] == "metasmoothness, seed 300: steps back" and not list(tmp_path.glob("kept-*"))


def test_margins_are_those_of_the_trainer(ws, tmp_path):
    work = SeedTrainings(ws, unrolled.plan(ws, 1, 1, 1, [0, 4, 7]))
    whole = Trainer(ws, ws.get_recipe(), precision=torch.float32).run(None, 300).margins[[0, 4, 7]]
    assert np.abs(work.scores(300, tmp_path, lambda *at: None)["margins"] - whole).max() < 0.01
    assert np.abs(work.margins(300, np.arange(0, 60, 3)) - whole).max() > 0.01, "without a class it is another"
