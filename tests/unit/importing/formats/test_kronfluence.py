"""kronfluence's folders: several of them, modules, partitions that are missing, subsets, and the sign to be said."""

import json
import shutil

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import Declaration
from attribution.importing.formats.kronfluence import load, sniff
from tests import golden


@pytest.fixture
def home(tmp_path):
    shutil.copytree(golden.FOLDER / "kronfluence", tmp_path / "tiny")
    return tmp_path / "tiny"


def bring(path, **declared):
    return load(path, Declaration(**{"sign": "helpful", **declared}), golden.sizes())


def change(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_sign_has_to_be_said(home):
    with pytest.raises(UserError, match="depends on the measurement .helpful for a loss.*; say --sign"):
        bring(home / "scores_whole", sign=None)
    assert np.array_equal(
        bring(home / "scores_whole", sign="harmful").read_scores(0, 6), -bring(home / "scores_whole").read_scores(0, 6)
    )


def test_one_of_several(home):
    with pytest.raises(UserError, match="several scores; say --part with one of modules, parts, some, whole"):
        bring(home)
    assert np.array_equal(bring(home, part="parts").read_scores(0, 6), bring(home / "scores_parts").read_scores(0, 6))
    assert len(bring(home, part="modules/0").read_scores(0, 6)) == 6
    for name in ("parts", "some", "whole"):
        shutil.rmtree(home / f"scores_{name}")
    assert np.array_equal(
        bring(home, part="0").read_scores(0, 6), bring(home / "scores_modules", part="0").read_scores(0, 6)
    )


def test_the_output_dir_itself(home, tmp_path):
    """It holds a folder an analysis, and those the scores."""
    whole = bring(home / "scores_whole").read_scores(0, 6)
    assert sniff(tmp_path) and np.array_equal(bring(tmp_path, part="whole").read_scores(0, 6), whole)
    shutil.copytree(home, tmp_path / "second")
    with pytest.raises(
        UserError, match="several scores; say --part with one of second/modules, second/parts, .* tiny/"
    ):
        bring(tmp_path)
    assert np.array_equal(bring(tmp_path, part="second/whole").read_scores(0, 6), whole)
    one = bring(home / "scores_modules", part="0").read_scores(0, 6)
    assert np.array_equal(bring(tmp_path, part="tiny/modules/0").read_scores(0, 6), one)
    shutil.rmtree(home)
    for name in ("modules", "parts", "some"):
        shutil.rmtree(tmp_path / "second" / f"scores_{name}")
    assert np.array_equal(bring(tmp_path).read_scores(0, 6), whole)


def test_some_of_the_targets(home, tmp_path):
    np.save(tmp_path / "targets.npy", np.array([4, 1]))
    some = bring(home / "scores_whole", targets=tmp_path / "targets.npy")
    assert some.targets.tolist() == [1, 4]
    assert np.array_equal(some.read_scores(0, 2), bring(home / "scores_whole").read_scores(0, 6)[[1, 4]])


def test_modules_add_up(home):
    folder = home / "scores_modules"
    one, two = (bring(folder, part=name).read_scores(0, 6) for name in ("0", "2"))
    assert np.array_equal(bring(folder).read_scores(0, 6), one + two) and not np.array_equal(one, two)
    assert bring(folder).provenance["modules"] == "added: 0, 2"
    with pytest.raises(UserError, match="no module 'fc'; leave --part out for all, or name one of 0, 2"):
        bring(folder, part="fc")


def test_partitions_are_the_whole(home):
    """Partitions add in another order than the library did, so that the last bits may differ."""
    whole, parts = (bring(home / f"scores_{name}").read_scores(0, 6) for name in ("whole", "parts"))
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4 * np.abs(whole).max())


def test_partitions_that_are_missing(home):
    folder = home / "scores_parts"
    (folder / "pairwise_scores_data_partition1_module_partition1.safetensors").unlink()
    with pytest.raises(UserError, match="has 3 of 4 partitions; compute or copy the others"):
        bring(folder)
    (folder / "pairwise_scores_data_partition1_module_partition0.safetensors").unlink()
    with pytest.raises(UserError, match="has 2 of 4 partitions"):
        bring(folder)
    (folder / "score_arguments.json").unlink()
    with pytest.raises(UserError, match="is 6 x 12, and 6 x 24 is expected"):
        bring(folder)


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"dataset_size": 23}, "says 23 images, and there are 24; bring the scores of this data set"),
        ({"indices": [0, 24]}, "the number 24"),
        ({"indices": [1, 1]}, "twice"),
        ({"indices": [0.5]}, "no list of whole"),
        ({"indices": [1 << 70]}, "no list of whole"),
        ({"indices": {}}, "no list of whole"),
        ({"indices": []}, "no list"),
        ({"indices": [0, 1]}, "6 x 24, and 6 x 2 is expected"),
    ],
)
def test_another_data_set(home, changes, why):
    change(home / "scores_whole" / "train_dataset_metadata.json", **changes)
    with pytest.raises(UserError, match=why):
        bring(home / "scores_whole")


def test_a_subset_of_what_is_declared(home):
    """The data set was 23 images, of which kronfluence was asked about 8."""
    folder = home / "scores_some"
    change(folder / "train_dataset_metadata.json", dataset_size=23, indices=[7, 6, 5, 4, 3, 2, 1, 22])
    np.save(home / "ids.npy", np.arange(1, 24))
    incoming = bring(folder, train=home / "ids.npy")
    assert incoming.train.tolist() == [8, 7, 6, 5, 4, 3, 2, 23] and incoming.targets.tolist() == [5, 0, 3]


def test_what_is_no_such_folder(home, tmp_path):
    assert sniff(home) and sniff(home / "scores_parts") and not sniff(tmp_path.parent)
    with pytest.raises(UserError, match="has no pairwise scores"):
        bring(tmp_path.parent)
    with pytest.raises(UserError, match="is no file of kronfluence's"):
        bring(home / "scores_whole" / "score_arguments.json")
    assert np.array_equal(
        bring(home / "scores_whole" / "pairwise_scores.safetensors").read_scores(0, 6),
        bring(home / "scores_whole").read_scores(0, 6),
    )
