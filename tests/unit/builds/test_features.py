"""Features that a user's code makes; those of networks are built in test_scores.py, where some are trained."""

import json

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.builds import features

MAKE = """
import numpy as np
def make(weights, device):
    assert device in ("cpu", "cuda")
    matrix = np.load(weights)
    def embed(images):
        assert images.dtype == np.uint8
        with open({log!r}, "a") as log:
            log.write("block\\n")
        return images.reshape(len(images), -1) / 255 @ matrix
    return embed
"""


@pytest.fixture
def place(tmp_path):
    np.save(tmp_path / "matrix.npy", np.random.default_rng(0).normal(size=(64, 5)))
    (tmp_path / "mine.py").write_text(MAKE.format(log=str(tmp_path / "log.txt")))
    return f"{tmp_path / 'mine.py'}:make"


def test_a_users_code_embeds(ws, place, tmp_path, answer):
    weights = tmp_path / "matrix.npy"
    made = answer("features", "embed", "mine", "--module", place, "--weights", weights)
    assert made["command"].endswith("features embed mine --module mine.py:make --weights matrix.npy")
    assert made["dim"] == 5 and made["code"]["file"] == "mine.py" and str(tmp_path) not in json.dumps(made)
    found = Workspace.open(ws.path).feature("mine")
    expected = ws.val_images.reshape(12, -1) / 255 @ np.load(weights)
    assert np.allclose(found.val, expected, atol=1e-5) and found.train.shape == (60, 5)
    done = len((tmp_path / "log.txt").read_text().split())
    answer("features", "embed", "again", "--module", place, "--weights", weights)
    assert len((tmp_path / "log.txt").read_text().split()) == 2 * done
    answer("features", "embed", "mine", "--module", place, "--weights", weights)
    assert len((tmp_path / "log.txt").read_text().split()) == 2 * done, "finished blocks are not computed again"
    np.save(weights, np.load(weights) * 2)
    answer("features", "embed", "mine", "--module", place, "--weights", weights)
    assert np.allclose(Workspace.open(ws.path).feature("mine").val, 2 * expected, atol=1e-4), "other weights"


@pytest.mark.parametrize(
    ("before", "after", "match"),
    [
        ("return embed", "return 3", "returned nothing that can be called with images"),
        ("np.load(weights)", "1 / 0", "make raised ZeroDivisionError"),
        ("return images.reshape(len(images), -1)", "return images[1:].reshape(len(images) - 1, -1)", "have the shape"),
        ("/ 255 @ matrix", "/ 255 @ matrix * np.inf", "hold NaN or infinity"),
        ("return images.reshape(len(images), -1) / 255 @ matrix", "import os; os._exit(5)", "ended with exit status 5"),
    ],
)
def test_what_is_refused(ws, place, tmp_path, before, after, match):
    file = tmp_path / "mine.py"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    with pytest.raises(UserError, match=match):
        features.build_own_features(ws, "mine", place, tmp_path / "matrix.npy", lambda *at: None)
    assert "features/mine" not in Workspace.open(ws.path).manifest["parts"]


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["--backbone", "resnet18", "--module", "x.py:a"], "give either --backbone or --module"),
        ([], "give either --backbone or --module"),
        (["--module", "x.py:a"], "code of yours needs --weights"),
        (["--module", "x.py:a", "--weights", "w", "--side", "32"], "takes no --side"),
        (["--module", "x.py:a", "--weights", "w"], "there is no file x.py"),
        (["--backbone", "resnet18"], "needs --weights, the file with its state dict"),
        (["--backbone", "hf:absent"], "there is no folder absent"),
    ],
)
def test_options_that_do_not_go_together(ws, run, words, match):
    done = run("features", "embed", "mine", *words)
    assert done.code == 2 and match in done.err
