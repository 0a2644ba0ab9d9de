"""Pages of a workspace with a handful of images a class, as a first try has, without base models and with."""

import numpy as np
import pytest

from attribution.workspace import create
from tests.pages.page import open_page
from tests.unit.data.test_image_folder import fill


@pytest.fixture
def small(tmp_path, monkeypatch, request):
    """A workspace of `request.param` training images of each of three classes."""
    names = [f"{i}.png" for i in range(request.param)]
    fill(tmp_path / "d", {f"train/{name}": names for name in "abc"} | {f"val/{name}": ["x.png"] for name in "abc"})
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LINEUP_WORKSPACE", str(tmp_path / "w"))
    return create.create(tmp_path / "w", "image-folder", tmp_path / "d")


@pytest.fixture
def trained(small, run, tmp_path):
    """The same, with three models that are right."""
    np.save(tmp_path / "p.npy", np.tile(np.eye(3) * 0.7 + 0.1, (3, 1, 1)))
    done = run("base", "import", tmp_path / "p.npy", "--kind", "probabilities", "--recipe", "demo-cnn", "--force")
    assert done.code == 0, done.err
    return small


@pytest.mark.parametrize("small", [1, 2, 9], indirect=True)
@pytest.mark.parametrize("page", ["debug"])
def test_they_open_without_an_error(small, page):
    app = open_page(page)
    assert not app.exception and not app.error and not app.warning


@pytest.mark.parametrize("small", [2, 9], indirect=True)
def test_with_models_they_ask_what_can_be_asked(trained):
    app = open_page(panel="verdict", k="1")
    assert not app.exception and not app.error and not app.warning


@pytest.mark.parametrize("small", [9], indirect=True)
@pytest.mark.parametrize("k", ["²", "0", "٣", "129"])
def test_a_k_that_is_none_is_said(trained, k):
    app = open_page(k=k)
    (warning,) = app.warning
    assert f"k = {k} is not a number of training images" in warning.value and not app.exception
