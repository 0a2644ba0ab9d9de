"""Predictions of a network trained elsewhere: every file it may come in, and one sentence for each that cannot be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from attribution import UserError
from attribution.importing.formats.predictions import ImageNames, load_predictions

CLASSES = ["Bar", "Box <b>", "Dot"]
N = 8
FILES = [f"val/{'Bar' if i % 2 else 'Dot'}/{i:03}.png" for i in range(N)]
NUMBERED = ImageNames("validation", np.arange(N) + 2000, None)
NAMED = ImageNames("validation", np.arange(N) + 2000, FILES)


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(size=(N, 3)).astype(np.float32)


@pytest.fixture
def probabilities(logits):
    whole = np.exp(logits)
    return whole / whole.sum(1, keepdims=True)


def save(path: Path, array) -> Path:
    if path.suffix == ".npz":
        np.savez(path, predictions=array)
    elif path.suffix == ".pt":
        import torch

        torch.save(torch.as_tensor(array), path)
    else:
        np.save(path, array)
    return path


def refused(paths, kind, match, images=NUMBERED):
    with pytest.raises(UserError, match=match) as error:
        load_predictions(paths if isinstance(paths, list) else [paths], kind, images, CLASSES)
    assert len(str(error.value).splitlines()) == 1 and not str(error.value).endswith(".")


@pytest.mark.parametrize("end", ["npy", "npz", "pt"])
def test_an_array_of_logits_becomes_probabilities(tmp_path, logits, probabilities, end):
    read = load_predictions([save(tmp_path / f"a.{end}", logits)], "logits", NUMBERED, CLASSES)
    assert read.probabilities.dtype == np.float32 and read.files == [f"a.{end}"] and not read.matched
    np.testing.assert_allclose(read.probabilities[0], probabilities, atol=1e-6)


@pytest.mark.parametrize("end", ["npy", "npz", "pt"])
def test_one_file_may_hold_several_networks(tmp_path, probabilities, end):
    file = save(tmp_path / f"a.{end}", np.stack([probabilities, probabilities[:, ::-1]]))
    read = load_predictions([file, save(tmp_path / "b.npy", probabilities)], "probabilities", NUMBERED, CLASSES)
    assert read.probabilities.shape == (3, N, 3) and read.files == [f"a.{end}", f"a.{end}", "b.npy"]
    np.testing.assert_allclose(read.probabilities[1], probabilities[:, ::-1], atol=1e-6)


def test_of_several_arrays_the_one_called_as_its_kind(tmp_path, logits, probabilities):
    np.savez(tmp_path / "a.npz", logits=logits, embeddings=np.zeros((N, 7)))
    read = load_predictions([tmp_path / "a.npz"], "logits", NUMBERED, CLASSES)
    np.testing.assert_allclose(read.probabilities[0], probabilities, atol=1e-6)
    refused(tmp_path / "a.npz", "probabilities", "has several arrays, embeddings, logits")


def test_logits_may_be_large(tmp_path):
    values = np.full((N, 3), -1e4, np.float32)
    values[:, 0] = 1e4
    read = load_predictions([save(tmp_path / "a.npy", values)], "logits", NUMBERED, CLASSES)
    assert (read.probabilities[0, :, 0] == 1).all() and np.isfinite(read.probabilities).all()


def test_half_precision_adds_up_well_enough(tmp_path, probabilities):
    load_predictions([save(tmp_path / "a.npy", probabilities.astype(np.float16))], "probabilities", NUMBERED, CLASSES)


@pytest.mark.parametrize("end", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("columns", ["names", "numbers", "class_"])
def test_a_table_in_any_order_of_rows_and_columns(tmp_path, probabilities, end, columns):
    names = {"names": CLASSES, "numbers": ["0", "1", "2"], "class_": [f"class_{i}" for i in range(3)]}[columns]
    table = pd.DataFrame(probabilities, columns=names)[names[::-1]]
    table["image"] = np.arange(N)
    table["seconds"] = 0.5
    file = write(table.sample(frac=1, random_state=1), tmp_path / f"a.{end}")
    read = load_predictions([file], "probabilities", NUMBERED, CLASSES)
    assert read.matched
    np.testing.assert_allclose(read.probabilities[0], probabilities, atol=1e-6)


@pytest.mark.parametrize("key", ["path", "stem", "absolute", "source_index"])
def test_a_table_names_images_by_file_or_source_index(tmp_path, probabilities, key):
    table = pd.DataFrame(probabilities, columns=CLASSES)
    if key == "source_index":
        table["source_index"] = NAMED.source_index
    else:
        table["file"] = {
            "path": FILES,
            "stem": [name.rpartition("/")[2] for name in FILES],
            "absolute": [f"/data/{name}" for name in FILES],
        }[key]
    file = write(table.sample(frac=1, random_state=2), tmp_path / "a.csv")
    read = load_predictions([file], "probabilities", NAMED, CLASSES)
    np.testing.assert_allclose(read.probabilities[0], probabilities, atol=1e-6)


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def test_a_table_of_a_spreadsheet_with_decimal_commas(tmp_path, logits):
    table = pd.DataFrame(logits.round(3).astype(np.float64), columns=CLASSES).assign(image=np.arange(N))
    table.loc[0, CLASSES] = [1, 2, 3]  # a row without a fraction
    for decimal in ",.":
        table.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=decimal)
        read = load_predictions([tmp_path / "a.csv"], "logits", NUMBERED, CLASSES)
        np.testing.assert_allclose(read.probabilities[0], softmax(table[CLASSES].to_numpy(), 1), atol=1e-6)


def test_commas_that_may_stand_for_thousands_are_refused(tmp_path):
    for mark, end in ((",", "csv"), ("\t", "tsv")):
        rows = [mark.join(["image", *CLASSES]), *(mark.join([str(i), '"1,234"', "2", "3"]) for i in range(N))]
        (tmp_path / f"a.{end}").write_text("\n".join(rows))
        refused(tmp_path / f"a.{end}", "logits", "cannot be read as a table")
    (tmp_path / "a.csv").write_text("\n".join([";".join(["image", *CLASSES]), *(f"{i};1,2;3.4;5" for i in range(N))]))
    refused(tmp_path / "a.csv", "logits", "cannot be read as a table")


# -- what is refused


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: p[:-1], "is 7 x 3, and 8 validation images x 3 classes are expected; bring one row"),
        (lambda p: p[:, :2], "is 8 x 2, and .* bring a number for each of the classes Bar"),
        (lambda p: p.T, "it looks transposed"),
        (lambda p: p.argmax(1), "one number an image is no prediction of all classes"),
        (lambda p: p[None, None], "is 1 x 1 x 8 x 3"),
        (lambda p: np.where(np.arange(N)[:, None] == 3, np.nan, p), "NaN or infinite values, the first for .* image 3"),
        (lambda p: np.where(np.arange(N)[:, None] == 3, np.inf, p), "NaN or infinite values"),
        (lambda p: p * 0.9, "of validation image 0 in .* add up to 0.9 and not to 1"),
        (lambda p: p - 0.3, "values beyond 0 to 1"),
        (lambda p: p * 10, "values beyond 0 to 1, .* say --kind logits"),
        (lambda p: p.astype(str), "holds <U.* and not numbers"),
        (lambda p: p[None][:0], "is 0 x 8 x 3"),
    ],
)
def test_an_array_that_cannot_be(tmp_path, probabilities, change, match):
    refused(save(tmp_path / "a.npy", change(probabilities)), "probabilities", match)


def test_probabilities_that_are_called_logits(tmp_path, probabilities):
    refused(save(tmp_path / "a.npy", probabilities), "logits", "are probabilities: they add up to 1; say --kind")


def test_an_unknown_kind(tmp_path, probabilities):
    refused(save(tmp_path / "a.npy", probabilities), "scores", "kind 'scores' is not known; say logits or probab")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda t: t.drop(columns="image"), "does not say which row is of which image"),
        (lambda t: t.drop(columns="Dot"), "has no column for the class 'Dot'"),
        (lambda t: t.iloc[:-1], "has 7 rows, and there are 8"),
        (lambda t: pd.concat([t, t.iloc[:1]]), "has 9 rows, and there are 8"),
        (lambda t: pd.concat([t.iloc[:-1], t.iloc[:1]]), "has validation image 0 twice"),
        (lambda t: t.assign(image=t.image + 1), "has the number 8 in its column image, which is none of"),
        (lambda t: t.assign(image=[f"{i}.png" for i in t.image]), "the images here have no file names"),
        (lambda t: t.assign(Bar="x"), "cannot be read as a table|holds no numbers"),
        (lambda t: t.assign(Bar=[None, *t.Bar[1:]]), "NaN or infinite|holds no numbers, or has gaps"),
        (lambda t: t.assign(image=None), "cannot be read|no file names|none of"),
    ],
)
@pytest.mark.parametrize("end", ["csv", "parquet"])
def test_a_table_that_cannot_be(tmp_path, probabilities, change, match, end):
    table = pd.DataFrame(probabilities, columns=CLASSES).assign(image=np.arange(N))
    refused(write(change(table), tmp_path / f"a.{end}"), "probabilities", match)


def test_a_file_name_that_is_no_image(tmp_path, probabilities):
    table = pd.DataFrame(probabilities, columns=CLASSES).assign(file=[*FILES[:-1], "val/Bar/none.png"])
    refused(write(table, tmp_path / "a.csv"), "probabilities", "names 'val/Bar/none.png' in line 9", NAMED)


def test_a_column_twice(tmp_path):
    (tmp_path / "a.csv").write_text("image,Bar,Bar,Dot\n")
    refused(tmp_path / "a.csv", "probabilities", "has the column 'Bar' twice")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet", "a.npy", "a.npz", "a.pt", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\3\4" + b"\xff" * 60, b"image,\xff\xfe\n", b"a,b\n1\n"])
def test_damaged_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, "probabilities", r"a\.")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npy", "a.npz"])
def test_no_file(tmp_path, name):
    refused(tmp_path / name, "probabilities", "cannot be opened")
    (tmp_path / name).mkdir()
    refused(tmp_path / name, "probabilities", "is a folder where a file is expected")


def test_nothing_of_a_pickle_is_run(tmp_path):
    import pickle

    class Canary:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sung",))

    (tmp_path / "a.npy").write_bytes(pickle.dumps(Canary()))
    np.savez(tmp_path / "a.npz", np.array([Canary()], dtype=object))
    for name in ("a.npy", "a.npz"):
        refused(tmp_path / name, "logits", name)
    assert not (tmp_path / "sung").exists()
