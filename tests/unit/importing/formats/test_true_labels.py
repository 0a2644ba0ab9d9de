"""True labels of the training images, from arrays and tables."""

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.importing.formats.predictions import ImageNames
from attribution.importing.formats.true_labels import load_true_labels

CLASSES = ["Bar", "Box", "Dot"]
TRUE = np.array([0, 2, 1, 0])
IMAGES = ImageNames("training", np.arange(4), None)


def refused(path, match):
    with pytest.raises(UserError, match=match) as error:
        load_true_labels(path, IMAGES, CLASSES)
    assert len(str(error.value).splitlines()) == 1 and not str(error.value).endswith(".")


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float32])
def test_an_array(tmp_path, dtype):
    np.save(tmp_path / "a.npy", TRUE.astype(dtype))
    labels, named = load_true_labels(tmp_path / "a.npy", IMAGES, CLASSES)
    assert labels.dtype == np.int64 and labels.tolist() == TRUE.tolist() and not named


@pytest.mark.parametrize("end", ["csv", "parquet"])
@pytest.mark.parametrize("column", ["label", "true_label", "original"])
def test_a_table(tmp_path, end, column):
    frame = pd.DataFrame({"image": [3, 2, 1, 0], column: [CLASSES[label] for label in TRUE[::-1]]})
    (frame.to_csv if end == "csv" else frame.to_parquet)(tmp_path / f"a.{end}", index=False)
    labels, named = load_true_labels(tmp_path / f"a.{end}", IMAGES, CLASSES)
    assert labels.tolist() == TRUE.tolist() and named


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (TRUE[:3], "is 3, and 4 true labels are expected"),
        (np.eye(3)[TRUE], "is 4 x 3, and 4 true labels are expected"),
        (TRUE + 1, "seem to be numbered from 1; number them from 0 to 2"),
        (TRUE + 5, "has the class 7, and classes are 0 to 2"),
        (TRUE - 1, "has the class -1"),
        (TRUE + 0.5, "no whole numbers"),
        (np.array([0, np.nan, 1, 1]), "no whole numbers"),
        (np.array(["Bar"] * 4), "and not numbers"),
    ],
)
def test_arrays_that_cannot_be(tmp_path, values, match):
    np.save(tmp_path / "a.npy", values)
    refused(tmp_path / "a.npy", match)


def test_tables_that_cannot_be(tmp_path):
    file = tmp_path / "a.csv"
    for text, match in (
        ("image,score\n0,1\n", "has no column with the true labels"),
        ("image,label\n0,Bar\n1,Bar\n", "has 2 rows, and there are 4 training images"),
        ("image,label\n0,Bar\n1,\n2,Bar\n3,Bar\n", "has no class for training image 1"),
        ("image,label\n0,Cat\n1,Bar\n2,Bar\n3,Bar\n", "has the class 'Cat' for training image 0"),
    ):
        file.write_text(text)
        refused(file, match)
    np.savez(tmp_path / "a.npz", a=TRUE, b=TRUE)
    refused(tmp_path / "a.npz", "has several arrays, a, b")
