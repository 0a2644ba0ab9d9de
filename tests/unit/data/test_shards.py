import pytest

from attribution.data.shards import find_shards
from attribution.errors import UserError


@pytest.mark.parametrize(
    "files, train, val, left_out",
    [
        (["a.tar"], ["a.tar"], [], []),
        (["0.tar", "1.tar"], ["0.tar", "1.tar"], [], []),
        (["train-1.tar", "train-2.tar", "val-1.tar", "x.csv"], ["train-1.tar", "train-2.tar"], [["val-1.tar"]], []),
        (["train/0.tar", "val/0.tar", "test/0.tar"], ["train/0.tar"], [["val/0.tar"], ["test/0.tar"]], []),
        (["train.tar", "extra.tar", ".hidden/x.tar"], ["train.tar"], [], ["extra.tar"]),
    ],
)
def test_by_their_names_and_folders(tmp_path, files, train, val, left_out):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    found = find_shards(tmp_path, ".tar")
    assert found[:2] == (train, val) and [line.split()[0] for line in found[2]] == left_out
    assert find_shards(tmp_path / files[0], ".tar") == ([files[0].rpartition("/")[2]], [], [])


def test_what_leaves_it_open(tmp_path):
    with pytest.raises(UserError, match=r"there are no \.tar files in"):
        find_shards(tmp_path, ".tar")
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.tar").touch()
    with pytest.raises(UserError, match="several data sets .a, b.; name the folder of one"):
        find_shards(tmp_path, ".tar")
