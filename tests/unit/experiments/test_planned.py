"""Retrainings that are done elsewhere: written out, computed by a few lines of numpy, and collected."""

import json

import numpy as np
import pandas as pd
import pytest

from attribution import UserError
from attribution.experiments.planned import collect_plan, write_plan
from attribution.experiments.retrain import retrain_spec
from attribution.training import own
from tests.unit.training.own.test_command import SCRIPT


@pytest.fixture
def spec(ws, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(SCRIPT)
    recipe = own.add_command("means", "python train.py {job}", tmp_path / "code", ["train.py"])
    return retrain_spec(ws, 0, "trak-10", "remove", 2, range(2), 1, recipe=recipe.name)


def answer(folder):
    task = json.loads((folder / "job.json").read_text())
    keep, labels = np.load(folder / task["keep"]), np.load(folder / task["labels"])
    train, val = (np.load(folder / task[f"{split}_images"]).reshape(-1, 64) / 255 for split in ("train", "val"))
    assert pd.read_parquet(folder / task["train"]).label.shape == labels.shape
    means = np.stack([train[keep][labels[keep] == c].mean(0) for c in range(len(task["classes"]))])
    np.save(folder / task["val_logits"], -((val[:, None] - means) ** 2).sum(2))


def test_what_comes_back_is_stored_once(ws, store, spec, tmp_path):
    out = tmp_path / "jobs"
    names = write_plan(ws, store, spec, out)
    assert len(names) == 6
    for name in names[:4]:
        answer(out / name)
    first = collect_plan(ws, store, out)
    assert (len(first.stored), len(first.waiting), first.refused) == (4, 2, {})
    assert len(collect_plan(ws, store, out).known) == 4
    assert set(write_plan(ws, store, spec, out)) == set(names[4:]), "what is known is not planned again"
    for name in names[4:]:
        answer(out / name)
    collect_plan(ws, store, out)
    assert spec.answer(ws, store)["complete"]


def test_what_is_not_fit_is_refused_and_the_rest_is_stored(ws, store, spec, tmp_path):
    out = tmp_path / "jobs"
    names = write_plan(ws, store, spec, out)
    for name in names:
        answer(out / name)
    np.save(out / names[0] / "val_logits.npy", np.zeros((3, 3)))
    np.save(out / names[1] / "val_logits.npy", np.full((ws.n_val, 3), np.nan))
    job = out / names[2] / "job.json"
    job.write_text(job.read_text().replace('"seed": ', '"seed": 9'))
    (out / names[3] / "job.json").write_text("{}")
    found = collect_plan(ws, store, out)
    assert len(found.stored) == 2 and [*found.refused] == sorted(names[:4])
    assert all("\n" not in why for why in found.refused.values())
    assert "its key is not of these images" in found.refused[names[2]]


def test_what_is_refused(ws, store, spec, tmp_path):
    with pytest.raises(UserError, match="holds no trainings"):
        collect_plan(ws, store, tmp_path / "nothing")
    with pytest.raises(UserError, match="trained by Lineup itself"):
        write_plan(ws, store, retrain_spec(ws, 0, "trak-10", "remove", 2), tmp_path / "jobs")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("")
    with pytest.raises(UserError, match="is not empty"):
        write_plan(ws, store, spec, tmp_path / "full")
