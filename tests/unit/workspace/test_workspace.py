"""Workspaces: what is read from the folder, and one sentence for every way in which a folder can be broken."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from attribution import UserError, Workspace
from attribution.workspace.base_models import BaseModels
from tests import tiny


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """A tiny workspace whose manifest lists the size of every file, as built ones do."""
    folder = tmp_path_factory.mktemp("workspace") / "tiny"
    ws = tiny.write(folder)
    files = [str(file.relative_to(folder)) for file in folder.rglob("*") if file.suffix in (".npy", ".parquet")]
    ws.record_part("data", {}, files)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "copy")


def manifest(folder, **changes):
    file = folder / "workspace.json"
    whole = json.loads(file.read_text())
    whole |= changes
    file.write_text(json.dumps({name: value for name, value in whole.items() if value is not None}))


def refused(folder, match):
    with pytest.raises(UserError, match=match) as error:
        Workspace.open(folder)
    assert len(str(error.value).splitlines()) == 1


def test_what_it_holds(original):
    ws = Workspace.open(str(original))
    assert (ws.name, ws.n_train, ws.n_val, ws.planted, ws.recipe) == ("tiny", 60, 12, 1, "demo-cnn")
    assert ws.train_images.shape == (60, 8, 8) and ws.val_images.dtype == np.uint8
    assert ws.train_labels[3] == 2 and ws.truth().original[3] == 0 and ws.truth().planted.sum() == 1
    assert ws.train_index[0] == 1000 and ws.val_index[-1] == 2011
    assert ws.features() == ["moco"] and ws.feature("moco").train.shape == (60, 3)
    assert ws.feature("moco") is ws.feature("moco") and ws.ranking("l2-moco") is ws.ranking("l2-moco")


def test_pixels_are_features_without_a_file(folder):
    manifest(folder, parts={"features/pixels": {}})
    pixels = Workspace.open(folder).feature("pixels")
    assert pixels.train.shape == (60, 64) and pixels.train.dtype == np.float32 and 0.8 < pixels.val.max() <= 1


def test_unknown_names_are_answered_with_the_known(original):
    ws = Workspace.open(original)
    with pytest.raises(UserError, match="no feature set 'dino' in tiny; it has moco"):
        ws.feature("dino")
    with pytest.raises(UserError, match="no ranking 'nonsense' in tiny; it has esvm-moco"):
        ws.ranking("nonsense")


def test_targets(original):
    ws = Workspace.open(original)
    assert ws.check_target("3") == ws.check_target(np.int64(3)) == 3
    for target in ("abc", None, "", "1.5", [1]):
        with pytest.raises(UserError, match="is not a number"):
            ws.check_target(target)
    for target in (-1, 12, "99"):
        with pytest.raises(UserError, match="out of range; give a validation image, 0 to 11"):
            ws.check_target(target)


def test_base_models():
    probabilities = np.zeros((10, 4, 3), np.float32)
    probabilities[:] = [0.5, 0.3, 0.2]
    probabilities[:5, 2] = [0.1, 0.3, 0.6]  # a tie of votes, 5 to 5, that the mean decides for class 2
    probabilities[5:, 2] = [0.45, 0.15, 0.4]
    probabilities[:1, 3] = [0.2, 0.5, 0.3]
    base = BaseModels(probabilities, np.array([0, 1, 2, 0]))
    assert base.prediction.tolist() == [0, 0, 2, 0] and base.n_right.tolist() == [10, 0, 5, 9]
    assert [base.target_status(t) for t in range(4)] == ["stable", "already_wrong", "already_wrong", "stable"]
    assert base.likeliest_wrong_class[0] == 1 and base.likeliest_wrong_class[1] == 0
    assert np.isclose(base.confidence[2], 0.5) and base.n_models == 10


def test_an_unstable_target(original):
    base = Workspace.open(original).base
    assert (
        base.target_status(2) == "unstable"
        and base.target_status(0) == "stable"
        and base.target_status(1) == "already_wrong"
    )


def test_nothing_there(tmp_path):
    refused(tmp_path / "nowhere", "there is no workspace at")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "there is no workspace at")


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_schema_version(folder, version):
    manifest(folder, schema=version)
    refused(folder, f"has schema version {version}, and this Lineup reads 1")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        "null",
        '"text"',
        '{"schema": 1}',
        '{"schema": 1, "parts": []}',
        '{"schema": 1, "parts": {"data": 3}}',
        "\x00\xff",
    ],
)
def test_a_corrupt_manifest(folder, text):
    (folder / "workspace.json").write_bytes(text.encode("latin-1"))
    refused(folder, "copy the workspace again|has schema version None")


def test_half_copied(folder):
    (folder / "images" / "train.npy").unlink()
    refused(folder, r"incomplete: images/train.npy \(data\) is missing")


def test_truncated(folder):
    file = folder / "images" / "val.npy"
    file.write_bytes(file.read_bytes()[:-1])
    refused(folder, r"incomplete: images/val.npy \(data\) has not the \d+ bytes")


@pytest.mark.parametrize(
    "file, ask",
    [
        ("images/train.npy", lambda ws: ws.train_images),
        ("images/val.npy", lambda ws: ws.val_images),
        ("base/probabilities.npy", lambda ws: ws.base),
        ("features/moco/val.npy", lambda ws: ws.feature("moco")),
        ("rankings/trak-10/scores.npy", lambda ws: ws.ranking("trak-10").top(0, 3)),
        ("train.parquet", lambda ws: ws.train_labels),
        ("val.parquet", lambda ws: ws.val_labels),
        ("truth.parquet", lambda ws: ws.truth()),
    ],
)
def test_corrupt_but_of_the_right_size(folder, file, ask):
    size = (folder / file).stat().st_size
    (folder / file).write_bytes(b"\xff" * size)
    with pytest.raises(UserError, match="copy the workspace again"):
        ask(Workspace.open(folder))


@pytest.mark.parametrize(
    "file, array, ask",
    [
        ("images/train.npy", np.zeros((59, 8, 8), np.uint8), lambda ws: ws.train_images),
        ("images/train.npy", np.zeros(60, np.uint8), lambda ws: ws.train_images),
        ("base/probabilities.npy", np.zeros((10, 12, 4), np.float16), lambda ws: ws.base),
        ("features/moco/val.npy", np.zeros((12, 5), np.float16), lambda ws: ws.feature("moco")),
        ("rankings/trak-10/scores.npy", np.zeros((12, 61), np.float16), lambda ws: ws.ranking("trak-10").top(0, 3)),
    ],
)
def test_an_array_of_another_shape(folder, file, array, ask):
    manifest(folder, parts={"features/moco": {}, "rankings/trak-10": {"signed": True}})
    np.save(folder / file, array)
    with pytest.raises(UserError, match="copy the workspace again"):
        ask(Workspace.open(folder))


@pytest.mark.parametrize("labels", [[0] * 59, [0] * 59 + [3], [-1] + [0] * 59])
def test_labels_that_do_not_fit(folder, labels):
    manifest(folder, parts={})
    pd.DataFrame({"label": labels, "source_index": labels}).to_parquet(folder / "train.parquet")
    with pytest.raises(UserError, match="does not hold 60 labels from 0 to 2"):
        Workspace.open(folder).train_labels  # noqa: B018


def test_no_base_models_yet(folder):
    manifest(folder, parts={})
    assert Workspace.open(folder).has_base
    (folder / "base" / "probabilities.npy").unlink()
    ws = Workspace.open(folder)
    with pytest.raises(UserError, match="no base models yet; train them with: python -m attribution base train"):
        ws.base  # noqa: B018
    assert not ws.has_base


def test_base_models_of_many_classes():
    labels = np.array([7, 299])
    probabilities = np.full((2, 2, 300), 1e-3, np.float32)
    probabilities[:, [0, 1], labels] = 0.7
    base = BaseModels(probabilities, labels)
    assert base.predicted.tolist() == [[7, 299]] * 2 and base.prediction.tolist() == [7, 299]
    assert base.statuses.tolist() == ["stable"] * 2


def test_nothing_is_written_into_a_workspace_that_is_read(original, run):
    """The bundled demo may belong to somebody else."""
    before = {file: file.stat().st_mtime_ns for file in original.rglob("*")}
    assert run("info", "--workspace", original).code == 0
    assert run("jobs", "list", "--workspace", original).code == 0
    assert {file: file.stat().st_mtime_ns for file in original.rglob("*")} == before


@pytest.mark.parametrize(
    "part, about",
    [
        ("rankings/../../victim", {}),
        ("../victim", {}),
        ("/etc", {}),
        ("rankings/mine", {"files": {"../secret.npy": 3}}),
    ],
)
def test_a_workspace_names_nothing_outside_itself(folder, part, about):
    manifest(folder, parts={part: about})
    refused(folder, "take (it|the workspace) from where it was made")


def test_only_what_was_added_here_is_elsewhere(folder):
    manifest(folder, parts={"features/moco": {"home": "/somewhere"}})
    assert Workspace.open(folder).folder("features/moco") == folder / "features" / "moco"
