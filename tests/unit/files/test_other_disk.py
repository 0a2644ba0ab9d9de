"""The data folder, a workspace, what is exported and the folder for temporary files may each be on a disk of its own,
between which nothing can be renamed: every temporary file is made beside, or below, what it replaces."""

import errno
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from attribution.workspace.workspace import Workspace
from tests.unit.data.test_image_folder import fill


@pytest.fixture
def renamed(monkeypatch):
    """What was renamed, [(from, to)]; from one folder into another nothing can be."""
    seen = []

    def guarded(rename):
        def only_beside(source, target, **options):
            seen.append((Path(source), Path(target)))
            if Path(target).parent not in Path(source).parents:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), source, None, target)
            return rename(source, target, **options)

        return only_beside

    for name in ("rename", "replace", "link"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return seen


def test_nothing_is_renamed_from_one_folder_into_another(tmp_path, run, renamed, monkeypatch):
    for name in ("data", "tmp", "out"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("LINEUP_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    names = [f"{i}.png" for i in range(6)]
    fill(tmp_path / "set", {"train/a": names, "train/b": names, "val/a": names[:2], "val/b": names[:2]})
    where = ("--workspace", tmp_path / "w")
    rng = np.random.default_rng(0)
    for name, shape in (("train", (12, 4)), ("val", (4, 4)), ("scores", (4, 12))):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=shape).astype(np.float32))
    for words in (
        ("workspace", "create", tmp_path / "w", "--dataset", "image-folder", "--root", tmp_path / "set"),
        ("features", "import", "--name", "f", "--train", tmp_path / "train.npy", "--val", tmp_path / "val.npy", *where),
        ("import", "tensor", tmp_path / "scores.npy", "--name", "s", "--sign", "helpful", "--orientation")
        + ("target-first", "--force", *where),
        ("export", "ranking", "--ranking", "s", "--out", tmp_path / "out" / "s.parquet", *where),
        ("import", "parquet", tmp_path / "out" / "s.parquet", "--name", "again", "--force", *where),
    ):
        ended = run(*words)
        assert ended.code == 0, ended.err
    assert {"s", "again"} <= set(Workspace.open(tmp_path / "w").rankings()) and (tmp_path / "out/s.parquet").is_file()
    targets = {target.relative_to(tmp_path).parts[0] for _, target in renamed}
    assert targets >= {"w", "data", "out"} and not list((tmp_path / "tmp").iterdir())
