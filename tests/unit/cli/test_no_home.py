"""A user without a home folder, as in a rootless container: what keeps nothing works, and the rest says what to set."""

import pwd

import numpy as np
import pytest


@pytest.fixture
def homeless(ws, monkeypatch):
    """The tiny workspace, and a user whom the system does not know."""

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("HOME", "USER", "LOGNAME", "USERNAME", "LINEUP_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    return ws


@pytest.mark.parametrize(
    "command", [["info"], ["info", "--json"], ["rank", "--target", "0", "--ranking", "trak-10"], ["rankings", "list"]]
)
def test_what_keeps_nothing_answers(homeless, run, command):
    done = run(*command)
    assert done.code == 0 and done.out, done.err


def test_a_lineup_is_written_where_it_was_asked_for(homeless, run, tmp_path):
    for name in ("a b.png", "x.csv"):
        done = run("export", "figure", "--target", "0", "--rankings", "trak-10", "--out", tmp_path / name)
        assert done.code == 0 and (tmp_path / name).stat().st_size > 100, done.err


def test_a_ranking_comes_into_a_workspace_of_ones_own(homeless, run, tmp_path):
    same = homeless.train_labels == homeless.val_labels[:, None]
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(12, 60)) + 5 * same)
    done = run("import", "tensor", tmp_path / "x.npy", "--sign", "helpful", "--name", "mine")
    assert done.code == 0, done.err


@pytest.mark.parametrize("command", [["serve"], ["jobs", "list"], ["retrain", "--target", "0", "--remove", "1"]])
def test_what_keeps_results_says_what_to_set(homeless, run, command):
    done = run(*command)
    assert done.code == 2 and done.err.strip().endswith("set LINEUP_DATA to a folder for results")
    assert len(done.err.strip().splitlines()) == 1


def test_it_does_as_it_says(homeless, run, tmp_path):
    done = run("jobs", "list", LINEUP_DATA=tmp_path / "with a space")
    assert done.code == 0 and (tmp_path / "with a space").is_dir(), done.err
