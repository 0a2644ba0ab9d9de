"""Detectors from files: out-of-fold probabilities and tables of issues."""

import numpy as np
import pytest

from attribution import UserError, Workspace
from attribution.audit import detectors
from attribution.audit.detectors import imported
from attribution.importing.formats.issues import Issues
from attribution.importing.formats.predictions import Predictions
from tests.unit.importing.test_base_predictions import soft


def predictions(*models):
    return Predictions(np.stack(models), ["probs.npy"] * len(models), matched=False)


def refused(match, work):
    with pytest.raises(UserError, match=match) as error:
        work()
    assert len(str(error.value).splitlines()) == 1


@pytest.fixture
def true(ws):
    """What good models say: image 3 is a Bar, whose given label is Dot; image 10 is taken for another class."""
    said = ws.truth()["original"].to_numpy().copy()
    said[10] = (said[10] + 1) % 3
    return said


def test_probabilities_become_a_detector(ws, true):
    made = imported.import_probabilities(ws, "probabilities", predictions(soft(true)), {"file": "probs.npy"})
    assert made["agreement"] == round(58 / 60, 4) and made["warning"] is None and made["imported"]
    again = Workspace.open(ws.path)
    detector = detectors.load(again, "probabilities")
    assert (detector.family, detector.uses_val) == ("held-out", False)
    assert detector.scores[[3, 10]] == pytest.approx([0.9, 0.9]) and detector.scores[0] == pytest.approx(0.2)
    assert detector.suggestion.tolist() == true.tolist()
    kept = np.load(again.folder("detectors/probabilities") / "probabilities.npy")
    np.testing.assert_allclose(kept, soft(true))
    detectors.build_detectors(again, ["knn-moco", "combined"])
    assert "probabilities" in Workspace.open(ws.path).manifest["parts"]["detectors/combined"]["members"]


def test_of_several_models_the_mean(ws, true):
    imported.import_probabilities(ws, "probabilities", predictions(soft(true, 0.8), soft(true, 0.6)))
    detector = detectors.load(Workspace.open(ws.path), "probabilities")
    assert detector.scores[0] == pytest.approx(0.3) and "the mean of 2 models" in detector.description


def test_what_was_imported_is_replaced_and_removed(ws, true):
    imported.import_probabilities(ws, "mine", predictions(soft(true)))
    before = Workspace.open(ws.path).manifest["parts"]["detectors/mine"]["digest"]
    imported.import_probabilities(Workspace.open(ws.path), "mine", predictions(soft(true, 0.7)))
    again = Workspace.open(ws.path)
    assert again.manifest["parts"]["detectors/mine"]["digest"] != before
    again.remove_part("detectors/mine")
    assert "mine" not in detectors.names(Workspace.open(ws.path)) and not (ws.path / "detectors/mine").exists()


def test_models_that_saw_the_images_are_warned_of(ws):
    made = imported.import_probabilities(ws, "p", predictions(soft(ws.train_labels)))
    assert (
        "agree with 100.0% of the given labels: perhaps the models were trained on these very images" in made["warning"]
    )


def test_another_order_is_refused(ws, true):
    turned, shuffled = (true + 1) % 3, np.random.default_rng(0).permutation(true)
    for said, match in (
        (turned, "with its columns in another order"),
        (shuffled, "bring the rows in the order of the tr"),
    ):
        refused(
            f"probs.npy agrees with the given labels on .* training images.*{match}",
            lambda said=said: imported.import_probabilities(ws, "p", predictions(soft(said))),
        )
    assert not detectors.names(Workspace.open(ws.path))
    assert imported.import_probabilities(ws, "p", predictions(soft(turned)), force=True)["agreement"] < 0.1


@pytest.mark.parametrize("name", ["combined", "loss", "knn-moco", "harm-trak-10", "fold-moco"])
def test_names_of_detectors_that_are_built(ws, true, name):
    refused(f"{name} is the name of a detector that is built", lambda: imported.check_name(ws, name))


def test_other_names_that_cannot_be(ws, true):
    for name in ("", "A b", "../x"):
        refused("cannot be a name", lambda name=name: imported.check_name(ws, name))
    refused("which cannot be replaced", lambda: imported.check_name(Workspace.open(), "loss"))


def test_issues_become_a_detector(ws):
    scores = np.zeros(60)
    scores[[3, 5]] = 1, 0.5
    suggestion = ws.train_labels.copy()
    suggestion[3] = 0
    made = imported.import_issues(ws, "issues", Issues("cleanlab", scores, suggestion, 60, 2))
    assert (made["listed"], made["flagged"], made["tool"]) == (60, 2, "cleanlab")
    detector = detectors.load(Workspace.open(ws.path), "issues")
    assert detector.family == "imported" and detector.description == "issues found by cleanlab"
    assert detector.scores.argmax() == 3 and detector.suggestion[3] == 0
    imported.import_issues(Workspace.open(ws.path), "issues", Issues("FiftyOne", scores, None, 2, None))
    assert detectors.load(Workspace.open(ws.path), "issues").suggestion is None


def test_a_damaged_one_is_to_be_imported_again(ws, true):
    imported.import_probabilities(ws, "p", predictions(soft(true)))
    np.save(ws.path / "detectors/p/scores.npy", np.full(60, np.nan, np.float32))
    refused("import its file again", lambda: detectors.load(Workspace.open(ws.path), "p"))
