"""Reading stored detectors: one that is not there, not whole, or holds what cannot be is refused in a sentence."""

import numpy as np
import pytest

from attribution import UserError
from attribution.audit import detectors


def test_a_detector_that_is_not_there_or_not_whole(ws):
    with pytest.raises(UserError, match="no detector 'combined' in tiny; it has none; build them"):
        detectors.load(ws, "combined")
    detectors.build_detectors(ws, ["knn-moco"])
    np.save(ws.path / "detectors" / "knn-moco" / "suggestion.npy", np.full(60, 7, np.uint8))
    with pytest.raises(UserError, match="build it again"):
        detectors.load(ws, "knn-moco")


@pytest.mark.parametrize("suggestion", [np.full(60, -1), np.zeros((60, 2), int)])
def test_suggestions_that_cannot_be(ws, suggestion):
    detectors.build_detectors(ws, ["knn-moco"])
    np.save(ws.path / "detectors" / "knn-moco" / "suggestion.npy", suggestion)
    with pytest.raises(UserError, match="build it again"):
        detectors.load(ws, "knn-moco")


def test_one_that_another_version_stored(ws):
    detectors.build_detectors(ws, ["knn-moco"])
    ws.manifest["parts"]["detectors/knn-moco"].pop("suggests")
    with pytest.raises(UserError, match="was stored by another version, without its 'suggests'; build it again"):
        detectors.load(ws, "knn-moco")
    detectors.build_detectors(ws, ["knn-moco"])
    assert detectors.load(ws, "knn-moco").suggestion is not None
