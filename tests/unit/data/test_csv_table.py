import numpy as np
import pandas as pd
import pytest

from attribution import data
from attribution.data import csv_table
from attribution.errors import UserError
from tests.conftest import fuzz_times
from tests.unit.data.test_image_folder import put


@pytest.fixture
def folder(tmp_path):
    """20 pictures, img/0.png and so on, each full of its number."""
    for value in range(20):
        put(tmp_path / f"img/{value}.png", value)
    return tmp_path


def write(file, text, encoding="utf-8"):
    file.write_bytes(text.encode(encoding))
    return file


def rows(form="img/{0}.png,{1}", n=20, labels=("cat", "dog")):
    return "".join(form.format(i, labels[i % len(labels)], "val" if i % 5 == 4 else "train") + "\n" for i in range(n))


def values(split):
    return np.asarray(split.images)[:, 0, 0].tolist()


@pytest.mark.parametrize(
    "text, encoding",
    [
        ("path,label\n" + rows(), "utf-8"),
        ("Image Path;Class\n" + rows("img/{0}.png;{1}"), "utf-8-sig"),
        ("label\tFILENAME\n" + rows("{1}\timg/{0}.png"), "utf-8"),
        ("label\tfile_name\n" + rows("{1}\timg/{0}.png"), "utf-16"),
        ("n,filepath,x,category\n" + rows('{0},"img/{0}.png",,"{1}"'), "utf-8"),
        (",\n\npath,label,\n" + rows("img/{0}.png,{1},\n,,"), "utf-8"),
        ("sep=;\r\nimg;target\r\n" + rows("./img/{0}.png ; {1}").replace("\n", "\r\n"), "utf-8"),
        ("path,label\n" + rows("img\\{0}.png,{1}"), "utf-8"),
        ("id,breed\n" + rows("img/{0},{1}"), "utf-8"),
        (rows(), "utf-8"),  # without a header
        (rows("{1};img/{0}.png"), "utf-8"),
        ("path,label\n" + rows().rstrip(), "utf-8"),
    ],
)
def test_tables_as_people_write_them(folder, text, encoding):
    write(folder / "labels.csv", text, encoding)
    for root in (folder, folder / "labels.csv"):
        found = csv_table.load(root)
        assert found.classes == ["cat", "dog"] and found.name == folder.name
        assert len(found.val.labels) == 2 and found.skipped == found.notes == ()
        for split in (found.train, found.val):
            assert values(split) == split.index.tolist() and split.labels.tolist() == [i % 2 for i in split.index]
            again = data.reopen_images(split.source, found.root, pd.DataFrame(split.locations))
            assert np.asarray(again)[:, 0, 0].tolist() == values(split)


def test_a_column_of_splits(folder):
    write(folder / "all.csv", "path,label,Split\n" + rows("img/{0}.png,{1},{2}"))
    found = csv_table.load(folder)
    assert values(found.val) == [4, 9, 14, 19] and len(found.train.labels) == 16 and found.train.index.max() == 18
    text = "path,label,fold\n" + rows("img/{0}.png,{1},{2}").replace("val", "Testing").replace(
        "5.png,dog,train", "5.png,,?"
    )
    write(folder / "all.csv", text)
    found = csv_table.load(folder)
    assert found.train.index.tolist() == [i for i in range(20) if i not in (4, 5, 9, 14, 15, 19)]  # rows of the table
    assert len(found.val.labels) == 4 and found.skipped == (
        "2 rows of the split ? (neither training nor validation images)",
    )
    write(folder / "all.csv", "path,label,fold\n" + rows("img/{0}.png,{1},{0}"))
    with pytest.raises(UserError, match="holds 0, 1, 2, 3, 4, 5 and 14 more, and none is called train; write train"):
        csv_table.load(folder)
    with pytest.raises(UserError, match="leave out --val-share"):
        write(folder / "all.csv", "path,label,fold\n" + rows("img/{0}.png,{1},{2}"))
        csv_table.load(folder, val_share=0.2)


def test_tables_that_are_called_as_splits(folder):
    write(folder / "train.csv", "path,label\n" + rows(n=10))
    write(folder / "test.csv", "path\nimg/19.png\n")
    write(folder / "sample_submission.csv", "id,label\n19,cat\n")
    found = csv_table.load(folder, val_share=0.4)
    assert len(found.train.labels) == 6 and len(found.skipped) == 2
    write(folder / "valid.csv", "image;class\nimg/19.png;dog\n")
    found = csv_table.load(folder)
    assert values(found.train) == list(range(10)) and values(found.val) == [19] and found.val.labels.tolist() == [1]
    write(folder / "more.csv", "path,label\n" + rows())
    assert len(csv_table.load(folder).skipped) == 3
    (folder / "train.csv").unlink()
    with pytest.raises(UserError, match="has several tables, more.csv, sample_submission.csv, .*name the one"):
        csv_table.load(folder)


def test_numbers_are_labels_too(folder):
    write(folder / "a.csv", "path,label\n" + rows(labels=("0", "2")))
    assert csv_table.load(folder).classes == ["0", "1", "2"]
    write(folder / "a.csv", "path,label\n" + rows(labels=("3.0", "10.0")))
    assert csv_table.load(folder).classes == ["3", "10"]


