"""How well stored detectors find the planted errors of a workspace."""

import pytest

from attribution import UserError
from attribution.audit import detectors
from attribution.evaluation import label_errors
from tests import tiny


def test_detectors_are_judged_by_the_planted_errors(tmp_path):
    ws = tiny.write(tmp_path / "tiny")
    with pytest.raises(UserError, match="no detectors yet; build them with: python -m attribution detectors build"):
        label_errors.compute(ws)
    detectors.build_detectors(ws, ["knn-moco"])
    assert label_errors.compute(ws) == {
        "n_planted": 1,
        "n_train": 60,
        "detectors": {
            "knn-moco": {"auc": 1.0, "average_precision": 1.0, "found_at": {"0.02": 1.0, "0.05": 1.0, "0.10": 1.0}}
        },
    }
    (ws.path / "truth.parquet").unlink()
    with pytest.raises(UserError, match="no planted errors"):
        label_errors.compute(ws)
