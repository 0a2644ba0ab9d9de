"""How well stored detectors find the planted errors of a workspace."""

import json

import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.evaluation import label_errors
from attribution.importing import truth
from tests import tiny


def test_detectors_are_judged_by_the_planted_errors(tmp_path):
    ws = tiny.write(tmp_path / "tiny")
    with pytest.raises(UserError, match="no detectors yet; build them with: python -m attribution detectors build"):
        label_errors.compute(ws)
    detectors.build_detectors(ws, ["knn-moco"])
    assert label_errors.compute(ws) == {
        "n_planted": 1,
        "errors": "planted",
        "n_train": 60,
        "detectors": {
            "knn-moco": {"auc": 1.0, "average_precision": 1.0, "found_at": {"0.02": 1.0, "0.05": 1.0, "0.10": 1.0}}
        },
    }
    (ws.path / "truth.parquet").unlink()
    with pytest.raises(UserError, match="no planted errors"):
        label_errors.compute(ws)


def test_by_imported_true_labels(tmp_path):
    ws = tiny.write(tmp_path / "tiny")
    original = ws.truth()["original"].to_numpy()
    (ws.path / "truth.parquet").unlink()
    manifest = json.loads((ws.path / "workspace.json").read_text())
    manifest["dataset"]["planted"] = 0
    (ws.path / "workspace.json").write_text(json.dumps(manifest))
    ws = Workspace.open(ws.path)
    detectors.build_detectors(ws, ["knn-moco"])
    with pytest.raises(UserError, match="bring the true labels with `import truth`"):
        label_errors.compute(ws)
    truth.import_truth(ws, original, "true.csv")
    found = label_errors.compute(Workspace.open(ws.path))
    assert (found["n_planted"], found["errors"], found["detectors"]["knn-moco"]["auc"]) == (1, "imported", 1.0)
