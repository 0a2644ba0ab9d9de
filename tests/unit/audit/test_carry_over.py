"""Decisions taken along to another data set: those about images that are the same in both, and no others."""

import numpy as np
import pytest
from PIL import Image

from attribution import Workspace
from attribution.audit.carry_over import carry_over
from attribution.audit.decision_log import DecisionLog
from attribution.errors import UserError
from attribution.workspace.create import create
from tests.unit.audit.test_decision_log import say


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            save(tmp_path / "pictures" / name / f"{i}.png", rng.integers(0, 255, (8, 8, 3), np.uint8))
    return tmp_path / "pictures"


def save(file, pixels):
    Image.fromarray(pixels).save(file)


def files(ws):
    return ws.image_locations("train")["file"].tolist()


def decided(ws):
    with DecisionLog.of(ws) as log:
        return {files(ws)[i]: (entry.action, entry.label) for i, entry in log.current_decisions().items()}


def test_decisions_about_images_that_are_the_same_are_taken_along(folder, tmp_path, answer):
    first = create(tmp_path / "first", "image-folder", folder)
    names = files(first)
    said = {names[1]: ("keep", None), names[2]: ("relabel", 1), names[3]: ("remove", None), names[4]: ("remove", None)}
    with DecisionLog.of(first) as log:
        for name, (action, label) in said.items():
            say(log, action, names.index(name), label)
    save(folder / names[3], np.full((8, 8, 3), 255, np.uint8))
    (folder / names[4]).unlink()
    save(folder / "ant" / "00.png", np.zeros((8, 8, 3), np.uint8))  # others have other numbers from here on

    created = answer("workspace", "create", tmp_path / "second", "--dataset", "image-folder", "--root", folder)
    assert created["earlier"] == [str(first.path)]
    moved = answer("workspace", "carry-over", first.path, "--workspace", tmp_path / "second")
    second = Workspace.open(tmp_path / "second")
    expected = {name: said[name] for name in names[1:3] if name in files(second)}
    assert decided(second) == expected and expected, "by name, though the numbers are others"
    assert (moved["imported"], moved["changed"]) == (len(expected), len(said) - len(expected))
    again = carry_over(first, second, "me")
    assert (again["imported"], again["same"]) == (0, len(expected))


def test_what_cannot_be_taken_along_is_said(folder, tmp_path):
    first, same = (create(tmp_path / name, "image-folder", folder) for name in ("first", "same"))
    with pytest.raises(UserError, match="the same data set as first"):
        carry_over(first, same, "me")
    save(folder / "ant" / "3.png", np.zeros((8, 8, 3), np.uint8))
    second = create(tmp_path / "second", "image-folder", folder)
    with pytest.raises(UserError, match="nothing was decided in first"):
        carry_over(first, second, "me")
