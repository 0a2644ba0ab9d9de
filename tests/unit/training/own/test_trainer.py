"""A user's recipe at work, in this process: what it sees, what it may return, and what is said where it fails."""

from pathlib import Path

import numpy as np
import pytest

from attribution import UserError
from attribution.training.edits import relabel, remove
from attribution.training.own import OwnRecipe
from attribution.training.own.trainer import OwnTrainer, RecipeData, check_logits, summarize
from attribution.training.probabilities import probabilities_of

HERE = Path(__file__).parent


def trainer(workspace, object_):
    recipe = OwnRecipe(object_.lower(), "0" * 12, "file", main="recipes_for_tests.py", object=object_, folder=str(HERE))
    return OwnTrainer(workspace, recipe, HERE)


def test_an_edit_is_trained_and_repeatable(ws):
    own = trainer(ws, "Softmax")
    reports = []
    first = own.run(remove([1, 2]), 0, lambda *done: reports.append(done))
    other, again = own.run(relabel([4], 2), 0), own.run(remove([1, 2]), 0)
    assert (first.margins == again.margins).all() and (first.margins != other.margins).any()
    assert first.predicted.dtype == np.uint8 and first.probabilities.shape == (ws.n_val, 3)
    assert reports[-1] == (10, 10) and "numpy" in first.library and first.device == "cpu"
    left_out = own.train_probabilities(first, [1, 2])
    assert left_out.shape == (2, 3) and np.allclose(left_out.sum(1), 1)


@pytest.mark.parametrize(
    ("object_", "match"),
    [
        ("Raises", "raises.fit raised ValueError: the learning rate is below 0$"),
        ("Exits", "exits.fit raised SystemExit: 3"),
        ("NotFinite", "hold NaN or infinity .row 0"),
        ("WrongShape", r"have the shape \[12, 2\]; they need \[12, 3\]"),
    ],
)
def test_what_goes_wrong_is_one_sentence(ws, object_, match):
    with pytest.raises(UserError, match=match) as caught:
        trainer(ws, object_).run()
    assert "\n" not in str(caught.value)


def test_an_edit_that_leaves_nothing(ws):
    with pytest.raises(UserError, match="removes every training image"):
        trainer(ws, "Softmax").run(remove(range(ws.n_train)))


def test_what_a_recipe_sees(ws, tmp_path):
    data = RecipeData(ws)
    assert data.classes == list(ws.classes) and data.images("val").shape[0] == ws.n_val
    assert data.paths("train") is None, "they are an array"
    data.labels("train")[:] = 0
    assert (data.labels("train") == ws.train_labels).all(), "what a recipe does to its copy stays its own"
    with pytest.raises(ValueError, match="split"):
        data.labels("test")


def test_logits_may_be_of_any_library():
    torch = pytest.importorskip("torch")
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        given = torch.ones((2, 3), dtype=dtype, requires_grad=True)
        assert check_logits(given, 2, 3, "x").dtype == np.float32
    with pytest.raises(UserError, match="no array of numbers"):
        check_logits([["a"]], 1, 1, "x")


@pytest.mark.parametrize("kind", ["torch", "numpy", "list", "integers"])
def test_large_logits_that_differ_by_little_are_not_rounded(kind):
    logits = np.array([[2**26 + 1, 2**26, 0], [0, 2**26, 2**26 + 3]], np.int64 if kind == "integers" else np.float64)
    given = {"list": logits.tolist(), "numpy": logits, "integers": logits}.get(kind)
    if kind == "torch":
        given = pytest.importorskip("torch").from_numpy(logits)
    predicted, margins, _ = summarize(check_logits(given, 2, 3, "x"), np.array([0, 1]))
    assert predicted.tolist() == [0, 2] and margins.tolist() == [1, -3]


def test_logits_beyond_float32_are_refused():
    with pytest.raises(UserError, match="row 1 is the first"):
        check_logits([[0.0, 1.0], [1e300, 0.0]], 2, 2, "x")


def test_numbers_of_logits():
    logits = np.array([[3, 1, 0], [-80_000, 0, 80_000]], np.float32)
    predicted, margins, probabilities = summarize(logits, np.array([0, 0]))
    assert predicted.tolist() == [0, 2] and margins.tolist() == [2, -160_000]
    assert np.allclose(probabilities, probabilities_of(logits)) and np.isfinite(probabilities).all()


def test_images_of_a_folder_have_paths(folder_workspace):
    paths = RecipeData(folder_workspace).paths("train")
    assert len(paths) == folder_workspace.n_train and all(path.exists() for path in paths)


@pytest.fixture
def folder_workspace(tmp_path):
    from attribution.workspace.create import create

    return create(tmp_path / "made", "image-folder", tiny_folder(tmp_path / "images"))


def tiny_folder(root):
    from PIL import Image

    draw = np.random.default_rng(0)
    for split, n in (("train", 6), ("val", 3)):
        for name in ("dark", "light"):
            (root / split / name).mkdir(parents=True)
            for number in range(n):
                pixels = draw.integers(0, 90, (8, 8, 3), np.uint8) + (150 if name == "light" else 0)
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{number}.png")
    return root
