"""The registry, pixels, and what must work without torch."""

import json

import numpy as np
import pytest

from attribution import UserError, features


def test_pixels_are_the_images(tmp_path):
    images = np.array([[[0, 255], [51, 102]]], np.uint8)
    assert features.train("pixels", images, tmp_path)["dim"] == 4
    found = features.embed("pixels", tmp_path, images)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array([[0, 1, 0.2, 0.4]]))


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(UserError, match="pixels, moco, simclr, dino, patches"):
        features.train("vicreg", np.zeros((1, 2, 2), np.uint8), tmp_path)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4, 4), (0, 4, 4)])
def test_what_is_not_a_table_of_images_is_refused(shape, tmp_path):
    with pytest.raises(UserError, match="uint8 images"):
        features.embed("pixels", tmp_path, np.zeros(shape, np.uint8))


def test_images_already_scaled_are_refused(tmp_path):
    with pytest.raises(UserError, match="float32"):
        features.embed("pixels", tmp_path, np.zeros((2, 4, 4), np.float32))


def test_the_registry_pixels_and_knn_load_no_torch(run_python):
    code = """
import json, sys
import numpy as np
from attribution import features
from attribution.features.knn import knn_accuracy
features.embed("pixels", ".", np.zeros((2, 4, 4), np.uint8))
print(json.dumps(sorted({"torch", "lightly"} & set(sys.modules))))
"""
    done = run_python("-c", code)
    assert json.loads(done.out) == [], done.err


def test_without_lightly_the_error_says_what_to_install(run_python):
    code = """
import sys
sys.modules["lightly"] = None
from attribution import UserError, features
import numpy as np
try:
    features.train("moco", np.zeros((2, 8, 8), np.uint8), "unused")
except UserError as error:
    print(error)
"""
    assert "pip install" in run_python("-c", code).out
