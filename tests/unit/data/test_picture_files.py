import numpy as np
import pandas as pd
import pytest

from attribution.data.decoding import UnreadableError
from attribution.data.picture_files import PictureFiles, add_endings, place_files, reopen_images
from attribution.errors import UserError
from tests.unit.data.test_image_folder import put


@pytest.mark.parametrize("links", [False, True])
@pytest.mark.parametrize("name", ["../secret.png", "{outside}", "a/../../secret.png", "x\0.png", "a"])
def test_a_name_never_leads_out(tmp_path, name, links):
    put(tmp_path / "secret.png")
    put(tmp_path / "root/a/1.png")
    names = np.array([name.format(outside=tmp_path / "secret.png")], object)
    with pytest.raises(UnreadableError):
        PictureFiles(tmp_path / "root", names, np.arange(1), "csv", links).read(0)


def test_links_are_followed_only_where_the_source_says_true(tmp_path):
    put(tmp_path / "elsewhere.png", 7)
    (tmp_path / "root").mkdir()
    (tmp_path / "root/link.png").symlink_to(tmp_path / "elsewhere.png")
    locations = pd.DataFrame({"file": ["link.png"], "number": [0]})
    source = {"kind": "csv", "shape": [6, 6]}
    assert (reopen_images({**source, "links": True}, tmp_path / "root", locations)[0] == 7).all()
    for more in ({}, {"links": "yes"}, {"links": 1}):
        with pytest.raises(UserError, match="leads out of the data set's folder"):
            reopen_images({**source, **more}, tmp_path / "root", locations)[0]


def test_where_the_files_of_a_table_are(tmp_path):
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    (root / "odd\\name.png").touch()
    paths = ["x.png", "./c/../y.png", "c\\z.png", "odd\\name.png", f"{root}/w.png"]
    expected = ["x.png", "y.png", "c/z.png", "odd\\name.png", "w.png"]
    assert place_files(root, paths, "t", False) == (root, expected)
    (tmp_path / "link").symlink_to(root)
    assert place_files(root, [f"{tmp_path}/link/x.png"], "t", False) == (root, ["x.png"])
    with pytest.raises(UserError, match=r"t names images outside .*b \(\.\./x.png\); write paths relative"):
        place_files(root, ["../x.png", "y.png"], "t", False)
    assert place_files(root, ["../x.png", "y.png"], "t", True) == (tmp_path / "a", ["x.png", "b/y.png"])


def test_names_without_an_ending_get_that_of_the_first(tmp_path):
    put(tmp_path / "1.png")
    assert add_endings(tmp_path, ["1", "2.5"]) == ["1.png", "2.5.png"]
    assert add_endings(tmp_path, ["1", "2.jpg"]) == ["1", "2.jpg"]
    assert add_endings(tmp_path, ["2", "1"]) == ["2", "1"] and add_endings(tmp_path, []) == []
