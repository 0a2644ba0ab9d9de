"""Tables of label issues as cleanlab and FiftyOne write them."""

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.importing.formats.issues import load_issues
from attribution.importing.formats.predictions import ImageNames

CLASSES = ["Bar", "Box", "Dot"]
LABELS = np.array([0, 1, 2, 0])
IMAGES = ImageNames("training", np.arange(4), [f"train/{i}.png" for i in range(4)])
QUALITY = [0.9, 0.1, 0.8, 0.7]


def read(tmp_path, frame, force=False, **more):
    frame.to_csv(tmp_path / "a.csv", **more)
    return load_issues(tmp_path / "a.csv", IMAGES, LABELS, CLASSES, force)


def refused(tmp_path, frame, match, **more):
    with pytest.raises(UserError, match=match) as error:
        read(tmp_path, frame, **more)
    assert len(str(error.value).splitlines()) == 1 and not str(error.value).endswith(".")


def test_clean_learning(tmp_path):
    """As `CleanLearning.find_label_issues` returns it: classes by number, images by the table's index."""
    columns = {"is_label_issue": [False, True, False, False], "label_quality": QUALITY}
    frame = pd.DataFrame({**columns, "given_label": LABELS, "predicted_label": [0, 2, 2, 0]})
    issues = read(tmp_path, frame)
    assert (issues.tool, issues.listed, issues.flagged) == ("cleanlab", 4, 1)
    assert issues.scores == pytest.approx([0.1, 0.9, 0.2, 0.3]) and issues.suggestion.tolist() == [0, 2, 2, 0]


def test_datalab(tmp_path):
    """As `Datalab.get_issues("label")` returns it: classes by name; here of some images alone."""
    columns = {"is_label_issue": [True, True], "label_score": [0.2, 0.1]}
    names = {"given_label": ["Dot", "Box"], "predicted_label": ["Bar", "Dot"]}
    issues = read(tmp_path, pd.DataFrame({**columns, **names}, index=[2, 1]))
    assert np.argsort(-issues.scores)[:2].tolist() == [1, 2] and issues.scores[0] == issues.scores[3] < 0.8
    assert issues.suggestion.tolist() == [0, 2, 0, 0] and (issues.listed, issues.flagged) == (2, 2)


def test_flags_alone(tmp_path):
    issues = read(tmp_path, pd.DataFrame({"is_label_issue": [False, True, False, False]}))
    assert issues.scores.tolist() == [0, 1, 0, 0] and issues.suggestion is None


def test_fiftyone(tmp_path):
    frame = pd.DataFrame({"filepath": ["/a/train/3.png", "/a/train/0.png"], "mistakenness": [0.9, 0.2]})
    frame["ground_truth.label"], frame["predictions.label"] = ["Bar", "Bar"], ["Dot", None]
    issues = read(tmp_path, frame, index=False)
    assert issues.tool == "FiftyOne" and issues.flagged is None and np.argsort(-issues.scores)[:2].tolist() == [3, 0]
    assert issues.suggestion.tolist() == [0, 1, 2, 2], "the given label where it says none"


def test_what_cannot_be(tmp_path):
    refused(tmp_path, pd.DataFrame({"predicted_label": LABELS}), "does not say how suspicious an image is")
    refused(
        tmp_path, pd.DataFrame({"label_quality": [0.5, 2, 0, 0]}), "has 2 in its column label_quality, and a quality"
    )
    refused(tmp_path, pd.DataFrame({"is_label_issue": ["yes"] * 4}), "has 'yes' in its column is_label_issue")
    other = pd.DataFrame({"label_score": QUALITY, "given_label": ["Bar", "Dot", "Bar", "Bar"]})
    refused(tmp_path, other, "training image 1 was given 'Dot', and here it was given 'Box', and so of 2 images")
    assert read(tmp_path, other, force=True).listed == 4
