"""traker's folders: experiments that are chosen, not finalised, missing, or lead out of the folder."""

import json
import shutil

import numpy as np
import pytest

from attribution import UserError
from attribution.importing.formats import Declaration
from attribution.importing.formats.traker import load, sniff
from tests import golden


@pytest.fixture
def folder(tmp_path):
    """A copy of what traker 0.3.2 wrote: "val", and "started", which was not finalised."""
    shutil.copytree(golden.FOLDER / "traker", tmp_path / "trak_results")
    return tmp_path / "trak_results"


def experiments(folder, **changes):
    file = folder / "experiments.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def bring(path, **declared):
    return load(path, Declaration(**declared), golden.sizes())


def test_one_of_several(folder):
    with pytest.raises(UserError, match="several experiments; say --part with one of started, val"):
        bring(folder)
    with pytest.raises(UserError, match="no experiment 'test'; say --part with one of started, val"):
        bring(folder, part="test")
    (folder / "scores" / "started.mmap").unlink()
    (folder / "experiments.json").unlink()
    assert bring(folder).provenance["experiment"] == "val"


def test_its_path_of_another_machine_is_not_used(folder):
    assert "/elsewhere/" in (folder / "experiments.json").read_text()
    assert bring(folder, part="val").provenance["finalised"] == "yes"


@pytest.mark.parametrize("path", ["folder", "file"])
def test_not_finalised(folder, path):
    with pytest.raises(UserError, match="'started' in .* is not finalised"):
        bring(folder, part="started") if path == "folder" else bring(folder / "scores" / "started.mmap")


@pytest.mark.parametrize("final", [0, None, 1])
def test_what_traker_0_2_leaves(folder, final):
    """It never writes that scores are final: only those that are zeros are not."""
    experiments(
        folder, val={"num_targets": 6, "scores_path": "/home/u/trak/scores/val.mmap", "scores_finalized": final}
    )
    found = bring(folder, part="val")
    assert found.provenance["finalised"] == ("yes" if final else "not said") and len(found.read_scores(0, 6)) == 6
    with pytest.raises(UserError, match="'started' in .* is not finalised"):
        bring(folder, part="started")


@pytest.mark.parametrize(
    "path",
    [
        "C:\\Users\\u\\trak\\scores\\val.mmap",
        "scores\\val.mmap",
        "\\\\host\\a b\\scores/val.mmap",
        "D:/t/scores/val.mmap",
    ],
)
def test_paths_of_windows(folder, path):
    experiments(folder, val={"num_targets": 6, "scores_path": path, "scores_finalized": 1})
    assert bring(folder, part="val").provenance["finalised"] == "yes"
    experiments(folder, val={"num_targets": 6, "scores_path": path.replace("val", "other"), "scores_finalized": 1})
    with pytest.raises(UserError, match="names another file than scores/val.mmap"):
        bring(folder, part="val")


def test_zeros_that_are_said_to_be_final(folder):
    experiments(folder, started={"scores_finalized": 1, "scores_path": "/x/scores/started.mmap"})
    with pytest.raises(UserError, match="all scores of target 0 .* are equal"):
        bring(folder, part="started").read_scores(0, 6)


@pytest.mark.parametrize(
    "about",
    [
        {"scores_finalized": 1, "scores_path": "../../x/secret.npy"},
        {"scores_finalized": 1, "scores_path": "/etc/scores/other.mmap"},
        {"scores_finalized": 1},
        7,
        None,
    ],
)
def test_a_path_that_leads_elsewhere(folder, about):
    """None is as if nothing had been said of that experiment."""
    experiments(folder, val=about)
    if about is None:
        assert bring(folder, part="val").provenance["finalised"] == "not said"
        return
    with pytest.raises(UserError, match=r"names another file than scores/val.mmap"):
        bring(folder, part="val")


def test_a_name_or_link_that_leads_elsewhere(folder, tmp_path):
    np.save(tmp_path / "secret.npy", np.zeros((24, 6), np.float16))
    (tmp_path / "secret.npy").rename(tmp_path / "secret.mmap")
    experiments(folder, **{"../../secret": {"scores_finalized": 1, "scores_path": "/scores/../../secret.mmap"}})
    with pytest.raises(UserError, match="another file than scores"):
        bring(folder, part="../../secret")
    (folder / "scores" / "link.mmap").symlink_to(tmp_path / "secret.mmap")
    with pytest.raises(UserError, match="no experiment 'link'"):
        bring(folder, part="link")


def test_missing_and_mixed_up(folder):
    (folder / "scores" / "val.mmap").unlink()
    with pytest.raises(UserError, match="has no file of the experiment 'val'"):
        bring(folder, part="val")
    np.save(folder / "scores" / "scores_val.npy", np.zeros((23, 6)))
    with pytest.raises(UserError, match="is 23 x 6, and metadata.json beside it says 24 training images"):
        bring(folder, part="val")
    shutil.rmtree(folder / "scores")
    (folder / "experiments.json").write_text("{}")
    with pytest.raises(UserError, match="has no experiment with scores; finalise one"):
        bring(folder)
    (folder / "experiments.json").write_text("[")
    with pytest.raises(UserError, match="holds no JSON object"):
        bring(folder)


def test_sniff(folder, tmp_path):
    assert sniff(folder) and sniff(folder / "scores" / "val.mmap")
    assert not sniff(tmp_path) and not sniff(tmp_path / "scores.npy")
