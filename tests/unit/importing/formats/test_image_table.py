"""Tables with a row an image: every kind of file, every way to name an image, and one sentence for what cannot be."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.importing.formats.image_table import load_table
from attribution.importing.formats.predictions import ImageNames

CLASSES = ["Bar", "Box <b>", "7"]
N = 4
FILES = [f"train/Bar/{i}.png" for i in range(N)]
NUMBERED = ImageNames("training", np.arange(N) + 1000, None)
NAMED = ImageNames("training", np.arange(N) + 1000, FILES)
WANTED = ("score", "label", "predictions.label")


def written(path, frame, **more):
    (frame.to_parquet if path.suffix == ".parquet" else frame.to_csv)(path, **more)
    return path


def refused(path, match, images=NUMBERED):
    with pytest.raises(UserError, match=match) as error:
        load_table(path, images, WANTED)
    assert len(str(error.value).splitlines()) == 1 and not str(error.value).endswith(".")


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_rows_in_any_order(tmp_path, end):
    frame = pd.DataFrame({"image": [2, 0], "score": [0.5, 1], "other": ["a", "b"]})
    table = load_table(written(tmp_path / f"a.{end}", frame), NUMBERED, WANTED)
    assert table.images.tolist() == [2, 0] and table.named and set(table.columns) == {"score"}
    assert table.numbers("score").tolist() == [0.5, 1] and table.first(("label", "score")) == "score"


@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_the_index_that_pandas_writes_names_the_image(tmp_path, end):
    frame = pd.DataFrame({"score": [0.5, 1]}, index=[3, 1])
    assert load_table(written(tmp_path / f"a.{end}", frame), NUMBERED, WANTED).images.tolist() == [3, 1]


def test_all_images_in_their_order_need_no_name(tmp_path):
    whole = pd.DataFrame({"score": np.arange(N)})
    table = load_table(written(tmp_path / "a.csv", whole, index=False), NUMBERED, WANTED)
    assert table.images.tolist() == [0, 1, 2, 3] and not table.named
    refused(written(tmp_path / "a.csv", whole[:3], index=False), "3 rows, does not say which .* add a column `image`")


def test_samples_of_fiftyone(tmp_path):
    samples = [
        {"filepath": f"/data/{FILES[i]}", "tags": [], "score": i / 4, "predictions": {"label": "Bar", "logits": [1, 2]}}
        for i in (3, 1)
    ]
    samples[1]["predictions"] = None
    for content in ({"samples": samples}, samples):
        (tmp_path / "samples.json").write_text(json.dumps(content))
        table = load_table(tmp_path / "samples.json", NAMED, WANTED)
        assert table.images.tolist() == [3, 1] and table.numbers("score").tolist() == [0.75, 0.25]
        assert table.classes("predictions.label", CLASSES).tolist() == [0, -1]


def test_classes_by_name_and_by_number(tmp_path):
    frame = pd.DataFrame({"label": ["7", "0", "Box <b>", None]})
    table = load_table(written(tmp_path / "a.csv", frame), NUMBERED, WANTED)
    assert table.classes("label", CLASSES).tolist() == [2, 0, 1, -1], "a name goes before a number"
    numbers = load_table(written(tmp_path / "a.csv", pd.DataFrame({"label": [2.0, 0, 1, None]})), NUMBERED, WANTED)
    assert numbers.classes("label", CLASSES).tolist() == [2, 0, 1, -1]
    for wrong in ("Cat", "3", "-1", "1.5"):
        frame = pd.DataFrame({"label": [wrong, "0", "0", "0"]})
        table = load_table(written(tmp_path / "a.csv", frame, index=False), NUMBERED, WANTED)
        with pytest.raises(UserError, match=f"the class '{wrong}' for training image 0 .* or a number from 0 to 2"):
            table.classes("label", CLASSES)


def test_numbers_that_are_none(tmp_path):
    for wrong in (None, "high", np.inf):
        frame = pd.DataFrame({"score": [0, wrong, 1, 2]})
        table = load_table(written(tmp_path / "a.csv", frame), NUMBERED, WANTED)
        with pytest.raises(UserError, match="for training image 1 in its column score; write a number in each row"):
            table.numbers("score")


def test_files_that_cannot_be(tmp_path):
    file = tmp_path / "a.csv"
    for text, match in (
        ("", "has no rows with columns that are known"),
        ("a,b\n1,2\n", "has no rows with columns that are known"),
        ("image,score,score\n0,1,1\n", "the column 'score' twice"),
        ("image,score\n0\n", "has 1 cells in row 2 and 2 columns"),
        ("image,score\n0,1\n0,2\n", "has training image 0 twice"),
        ("image,score\n" + "0,1\n" * 5, "has more rows than there are training images, which are 4"),
        ("image,score\n" + "0,1\n" * 5, "has more rows than there are training images, which are 4"),
        ("image,score\n4,1\n", "the number 4 in its column image, which is none of the 4 training images; number them"),
        ("image,score\nx.png,1\n", "the images here have no file names"),
    ):
        file.write_text(text)
        refused(file, match)
    file.write_text("filepath,score\n/elsewhere/train/Bar/9.png,1\n")
    refused(file, "which is none of the 4 images; write paths such as", NAMED)
    file.write_bytes(b"image,score\n\xff\xfe,1\n")
    refused(file, "cannot be read as a table")
    for name, content in (("a.parquet", b"PAR1"), ("a.json", b"[" * 100_000), ("b.json", b'{"a": 1}'), ("a.xlsx", b"")):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path / name, "cannot be read|holds no list of samples|is no table")
    refused(tmp_path / "none.csv", "cannot be opened")
    refused(tmp_path / "none.json", "cannot be opened")
