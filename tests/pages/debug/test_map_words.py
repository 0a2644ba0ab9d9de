"""The points as a table."""

import csv
import io

import pytest

from attribution.features import projection
from pages.debug import map_words as words


def test_the_table_behind_it(drawn):
    found = projection.load(drawn, "moco")
    rows = list(csv.DictReader(io.StringIO(words.to_csv(drawn, found))))
    assert len(rows) == 72 and rows[3] | {"x": "", "y": ""} == {
        "features": "moco",
        "method": "pca",
        "split": "train",
        "image": "3",
        "label": "Dot",
        "x": "",
        "y": "",
    }
    assert float(rows[60]["x"]) == pytest.approx(float(found.val[0, 0]), abs=1e-4)