def test_files_that_are_missing(folder):
    write(folder / "a.csv", "path,label\n" + rows() + "img/none.png,cat\nimg/20.png,dog\n")
    with pytest.raises(UserError, match=r"2 of 22 images cannot be read: img/none.png \(is not there, or no file\)"):
        csv_table.load(folder)
    found = csv_table.load(folder, skip_corrupt=True)
    assert len(found.train.labels) + len(found.val.labels) == 20 and len(found.skipped) == 2
    write(folder / "a.csv", "path,label\n" + rows("photos/{0}.png,{1}"))
    with pytest.raises(UserError, match="none of the 20 files that .* is there, photos/0.png the first; write paths"):
        csv_table.load(folder, skip_corrupt=True)


def test_files_outside_are_read_only_by_leave(folder):
    (folder / "tables").mkdir()
    table = write(folder / "tables/a.csv", "path,label\n" + rows("../img/{0}.png,{1}"))
    for text in (rows("../img/{0}.png,{1}"), rows(str(folder) + "/img/{0}.png,{1}")):
        write(table, "path,label\n" + text)
        with pytest.raises(UserError, match="names images outside .*/tables .* and 17 more.; .*--follow-links"):
            csv_table.load(table)
        found = csv_table.load(table, follow_links=True)
        assert found.root == folder and found.train.locations["file"][0] == "img/0.png"
        again = data.reopen_images(found.train.source, found.root, pd.DataFrame(found.train.locations))
        assert np.asarray(again)[:, 0, 0].tolist() == found.train.index.tolist()
    write(folder / "b.csv", "path,label\n" + rows(str(folder) + "/img/{0}.png,{1}"))
    assert csv_table.load(folder / "b.csv").root == folder  # absolute, and inside


def test_links_that_lead_outside_are_read_only_by_leave(folder):
    (folder / "set").mkdir()
    for i in range(20):
        (folder / f"set/{i}.png").symlink_to(folder / f"img/{i}.png")
    write(folder / "set/a.csv", "path,label\n" + rows("{0}.png,{1}"))
    with pytest.raises(UserError, match=r"0.png \(leads out of the data set's folder; --follow-links allows that\)"):
        csv_table.load(folder / "set")
    found = csv_table.load(folder / "set", follow_links=True)
    assert found.root == folder / "set" and found.train.source["links"] is True
    assert values(found.train) == found.train.index.tolist()
    again = data.reopen_images(found.train.source, found.root, pd.DataFrame(found.train.locations))
    assert np.asarray(again)[:, 0, 0].tolist() == values(found.train)
    with pytest.raises(UserError, match="leads out"):
        refused = {key: value for key, value in found.train.source.items() if key != "links"}
        data.reopen_images(refused, found.root, pd.DataFrame(found.train.locations))[0]
    with pytest.raises(UserError, match="leads out"):
        locations = pd.DataFrame({"file": ["../img/0.png"], "number": [0]})
        data.reopen_images(found.train.source, found.root, locations)[0]


def test_images_that_are_named_twice(folder):
    write(folder / "a.csv", "path,label\n" + rows() + "./img/3.png,dog\n")
    assert csv_table.load(folder).skipped == ("1 rows that name an image again",)
    write(folder / "a.csv", "path,label\n" + rows() + "img/3.png,cat\n")
    with pytest.raises(UserError, match="names img/3.png twice, in lines 5 and 22, with another label or split"):
        csv_table.load(folder)


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "no column of paths among nothing; call the columns path"),
        (b"\n\n,,\n", "no column of paths among nothing"),
        (b"path,label\n", "names no images"),
        (b"path,x\nimg/0.png,1\n", "no column of labels among path, x; call"),
        (b"a;b\n1;2\n", "no column of paths among a, b"),
        (b"path,label\n,cat\n", "line 2 of .*a.csv has no path"),
        (b"path,label\n\nimg/0.png,cat\nimg/1.png\n", "1 of 2 labels are missing in .*a.csv, the first of line 4"),
        (b'path,label\n"img/0.png,cat\n', "cannot be read as CSV .*unexpected end of data"),
        (b"path,label\nimg/0.png,c\0t\n", "no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "no text in UTF-8"),
        (b"path,label\n" + b"x" * 200_000 + b",1\n", "cannot be read as CSV .field larger than"),
        (b"path," * 20_000, "first line of 100,000 letters"),
    ],
)
def test_what_is_no_such_table_is_refused_in_a_sentence(folder, content, why):
    (folder / "a.csv").write_bytes(content)
    with pytest.raises(UserError, match=why) as raised:
        csv_table.load(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_without_a_table(folder):
    with pytest.raises(UserError, match=r"no table in .*, \*\.csv or \*\.tsv; name the file"):
        csv_table.load(folder)


def test_letters_of_windows_are_read_and_said(folder):
    write(folder / "a.csv", "path,label\n" + rows(labels=("Käse", "dog")), "cp1252")
    found = csv_table.load(folder)
    assert found.classes == ["Käse", "dog"] and found.notes == ("a.csv is no UTF-8 and was read as Windows-1252",)


def test_broken_tables_are_sentences(folder):
    rng = np.random.default_rng(0)
    good = ("path,label,split\n" + rows("img/{0}.png,{1},{2}")).encode()
    for _ in range(fuzz_times(60)):
        content = bytearray(good)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(0, 256)
        (folder / "a.csv").write_bytes(content[: rng.integers(1, len(content))])
        try:
            csv_table.load(folder)
        except UserError as error:
            assert "\n" not in str(error)
